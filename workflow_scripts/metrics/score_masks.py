"""Score the predicted masks of one chunk against the experts' outlines, on the frames' own pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.measure import measure_nodules
from workflow_scripts.imaging.stills import decode_field, decode_picture, to_grey
from workflow_scripts.metrics.nodules import label_parts, match_nodules
from workflow_scripts.metrics.overlap import count_pixels, iou_of_dice
from workflow_scripts.metrics.surfaces import surface_distances
from workflow_scripts.metrics.views import count_views, may_show_two, touches_edge
from workflow_scripts.tables import cases, folds, masks, scores
from workflow_scripts.tables.reviews import read_corrected
from workflow_scripts.tables.table import read_rows, stream_rows, write_rows

LOOKED_AT = ["frame_id", "case_id", "modality", "spacing_mm", "image", "slope", "mask"]


class UnfitMask(ValueError):
    """A predicted mask that does not belong to the frame that it names."""


def score_frame(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return the columns of `scores` that compare one prediction with its reference.

    Parameters
    ----------
    prediction, reference
        (H, W) labels on the frame's grid; whatever is above 0 is nodule.
    spacing
        Distance between rows and between columns in mm; None where nobody states it.

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
    in_mm = surface_distances(prediction, reference, spacing) if spacing else distances[:0]
    matched = match_nodules(prediction, reference)
    outlined = measure_nodules(label_parts(reference), spacing) if spacing else []
    return {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "tn": counts.tn,
        "dice": dice,
        "iou": iou,
        "sensitivity": counts.sensitivity,
        "precision": counts.precision,
        "hd95": far(distances),
        "surface_distance": mean(distances),
        "hd95_mm": far(in_mm),
        "surface_distance_mm": mean(in_mm),
        "n_outlined": matched.outlined,
        "n_predicted": matched.predicted,
        "n_found": len(matched.dices),
        "found_dice": mean(np.array(matched.dices)),
        "longest_mm": max((nodule.longest_mm for nodule in outlined if nodule.longest_mm is not None), default=None),
        "empty_reference": counts.tp + counts.fn == 0,
        "empty_prediction": counts.tp + counts.fp == 0,
    }


def far(distances: np.ndarray) -> float | None:
    """Return the 95th percentile, None of nothing."""
    return float(np.percentile(distances, 95)) if distances.size else None


def mean(values: np.ndarray) -> float | None:
    """Return the mean, None of nothing."""
    return float(values.mean()) if values.size else None


def look_around(frame: Mapping[str, Any], root: Path, reference: np.ndarray, field: bytes | None) -> dict[str, Any]:
    """Return the columns of `scores` that say what the picture shows around the nodule; null without a field.

    Parameters
    ----------
    frame
        A row of `frames`.
    root
        The data set's folder, for a still that already is a file.
    reference
        (H, W) labels.
    field
        PNG of the field, as `inputs` has it; None where none was found.
    """
    if field is None:
        return {"touches_edge": None, "views": None}
    inside = decode_field(field)
    touches, views = touches_edge(reference, inside) if reference.any() else None, None
    if frame["modality"] == "US" and frame["slope"] is None:
        image, views = frame["image"], 1  # its file was looked through when the frame was taken from it
        if may_show_two(inside):
            views = count_views(to_grey(decode_picture(image["bytes"] or (root / image["path"]).read_bytes())), inside)
    return {"touches_edge": touches, "views": views}


def score_masks(
    frames: Path,
    chunk: Path,
    inputs: Path,
    predicted: Path,
    held_out: Path | None,
    dataset: str,
    root: Path,
    reviews: Path | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of `scores` of one chunk, in the order of its frames, and the frames that have no prediction.

    Parameters
    ----------
    frames, chunk, inputs, predicted
        The chunk's tables of frames, of cases, of inputs and of masks.
    held_out
        The table of folds, whose groups are joined where pictures nearly repeat; None where nothing was trained.
    dataset
        The data set's name.
    root
        Its folder.
    reviews
        The chunk's table of reviews: an outline in it counts instead of the frame's own; None where nobody reviewed.

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
    fields = {
        row["frame_id"]: row["field"]["bytes"]
        for row in stream_rows(inputs, ["frame_id", "field"])
        if row["frame_id"] in predictions
    }
    corrected = read_corrected(reviews)
    scored: list[dict[str, Any]] = []
    without: list[str] = []
    for frame in stream_rows(frames, LOOKED_AT):
        found = predictions.pop(frame["frame_id"], None)
        outline = corrected.get(frame["frame_id"]) or (frame["mask"] and frame["mask"]["bytes"])
        if outline is None:
            continue  # nobody outlined it: there is nothing to compare with
        if found is None:
            without.append(frame["frame_id"])
            continue
        reference = decode_picture(outline)
        try:
            figures = score_frame(decode_picture(found["mask"]["bytes"]), reference, frame["spacing_mm"])
        except ValueError as error:
            raise UnfitMask(
                f"{dataset}, frame {frame['frame_id']}, masks {found['model']}: {error};"
                " give a mask on the pixels of the frame itself, neither cropped nor resized"
            ) from None
        named = {key: found[key] for key in ("frame_id", "model", "fold")}
        named["corrected"] = frame["frame_id"] in corrected
        where = {"dataset": dataset, "case_id": frame["case_id"], "group_id": groups[frame["case_id"]]}
        scored.append(named | where | figures | look_around(frame, root, reference, fields.get(frame["frame_id"])))
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
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs: the fields")
    arguments.add_argument("--masks", type=command.existing, required=True, help="table of one model's masks")
    arguments.add_argument("--folds", type=command.existing, nargs="?", help="table of folds, if there is one")
    arguments.add_argument("--reviews", type=command.existing, nargs="?", help="table of reviews, if there is one")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--scores", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("score_masks")
    try:
        scored, without = score_masks(
            args.frames,
            args.chunk,
            args.inputs,
            args.masks,
            args.folds,
            args.dataset,
            Path(args.roots[args.dataset]),
            args.reviews,
        )
    except UnfitMask as error:
        raise command.Refusal(str(error)) from None
    write_rows(args.scores, scored, scores.SCHEMA)
    log.info("%d frames scored", len(scored))
    if without:  # those of other folds, or those that no prediction could be made for
        log.info("%d outlined frames have no mask in this table, the first is %s", len(without), without[0])


if __name__ == "__main__":
    main()
