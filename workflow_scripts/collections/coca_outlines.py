"""The outlines of COCA: an Apple property list a patient, and the slices that its outlines lie on.

Which slice, an outline says twice: by the z of its points in mm, and by `ImageIndex`, which counts the files of the
series from the last name to the first. Entity declarations, which could fetch or inflate, plistlib refuses.
"""

import plistlib
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.coca_series import Series
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.collections.ddti_outlines import area
from workflow_scripts.imaging.agatston import ARTERIES

MOST_BYTES = 2**26
NAMES = ("Left Coronary Artery", "Left Anterior Descending Artery", "Left Circumflex Artery", "Right Coronary Artery")
LABELS = {name.casefold(): label for label, name in enumerate(NAMES, 1)}  # in the order of ARTERIES
OTHER = len(NAMES) + 1
MASK_NAMES = (*ARTERIES, "artery not known")
NEAR_MM = 0.5  # an outline lies on a slice that is no farther away
POINT = re.compile(r"\s*\(([^(),]{1,40}),([^(),]{1,40})(?:,([^(),]{1,40}))?\)\s*")
MEND = "take the file from another copy of the set"


@dataclass(frozen=True)
class Outline:
    """One region of interest: its label in a mask, its polygon (n, 2) of (x, y) in pixels, where it lies."""

    label: int
    polygon: np.ndarray
    points_mm: np.ndarray | None  # (n, 3)
    image_index: int | None


def read_outlines(path: Path, file: str) -> tuple[list[Outline], list[Unusable]]:
    """Return the outlines of a patient, empty ones left out, and what is strange about them; `file` names the path.

    Raises
    ------
    Unusable
        When the file is no property list of outlines, or an outline in it is damaged.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        with path.open("rb") as opened:
            images = plistlib.load(opened, fmt=plistlib.FMT_XML)["Images"]
    except Exception as error:  # the parser of a broken list raises anything
        raise Unusable(file, f"no property list with Images ({type(error).__name__}: {error})", MEND) from None
    outlines, strange = [], set()
    try:
        for image in images:
            for roi in image["ROIs"]:
                found = _outline(image, roi)
                if found is None:
                    continue
                outlines.append(found)
                if found.label == OTHER:
                    strange.add(str(roi.get("Name"))[:60])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise Unusable(file, f"an outline in it is damaged ({what})", MEND) from None
    reason = "an outline is of {!r}, no artery that is known: the heart has no score"
    return outlines, [
        Unusable(file, reason.format(name), f"name one of {', '.join(NAMES)}") for name in sorted(strange)
    ]


def _outline(image: Mapping[str, Any], roi: Mapping[str, Any]) -> Outline | None:
    """Return one outline; None where nothing was drawn."""
    pixels = _points(roi.get("Point_px") or [], 2)
    if len(pixels) < 3 or roi.get("Area") == 0 or area(pixels) == 0:
        return None
    if "NumberOfPoints" in roi and roi["NumberOfPoints"] < 3:
        return None
    index = image.get("ImageIndex")
    if index is not None and type(index) is not int:
        raise ValueError(f"ImageIndex is {index!r}")
    millimetres = roi.get("Point_mm") or []
    name = " ".join(str(roi.get("Name", "")).split()).casefold()
    return Outline(LABELS.get(name, OTHER), pixels, _points(millimetres, 3) if millimetres else None, index)


def _points(texts: list[str], size: int) -> np.ndarray:
    """Return points written as `(x, y)` or `(x, y, z)`, (n, size)."""
    points = []
    for text in texts:
        match = POINT.fullmatch(text)
        numbers = [float(group) for group in match.groups() if group is not None] if match else []
        if len(numbers) != size or not np.isfinite(numbers).all() or max(map(abs, numbers)) > 2**15:
            raise ValueError(f"a point is {text[:60]!r}")
        points.append(numbers)
    return np.array(points, np.float64).reshape(-1, size)


def place_outlines(outlines: list[Outline], series: Series, file: str) -> dict[int, list[Outline]]:
    """Return the outlines by the slice that they lie on, 0-based in the order of space; `file` is theirs.

    Raises
    ------
    Unusable
        When the series is not whole; when an outline lies on none of its slices, or its z and its ImageIndex say
        different ones.
    """
    if not series.whole:
        reason = f"{series.problems[0].reason}: with outlines on it, a missing slice would make a wrong score"
        raise Unusable(series.problems[0].file, reason, "copy the series again")
    near = [_nearest(outline, series, file) for outline in outlines]
    # the reader's program may have known duplicates as files of their own, or may have dropped them
    kept = [name for name in series.files if name in series.slices]
    counted = [[_counted(outline, files, series) for outline in outlines] for files in (kept, series.files)]
    apart = [
        [
            k
            for k, outline in enumerate(outlines)
            if None not in (near[k], outline.image_index) and near[k] != by_index[k]
        ]
        for by_index in counted
    ]
    if all(apart):
        k = apart[0][0]
        by_z, by_index = (
            "no slice" if place is None else Path(series.slices[place]).name for place in (near[k], counted[0][k])
        )
        reason = (
            f"the z of an outline's points says {by_z}, its ImageIndex {outlines[k].image_index}, counted from the last"
            f" file, says {by_index}"
        )
        raise Unusable(file, reason, "take outlines and series from one copy of the set")
    placed: dict[int, list[Outline]] = defaultdict(list)
    for k, outline in enumerate(outlines):
        said = (
            {near[k]} if near[k] is not None else {by[k] for by, wrong in zip(counted, apart, strict=True) if not wrong}
        )
        place = said.pop()
        if place is None or said:
            reason = f"an outline has no z, and its ImageIndex {outline.image_index} is of no slice, or of several"
            raise Unusable(file, reason, MEND)
        placed[place].append(outline)
    return dict(placed)


def _nearest(outline: Outline, series: Series, file: str) -> int | None:
    """Return the slice at the z of an outline; None where it has none."""
    if outline.points_mm is None:
        return None
    places = outline.points_mm @ series.normal
    if np.ptp(places) > NEAR_MM:
        raise Unusable(file, "the points of an outline lie in several slices", MEND)
    away = np.abs(np.array(series.positions_mm) - np.median(places))
    if away.min() > NEAR_MM:
        reason = f"an outline lies at z = {np.median(outline.points_mm[:, 2]):g} mm, where the series has no slice"
        raise Unusable(file, reason, "take outlines and series from one copy of the set")
    return int(np.argmin(away))


def _counted(outline: Outline, files: list[str], series: Series) -> int | None:
    """Return the slice that the ImageIndex counts to, from the last of the files."""
    index = outline.image_index
    return series.places.get(files[-1 - index]) if index is not None and 0 <= index < len(files) else None
