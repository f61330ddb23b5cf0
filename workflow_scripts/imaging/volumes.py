"""Volumes in NIfTI: pictures of a plane, laid out as a radiologist looks at them, and the way back to the file's grid.

No picture is interpolated: the stored axis nearest to the plane's normal is cut, and rows and columns are turned. The
pictures of an oblique volume are as oblique as the volume.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import aff2axcodes, apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from nibabel.processing import resample_from_to
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling, array_from_file

MOST_BYTES = 2 * 2**30  # a volume that claims more is not read
BLOCK_BYTES = 64 * 2**20  # what is read at a time, counted as float64; a whole slice where that is more
MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # the lower three bits of xyzt_units: metre, millimetre, micrometre

Plane = Literal["axial", "coronal", "sagittal"]

# Where columns, rows and slices run to: the patient's right is on the left of a picture, as if seen from the feet or
# the front; a sagittal picture is seen from the patient's left.
LAYOUTS: dict[Plane, str] = {"axial": "LPS", "coronal": "LIA", "sagittal": "PIR"}


class UnreadableVolume(ValueError):
    """A volume that is not whole, or not what was expected."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture of a volume.

    `index` counts from 0 along the stored axis. `pixels` is (rows, columns): the file's values, scaled as it says.
    `position_mm` lies on the stored axis, from the origin towards right, anterior or superior. `spacing_mm` is the
    distance of neighbouring rows, then of columns. Both are None where the file names no unit of length.
    """

    index: int
    pixels: np.ndarray
    position_mm: float | None
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class View:
    """How the pictures of one plane lie in a stored array."""

    turn: np.ndarray  # nibabel's orientation transform from the stored axes to columns, rows, slices
    back: np.ndarray

    @property
    def axes(self) -> tuple[int, int, int]:
        """Return the stored axes along which columns, rows and slices follow one another."""
        columns, rows, slices = np.argsort(self.turn[:, 0]).tolist()
        return columns, rows, slices

    def picture(self, stored: np.ndarray, index: int) -> np.ndarray:
        """Return one picture (rows, columns) of an array (i, j, k) on the file's grid."""
        cut = stored[(slice(None),) * self.axes[2] + (slice(index, index + 1),)]
        return apply_orientation(cut, self.turn)[..., 0].T.copy()

    def stored(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture as it lies on the file's grid: its two axes in the file's order and directions."""
        return np.ascontiguousarray(apply_orientation(picture.T[..., None], self.back).squeeze(self.axes[2]))


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume whose header was read; voxels are read when they are asked for.

    `affine` leads from stored indices to the patient's right, anterior and superior (in mm, or in the file's own unit
    where it names none), and `orientation` says where the three axes run to, as in "RAS", oblique ones by the nearest.
    Where the file says neither, `orientation` is None and `affine` is the spacing alone. `spacing_mm` is None without a
    unit.
    """

    path: Path
    header: Nifti1Header
    shape: tuple[int, int, int]
    affine: np.ndarray
    orientation: str | None
    spacing_mm: tuple[float, float, float] | None

    def view(self, plane: Plane) -> View:
        """Return how the pictures of a plane lie in the stored array.

        Raises
        ------
        UnreadableVolume
            When the file does not say how the patient lies in it.
        """
        own, wanted = io_orientation(self._oriented()), axcodes2ornt(LAYOUTS[plane])
        return View(ornt_transform(own, wanted), ornt_transform(wanted, own))

    def slices(self, plane: Plane = "axial") -> Iterator[Slice]:
        """Yield the pictures of a plane in the order of the file; `position_mm` says which way that is.

        A few blocks of `BLOCK_BYTES` are held. Along the last stored axis the file is read once, along another one once
        for every block.

        Raises
        ------
        UnreadableVolume
            When the orientation is unknown, the file is cut off or damaged, or a voxel is not a number.
        """
        view = self.view(plane)
        columns, rows, axis = view.axes
        direction = self.affine[:3, axis] * io_orientation(self.affine)[axis, 1]
        direction = direction / np.linalg.norm(direction)
        centre = (np.array(self.shape) - 1) / 2
        for first, block in self._blocks(axis):
            for k in range(block.shape[axis]):
                position = spacing = None
                if self.spacing_mm:
                    centre[axis] = first + k
                    position = float(direction @ apply_affine(self.affine, centre))
                    spacing = self.spacing_mm[rows], self.spacing_mm[columns]
                yield Slice(first + k, view.picture(block, k), position, spacing)

    def labels(self) -> np.ndarray:
        """Return the whole volume as labels on its own grid: (i, j, k), uint16.

        Raises
        ------
        UnreadableVolume
            As `slices`, and when a value is not a label.
        """
        found = np.empty(self.shape, np.uint16, order="F")
        for first, values in self._slabs():
            found[..., first : first + values.shape[2]] = as_labels(values)
        return found

    def _oriented(self) -> np.ndarray:
        if self.orientation is None:
            raise UnreadableVolume("qform_code and sform_code are 0: the file does not say which side is right")
        return self.affine

    def _blocks(self, axis: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first index and the values of blocks along a stored axis."""
        if axis == 2:
            yield from self._slabs()
            return
        step = max(1, BLOCK_BYTES * self.shape[axis] // (8 * math.prod(self.shape)))
        for first in range(0, self.shape[axis], step):
            part = (slice(None),) * axis + (slice(first, first + step),)
            yield first, np.concatenate([values[part].copy() for _, values in self._slabs()], axis=2)

    def _slabs(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first index and the values of blocks along the last stored axis: as they follow in the file."""
        dtype, (i, j, depth) = self.header.get_data_dtype(), self.shape
        native, step = dtype.newbyteorder("="), max(1, BLOCK_BYTES // (8 * i * j))
        with _unpacked(self.path) as file:
            for first in range(0, depth, step):
                shape = i, j, min(step, depth - first)
                start = self.header.get_data_offset() + first * i * j * dtype.itemsize
                stored = array_from_file(shape, dtype, file, start, mmap=False).astype(native, copy=False)
                values = apply_read_scaling(stored, *self.header.get_slope_inter())
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    raise UnreadableVolume("a voxel is NaN or infinite: expected numbers")
                yield first, values
            file.seek(MOST_BYTES)  # a gzip file is unpacked to its end, where its checksum stands


def open_volume(path: Path) -> Volume:
    """Open a NIfTI file, `.nii` or `.nii.gz`, and read its header.

    Where sform and qform both count, sform is taken.

    Raises
    ------
    UnreadableVolume
        When it is no NIfTI, not of three axes, of colours or complex numbers, larger than `MOST_BYTES`, or when its
        affine or its spacing has no volume.
    """
    with _unpacked(path) as file:
        begin = file.read(Nifti2Header.sizeof_hdr)
        kind = next((kind for kind in (Nifti1Header, Nifti2Header) if kind.may_contain_header(begin)), None)
        if kind is None:
            raise UnreadableVolume("not a NIfTI file: neither n+1 nor n+2 stands in its header")
        header = kind(begin[: kind.sizeof_hdr])
        if header["magic"] != kind.single_magic:
            raise UnreadableVolume("a NIfTI header without its voxels (.hdr and .img): expected one .nii or .nii.gz")
        dtype, shape = header.get_data_dtype(), header.get_data_shape()
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) != 3 or min(shape) < 1:
            raise UnreadableVolume(f"its shape is {shape}: expected three axes")
        if dtype.kind not in "iuf":
            raise UnreadableVolume(f"its voxels are of type {dtype}: expected one number each")
        size = math.prod(shape) * dtype.itemsize
        if header.get_data_offset() + size > MOST_BYTES:
            raise UnreadableVolume(f"its header claims {size} bytes of voxels: expected 2 GiB at most")
        header.get_slope_inter()  # refuses what is no number
        known = bool(header["qform_code"] or header["sform_code"])
        unit = MM.get(int(header["xyzt_units"]) & 7)
        affine = header.get_best_affine() if known else np.diag([*header["pixdim"][1:4], 1.0])
        with np.errstate(all="ignore"):
            affine = np.diag([unit or 1.0] * 3 + [1.0]) @ affine
            sizes = voxel_sizes(affine)
            volume = abs(np.linalg.det(affine[:3, :3] / sizes))  # 1 where the axes are perpendicular
            plausible = ((sizes > 1e-6) & (sizes < 1e6)).all() and volume > 1e-3
        if not (plausible and np.isfinite(affine).all()):
            raise UnreadableVolume(f"its {'affine' if known else 'pixdim'} spans no volume: the spacing is not known")
    i, j, k = (float(size) for size in sizes)
    orientation = "".join(aff2axcodes(affine)) if known else None
    return Volume(path, header, shape, affine, orientation, (i, j, k) if unit else None)


def as_labels(values: np.ndarray) -> np.ndarray:
    """Return the values of a mask as uint16, whatever type they were stored in.

    Raises
    ------
    UnreadableVolume
        When one is not a whole number from 0 to 65535: a probability, or a mask that was interpolated.
    """
    labels = np.rint(values) if values.dtype.kind == "f" else values
    off = (np.abs(values - labels) > 1e-3) | (labels < 0) | (labels > 65535)  # a float32 slope leaves 1.0000001
    if off.any():
        raise UnreadableVolume(f"the mask holds {values[off][0]:g}: expected labels, whole numbers from 0 to 65535")
    return labels.astype(np.uint16)


def resample_mask(mask: Volume, onto: Volume) -> np.ndarray:
    """Return a mask's labels on the grid of another volume of the same patient and session, nearest neighbour.

    A part that is thinner than the coarser grid may be lost, and what lies beyond the mask's own voxels is 0.

    Returns
    -------
    np.ndarray
        uint16, shape `onto.shape`; `onto.view(plane).picture(labels, index)` is the picture over that slice.

    Raises
    ------
    UnreadableVolume
        As `Volume.labels`, and when the orientation of one of them is not known.
    """
    image = Nifti1Image(mask.labels(), mask._oriented())
    # "constant" would take the outer half of every border voxel for outside, and a rounding error for all of it
    moved = resample_from_to(image, (onto.shape, onto._oriented()), order=0, mode="grid-constant")
    return np.asarray(moved.dataobj)


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, unpacked where it is gzip by content, and say of any damage that the volume is not whole."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as unpacked:
            yield unpacked
    except UnreadableVolume:
        raise
    except (HeaderDataError, OSError, EOFError, OverflowError, ValueError, zlib.error) as error:
        said = " ".join(str(error).replace(str(path), path.name).split())
        raise UnreadableVolume(f"not a whole NIfTI volume ({said})") from None
