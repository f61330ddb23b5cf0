"""Folders of one's own clips, volumes and slides: where they lie, what their masks outline, and damage one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import nibabel
import numpy as np
import pytest
import tifffile

from tests.fixtures import extract_spec, scan, write_mp4
from tests.unit.test_masked_stills import index, reasons
from tests.unit.test_slides import write_slide
from workflow_scripts.collections import image_folder
from workflow_scripts.collections.collection import TABLE, Clip, Indexed, Source, Still, Unusable
from workflow_scripts.frames.extract_frames import choose_frames, read_case

SPACING = (0.5, 0.75, 3.0)  # towards right, anterior, superior


def opened(root: Path, case: Indexed) -> Clip:
    assert case.row
    clip: Clip = image_folder.open_case(Source(root, root), case.row)
    return clip


def stills(root: Path, case: Indexed) -> list[Still]:
    return list(opened(root, case).read())


def write_avi(path: Path, count: int, colour: tuple[int, int, int] | None = None) -> None:
    """Write Motion JPEG, 10 frames a second; a square of `colour` (RGB) lies in the upper left corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj444p"
        for k in range(count):
            frame = np.dstack([scan(k)[0]] * 3)
            if colour:
                frame[:40, :40] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def patient() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return voxels (right, anterior, superior) of uneven sizes, the labels 1 and 2 in them, and their affine."""
    values = np.random.default_rng(1).integers(0, 1000, (9, 11, 6)).astype(np.int16)
    labels = np.zeros(values.shape, np.uint8)
    labels[7:, 8:, 4], labels[:2, 8:, 4] = 1, 2  # right and left, both anterior
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -3, 20, 100
    return values, labels, affine


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def test_a_clip_has_its_own_times_and_colours(tmp_path: Path) -> None:
    write_avi(tmp_path / "images" / "a.avi", 4, colour=(220, 30, 30))
    found = index(image_folder, tmp_path, options={"modality": "US", "body_part": "heart"})
    row = found["a"].row
    assert row
    assert (row["n_frames"], row["body_part"], row["group_kind"]) == (4, "heart", "clip: no patient is named")
    read = stills(tmp_path, found["a"])
    assert [one.position for one in read] == [f"frame {k} of 4" for k in (1, 2, 3, 4)]
    assert [round(one.time_s or 0, 3) for one in read] == [0, 0.1, 0.2, 0.3]
    red, green, _ = read[0].image[20, 20].tolist()
    assert red - green > 100
    assert all(one.spacing_mm is None and one.mask is None for one in read)
    middle = choose_frames("middle", opened(tmp_path, found["a"]))
    assert [one.index for one in opened(tmp_path, found["a"]).read(middle)] == [1]


def test_two_encodings_of_a_clip_are_two_cases_of_one_group(tmp_path: Path) -> None:
    write_avi(tmp_path / "loop.avi", 3)
    write_mp4(tmp_path / "loop.mp4", [scan(k)[0] for k in range(3)])
    (tmp_path / "labels.csv").write_text("file,age,mm\nloop.avi,40,0.2\nloop.mp4,41,\n")
    (tmp_path / "._loop.avi").write_bytes(b"\0\5\26\7")
    columns = {"age": "age", "spacing_mm": "mm"}
    found = index(image_folder, tmp_path, options={"modality": "US", "columns": columns})
    assert sorted(found) == ["loop.avi", "loop.mp4"]
    avi, mp4 = found["loop.avi"].row, found["loop.mp4"].row
    assert avi
    assert mp4
    assert (avi["age"], mp4["age"]) == (40, 41)
    assert avi["group_id"] == mp4["group_id"] == "loop"
    assert stills(tmp_path, found["loop.avi"])[0].spacing_mm == (0.2, 0.2)


def test_a_clip_that_has_not_the_frames_it_claims_is_said(tmp_path: Path) -> None:
    write_avi(tmp_path / "whole.avi", 6)
    data = (tmp_path / "whole.avi").read_bytes()
    for name, claimed in (("fewer", 4), ("more", 9)):  # 6 are there
        count = data.index(b"strh") + 8 + 32
        assert data[count : count + 4] == (6).to_bytes(4, "little")
        (tmp_path / f"{name}.avi").write_bytes(data[:count] + claimed.to_bytes(4, "little") + data[count + 4 :])
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    found = index(image_folder, tmp_path, options={"modality": "US"})
    clip = opened(tmp_path, found["fewer"])
    assert len(list(clip.read())) == 6
    assert "6 frames decode, its container claims 4" in clip.problems[0].reason
    for name, said in (("more", "of the 9 that"), ("cut", "breaks off|does not decode"), ("junk", "does not decode")):
        with pytest.raises(Unusable, match=said):
            stills(tmp_path, found[name])
    assert len(stills(tmp_path, found["whole"])) == 6


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_volume_lies_as_a_radiologist_looks_at_it(tmp_path: Path, mirrored: bool) -> None:
    values, labels, affine = patient()
    if mirrored:  # stored from right to left: the same patient
        values, labels, affine = values[::-1], labels[::-1], affine @ np.diag([-1.0, 1, 1, 1])
        affine[0, 3] += 0.5 * 8
    write_volume(tmp_path / "images" / "a.nii.gz", values, affine)
    write_volume(tmp_path / "masks" / "a.nii.gz", labels.astype(np.float32), affine)
    found = index(image_folder, tmp_path, options={"modality": "MR", "body_part": "brain"})
    assert not found["a"].problems
    clip = opened(tmp_path, found["a"])
    assert clip.mask_areas() == [0, 0, 0, 0, 12, 0]
    assert choose_frames("largest_mask", clip) == [4]
    read = list(clip.read())
    assert [one.mask is not None for one in read] == [False, False, False, False, True, False]
    mask = read[4].mask
    assert mask is not None
    assert (set(mask[:3, :2].flat), set(mask[:3, -2:].flat)) == ({1}, {2})  # anterior up, right on the left
    assert np.count_nonzero(mask) == 12
    assert read[4].position == "slice 5 of 6 at 112 mm"
    assert read[4].spacing_mm == (0.75, 0.5)
    assert (read[4].unit, read[4].image.dtype) == (None, np.int16)  # MR has no unit
    low, high = np.percentile(values, (0.5, 99.5))
    assert read[4].window == pytest.approx(((low + high + 1) / 2, high - low + 1))
    assert not clip.problems


def shift(values: np.ndarray, labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    moved = affine.copy()
    moved[0, 3] += 0.5
    return labels, moved


MASKS: dict[str, tuple[Callable[..., tuple[np.ndarray, np.ndarray]], str]] = {
    "shifted": (shift, "another grid"),
    "cropped": (lambda values, labels, affine: (labels[:-1], affine), "another grid ((8, 11, 6) voxels RAS)"),
    "probability": (lambda values, labels, affine: (labels * np.float32(0.4), affine), "expected labels"),
    "large": (lambda values, labels, affine: (labels * np.uint16(300), affine), "greatest label is 600"),
    "empty": (lambda values, labels, affine: (labels * 0, affine), "outlines nothing"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_that_does_not_fit_costs_the_mask_alone(tmp_path: Path, kind: str) -> None:
    values, labels, affine = patient()
    write_volume(tmp_path / "images" / "a.nii", values, affine)
    write_volume(tmp_path / "masks" / "a.nii.gz", *MASKS[kind][0](values, labels, affine))
    clip = opened(tmp_path, index(image_folder, tmp_path, options={"modality": "MR"})["a"])
    assert all(one.mask is None for one in clip.read())
    (problem,) = clip.problems
    assert problem.file == "masks/a.nii.gz"
    assert MASKS[kind][1] in problem.reason


def test_volumes_that_have_no_axial_slices_are_refused_one_by_one(tmp_path: Path) -> None:
    values, _, affine = patient()
    write_volume(tmp_path / "images" / "whole.nii.gz", values, affine)
    write_volume(tmp_path / "images" / "series.nii.gz", np.stack([values] * 3, axis=3), affine)
    write_volume(tmp_path / "images" / "lost.nii", values, affine)
    data = bytearray((tmp_path / "images" / "lost.nii").read_bytes())
    data[252:256] = bytes(4)  # qform_code and sform_code
    (tmp_path / "images" / "lost.nii").write_bytes(data)
    (tmp_path / "images" / "junk.nii").write_bytes(b"junk")
    (tmp_path / "images" / "cut.nii.gz").write_bytes((tmp_path / "images" / "whole.nii.gz").read_bytes()[:-200])
    found = index(image_folder, tmp_path, options={"modality": "MR"})
    assert "its shape is (9, 11, 6, 3): expected three axes" in reasons(found["series"])
    assert "does not say which side is right" in reasons(found["lost"])
    assert "not a NIfTI file" in reasons(found["junk"])
    assert [name for name, case in found.items() if case.row] == ["cut", "whole"]
    with pytest.raises(Unusable, match="images/cut.nii.gz"):
        stills(tmp_path, found["cut"])
    assert len(stills(tmp_path, found["whole"])) == 6


def test_frames_that_are_outlined_are_not_found_without_a_mask(tmp_path: Path) -> None:
    values, _, affine = patient()
    write_volume(tmp_path / "images" / "a.nii.gz", values, affine)
    write_avi(tmp_path / "images" / "b.avi", 2)
    found = index(image_folder, tmp_path, options={"modality": "MR"})
    for name in ("a", "b"):
        row: Any = found[name].row
        with pytest.raises(Unusable, match="no picture of the case can be used: it has no mask") as refusal:
            list(
                read_case(
                    Source(tmp_path, tmp_path), extract_spec("image-folder", "outlined"), row | {"case_id": name}, []
                )
            )
        assert refusal.value.mend == "take it with `frames: all`"


def test_masks_of_another_kind_than_their_picture_are_said(tmp_path: Path) -> None:
    values, labels, affine = patient()
    for name in ("volume.nii.gz", "two.nii.gz"):
        write_volume(tmp_path / "images" / name, values, affine)
    for name in ("still.nii.gz", "two.nii.gz", "two__2.nii.gz"):
        write_volume(tmp_path / "masks" / name, labels, affine)
    write_avi(tmp_path / "images" / "clip.avi", 2)
    cv2.imwrite(str(tmp_path / "images" / "still.png"), scan(1)[0])
    for name in ("volume", "clip"):
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), scan(1)[1])
    found = index(image_folder, tmp_path, options={"modality": "OT"})
    assert all(case.row and len(case.row["sources"]) == 1 for case in found.values())
    assert "still.nii.gz: of a picture this mask is not read; write it as PNG" in reasons(found["still"])
    assert "clip.png: of a clip this mask is not read" in reasons(found["clip"])
    assert "volume.png: of a volume this mask is not read; write one .nii.gz" in reasons(found["volume"])
    assert "two__2.nii.gz: of a volume this mask is not read" in reasons(found["two"])


def test_slides_give_tiles_of_tissue_in_colour(tmp_path: Path) -> None:
    piece = np.zeros((1536, 2560), np.uint8)
    piece[:1100, :1100] = 1
    write_slide(tmp_path / "a.svs", piece)
    write_slide(tmp_path / "b.tif", piece)  # a pyramid
    cv2.imwrite(str(tmp_path / "c.tif"), np.dstack([scan(1)[0]] * 3))  # a picture through the microscope
    (tmp_path / "d.svs").write_bytes(b"junk")
    (tmp_path / "labels.csv").write_text(
        "file,diagnosis,mm\na.svs,malignant,0.1\nb.tif,benign,\nc.tif,benign,0.001\nd,,\n"
    )
    columns = {"pathology": "diagnosis", "spacing_mm": "mm"}
    found = index(image_folder, tmp_path, options={"modality": "SM", "columns": columns})
    rows: dict[str, Any] = {name: case.row for name, case in found.items()}
    assert {name: row["source_kind"] for name, row in rows.items()} == {
        "a": "slide",
        "b": "slide",
        "c": "still-mask",
        "d": "slide",
    }
    assert (rows["a"]["pathology"], rows["a"]["n_frames"]) == ("malignant", None)
    assert "the spacing of a is taken from its file alone" in reasons(found["a"])
    for name in ("a", "b"):
        first = stills(tmp_path, found[name])[0]
        assert first.image.shape == (512, 512, 3)
        assert np.ptp(first.image.reshape(-1, 3).mean(axis=0)) > 30  # stained
        assert first.position == "tile 0,0 level 0 at 10x"
        assert first.spacing_mm == pytest.approx((0.001, 0.001))
    assert stills(tmp_path, found["c"])[0].image.shape == (120, 160, 3)
    with pytest.raises(Unusable, match="d.svs: it does not read as a slide"):
        stills(tmp_path, found["d"])


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    write_avi(tmp_path / "images" / "a.avi", 2)
    (tmp_path / "images" / "b.mov").write_bytes(b"x")
    assert "images: 1 file is not understood: b.mov" in reasons(
        index(image_folder, tmp_path, options={"modality": "US"})[TABLE]
    )


def test_real_clips_volumes_and_slides(samples: Path) -> None:
    wanted = {"us-clip": ("US", 2, 30), "hippocampus": ("MR", 40, None), "wsi": ("SM", 1, 1)}
    for folder, (modality, cases, frames) in wanted.items():
        found = index(image_folder, samples / folder, options={"modality": modality})
        rows = [case for name, case in found.items() if name != TABLE]
        assert len(rows) == cases
        for case in rows[:3]:
            clip = opened(samples / folder, case)
            count = sum(1 for _ in clip.read())
            assert frames in (None, count)
            assert not clip.problems
            assert modality != "MR" or sum(clip.mask_areas()) > 1000


def test_a_pyramid_that_states_its_pixels_alone_gives_the_same_tiles(tmp_path: Path) -> None:
    piece = np.full((1024, 1024, 3), (200, 80, 160), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for by in (1, 4):
            pixels, scale = piece[::by, ::by], (20000 / by, 20000 / by)  # 0.5 microns a pixel
            about: dict[str, Any] = {"resolution": scale, "resolutionunit": "CENTIMETER", "metadata": None}
            file.write(pixels, tile=(256, 256), photometric="rgb", subfiletype=int(by > 1), **about)
    (tile,) = stills(tmp_path, index(image_folder, tmp_path, options={"modality": "SM"})["a"])
    assert (tile.image.shape, tile.spacing_mm) == ((512, 512, 3), pytest.approx((0.001, 0.001)))
