"""The pictures of one DICOM series or multi-frame file, one at a time, in the values that the files state."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from workflow_scripts.collections.collection import Still, Unusable
from workflow_scripts.imaging.dicom import (
    UnreadableDicom,
    frame_times_s,
    functional_group,
    numbers,
    read_header,
    spacing_mm,
    window,
)
from workflow_scripts.imaging.dicom_frames import read_frames, to_uint8
from workflow_scripts.imaging.dicom_series import sort_series
from workflow_scripts.imaging.windows import apply_window

SEEN = 64  # grey levels, a quarter of them all: with fewer a picture is all but even


class DicomClip:
    """The frames of one file, or the pictures of several files in a given order."""

    def __init__(self, root: Path, files: Sequence[str], n_frames: int, clip: bool) -> None:
        """Name the files (relative to `root`); no pixel yet. `clip`: it is one file of `n_frames` frames."""
        self._root, self._files, self._n_frames, self._clip = root, files, n_frames, clip
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return how many frames the headers claim."""
        return self._n_frames

    def mask_areas(self) -> list[int]:
        """Return 0 for every frame: nobody outlined anything."""
        return [0] * self._n_frames

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the frames; one that does not decode is noted in `problems` and left out: of a clip, all after it.

        Where the files' own windows leave next to nothing to see, `problems` says so.
        """
        wanted = range(self._n_frames) if indices is None else sorted(set(indices))
        darkest, brightest = 255, 0
        for one in self._frames(wanted) if self._clip else self._slices(wanted):
            if one.window and one.unit is None:  # in Hounsfield units any window means something
                levels = apply_window(np.array([one.image.min(), one.image.max()]), *one.window)
                darkest, brightest = min(darkest, int(levels.min())), max(brightest, int(levels.max()))
            yield one
        if 0 <= brightest - darkest < SEEN:
            reason = f"by its own window it shows no more than the grey levels {darkest} to {brightest} of 255"
            self.problems.append(Unusable(self._files[0], reason, "nothing, or set `window` to its values"))

    def _slices(self, wanted: Sequence[int]) -> Iterator[Still]:
        for index in wanted:
            name = self._files[index]
            try:
                header = read_header(self._root / name)
                values = next(read_frames(self._root / name, [0]))
                place = sort_series([header])[0].positions_mm
                at = f" at {round(place[0], 2) + 0.0:g} mm" if place else ""
                several = f"{'slice' if place else 'picture'} {index + 1} of {self._n_frames}{at}"
                yield still(index, values, header, 0, several if at or self._n_frames > 1 else None)
            except UnreadableDicom as error:
                self.problems.append(Unusable(name, str(error), "take the file from another copy"))

    def _frames(self, wanted: Sequence[int]) -> Iterator[Still]:
        name = self._files[0]
        index = -1
        try:
            header = read_header(self._root / name)
            times = frame_times_s(header)
            frames = read_frames(self._root / name, wanted)
            for index in wanted:
                position = f"frame {index + 1} of {self._n_frames}"
                yield still(index, next(frames), header, index, position, times[index] if times else None)
        except UnreadableDicom as error:
            lost = "" if index < 0 else "; it and what follows are lost"
            self.problems.append(Unusable(name, f"{error}{lost}", "take the file from another copy"))


def still(
    index: int, values: np.ndarray, header: Dataset, frame: int, position: str | None, time_s: float | None = None
) -> Still:
    """Return a decoded frame of a file with what its header says of it.

    Eight bits are made ready to look at, by the file's own window and with MONOCHROME1 inverted; other values stay as
    they are, as int16 or uint16 where they fit, else as float32.

    Raises
    ------
    UnreadableDicom
        When a value is not finite.
    """
    ready = values.dtype == np.uint8
    shown_by = None if ready else window(header, frame)
    thickness = numbers(functional_group(header, "PixelMeasuresSequence", frame).get("SliceThickness"), 1)
    return Still(
        index,
        to_uint8(values, header, frame=frame) if ready else sixteen_bits(values),
        None,
        position=position,
        time_s=time_s,
        spacing_mm=spacing_mm(header, frame),
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else None,
        unit=None if ready else _unit(header, frame),
        window=shown_by if shown_by and shown_by[1] >= 1 else None,
        inverted=not ready and header.PhotometricInterpretation == "MONOCHROME1",
    )


def _unit(header: Dataset, frame: int) -> str | None:
    """Return HU where the values are Hounsfield units (PS3.3 C.8.2.1): a CT's, but not a localiser's or a map's."""
    stated = functional_group(header, "PixelValueTransformationSequence", frame)
    kind = header.get("ImageType") or []
    localiser = not isinstance(kind, str) and "LOCALIZER" in kind
    rescaled = "RescaleIntercept" in stated and stated.get("RescaleType") in (None, "", "HU")
    return "HU" if header.get("Modality") == "CT" and rescaled and not localiser else None


def sixteen_bits(values: np.ndarray) -> np.ndarray:
    """Return values as int16 or uint16 where they are whole numbers that fit, else as float32.

    Raises
    ------
    UnreadableDicom
        When a value is not finite.
    """
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        for kind in (np.int16, np.uint16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return values.astype(kind, copy=False)
    with np.errstate(over="ignore"):
        found = values.astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        raise UnreadableDicom("a value is no number, or beyond any scale")
    return found
