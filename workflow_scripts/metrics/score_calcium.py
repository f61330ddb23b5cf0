"""Score the calcium of one chunk of cases from the masks that readers drew: Agatston, volume, category."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.agatston import ARTERIES, SLICE_MM, Lesion, category, find_lesions
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.imaging.values import decode_values
from workflow_scripts.tables import calcium, cases
from workflow_scripts.tables.table import read_rows, stream_rows, write_rows

COLUMNS = ["case_id", "frame_index", "spacing_mm", "thickness_mm", "image", "slope", "intercept", "unit"]
COLUMNS += ["mask", "mask_kind", "mask_names"]


def score_case(case: Mapping[str, Any], frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row of `calcium` of one case.

    Parameters
    ----------
    case
        Its row of `cases`, which says how many slices there are.
    frames
        Its rows of `frames`, in order; one at a time is held.
    """
    lesions: dict[str, list[Lesion]] = {name: [] for name in cases.ARTERIES}
    faults: dict[str, None] = {}  # in the order of their discovery, each once
    indices, distances = [], set()
    for frame in frames:
        indices.append(frame["frame_index"])
        distances.add(frame["thickness_mm"])
        if fault := _unfit(frame):
            faults[fault] = None
            continue
        mask = decode_picture(frame["mask"]["bytes"])
        if not mask.any():
            continue
        values = decode_values(frame["image"]["bytes"], frame["slope"], frame["intercept"])
        names = dict(enumerate(frame["mask_names"] or (), 1))
        for label in np.unique(mask[mask > 0]).tolist():
            if artery := ARTERIES.get(names.get(label, "")):
                lesions[artery] += find_lesions(values, mask == label, frame["spacing_mm"])
            else:
                faults[f"an outline is of {names.get(label, f'label {label}')!r}, no artery that is known"] = None
    complete = case["n_frames"] is not None and indices == list(range(case["n_frames"]))
    if not complete:
        faults[_missing(case["n_frames"], len(indices))] = None
    slice_mm = distances.pop() if len(distances) == 1 else None
    given = case["agatston_given"]
    row = {
        "case_id": case["case_id"],
        "dataset": case["dataset"],
        "n_slices": len(indices),
        "complete": complete,
        "slice_mm": slice_mm,
        "agatston_given": given,
        "category_given": None if given is None else category(given),
        "reason": "; ".join(faults) or None,
    }
    if faults:
        return row
    every = [lesion for found in lesions.values() for lesion in found]
    score = fsum(lesion.score for lesion in every)
    row |= {"agatston": score, "category": category(score), "n_lesions": len(every)}
    row |= {f"agatston_{name}": fsum(lesion.score for lesion in found) for name, found in lesions.items()}
    if slice_mm is None:
        return row | {"reason": "the distance between slices is not known: neither volume nor agatston_3mm"}
    volume = fsum(lesion.area_mm2 for lesion in every) * slice_mm
    return row | {"agatston_3mm": score * slice_mm / SLICE_MM, "volume_mm3": volume}


def _unfit(frame: Mapping[str, Any]) -> str | None:
    """Return why a frame cannot be scored."""
    if frame["mask"] is None or frame["mask_kind"] != "calcium":
        return "nobody outlined its calcium"
    if frame["unit"] != "HU":
        return "its values are not in Hounsfield units"
    if frame["spacing_mm"] is None:
        return "its pixel spacing is not known"
    return None


def _missing(slices: int | None, taken: int) -> str:
    if slices is None:
        return "the series is not whole"
    return f"{taken} of {slices} slices were taken: the score needs `frames: all`, and every slice to decode"


def score_calcium(frames: Path, chunk: Path) -> list[dict[str, Any]]:
    """Return the rows of `calcium` of one chunk: of every case that has frames, in their order."""
    known = {case["case_id"]: case for case in read_rows(chunk, cases.SCHEMA)}
    by_case = groupby(stream_rows(frames, COLUMNS), key=lambda frame: frame["case_id"])
    return [score_case(known[case_id], group) for case_id, group in by_case]


def main(argv: list[str] | None = None) -> None:
    """Score one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--chunk", type=command.existing, required=True, help="table of cases")
    arguments.add_argument("--calcium", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("score_calcium")
    rows = score_calcium(args.frames, args.chunk)
    write_rows(args.calcium, rows, calcium.SCHEMA)
    log.info("%d cases, %d scored", len(rows), sum(row.get("agatston") is not None for row in rows))
    for row in rows:
        if row["reason"]:
            log.info("%s: %s", row["case_id"], row["reason"])


if __name__ == "__main__":
    main()
