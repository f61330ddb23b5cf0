"""Estimate how good the masks of one chunk are without a reference, and say which cases go to review, and why."""

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.metrics.estimator import Quality, read_quality
from workflow_scripts.metrics.plausibility import describe_shape, find_jumps
from workflow_scripts.metrics.scored import below
from workflow_scripts.tables import folds, masks, quality
from workflow_scripts.tables.table import read_rows, stream_rows, write_rows

KEPT = [name for name in quality.SCHEMA.names if name in masks.SCHEMA.names]


def find_clips(frames: Path) -> set[str]:
    """Return the frame_ids of clips: what has a time, or no place of its own. Stills of one case have names."""
    columns = ["frame_id", "time_s", "position"]
    rows = stream_rows(frames, columns)
    return {row["frame_id"] for row in rows if row["time_s"] is not None or row["position"] is None}


def estimate_case(
    rows: list[dict[str, Any]], clips: set[str], known: Quality | None, group_id: str | None, gate: float
) -> list[dict[str, Any]]:
    """Return the rows of `quality` of one case.

    Parameters
    ----------
    rows
        Its masks, of one model and fold.
    clips
        The frames that have neighbours in time.
    known
        None: nobody fitted an estimate to this model. The rules of plausibility speak alone.
    group_id
        The group that the case was held out with; None: it was in no fold.
    gate
        A case with a mean lower bound under it goes to review.
    """
    labels = [decode_picture(row["mask"]["bytes"]) for row in rows]
    places = [int(row["frame_id"].rpartition("/")[2]) for row in rows]
    moving = [row["frame_id"] in clips for row in rows]
    jumps = find_jumps({place: mask for place, mask, clip in zip(places, labels, moving, strict=True) if clip})
    told, found = [], []
    for row, place, mask in zip(rows, places, labels, strict=True):
        own = describe_shape(mask, known.area if known else None)
        told.append(own + ([jumps[place]] if place in jumps else []))
        estimator = known.of(row["fold"], group_id) if known else None
        pair = estimator.estimate(row) if estimator else None
        found.append({"estimate": pair[0], "lower_bound": pair[1]} if pair else {})
    bounds = [each["lower_bound"] for each in found if each]
    low = float(np.mean(bounds)) if bounds else None
    if low is not None and below(low, gate):
        words = "the lower bound" if len(bounds) == 1 else f"the mean lower bound of {len(bounds)} frames"
        told = [[*own, f"{words} is {low:.2f}, the gate {gate:.2f}"] for own in told]
    review = any(told)
    return [
        {name: row[name] for name in KEPT} | each | {"review": review, "reason": "; ".join(own) or None}
        for row, each, own in zip(rows, found, told, strict=True)
    ]


def estimate_quality(
    predicted: Path, frames: Path, known: Quality | None, group_of: dict[str, str], gate: float
) -> list[dict[str, Any]]:
    """Return the rows of `quality` of one chunk: the masks of a case stand together."""
    clips = find_clips(frames)
    return [
        row
        for case_id, own in groupby(stream_rows(predicted), key=itemgetter("case_id"))
        for row in estimate_case(list(own), clips, known, group_of.get(case_id), gate)
    ]


def main(argv: list[str] | None = None) -> None:
    """Estimate one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--masks", type=command.existing, required=True, help="table of one model's masks")
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--estimator", type=command.existing, nargs="?", help="the model's quality.json, if any")
    arguments.add_argument("--folds", type=command.existing, nargs="?", help="table of folds, if there is one")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="gate as JSON")
    arguments.add_argument("--quality", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("estimate_quality")
    known = read_quality(args.estimator) if args.estimator else None
    held_out = read_rows(args.folds, folds.SCHEMA) if args.folds else []
    group_of = {row["case_id"]: row["group_id"] for row in held_out if row["dataset"] == args.dataset}
    rows = estimate_quality(args.masks, args.frames, known, group_of, args.spec["gate"])
    write_rows(args.quality, rows, quality.SCHEMA)
    sent = {row["case_id"] for row in rows if row["review"]}
    log.info("%d frames, %d cases to review", len(rows), len(sent))
    if known is None or known.whole is None:
        log.info("no estimate: %s", known.why_not if known else "the model has no quality.json beside it")


if __name__ == "__main__":
    main()
