"""Files of a user's own that hold many pictures: clips, volumes with their label volumes, slides."""

import math
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from openslide import OpenSlide, OpenSlideError

from workflow_scripts.collections.brain_mets_lung_clips import SAMPLE, SHOWN, SlideClip
from workflow_scripts.collections.collection import Clip, Still, Unusable
from workflow_scripts.collections.dicom_folder_clip import sixteen_bits
from workflow_scripts.imaging.clips import UnreadableClip, claimed_frames, read_clip
from workflow_scripts.imaging.dicom import UnreadableDicom
from workflow_scripts.imaging.volumes import UnreadableVolume, Volume, open_volume

COPY = "take it from another copy"
VOLUME = f"{COPY}; a volume has three axes, and says how the patient lies in it"


def is_pyramid(path: Path) -> bool:
    """Tell whether a TIFF is a slide: OpenSlide knows it, and it has more than one level."""
    try:
        with OpenSlide(path) as slide:
            return slide.level_count > 1
    except OpenSlideError:
        return False


def count_frames(root: Path, name: str, kind: str) -> int | None:
    """Return how many frames the header of a file (relative to `root`) claims, None where only decoding tells.

    Raises
    ------
    Unusable
        When it is a volume of which no axial slices can be cut.
    """
    if kind == "clip":
        return claimed_frames(root / name)
    if kind == "slide":
        return None
    volume = _axial(root, name)
    return volume.shape[volume.view("axial").axes[2]]


def open_media(root: Path, case: Mapping[str, Any], spacing_mm: float | None) -> Clip:
    """Open a case by its source_kind; `spacing_mm` is the width of a pixel of a clip, whose file does not say it."""
    kind = {"clip": VideoClip, "slide": SlideClip, "nifti": VolumeClip}[case["source_kind"]]
    return VideoClip(root, case, spacing_mm) if kind is VideoClip else kind(root, case)


def _axial(root: Path, name: str) -> Volume:
    """Read the header of a volume whose orientation is known."""
    try:
        volume = open_volume(root / name)
        volume.view("axial")
    except UnreadableVolume as error:
        raise Unusable(name, str(error), VOLUME) from None
    return volume


def _unmasked(name: str) -> Unusable:
    return Unusable(name, "it has no mask: it is not known which frames are outlined", "take it with `frames: all`")


class VideoClip:
    """The frames of one video, in the order in which a player shows them and in its colours."""

    def __init__(self, root: Path, case: Mapping[str, Any], spacing_mm: float | None) -> None:
        """Name the file; no pixel yet."""
        self._root, self._name, self._claimed = root, case["sources"][0], case["n_frames"]
        self._spacing_mm = (spacing_mm, spacing_mm) if spacing_mm else None
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return how many frames decode."""
        return sum(1 for _ in self._decoded())

    def mask_areas(self) -> list[int]:
        """Return 0 for every frame, and note that nobody outlined any."""
        self.problems.append(_unmasked(self._name))
        return [0] * self.count()

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield frames in decoded order; all are decoded, whichever are taken, and counted."""
        if indices is not None and not indices:
            return
        of = f" of {self._claimed}" if self._claimed else ""
        index = -1
        for index, time_s, image in self._decoded():
            if indices is None or index in indices:
                yield Still(index, image, None, f"frame {index + 1}{of}", time_s, spacing_mm=self._spacing_mm)
        if self._claimed and index + 1 != self._claimed:
            reason = f"{index + 1} frames decode, its container claims {self._claimed}"
            self.problems.append(Unusable(self._name, reason, f"nothing, or {COPY}"))

    def _decoded(self) -> Iterator[tuple[int, float | None, np.ndarray]]:
        try:
            yield from read_clip(self._root / self._name)
        except UnreadableClip as error:
            raise Unusable(self._name, str(error), COPY) from None


class VolumeClip:
    """The axial slices of one volume in the file's order, with the labels of its mask; a value has no unit.

    They are shown by percentiles of the whole volume: no file says which of its values are black and white. A slice
    without a label has no mask: nobody says whether it was looked at.
    """

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Read the header; no voxel yet."""
        self._root, (self._name, *self._masks) = root, case["sources"]
        self._volume = _axial(root, self._name)
        self._view = self._volume.view("axial")
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of slices."""
        return self._volume.shape[self._view.axes[2]]

    def mask_areas(self) -> list[int]:
        """Return the outlined area of every slice in pixels; all 0 without a mask, which is noted."""
        if self._labels is None:
            self.problems = self.problems or [_unmasked(self._name)]
            return [0] * self.count()
        columns, rows, _ = self._view.axes
        return [int(area) for area in np.count_nonzero(self._labels, axis=(columns, rows))]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the slices as values; a mask that cannot be used is noted, and they stay without one."""
        if indices is not None and not indices:
            return
        try:
            window = self._window()
            for one in self._volume.slices("axial"):
                if indices is not None and one.index not in indices:
                    continue
                mask = None if self._labels is None else self._view.picture(self._labels, one.index)
                at = "" if one.position_mm is None else f" at {round(one.position_mm, 2) + 0.0:g} mm"
                yield Still(
                    one.index,
                    sixteen_bits(one.pixels),
                    mask if mask is not None and mask.any() else None,
                    f"slice {one.index + 1} of {self.count()}{at}",
                    spacing_mm=one.spacing_mm,
                    window=window,
                )
        except (UnreadableVolume, UnreadableDicom) as error:
            raise Unusable(self._name, str(error), COPY) from None

    @cached_property
    def _labels(self) -> np.ndarray | None:
        """The labels on the grid of the volume, (i, j, k) uint8; None without a mask that can be used."""
        if not self._masks:
            return None
        name = self._masks[0]
        try:
            mask = open_volume(self._root / name)
            if not _same_grid(mask, self._volume):
                shapes = f"{mask.shape} voxels {mask.orientation or 'of no orientation'}"
                raise UnreadableVolume(
                    f"it lies on another grid ({shapes}) than its volume"
                    f" ({self._volume.shape} voxels {self._volume.orientation})"
                )
            labels = mask.labels()
            if (top := int(labels.max())) > 255:
                raise UnreadableVolume(f"its greatest label is {top}: expected 255 at most")
        except UnreadableVolume as error:
            reason = f"{error}: the volume stays without a mask"
            self.problems.append(Unusable(name, reason, "write whole labels on the voxels of the volume"))
            return None
        if top == 0:
            reason = "it outlines nothing: the volume stays without a mask, and is not taken to be healthy"
            self.problems.append(Unusable(name, reason, "nothing, or outline what there is"))
            return None
        return labels.astype(np.uint8)

    def _window(self) -> tuple[float, float]:
        """Return centre and width by the percentiles `SHOWN` of a regular sample of the voxels."""
        step = math.ceil(math.sqrt(math.prod(self._volume.shape) / SAMPLE))
        sample = np.concatenate([one.pixels[::step, ::step].ravel() for one in self._volume.slices("axial")])
        low, high = (float(value) for value in np.percentile(sample.astype(np.float64), SHOWN))
        return (low + high + 1) / 2, high - low + 1  # DICOM's linear function: low is black, high is white


def _same_grid(one: Volume, other: Volume) -> bool:
    """Tell whether two volumes have the same voxels, to a hundredth of one: headers are rounded."""
    if one.shape != other.shape or one.orientation is None:
        return False
    corners = np.vstack([np.zeros(3), np.diag(one.shape)])
    return bool(np.abs(apply_affine(np.linalg.inv(other.affine) @ one.affine, corners) - corners).max() < 0.01)
