"""Slices of a series in the order in which they lie in the patient."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from pydicom import Dataset

from workflow_scripts.files import natural
from workflow_scripts.imaging.dicom import numbers
from workflow_scripts.imaging.dicom_frames import read_frames

SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class SliceStack:
    """Slices of one orientation and one size, along their common normal (in mm), with what was wrong with them.

    `positions_mm` is None where some slice has no position: then they stand in the order of InstanceNumber, and a note
    says so.
    """

    headers: list[Dataset]
    positions_mm: list[float] | None
    notes: list[str]


def sort_series(headers: Sequence[Dataset]) -> list[SliceStack]:
    """Return the stacks of one series, the largest first: several where orientation or size differ (a localiser).

    A slice is dropped as a duplicate, with a note, where its SOPInstanceUID came before, or where both its position and
    its pixels did. Slices at one place with other pixels (phases, echoes) stay, with a note, as do gaps of more than
    1.5 times the median: a slice is missing there.

    Parameters
    ----------
    headers
        As `read_header` returns them, in any order; the order of files makes no difference to the result.
    """
    kinds: list[list[Dataset]] = []
    for header in sorted(headers, key=_number):
        kind = next((kind for kind in kinds if _alike(kind[0], header)), None)
        if kind is None:
            kinds.append([header])
        else:
            kind.append(header)
    return [_sort_stack(kind) for kind in sorted(kinds, key=len, reverse=True)]


def _sort_stack(headers: list[Dataset]) -> SliceStack:
    notes: list[str] = []
    first = {header.get("SOPInstanceUID"): header for header in reversed(headers)}
    kept = []
    for header in headers:
        if header.get("SOPInstanceUID") and first[header.SOPInstanceUID] is not header:
            notes.append(f"{_name(header)} is a duplicate of {_name(first[header.SOPInstanceUID])}: dropped")
        else:
            kept.append(header)
    placed = [(position, k) for k, header in enumerate(kept) if (position := _position(header)) is not None]
    if len(placed) < len(kept):
        notes.append("some slices have no position: in the order of InstanceNumber, which may not be that of space")
        return SliceStack(kept, None, notes)
    stack: list[tuple[float, Dataset]] = []
    sums: dict[int, str] = {}  # of the slices at one place
    for position, k in sorted(placed):
        header = kept[k]
        here = [other for place, other in stack if abs(position - place) < SAME_PLACE_MM]
        if here:
            sums = {id(one): sums.get(id(one)) or _pixels_sha256(one) for one in (*here, header)}
        same = next((other for other in here if sums[id(other)] == sums[id(header)]), None)
        if same is not None:
            notes.append(f"{_name(header)} is a duplicate of {_name(same)}: dropped")
            continue
        if here:
            notes.append(f"{_name(header)} lies where {_name(here[-1])} lies, with other pixels: both are kept")
        stack.append((position, header))
    places = [place for place, _ in stack]
    steps = [b - a for a, b in pairwise(places) if b - a >= SAME_PLACE_MM]
    usual = median(steps) if steps else 0
    for a, b in pairwise(places):
        if b - a > 1.5 * usual > 0:
            notes.append(f"a slice is missing between {a:.2f} and {b:.2f} mm: the usual step is {usual:.2f} mm")
    return SliceStack([header for _, header in stack], places, notes)


def _alike(a: Dataset, b: Dataset) -> bool:
    if any(a.get(keyword) != b.get(keyword) for keyword in ("Rows", "Columns", "NumberOfFrames")):
        return False
    one, other = (numbers(header.get("ImageOrientationPatient"), 6) for header in (a, b))
    return len(one) == len(other) and np.allclose(one, other, rtol=0, atol=0.01)


def _position(header: Dataset) -> float | None:
    """Return where the slice lies along its normal, in mm."""
    axes, corner = numbers(header.get("ImageOrientationPatient"), 6), numbers(header.get("ImagePositionPatient"), 3)
    return float(np.cross(axes[:3], axes[3:]) @ corner) if axes and corner else None


def _number(header: Dataset) -> tuple[float, object]:
    number = numbers(header.get("InstanceNumber"), 1)
    return (number[0] if number else float("inf"), natural(str(header.filename)))


def _pixels_sha256(header: Dataset) -> str:
    digest = hashlib.sha256()
    for frame in read_frames(Path(str(header.filename))):
        digest.update(frame.data)
    return digest.hexdigest()


def _name(header: Dataset) -> str:
    return Path(str(header.filename)).name
