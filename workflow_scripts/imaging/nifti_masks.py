"""Masks as NIfTI label files: of a volume on its own voxels, of a clip as (column, row, 1, frame)."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image

from workflow_scripts.imaging.volumes import Volume

# What says where the voxels lie; all else in a header of somebody's (names, descriptions, windows) stays behind.
GEOMETRY = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def write_volume_mask(path: Path, labels: np.ndarray, volume: Volume, what: str) -> None:
    """Write labels (i, j, k) on the voxels of a volume: its affines, codes and units, to the bit.

    Parameters
    ----------
    path
        A name that ends in .nii.gz.
    labels
        (i, j, k) uint8 or uint16 on the file's grid: 0 background, 1..n.
    volume
        The volume that was outlined, as `open_volume` returns it.
    what
        What labels outline; up to 15 letters are kept as the name of the intent.

    Raises
    ------
    ValueError
        When the shape is not the volume's, or the file does not read back as it was meant.
    """
    if labels.shape != volume.shape:
        raise ValueError(f"the labels are of shape {labels.shape}, the volume of {volume.shape}")
    header = type(volume.header)()
    for name in GEOMETRY:
        header[name] = volume.header[name]
    header["pixdim"][4:] = 1  # of axes that labels do not have
    _write(path, labels, header, what)


def write_clip_mask(
    path: Path, labels: np.ndarray, spacing_mm: tuple[float, float] | None, step_s: float | None, what: str
) -> None:
    """Write labels of a clip; what is not known of space and time has the unit "unknown" and a step of 1.

    The file says nothing about left and right (qform_code and sform_code are 0), for a video does not.

    Parameters
    ----------
    path
        A name that ends in .nii.gz.
    labels
        (frames, H, W) uint8 or uint16: 0 background, 1..n.
    spacing_mm
        Distance between rows and between columns in mm; None where nobody states it.
    step_s
        From frame to frame in s; None where nobody states it, or it varies.
    what
        As in `write_volume_mask`.

    Raises
    ------
    ValueError
        When the file does not read back as it was meant.
    """
    header = Nifti1Header()
    down, across = spacing_mm or (1.0, 1.0)
    header["pixdim"][1:5] = across, down, 1, step_s or 1
    header.set_xyzt_units("mm" if spacing_mm else "unknown", "sec" if step_s else "unknown")
    _write(path, labels.transpose(2, 1, 0)[:, :, None], header, what)


def even_step(times: Sequence[tuple[int, float | None]]) -> float | None:
    """Return the time from frame to frame in s, of (index, time in s); None where unknown, or uneven by 1 % or more."""
    known = [(index, time) for index, time in times if time is not None]
    steps = [(then - now) / (later - index) for (index, now), (later, then) in pairwise(known)]
    if len(known) < len(times) or not steps or min(steps) <= 0 or max(steps) > 1.01 * min(steps):
        return None
    return round((known[-1][1] - known[0][1]) / (known[-1][0] - known[0][0]), 6)


def _write(path: Path, labels: np.ndarray, header: Nifti1Header, what: str) -> None:
    """Write labels and look whether they came out as they went in; the same labels give the same bytes."""
    values = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape)
    header.set_intent("label", name=what[:15])
    image = Nifti2Image if isinstance(header, Nifti2Header) else Nifti1Image
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image(values, None, header), path)
    back = image.from_filename(path)
    kept = all(np.array_equal(back.header[name], header[name], equal_nan=True) for name in (*GEOMETRY, "intent_code"))
    if not (kept and np.array_equal(np.asarray(back.dataobj), values)):
        raise ValueError(f"{path} does not read back as it was written")
