"""Score the predicted masks of one chunk against the experts' outlines, on the frames' own pixels."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.metrics.overlap import count_pixels, iou_of_dice
from workflow_scripts.metrics.surfaces import surface_distances
from workflow_scripts.tables import cases, folds, masks, scores
from workflow_scripts.tables.table import read_rows, stream_rows, write_rows


class UnfitMask(ValueError):
    """A predicted mask that does not belong to the frame that it names."""


def score_frame(prediction: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Return the columns of `scores` that compare one prediction with its reference.

    Parameters
    ----------
    prediction, reference
        (H, W) labels on the frame's grid; whatever is above 0 is nodule.

    Raises
    ------
    ValueError
        When the two are not of one size.
    """
    counts = count_pixels(prediction, reference)
    dice, iou = counts.dice, counts.iou
    if dice is not None and iou is not None:
        assert abs(iou - iou_of_dice(dice)) < 1e-9, f"IoU {iou} does not belong to Dice {dice}"
    distances = surface_distances(prediction, reference)
    return {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "tn": counts.tn,
        "dice": dice,
        "iou": iou,
        "hd95": float(np.percentile(distances, 95)) if distances.size else None,
        "surface_distance": float(distances.mean()) if distances.size else None,
        "empty_reference": counts.tp + counts.fn == 0,
        "empty_prediction": counts.tp + counts.fp == 0,
    }


def score_masks(
    frames: Path, chunk: Path, predicted: Path, held_out: Path | None, dataset: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of `scores` of one chunk, in the order of its frames, and the frames that have no prediction.

    Parameters
    ----------
    frames, chunk, predicted
        The chunk's tables of frames, of cases and of masks.
    held_out
        The table of folds, whose groups are joined where pictures nearly repeat; None where nothing was trained.
    dataset
        The data set's name.

    Raises
    ------
    UnfitMask
        When a mask names a frame that is not there or a second time, does not decode, or is not of the frame's size.
    """
    groups = {row["case_id"]: f"{dataset}/{row['group_id']}" for row in read_rows(chunk, cases.SCHEMA)}
    joined = read_rows(held_out, folds.SCHEMA) if held_out else []
    groups |= {row["case_id"]: row["group_id"] for row in joined if row["dataset"] == dataset}
    predictions: dict[str, dict[str, Any]] = {}
    for row in read_rows(predicted, masks.SCHEMA):
        if row["frame_id"] in predictions:
            raise UnfitMask(f"{dataset}, frame {row['frame_id']}: {row['model']} has two masks of it; leave one out")
        predictions[row["frame_id"]] = row
    scored: list[dict[str, Any]] = []
    without: list[str] = []
    for frame in stream_rows(frames, ["frame_id", "case_id", "mask"]):
        found = predictions.pop(frame["frame_id"], None)
        if frame["mask"] is None:
            continue  # nobody outlined it: there is nothing to compare with
        if found is None:
            without.append(frame["frame_id"])
            continue
        reference = decode_picture(frame["mask"]["bytes"])
        try:
            figures = score_frame(decode_picture(found["mask"]["bytes"]), reference)
        except ValueError as error:
            raise UnfitMask(
                f"{dataset}, frame {frame['frame_id']}, masks {found['model']}: {error};"
                " give a mask on the pixels of the frame itself, neither cropped nor resized"
            ) from None
        named = {key: found[key] for key in ("frame_id", "model", "fold")}
        where = {"dataset": dataset, "case_id": frame["case_id"], "group_id": groups[frame["case_id"]]}
        scored.append(named | where | figures)
    if predictions:
        raise UnfitMask(
            f"{dataset}: {len(predictions)} masks are of no frame of this chunk, the first of {min(predictions)};"
            f" delete {predicted} and run again"
        )
    return scored, without


def main(argv: list[str] | None = None) -> None:
    """Score one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--chunk", type=command.existing, required=True, help="table of cases")
    arguments.add_argument("--masks", type=command.existing, required=True, help="table of one model's masks")
    arguments.add_argument("--folds", type=command.existing, nargs="?", help="table of folds, if there is one")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--scores", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("score_masks")
    try:
        scored, without = score_masks(args.frames, args.chunk, args.masks, args.folds, args.dataset)
    except UnfitMask as error:
        raise command.Refusal(str(error)) from None
    write_rows(args.scores, scored, scores.SCHEMA)
    log.info("%d frames scored", len(scored))
    if without:  # those of other folds, or those that no prediction could be made for
        log.info("%d outlined frames have no mask in this table, the first is %s", len(without), without[0])


if __name__ == "__main__":
    main()
