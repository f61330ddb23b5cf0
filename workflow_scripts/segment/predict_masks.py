"""Segment one chunk of inputs with models that have never seen their patients; masks on the frames' own grid.

All folds in one process: to load torch takes as long as hundreds of pictures.
"""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from segmentation_models_pytorch import Unet
from segmentation_models_pytorch.encoders.resnet import BasicBlock, Bottleneck, ResNetEncoder
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.measure import outline_nodules, to_frame
from workflow_scripts.imaging.quality_signals import AGREEMENT, measure_agreement, measure_looks, measure_signals
from workflow_scripts.imaging.stills import decode_field, decode_picture, encode_png
from workflow_scripts.segment.average_views import average_over_views
from workflow_scripts.segment.network import (
    as_batch,
    be_deterministic,
    best_device,
    channels_last,
    load_network,
    mixed_precision,
    out_of_memory,
)
from workflow_scripts.tables import folds, masks
from workflow_scripts.tables.table import RowWriter, read_rows, stream_rows

BATCH = 8  # the last one is filled up: a picture's mask does not depend on its neighbours' number


def describe_mask(
    probability: np.ndarray,
    picture: np.ndarray,
    affine: np.ndarray,
    field: np.ndarray,
    mirrored: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the mask of a probability map on the frame's grid, mean probability and signals; no nodule is outside the
    field.

    Parameters
    ----------
    probability
        (h, w) float32, on the model's grid.
    picture
        (h, w) uint8, as the model saw it.
    affine
        Six numbers, from the model's grid to the frame's.
    field
        (H, W) bool, on the frame's grid.
    mirrored
        (h, w) float32: what the mirrored picture gave, mirrored back; None if it was not asked for.
    """
    on_frame = to_frame(probability, affine, field.shape)
    labels = outline_nodules(on_frame, field)
    found: dict[str, Any] = {"mask": {"bytes": encode_png(labels), "path": None}}
    if labels.any():  # of an empty mask no signal is known
        found |= measure_signals(probability, picture) | {"mean_probability": float(on_frame[labels > 0].mean())}
        if mirrored is not None:
            found[AGREEMENT] = measure_agreement(probability, mirrored)
    return found


def unseen(rows: Iterator[dict[str, Any]], fold: str, held_out: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the inputs that the model of `fold` has never seen: the fold's own, and for fold 0 those of no fold.

    A model from elsewhere (`given`) predicts everything.
    """
    for row in rows:
        if fold == "given" or held_out.get(row["case_id"], 0) == int(fold):
            yield row


def check_card(weights: Path, preprocess: dict[str, Any]) -> None:
    """Refuse a model that was trained on pictures prepared otherwise, where the card beside its weights says so."""
    card = weights.with_suffix(".json")
    stated = (json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}).get("preprocess") or {}
    for name in sorted(stated.keys() & preprocess.keys() - {"text"}):  # words in the field change no pixel
        if stated[name] != preprocess[name]:
            raise command.Refusal(
                f"model.weights: {weights} was trained with preprocess.{name}: {json.dumps(stated[name])}"
                f" ({card.name}), here it is {json.dumps(preprocess[name])}; write it as it was, or train anew"
            )


class DoublingBlock(torch.nn.Module):
    """A block of a U-Net's decoder that comes to the same in fewer steps.

    A 3 x 3 convolution of features that nearest neighbours have doubled is one transposed convolution of the small
    features: 4 products where there were 9, and neither the doubled nor the joined features are written.
    """

    block: Any
    below: torch.Tensor
    across: torch.Tensor

    def __init__(self, block: Any, channels: int) -> None:
        """Take a block without norms: `channels` of its features come from below, the others from the encoder."""
        super().__init__()
        self.block = block
        weight = block.conv1[0].weight.detach()
        below = weight[:, :channels].flip(2, 3).transpose(0, 1)
        below = functional.avg_pool2d(below, 2, stride=1, padding=1, divisor_override=1)  # sums over what is doubled
        self.register_buffer("below", below)
        self.register_buffer("across", weight[:, channels:])

    def forward(
        self, features: torch.Tensor, height: int, width: int, skip_connection: torch.Tensor | None
    ) -> torch.Tensor:
        """Return features (n, c, height, width)."""
        if (height, width) != (2 * features.shape[2], 2 * features.shape[3]):  # an odd size is not doubled
            return self.block(features, height, width, skip_connection)
        found = functional.conv_transpose2d(features, self.below, self.block.conv1[0].bias, stride=2, padding=1)
        if skip_connection is not None and self.across.shape[1]:
            found += functional.conv2d(skip_connection, self.across, padding=1)
        return self.block.conv2(found.relu_())


def quicken(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network, changed to come to the same (but for rounding) in fewer steps.

    Norms are folded into the convolutions before them where modules surely run in the order in which they stand; the
    decoder of a U-Net gets blocks that double and convolve at once. Everything else stays as it is.
    """
    for module in list(network.modules()):
        in_order = type(module).forward is torch.nn.Sequential.forward
        if in_order or isinstance(module, (ResNetEncoder, BasicBlock, Bottleneck)):
            for (conv, one), (norm, next_one) in pairwise(list(module.named_children())):
                if type(one) is torch.nn.Conv2d and type(next_one) is torch.nn.BatchNorm2d:
                    setattr(module, conv, fuse_conv_bn_eval(one, next_one))
                    setattr(module, norm, torch.nn.Identity())
    if isinstance(network, Unet):
        blocks = network.decoder.blocks
        channels = [network.encoder.out_channels[-1], *(block.conv2[0].out_channels for block in blocks)]
        network.decoder.blocks = torch.nn.ModuleList(map(DoublingBlock, blocks, channels))
    return channels_last(network)


class Predictor:
    """A network ready to predict: loaded once, batches of one size, the processor's own fast path."""

    def __init__(self, weights: Path, sha256: str | None, threads: int) -> None:
        """Load the weights."""
        be_deterministic(0, threads)
        self.batch, self.device = BATCH, best_device()
        self.precision = mixed_precision(self.device)
        self.network = quicken(load_network(weights, sha256)).to(self.device)
        for module in self.network.modules():
            if type(module) in (torch.nn.Conv2d, DoublingBlock):
                module.to(self.precision)  # once; autocast would do it for each batch

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Return the probability of nodule (n, h, w) float32 of pictures (n, h, w) uint8, n at most `BATCH`.

        Out of memory halves the batch, which the log says.
        """
        while True:
            try:
                parts = range(0, len(pictures), self.batch)
                return np.concatenate([self._batch(pictures[start : start + self.batch]) for start in parts])
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self.batch == 1:
                    raise command.Refusal(
                        "prediction: out of memory with one picture at a time; lower preprocess.size"
                    ) from None
                self.batch //= 2
                logging.getLogger("predict_masks").warning("out of memory: the batch is halved to %d", self.batch)

    @torch.inference_mode()
    def _batch(self, pictures: np.ndarray) -> np.ndarray:
        filled = np.zeros((self.batch, *pictures.shape[1:]), np.uint8)
        filled[: len(pictures)] = pictures
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.network(as_batch(filled, self.device))
        probability: np.ndarray = logits.float().sigmoid()[: len(pictures), 0].cpu().numpy()
        return probability


def batched(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield up to `BATCH` rows at a time."""
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def predict_masks(
    inputs: Path,
    held_out: dict[str, int],
    predictor: Predictor,
    model: str,
    fold: str,
    out: Path,
    *,
    mirrored: bool = False,
    test_time_augmentation: bool = False,
) -> int:
    """Write the masks of one chunk, and return how many frames were predicted.

    `mirrored` asks for the agreement with what the mirrored picture gives, which takes as long again;
    `test_time_augmentation` for the mean over several views, which takes five times as long.
    """
    see = partial(average_over_views, predictor.probabilities) if test_time_augmentation else predictor.probabilities

    def masked(
        row: dict[str, Any], picture: np.ndarray, probability: np.ndarray, other: np.ndarray | None
    ) -> dict[str, Any]:
        field, affine = decode_field(row["field"]["bytes"]), np.array(row["affine"])
        about = {"frame_id": row["frame_id"], "case_id": row["case_id"], "model": model, "fold": fold}
        return about | describe_mask(probability, picture, affine, field, other) | measure_looks(picture, affine, field)

    count = 0
    columns = ["frame_id", "case_id", "image", "affine", "field"]
    with (
        write_beside(out) as beside,
        RowWriter(beside, masks.SCHEMA) as writer,
        ThreadPoolExecutor(torch.get_num_threads()) as pool,
    ):
        for rows in batched(unseen(stream_rows(inputs, columns), fold, held_out)):
            pictures = np.stack(list(pool.map(decode_picture, (row["image"]["bytes"] for row in rows))))
            others = predictor.probabilities(pictures[..., ::-1])[..., ::-1] if mirrored else [None] * len(rows)
            for found in pool.map(masked, rows, pictures, see(pictures), others):
                writer.write(found)
            count += len(rows)
    return count


def main(argv: list[str] | None = None) -> None:
    """Predict one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs")
    arguments.add_argument("--folds", type=command.existing, nargs="*", help="table of folds; none for a given model")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--weights", type=command.existing, nargs="+", required=True, help="safetensors, one a fold")
    arguments.add_argument("--model", required=True, help="the model's name")
    arguments.add_argument("--fold", nargs="+", required=True, help="the fold that each has never seen, or `given`")
    arguments.add_argument(
        "--spec",
        type=command.json_argument,
        required=True,
        help="threads, sha256, mirrored, test_time_augmentation, preprocess as JSON",
    )
    arguments.add_argument("--masks", type=Path, nargs="+", required=True, help="tables to write, one a fold")
    args = arguments.parse_args(argv)
    log = command.start("predict_masks")
    rows = [row for path in args.folds or [] for row in read_rows(path, folds.SCHEMA)]
    held_out = {row["case_id"]: row["fold"] for row in rows if row["dataset"] == args.dataset}
    for weights, fold, out in zip(args.weights, args.fold, args.masks, strict=True):
        check_card(weights, args.spec["preprocess"])
        predictor = Predictor(weights, args.spec["sha256"], args.spec["threads"])
        ways = {way: args.spec[way] for way in ("mirrored", "test_time_augmentation")}
        count = predict_masks(args.inputs, held_out, predictor, args.model, fold, out, **ways)
        precision = str(predictor.precision).removeprefix("torch.")
        log.info("fold %s: %d frames on %s in %s", fold, count, predictor.device.type, precision)


if __name__ == "__main__":
    main()
