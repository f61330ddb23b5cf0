"""The axial slices of one CT in NIfTI."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from workflow_scripts.collections.collection import Still, Unusable
from workflow_scripts.collections.dicom_folder_clip import sixteen_bits
from workflow_scripts.imaging.dicom import UnreadableDicom
from workflow_scripts.imaging.volumes import UnreadableVolume, Volume, open_volume

MEND = "take the file from another copy"
AIR = -200  # HU; around a head there is air (-1000), and inside one fat (-100) is the least


def count_slices(root: Path, name: str) -> int:
    """Return the number of axial slices of a NIfTI.

    Raises
    ------
    Unusable
        When its header does not read, or does not say how the patient lies in it.
    """
    volume, axis = _opened(root, name)
    return volume.shape[axis]


def _opened(root: Path, name: str) -> tuple[Volume, int]:
    try:
        volume = open_volume(root / name)
        return volume, volume.view("axial").axes[2]
    except UnreadableVolume as error:
        raise Unusable(name, str(error), MEND) from None


class NiftiClip:
    """The axial slices of one volume, in the order of the file. It does not say the unit of its values."""

    def __init__(self, root: Path, name: str, n_frames: int) -> None:
        """Name the file; no voxel yet."""
        self._root, self._name, self._n_frames = root, name, n_frames
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of slices."""
        return self._n_frames

    def mask_areas(self) -> list[int]:
        """Return 0 for every slice: nobody outlined anything."""
        return [0] * self._n_frames

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the slices; where none holds air, `problems` says that the values may be no Hounsfield units."""
        volume, _ = _opened(self._root, self._name)
        least = np.inf
        try:
            for one in volume.slices("axial"):
                if indices is not None and one.index not in indices:
                    continue
                least = min(least, float(one.pixels.min()))
                at = "" if one.position_mm is None else f" at {round(one.position_mm, 2) + 0.0:g} mm"
                position = f"slice {one.index + 1} of {self._n_frames}{at}"
                yield Still(one.index, sixteen_bits(one.pixels), None, position, spacing_mm=one.spacing_mm)
        except (UnreadableVolume, UnreadableDicom) as error:
            raise Unusable(self._name, str(error), MEND) from None
        if least > AIR:
            reason = f"no value is below {least:g}: they may be no Hounsfield units, and the window may not fit them"
            self.problems.append(Unusable(self._name, reason, "store Hounsfield units, or set `window`"))
