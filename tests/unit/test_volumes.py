"""Volumes: the same patient gives the same pictures however the file is stored, and damage is said."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    ornt_transform,
)

from workflow_scripts.imaging import volumes
from workflow_scripts.imaging.volumes import LAYOUTS, Plane, UnreadableVolume, as_labels, open_volume, resample_mask

RAS = axcodes2ornt("RAS")
SPACING = (0.5, 0.75, 3.0)  # towards right, anterior, superior
STORED = ["RAS", "LPS", "LAS", "PIR", "SRA", "ILP"]


def patient() -> tuple[np.ndarray, np.ndarray]:
    """Return voxels (right, anterior, superior) without any symmetry, and their affine."""
    values = np.random.default_rng(1).integers(0, 100, (9, 11, 6)).astype(np.int16)
    values[7, 9, 4] = 999  # far right, anterior, superior
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -3, 20, 100
    return values, affine


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    """Return a rotation about the three axes as an affine."""
    matrix = np.eye(4)
    matrix[:3, :3] = nibabel.eulerangles.euler2mat(*np.deg2rad(degrees))
    return matrix


def write(path: Path, values: np.ndarray, affine: np.ndarray, unit: str | None = "mm", kind: str = "Nifti1") -> Path:
    """Write a volume as it is."""
    image = getattr(nibabel, f"{kind}Image")(values, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def store(path: Path, codes: str, tilt: np.ndarray | None = None) -> Path:
    """Write the patient with the axes in another order and direction, and the whole tilted in the scanner."""
    values, affine = patient()
    change = ornt_transform(RAS, axcodes2ornt(codes))
    affine = (np.eye(4) if tilt is None else tilt) @ affine @ inv_ornt_aff(change, values.shape)
    return write(path, apply_orientation(values, change), affine)


def expected(plane: Plane) -> list[np.ndarray]:
    """Return the pictures from right to left, back to front, or bottom to top, by indices alone."""
    values, _ = patient()
    if plane == "axial":
        return [values[::-1, ::-1, k].T for k in range(values.shape[2])]
    if plane == "coronal":
        return [values[::-1, k, ::-1].T for k in range(values.shape[1])]
    return [values[k, ::-1, ::-1].T for k in range(values.shape[0])]


@pytest.mark.parametrize("tilt", [None, turned((12, -20, 9))], ids=["straight", "oblique"])
@pytest.mark.parametrize("codes", STORED)
@pytest.mark.parametrize("plane", LAYOUTS)
def test_the_storage_does_not_change_the_pictures(
    tmp_path: Path, plane: Plane, codes: str, tilt: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "BLOCK_BYTES", 2000)  # so that slices come from several blocks and passes
    volume = open_volume(store(tmp_path / "a.nii.gz", codes, tilt))
    assert volume.orientation == codes
    found = list(volume.slices(plane))
    assert [piece.index for piece in found] == list(range(len(found)))
    found.sort(key=lambda piece: piece.position_mm or 0)
    for piece, picture in zip(found, expected(plane), strict=True):
        assert (piece.pixels == picture).all()
    right, anterior, superior = SPACING
    rows_columns = {"axial": (anterior, right), "coronal": (superior, right), "sagittal": (superior, anterior)}[plane]
    between = {"axial": superior, "coronal": anterior, "sagittal": right}[plane]
    positions = [piece.position_mm or 0 for piece in found]
    assert found[0].spacing_mm == pytest.approx(rows_columns)
    assert np.diff(positions) == pytest.approx(between)
    if tilt is None:
        assert positions[0] == pytest.approx({"axial": 100, "coronal": 20, "sagittal": -3}[plane])


def test_right_is_left_and_anterior_is_up_in_an_axial_picture(tmp_path: Path) -> None:
    piece = next(p for p in open_volume(store(tmp_path / "a.nii", "LPS")).slices() if p.pixels.max() == 999)
    assert np.argwhere(piece.pixels == 999).tolist() == [[1, 1]]  # the second row from anterior, column from right


@pytest.mark.parametrize("plane", LAYOUTS)
def test_a_picture_finds_its_way_back_into_the_file(tmp_path: Path, plane: Plane) -> None:
    for codes in STORED:
        path = store(tmp_path / f"{codes}.nii", codes)
        volume, stored = open_volume(path), np.asarray(nibabel.nifti1.load(path).dataobj)
        view, again = volume.view(plane), np.zeros_like(stored)
        for piece in volume.slices(plane):
            again[(slice(None),) * view.axes[2] + (piece.index,)] = view.stored(piece.pixels)
            assert (view.picture(stored, piece.index) == piece.pixels).all()
        assert (again == stored).all()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_slope_and_intercept_are_applied_in_either_byte_order(tmp_path: Path, suffix: str, byte_order: str) -> None:
    values, affine = patient()
    header = nibabel.Nifti1Header(endianness=byte_order)
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(values, affine, header)
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / f"a{suffix}")
    with gzip.open(tmp_path / "a.nii.gz") if suffix == ".nii.gz" else (tmp_path / "a.nii").open("rb") as file:
        raw = np.frombuffer(file.read()[352:], f"{byte_order}i2").reshape(values.shape, order="F")
    found = np.stack([piece.pixels for piece in open_volume(tmp_path / f"a{suffix}").slices()], axis=-1)
    assert found.dtype.isnative
    assert (found == (raw[::-1, ::-1] * 2.0 - 1024).transpose(1, 0, 2)).all()


def test_nifti_2_and_a_fourth_axis_of_one_are_read(tmp_path: Path) -> None:
    values, affine = patient()
    volume = open_volume(write(tmp_path / "a.nii", values[..., None], affine, kind="Nifti2"))
    assert volume.shape == values.shape
    assert [piece.pixels.shape for piece in volume.slices()] == [(11, 9)] * 6


def test_lengths_are_known_only_with_their_unit(tmp_path: Path) -> None:
    values, affine = patient()
    assert open_volume(write(tmp_path / "mm.nii", values, affine)).spacing_mm == pytest.approx(SPACING)
    micron = open_volume(write(tmp_path / "um.nii", values, affine, "micron"))
    assert micron.spacing_mm == pytest.approx(np.array(SPACING) / 1000)
    unknown = open_volume(write(tmp_path / "none.nii", values, affine, "unknown"))
    piece = next(unknown.slices())
    assert (unknown.spacing_mm, piece.spacing_mm, piece.position_mm) == (None, None, None)
    assert (piece.pixels == expected("axial")[0]).all()


def test_without_an_orientation_there_is_a_spacing_and_no_picture(tmp_path: Path) -> None:
    values, affine = patient()
    path = write(tmp_path / "a.nii", values, affine)
    data = bytearray(path.read_bytes())
    data[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(data)
    volume = open_volume(path)
    assert volume.orientation is None
    assert volume.spacing_mm == pytest.approx(SPACING)
    with pytest.raises(UnreadableVolume, match="which side is right"):
        next(volume.slices())


def test_a_mask_on_another_grid_lies_on_the_same_place_of_the_patient(tmp_path: Path) -> None:
    """The mask on thick slices in another order, tilted: each voxel takes the label of the mask's voxel it lies in."""
    labels = np.random.default_rng(2).integers(0, 4, (6, 7, 5)).astype(np.float32)
    affine = turned((5, 10, -8)) @ np.diag([-1.5, 1.25, 4, 1.0])
    affine[:3, 3] = 2, 20, 98
    mask = open_volume(write(tmp_path / "mask.nii.gz", labels, affine))
    onto = open_volume(store(tmp_path / "image.nii.gz", "PIR"))
    moved = resample_mask(mask, onto)
    assert (moved.dtype, moved.shape) == (np.uint16, onto.shape)
    assert len(set(moved.flat)) == 4
    for index in np.ndindex(onto.shape):
        near = np.rint(apply_affine(np.linalg.inv(affine) @ onto.affine, index)).astype(int)
        inside = (near >= 0).all() and (near < labels.shape).all()
        assert moved[index] == (labels[tuple(near)] if inside else 0)


def test_a_mask_on_its_own_grid_keeps_its_border(tmp_path: Path) -> None:
    """A rounding error puts voxel 0 at -1e-16; half a finer voxel lies at -0.25."""
    affine = turned((12, -20, 9)) @ np.diag([0.7, 0.7, 3, 1.0])
    mask = open_volume(write(tmp_path / "mask.nii", np.ones((5, 6, 7), np.uint8), affine))
    assert resample_mask(mask, mask).all()
    finer = affine @ np.diag([0.5, 0.5, 1, 1.0])
    finer[:3, 3] = apply_affine(affine, (-0.25, -0.25, 0))
    assert resample_mask(mask, open_volume(write(tmp_path / "b.nii", np.zeros((10, 12, 7), np.uint8), finer))).all()


def test_only_labels_are_a_mask(tmp_path: Path) -> None:
    assert as_labels(np.array([0, 1.0000001, 3], np.float32)).tolist() == [0, 1, 3]
    for value in (0.5, -1, 70000):
        with pytest.raises(UnreadableVolume, match=f"the mask holds {value:g}: expected labels"):
            as_labels(np.array([[0, value]]))
    soft = open_volume(write(tmp_path / "a.nii", np.full((2, 3, 4), 0.3, np.float32), np.eye(4)))
    with pytest.raises(UnreadableVolume, match="expected labels"):
        resample_mask(soft, soft)


def damaged(kind: str) -> bytes:
    """Return a file that is broken in one way."""
    image = nibabel.Nifti1Image(*patient())
    header = bytearray(image.to_bytes())
    if kind == "magic":
        header[344:348] = b"abc\0"
    if kind == "pair":
        header[344:348] = b"ni1\0"
    if kind == "bomb":
        struct.pack_into("<4h", header, 40, 3, 32767, 32767, 32767)
    if kind == "offset":
        struct.pack_into("<f", header, 108, 1e30)
    if kind == "zero":
        struct.pack_into("<4h", header, 40, 3, 9, 0, 6)
    if kind == "dimensions":
        struct.pack_into("<5h", header, 40, 4, 9, 11, 3, 2)
    if kind == "flat":
        header[280:296] = bytes(16)  # the row of sform that leads to the right
    if kind == "nan affine":
        struct.pack_into("<f", header, 280, np.nan)
    if kind == "type":
        struct.pack_into("<2h", header, 70, 128, 24)  # RGB
    if kind == "intercept":
        struct.pack_into("<2f", header, 112, 1, np.inf)
    if kind == "cut plain":
        return bytes(header[:-10])
    packed = gzip.compress(bytes(header), mtime=0)
    if kind == "cut":
        return packed[: len(packed) // 2]
    if kind == "checksum":
        return packed[:-8] + b"\0\1\2\3" + packed[-4:]
    if kind == "bits":
        return packed[:300] + bytes(20) + packed[320:]
    return b"" if kind == "empty" else packed


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("magic", "not a NIfTI file"),
        ("empty", "not a NIfTI file"),
        ("pair", "without its voxels"),
        ("bomb", "2 GiB at most"),
        ("offset", "2 GiB at most"),
        ("zero", r"its shape is \(9, 0, 6\): expected three axes"),
        ("dimensions", r"its shape is \(9, 11, 3, 2\): expected three axes"),
        ("flat", "its affine spans no volume"),
        ("nan affine", "its affine spans no volume"),
        ("type", "expected one number each"),
        ("intercept", "intercept inf"),
        ("cut plain", "Expected 1188 bytes, got 1178"),
        ("cut", "not a whole NIfTI volume"),
        ("checksum", "not a whole NIfTI volume .*CRC"),
        ("bits", "not a whole NIfTI volume"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(damaged(kind))
    with pytest.raises(UnreadableVolume, match=said) as raised:
        list(open_volume(path).slices())
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


def test_a_voxel_that_is_no_number_is_refused(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6), np.float32)
    values[1, 2, 3] = np.nan
    with pytest.raises(UnreadableVolume, match="NaN"):
        list(open_volume(write(tmp_path / "a.nii", values, np.eye(4))).slices())


def test_real_masks_lie_on_their_images(samples: Path) -> None:
    """Hippocampi of the Decathlon: whole pairs, and the outlined part differs from what surrounds it."""
    for path in sorted((samples / "hippocampus" / "images").glob("*.nii.gz")):
        image, mask = open_volume(path), open_volume(samples / "hippocampus" / "masks" / path.name)
        assert (image.shape, image.orientation) == (mask.shape, "RAS")
        assert image.spacing_mm == (1, 1, 1)
        labels = mask.labels()
        assert set(labels.flat) == {0, 1, 2}
        assert (resample_mask(mask, image) == labels).all()
        view = image.view("coronal")
        for piece, outlined in zip(image.slices("coronal"), mask.slices("coronal"), strict=True):
            assert (as_labels(outlined.pixels) == view.picture(labels, piece.index)).all()
            assert piece.pixels.shape == (image.shape[2], image.shape[0])
