"""Describe the largest nodule of each frame of a chunk by what a network's encoder makes of it, and a control.

Each fold's network sees all cases of a chunk: networks of other folds have other features, which cannot be compared. It
has never seen the cases of its own fold, on which whatever is learnt from the features is tested.

The control is what the encoder makes of a picture in which no nodule is left. Filling the nodule in would leave a patch
that tells its size, and size goes with the level; so the whole picture is laid anew, in rows of tiles taken from
outside every nodule at about that depth. Who can grade that has read something else than the nodule.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.segment.network import as_batch, be_deterministic, best_device, load_network
from workflow_scripts.segment.pictures import FRAMES_A_CASE
from workflow_scripts.tables import embeddings, folds, nodules
from workflow_scripts.tables.table import RowWriter, read_rows, stream_rows

STRIDES = (4, 8, 16)  # of the stages: finer ones see speckle, coarser ones more than the nodule
MARGIN = 1 / 24  # of the picture's height: so far around a nodule nothing is taken into the control
TILE = 1 / 8  # of the picture's height


def largest_nodule(labels: np.ndarray) -> np.ndarray:
    """Return where the largest nodule of a label mask (H, W) is, as bool; nowhere in an empty one."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((labels == sizes.argmax()) & (labels > 0))


def lay_mosaic(picture: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Return a picture (H, W) of tiles taken from outside the nodules and a margin, or None where no tile is left.

    Every row of tiles shows those of its own depth, or of the nearest depth that has any, over and over.
    """
    height, width = picture.shape
    size = round(height * TILE)
    away = cv2.distanceTransform((labels == 0).astype(np.uint8), cv2.DIST_L2, 5) > height * MARGIN
    left, top, across, down = cv2.boundingRect((picture > 0).astype(np.uint8))
    depths = []
    for y in range(top, top + down - size + 1, size):
        places = [np.s_[y : y + size, x : x + size] for x in range(left, left + across - size + 1, size // 2)]
        depths.append([picture[place] for place in places if away[place].all() and (picture[place] > 0).mean() > 0.8])
    full = [depth for depth, tiles in enumerate(depths) if tiles]
    if not full:
        return None
    columns = -(-width // size)
    rows = []
    for k in range(-(-height // size)):
        wanted = k * size * len(depths) // height
        tiles = depths[min(full, key=lambda depth: (abs(depth - wanted), depth))]
        rows.append(np.hstack([tiles[column % len(tiles)] for column in range(columns)]))
    return np.vstack(rows)[:height, :width]


def pool(stages: list[torch.Tensor], where: np.ndarray) -> list[float]:
    """Return the mean and the spread of each channel (C, h, w) of each stage over a region (H, W) of the picture."""
    found = []
    for stage in stages:
        share = cv2.resize(where.astype(np.float32), stage.shape[:0:-1], interpolation=cv2.INTER_AREA)
        weight = torch.from_numpy(share / share.sum())
        mean = (stage * weight).sum((1, 2))
        spread = ((stage - mean[:, None, None]) ** 2 * weight).sum((1, 2)).sqrt()
        found += [mean, spread]
    values: list[float] = torch.cat(found).tolist()
    return values


class Embedder:
    """An encoder ready to describe pictures: loaded once, one picture and its control at a time."""

    def __init__(self, weights: Path, sha256: str | None, threads: int) -> None:
        """Load the weights."""
        be_deterministic(0, threads)
        self.device = best_device()
        self.encoder: Any = load_network(weights, sha256).to(self.device).encoder

    @torch.inference_mode()
    def stages(self, pictures: np.ndarray) -> list[list[torch.Tensor]]:
        """Return of each of two pictures (2, H, W) uint8 its stages (C, h, w) at `STRIDES`."""
        found = self.encoder(as_batch(pictures, self.device))
        at = {round(pictures.shape[2] / stage.shape[3]): stage.float().cpu() for stage in found}
        return [[at[stride][k] for stride in STRIDES if stride in at] for k in range(len(pictures))]


def spread_over_cases(inputs: Path) -> set[str]:
    """Return the outlined frames to describe: of a long case `FRAMES_A_CASE` spread over it."""
    by_case: dict[str, list[str]] = {}
    for row in stream_rows(inputs, ["frame_id", "case_id", "mask_kept"]):
        if row["mask_kept"] is not None:
            by_case.setdefault(row["case_id"], []).append(row["frame_id"])
    return {
        frames[round(k)]
        for frames in by_case.values()
        for k in np.linspace(0, len(frames) - 1, min(FRAMES_A_CASE, len(frames)))
    }


def embed_nodules(
    inputs: Path, masks: Path, tested: set[str] | None, embedder: Embedder, model: str, fold: str
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `embeddings` of one chunk.

    Parameters
    ----------
    inputs, masks
        The chunk's tables of inputs, and of the masks that the same network predicted.
    tested
        The cases of the fold that the network never saw: only of those its own outlines count; None for all.
    model, fold
        The network's name, and the fold that it never saw.
    """
    wanted = spread_over_cases(inputs)
    predicted = {
        row["frame_id"]: row["mask"]["bytes"]
        for row in stream_rows(masks, ["frame_id", "case_id", "mask"])
        if row["frame_id"] in wanted and (tested is None or row["case_id"] in tested)
    }
    for row in stream_rows(inputs, ["frame_id", "case_id", "image", "mask", "affine", "field"]):
        if row["frame_id"] not in wanted:
            continue
        picture, labels = decode_picture(row["image"]["bytes"]), decode_picture(row["mask"]["bytes"])
        if not labels.any():  # outlined, but outside the field
            continue
        mosaic = lay_mosaic(picture, labels)
        seen, control = embedder.stages(np.stack([picture, picture if mosaic is None else mosaic]))
        affine = np.array(row["affine"]).reshape(2, 3)
        _, _, width, height = cv2.boundingRect(decode_picture(row["field"]["bytes"]))
        about = {key: row[key] for key in ("frame_id", "case_id")} | {"model": model, "fold": fold}
        about["view"] = [affine[0, 0], affine[1, 1], width, height]
        yield about | {
            "outlined_by": nodules.EXPERT,
            "features": pool(seen, largest_nodule(labels)),
            "control": None if mosaic is None else pool(control, np.ones_like(picture)),
        }
        if row["frame_id"] in predicted:
            own = largest_nodule(to_input(decode_picture(predicted[row["frame_id"]]), affine, picture.shape))
            if own.any():
                yield about | {"outlined_by": model, "features": pool(seen, own)}


def to_input(labels: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return labels of a frame on the grid (H, W) of its input, by the affine (2, 3) of `inputs`."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(labels, affine, (shape[1], shape[0]), flags=flags))


def main(argv: list[str] | None = None) -> None:
    """Describe one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs")
    arguments.add_argument("--masks", type=command.existing, nargs="+", required=True, help="their masks, one a fold")
    arguments.add_argument("--folds", type=command.existing, nargs="*", help="table of folds; none for a given model")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--weights", type=command.existing, nargs="+", required=True, help="safetensors, one a fold")
    arguments.add_argument("--model", required=True, help="the network's name")
    arguments.add_argument("--fold", nargs="+", required=True, help="the fold that each has never seen, or `given`")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="threads, sha256 as JSON")
    arguments.add_argument("--embeddings", type=Path, nargs="+", required=True, help="tables to write, one a fold")
    args = arguments.parse_args(argv)
    log = command.start("embed_nodules")
    rows = [row for path in args.folds or [] for row in read_rows(path, folds.SCHEMA)]
    for weights, fold, masks, out in zip(args.weights, args.fold, args.masks, args.embeddings, strict=True):
        tested = {row["case_id"] for row in rows if row["dataset"] == args.dataset and str(row["fold"]) == fold}
        embedder = Embedder(weights, args.spec["sha256"], args.spec["threads"])
        count = 0
        with write_beside(out) as beside, RowWriter(beside, embeddings.SCHEMA) as writer:
            for row in embed_nodules(args.inputs, masks, tested if rows else None, embedder, args.model, fold):
                writer.write(row)
                count += 1
        log.info("fold %s: %d outlined nodules on %s", fold, count, embedder.device.type)


if __name__ == "__main__":
    main()
