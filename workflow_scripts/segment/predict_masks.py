"""Segment one chunk of inputs with a model that has never seen their patients; masks on the frames' own grid."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.components import label_nodules
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.segment.network import as_batch, be_deterministic, best_device, load_network, mixed_precision
from workflow_scripts.tables import folds, masks
from workflow_scripts.tables.table import RowWriter, read_rows, stream_rows

BATCH = 8  # the last one is filled up: a picture's mask does not depend on its neighbours' number
SMALLEST = 0.001  # of the field: what is smaller is no nodule that an expert would outline


def to_frame(probability: np.ndarray, affine: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a probability map (h, w) on the frame's grid (H, W), both float32, by the affine of `inputs`."""
    height, width = shape
    return cv2.warpAffine(probability, affine.reshape(2, 3), (width, height), flags=cv2.INTER_LINEAR)


def describe_mask(probability: np.ndarray, field: np.ndarray) -> dict[str, Any]:
    """Return mask, mean probability and entropy [bit] of a probability map on the frame's grid; no nodule is outside
    the field."""
    found = (probability > 0.5) & field
    labels = label_nodules(found.astype(np.uint8), max(1, round(SMALLEST * int(field.sum()))))
    inside = np.clip(probability[field], 1e-6, 1 - 1e-6)
    entropy = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    return {
        "mask": {"bytes": encode_png(labels), "path": None},
        "mean_probability": float(probability[labels > 0].mean()) if labels.any() else None,
        "entropy": float(entropy.mean()),
    }


def unseen(rows: Iterator[dict[str, Any]], fold: str, held_out: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the inputs that the model of `fold` has never seen: the fold's own, and for fold 0 those of no fold.

    A model from elsewhere (`given`) predicts everything.
    """
    for row in rows:
        if fold == "given" or held_out.get(row["case_id"], 0) == int(fold):
            yield row


class Predictor:
    """A network ready to predict: loaded once, batches of one size, the processor's own fast path."""

    def __init__(self, weights: Path, sha256: str | None, threads: int) -> None:
        """Load the weights."""
        be_deterministic(0, threads)
        self.device = best_device()
        self.precision = mixed_precision(self.device)
        self.network = load_network(weights, sha256).to(self.device)

    @torch.inference_mode()
    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Return the probability of nodule (n, h, w) float32 of pictures (n, h, w) uint8, n at most `BATCH`."""
        filled = np.zeros((BATCH, *pictures.shape[1:]), np.uint8)
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
    inputs: Path, held_out: dict[str, int], predictor: Predictor, model: str, fold: str, out: Path
) -> int:
    """Write the masks of one chunk, and return how many frames were predicted."""
    count = 0
    columns = ["frame_id", "case_id", "image", "affine", "field"]
    with write_beside(out) as beside, RowWriter(beside, masks.SCHEMA) as writer:
        for rows in batched(unseen(stream_rows(inputs, columns), fold, held_out)):
            pictures = np.stack([decode_picture(row["image"]["bytes"]) for row in rows])
            for row, probability in zip(rows, predictor.probabilities(pictures), strict=True):
                field = decode_picture(row["field"]["bytes"]) > 0
                on_frame = to_frame(probability, np.array(row["affine"]), field.shape)
                about = {"frame_id": row["frame_id"], "case_id": row["case_id"], "model": model, "fold": fold}
                writer.write(about | describe_mask(on_frame, field))
                count += 1
    return count


def main(argv: list[str] | None = None) -> None:
    """Predict one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs")
    arguments.add_argument("--folds", type=command.existing, nargs="*", help="table of folds; none for a given model")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--weights", type=command.existing, required=True, help="safetensors")
    arguments.add_argument("--model", required=True, help="the model's name")
    arguments.add_argument("--fold", required=True, help="the fold that the model has never seen, or `given`")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="threads, sha256 as JSON")
    arguments.add_argument("--masks", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("predict_masks")
    rows = [row for path in args.folds or [] for row in read_rows(path, folds.SCHEMA)]
    held_out = {row["case_id"]: row["fold"] for row in rows if row["dataset"] == args.dataset}
    predictor = Predictor(args.weights, args.spec["sha256"], args.spec["threads"])
    count = predict_masks(args.inputs, held_out, predictor, args.model, args.fold, args.masks)
    log.info("%d frames on %s in %s", count, predictor.device.type, str(predictor.precision).removeprefix("torch."))


if __name__ == "__main__":
    main()
