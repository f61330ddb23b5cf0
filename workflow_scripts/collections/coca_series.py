"""A series of COCA: its slices in the order of space, in Hounsfield units, and whether all of them are there."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from pydicom import Dataset

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.imaging.dicom import UnreadableDicom, count_frames, is_picture, numbers, read_header
from workflow_scripts.imaging.dicom_frames import read_frames
from workflow_scripts.imaging.dicom_series import sort_series

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Series:
    """The slices that can be read, duplicates left out, along their normal.

    `whole` says that they lie at even steps, and that none is missing as far as files and positions tell.
    """

    files: list[str]  # all of them, in the order of their names
    slices: list[str]  # those of the stack, in the order of space
    headers: list[Dataset]  # of the slices
    places: dict[str, int]  # the slice at the place of a file, duplicates included
    positions_mm: list[float] | None
    normal: np.ndarray
    step_mm: float | None  # from slice to slice; where positions do not say, the slice's own thickness
    whole: bool
    problems: list[Unusable]


def read_series(root: Path, files: list[str]) -> Series:
    """Read the headers of a series; `files` are relative to `root`, in the order of their names.

    Raises
    ------
    Unusable
        When no file is a slice.
    """
    problems: list[Unusable] = []
    named: dict[str, str] = {}
    headers = []
    for file in files:
        try:
            header = read_header(root / file)
            if fault := _unfit(header):
                raise UnreadableDicom(fault)
        except UnreadableDicom as error:
            problems.append(Unusable(file, str(error), "copy the file again, or move it elsewhere"))
            continue
        named[str(header.filename)] = file
        headers.append(header)
    if not headers:
        raise problems[0] if problems else Unusable(".", "no slice", "add its files")
    folder = Path(files[0]).parent.as_posix()
    try:
        stack, *others = sort_series(headers)
    except UnreadableDicom as error:  # pixels of slices at one place, which may be copies
        raise Unusable(folder, f"of two slices at one place one does not decode: {error}", "copy it again") from None
    if others:
        count = sum(len(other.headers) for other in others)
        reason = f"{count} files of another orientation or size are left out"
        problems.append(Unusable(folder, reason, "move them to a folder of their own"))
    steps = [b - a for a, b in pairwise(stack.positions_mm or [])]
    usual = median(steps) if steps else 0
    even = usual > 0 and all(0.5 < step / usual < 1.5 for step in steps)
    if stack.notes or not even:
        notes = stack.notes or ["its slices do not lie at even steps: some may be missing"]
        more = f"; and {len(notes) - 3} more" if len(notes) > 3 else ""
        problems.append(Unusable(folder, "; ".join(notes[:3]) + more, "nothing, or copy the series again"))
    thickness = numbers(stack.headers[0].get("SliceThickness"), 1)
    step = round(usual, 4) if usual > 0 else thickness[0] if thickness and thickness[0] > 0 else None
    axes = numbers(stack.headers[0].get("ImageOrientationPatient"), 6)
    normal = np.cross(axes[:3], axes[3:]) if axes else np.array([0.0, 0.0, 1.0])
    return Series(
        files=files,
        slices=[named[str(header.filename)] for header in stack.headers],
        headers=stack.headers,
        places=_places(headers, named, stack.positions_mm, normal),
        positions_mm=stack.positions_mm,
        normal=normal,
        step_mm=step,
        whole=even and len(headers) == len(files) and not others,
        problems=problems,
    )


def read_slice(path: Path) -> np.ndarray:
    """Return the (H, W) Hounsfield units of one slice: int16, or float32 where its slope is not whole.

    Raises
    ------
    UnreadableDicom
        When it breaks off, or is no picture in grey within what 16 bits hold.
    """
    (values,) = read_frames(path)
    if values.ndim != 2:
        raise UnreadableDicom("it is in colour: expected Hounsfield units")
    if values.dtype == np.float32:
        if not np.isfinite(values).all():
            raise UnreadableDicom("its values are not finite")
        return values
    if not (INT16.min <= values.min() and values.max() <= INT16.max):
        raise UnreadableDicom(f"its values reach from {values.min()} to {values.max()}: no Hounsfield units")
    return values.astype(np.int16)


def _unfit(header: Dataset) -> str | None:
    """Return why a file is no slice in Hounsfield units."""
    if not is_picture(header) or header.get("Modality") != "CT":
        return "it is no CT slice"
    if count_frames(header) != 1:
        return "it holds several frames: expected one slice a file"
    if not all(numbers(header.get(keyword), 1) for keyword in ("RescaleSlope", "RescaleIntercept")):
        return "it states no RescaleSlope and RescaleIntercept: its values are no Hounsfield units"
    return None


def _places(
    headers: list[Dataset], named: dict[str, str], positions: list[float] | None, normal: np.ndarray
) -> dict[str, int]:
    """Return the slice nearest to each file; nothing where slices have no positions."""
    if positions is None:
        return {}
    places = {}
    for header in headers:
        if corner := numbers(header.get("ImagePositionPatient"), 3):
            places[named[str(header.filename)]] = int(np.argmin(np.abs(np.array(positions) - normal @ corner)))
    return places
