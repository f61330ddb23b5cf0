"""What reviewers decided, as the review page saves it: one CSV, a row a case. docs/reviewing.md describes it."""

import csv
import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command import Refusal

COLUMNS = ("dataset", "case_id", "frame_id", "decision", "comment", "outline", "reviewer", "pixel_sha256")
DECISIONS = ("accept", "correct", "exclude")
LARGEST = 1 << 24  # characters of a field: an outline is text

Polygon = list[tuple[float, float]]


@dataclass(frozen=True)
class Decision:
    """One row of a review.csv; `outline`: polygons of (x, y) in pixels, (0, 0) the middle of the upper left one."""

    dataset: str
    case_id: str
    frame_id: str
    decision: str
    comment: str
    outline: list[Polygon]
    reviewer: str
    pixel_sha256: str
    line: int  # of the file, from 1

    def told(self) -> str:
        """Return who decided, and why, as far as is known."""
        return f"review{f' by {self.reviewer}' if self.reviewer else ''}{f': {self.comment}' if self.comment else ''}"

    def version(self) -> dict[str, Any]:
        """Return what a result rests on: all but the place in the file."""
        return {name: value for name, value in asdict(self).items() if name != "line"}


def read_decisions(path: Path, datasets: Collection[str] | None = None) -> list[Decision]:
    """Read a review.csv; rows without a decision (comments of cases that are still open) are left out.

    `datasets` are those of the run; None: whatever the file names.

    Raises
    ------
    Refusal
        With one line for each bad row, when the file is not one.
    """
    try:
        csv.field_size_limit(LARGEST)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(
            f"review: {path} cannot be read ({error}); give the review.csv that the review page saved"
        ) from None
    if lacking := [name for name in COLUMNS if name not in names]:
        raise Refusal(f"review: {path} has no column {', '.join(lacking)}; expected {','.join(COLUMNS)}")
    found: list[Decision] = []
    faults: list[str] = []
    first: dict[tuple[str, str], int] = {}
    for line, row in rows:
        try:
            decision = _decision(row, line, datasets)
            case = decision.dataset, decision.case_id
            if decision.decision and case in first:
                raise ValueError(f"case {case[1]} of {case[0]} was decided in line {first[case]}; leave one of the two")
        except ValueError as error:
            faults.append(f"{path}, line {line}: {error}")
            continue
        if decision.decision:
            first[case] = line
            found.append(decision)
    if faults:
        raise Refusal("\ncasebook: ".join(f"review: {fault}" for fault in faults))
    return found


def _decision(row: dict[str, Any], line: int, datasets: Collection[str] | None) -> Decision:
    """Return the decision of a row; a ValueError says what is wrong with it."""
    if None in row or None in row.values():
        raise ValueError(f"it has not {len(COLUMNS)} fields; a comma or a quote is missing or too many")
    text = {name: row[name].strip() for name in COLUMNS}
    if datasets is not None and text["dataset"] not in datasets:
        raise ValueError(f"dataset {text['dataset']!r} is none of this run; there are {', '.join(sorted(datasets))}")
    if text["decision"] not in ("", *DECISIONS):
        raise ValueError(
            f"decision is {text['decision']!r}; expected {', '.join(DECISIONS)}, or nothing while it is open"
        )
    if text["frame_id"].rpartition("/")[0] != text["case_id"] or not text["frame_id"].rpartition("/")[2].isdigit():
        raise ValueError(
            f"frame_id {text['frame_id']!r} is no frame of case {text['case_id']!r}; expected case_id/number"
        )
    outline: list[Polygon] = []
    if text["decision"] == "correct":
        outline = _polygons(text["outline"])
    elif text["decision"] and text["outline"]:
        raise ValueError(f"an outline stands beside {text['decision']!r}; it belongs to correct alone")
    own = {name: text[name] for name in COLUMNS if name != "outline"}
    return Decision(**own, outline=outline, line=line)


def _polygons(text: str) -> list[Polygon]:
    wanted = "outline: expected polygons as JSON, [[[x, y], [x, y], [x, y], ...], ...]"
    try:
        polygons = [[(float(x), float(y)) for x, y in polygon] for polygon in json.loads(text)]
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise ValueError(wanted) from None
    if not polygons or any(len(polygon) < 3 for polygon in polygons):
        raise ValueError(f"{wanted}, each of at least three points")
    if not all(math.isfinite(value) for polygon in polygons for point in polygon for value in point):
        raise ValueError(f"{wanted}; a coordinate is no number")
    return polygons
