"""Flag the cases of one chunk whose masks are not good enough, and say in words what is wrong with them."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.metrics.nodules import label_parts
from workflow_scripts.metrics.overlap import count_pixels
from workflow_scripts.metrics.scored import below, counted
from workflow_scripts.tables import flags, reviews, scores
from workflow_scripts.tables.reviews import read_corrected
from workflow_scripts.tables.table import read_rows, stream_rows, write_rows

# What by itself brings a round nodule, right in all else, down to a Dice of 0.80: an area 1.5 times as large, with the
# nodule inside, gives 2 / (1 + 1.5); two equal discs 0.16 diameters apart share 0.80 of their area.
TOO_LARGE = 1.5
TOO_FAR = 0.16

FAULTS = (  # the gravest first
    "missed",
    "found where nothing is",
    "found elsewhere",
    "doubled",
    "parts missing",
    "too large",
    "too small",
    "shifted",
    "touches the edge of the field",
    "inexact outline",
)


class Fault(NamedTuple):
    """What is wrong with one predicted mask: one of `FAULTS`, and the figure or finding that shows it."""

    kind: str
    detail: str
    measured: bool = True  # the detail is a figure of this frame, which another frame will not share


def centre(mask: np.ndarray) -> np.ndarray:
    """Return row and column of a mask's centre of gravity, in pixels."""
    return np.argwhere(mask > 0).mean(axis=0)


def find_fault(prediction: np.ndarray, reference: np.ndarray, edge: bool = False, views: int | None = None) -> Fault:
    """Return the gravest thing that is wrong with a predicted mask.

    Parameters
    ----------
    prediction, reference
        (H, W) labels on the frame's grid; whatever is above 0 is nodule; not both empty.
    edge, views
        What `scores` says of the frame: `touches_edge`, `views`.
    """
    found, outlined = int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))
    if not found:
        return Fault("missed", "nothing was found", measured=False)
    if not outlined:
        return Fault("found where nothing is", "the expert outlined no nodule", measured=False)
    counts = count_pixels(prediction, reference)
    if not counts.tp:
        return Fault("found elsewhere", "no overlap", measured=False)
    parts, expected = (int(label_parts(mask).max()) for mask in (prediction, reference))
    beside = " (two views side by side)" if views == 2 else ""
    if parts > expected:
        return Fault("doubled", f"{parts} parts where the expert outlined {expected}{beside}")
    if parts < expected:
        return Fault("parts missing", f"{parts} found where the expert outlined {expected}{beside}")
    ratio = found / outlined
    if ratio >= TOO_LARGE:
        return Fault("too large", f"{ratio:.1f} times the outlined area")
    if ratio <= 1 / TOO_LARGE:
        return Fault("too small", f"{ratio:.2f} times the outlined area")
    apart = float(np.linalg.norm(centre(prediction) - centre(reference)))
    if apart >= TOO_FAR * 2 * math.sqrt(outlined / math.pi):
        return Fault("shifted", f"centres {apart:.0f} pixels apart")
    return Fault("touches the edge of the field" if edge else "inexact outline", f"Dice {counts.dice:.2f}")


def put_in_words(faults: list[Fault], n_frames: int) -> str:
    """Return the two commonest faults of a case in words, the commonest first and of equals the graver.

    Parameters
    ----------
    faults
        One for each frame under a gate, the worst frame first: its figures stand for the others.
    n_frames
        The case's scored frames.
    """
    kinds = [fault.kind for fault in faults]
    told = []
    for kind in sorted(set(kinds), key=lambda kind: (-kinds.count(kind), FAULTS.index(kind)))[:2]:
        worst, n = faults[kinds.index(kind)], kinds.count(kind)
        where = f" in {n} of {n_frames} frames" if n_frames > 1 else ""
        if worst.measured and n > 1:
            where = f" in the worst of {n} such frames (of {n_frames})"
        told.append(f"{kind}: {worst.detail}{where}")
    return "; ".join(told)


def read_masks(path: Path, frame_ids: set[str]) -> dict[str, bytes]:
    """Return the label PNGs of some frames from a table of frames or of masks; of those alone that have one."""
    rows = stream_rows(path, ["frame_id", "mask"])
    return {row["frame_id"]: row["mask"]["bytes"] for row in rows if row["frame_id"] in frame_ids and row["mask"]}


def flag_cases(
    frames: Path, masks: Path, rows: list[dict[str, Any]], gates: dict[str, float], reviewed: Path | None = None
) -> list[dict[str, Any]]:
    """Return the rows of `flags` of one chunk, one model and one fold, the worst case first.

    Parameters
    ----------
    frames, masks
        Tables of the chunk.
    rows
        Its scores; a case lies in one chunk and in one fold.
    gates
        The gates of the mean `dice` and the mean `iou` of a case.
    reviewed
        The chunk's table of reviews, by which it was scored; None where nobody reviewed.
    """
    by_case: dict[str, list[dict[str, Any]]] = {}
    for row in counted(rows):
        by_case.setdefault(row["case_id"], []).append(row)
    means = {
        case_id: {name: float(np.mean([row[name] for row in own])) for name in ("dice", "iou")}
        for case_id, own in by_case.items()
    }
    bad = [case_id for case_id, mean in means.items() if any(below(mean[name], gates[name]) for name in mean)]
    poor = {  # a mean under the gate has frames under it
        case_id: sorted(
            (row for row in by_case[case_id] if any(below(row[name], gates[name]) for name in ("dice", "iou"))),
            key=lambda row: row["dice"],
        )
        for case_id in bad
    }
    wanted = {row["frame_id"]: row for own in poor.values() for row in own}
    if not wanted:
        return []
    references, predictions = (read_masks(table, set(wanted)) for table in (frames, masks))
    references |= read_corrected(reviewed)
    decided = {row["case_id"]: row for row in read_rows(reviewed, reviews.SCHEMA)} if reviewed else {}
    flagged = []
    for case_id in bad:
        worst, mean = poor[case_id][0], means[case_id]
        faults = [
            find_fault(
                decode_picture(predictions[row["frame_id"]]),
                decode_picture(references[row["frame_id"]]),
                bool(row["touches_edge"]),
                row["views"],
            )
            for row in poor[case_id]
        ]
        figures = f"mean Dice {mean['dice']:.3f}, gate {gates['dice']:.2f}; mean IoU {mean['iou']:.3f}"
        flagged.append(
            {key: worst[key] for key in ("dataset", "case_id", "group_id", "model")}
            | {"n_frames": len(by_case[case_id]), "worst_frame_id": worst["frame_id"], **mean}
            | {"reason": f"{put_in_words(faults, len(by_case[case_id]))} ({figures}, gate {gates['iou']:.2f})"}
            | {key: decided.get(case_id, {}).get(key) for key in ("decision", "reviewer", "comment")}
        )
    return sorted(flagged, key=lambda row: (row["dice"], row["iou"], row["case_id"]))


def main(argv: list[str] | None = None) -> None:
    """Flag the cases of one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--scores", type=command.existing, required=True, help="table of one fold's scores")
    arguments.add_argument("--masks", type=command.existing, required=True, help="table of one fold's masks")
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--reviews", type=command.existing, nargs="?", help="table of reviews, if there is one")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="gates as JSON")
    arguments.add_argument("--flags", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("flag_cases")
    rows = read_rows(args.scores, scores.SCHEMA)
    flagged = flag_cases(args.frames, args.masks, rows, args.spec["gates"], args.reviews)
    write_rows(args.flags, flagged, flags.SCHEMA)
    for row in flagged:
        log.info("%s, case %s, %s: %s", row["dataset"], row["case_id"], row["model"], row["reason"])
    log.info("%d cases flagged", len(flagged))


if __name__ == "__main__":
    main()
