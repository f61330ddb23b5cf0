"""The masks that somebody else predicted: found by name, read as they are meant, refused where the grid differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.imaging.components import label_nodules
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.imaging.ultrasound import resize_keeping_aspect
from workflow_scripts.segment.export_nnunet import grid_of, name_of
from workflow_scripts.segment.import_masks import import_masks, main, read_mask
from workflow_scripts.tables import frames, inputs, masks, quarantine
from workflow_scripts.tables.table import read_rows, write_rows

SHAPE = (40, 60)


def two_parts(value: int = 255) -> np.ndarray:
    """Return a small part at the upper left and a large one at the lower right."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:8, 4:8] = value
    mask[20:35, 30:50] = value
    return mask


def write_frames(path: Path) -> Path:
    """Write two stills of case 12 (its second file was lost) and three frames of the clip 7."""
    stills = [("12", 0, "12_1.jpg"), ("12", 1, "12_3.jpg")]
    clip = [("7", k, None) for k in range(3)]
    rows = [
        {
            "frame_id": f"{case}/{k}",
            "case_id": case,
            "frame_index": k,
            "position": position,
            "height": SHAPE[0],
            "width": SHAPE[1],
        }
        for case, k, position in (*stills, *clip)
    ]
    write_rows(path, rows, frames.SCHEMA)
    return path


def write_inputs(path: Path, size: tuple[int, int] = (32, 64)) -> Path:
    """Write the pictures that a model sees of these frames but the last: their upper 30 rows, in another size."""
    field = np.zeros(SHAPE, np.uint8)
    field[:30] = 255
    small, _, affine = resize_keeping_aspect(field[:30], None, size)
    row = {"image": png(small), "affine": affine.ravel().tolist(), "field": png(field)}
    rows = [row | {"frame_id": name, "case_id": name.split("/")[0]} for name in ("12/0", "12/1", "7/0", "7/1")]
    write_rows(path, rows, inputs.SCHEMA)
    return path


def png(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": None}


def exported(frame_id: str, dataset: str = "clinic", size: tuple[int, int] = (32, 64)) -> str:
    """Return the name under which a frame of `write_inputs` is exported."""
    affine = resize_keeping_aspect(np.zeros((30, 60), np.uint8), None, size)[2]
    return name_of(dataset, frame_id, grid_of(affine.ravel().tolist(), size)) + ".png"


def carried(mask: np.ndarray, size: tuple[int, int] = (32, 64)) -> np.ndarray:
    """Return a mask of a frame as it lies on the picture that a model sees."""
    small = resize_keeping_aspect(mask[:30], mask[:30], size)[1]
    assert small is not None
    return small


def run(
    tmp_path: Path, pictures: Mapping[str, np.ndarray | bytes]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Import pictures (name -> pixels or bytes); return the labels by frame, and the quarantine."""
    folder = tmp_path / "given"
    folder.mkdir()
    for name, picture in pictures.items():
        data = picture if isinstance(picture, bytes) else cv2.imencode(Path(name).suffix, picture)[1].tobytes()
        (folder / name).write_bytes(data)
    tables = write_frames(tmp_path / "frames"), write_inputs(tmp_path / "inputs")
    lost = import_masks(*tables, folder, "clinic", "given-masks", tmp_path / "masks")
    rows = read_rows(tmp_path / "masks", masks.SCHEMA)
    assert all((row["model"], row["fold"], row["mean_probability"]) == ("given-masks", "given", None) for row in rows)
    return {row["frame_id"]: decode_picture(row["mask"]["bytes"]) for row in rows}, lost


def test_stills_are_found_by_their_file_and_frames_of_clips_by_their_number(tmp_path: Path) -> None:
    names = ["12_1.png", "12_2.png", "7_1.png", "7_0003.png", "8_1.png", "notes.txt"]
    found, lost = run(tmp_path, {name: two_parts() if name.endswith("png") else b"x" for name in names})
    assert sorted(found) == ["12/0", "7/0", "7/2"]  # 12_2 is another file than 12_3, the second frame
    assert lost == []
    assert (found["12/0"][25, 40], found["12/0"][5, 5], found["12/0"][0, 0]) == (1, 2, 0)


@pytest.mark.parametrize(
    ("name", "picture", "same"),
    [
        ("7_1.png", two_parts(255), True),
        ("7_1.png", two_parts(1), True),
        ("7_1.png", two_parts(32), True),
        ("7_1.png", np.dstack([two_parts(0), two_parts(0), two_parts(255)]), True),
        ("7_1.jpg", np.maximum(two_parts(), 20), True),
        ("7_1.png", np.maximum(two_parts(), 90), True),
        ("7_1.png", two_parts(0), False),
        ("7_1.jpeg", two_parts(20), False),
    ],
    ids=["white", "labels", "32 labels", "red", "JPEG", "half grey", "empty", "dark JPEG"],
)
def test_what_counts_as_nodule(tmp_path: Path, name: str, picture: np.ndarray, same: bool) -> None:
    found, lost = run(tmp_path, {name: picture})
    assert lost == []
    differ = (found["7/0"] > 0) != (two_parts() > 0) * same
    assert differ.sum() <= (20 if name.endswith("jpg") else 0)


@pytest.mark.parametrize(
    ("picture", "reason", "mend"),
    [
        (np.zeros((20, 30), np.uint8), "the mask is 30 x 20 pixels and its frame 60 x 40", "grid"),
        (b"no picture", "does not decode", "PNG"),
        (np.zeros(SHAPE, np.uint16), "expected 8 bits", "8-bit PNG"),
        (two_parts(100), "greatest value is 100", "255"),
    ],
    ids=["another grid", "broken", "16 bits", "grey"],
)
def test_a_mask_that_cannot_be_used_is_quarantined(
    tmp_path: Path, picture: np.ndarray | bytes, reason: str, mend: str
) -> None:
    found, lost = run(tmp_path, {"7_2.png": picture, "7_3.png": two_parts()})
    assert list(found) == ["7/2"]
    (row,) = lost
    assert (row["stage"], row["status"], row["case_id"], row["dataset"], row["file"]) == (
        ("import_masks", "partial", "7", "clinic", "given/7_2.png")
    )
    assert reason in row["reason"]
    assert mend in row["mend"]


def test_masks_of_exported_pictures_come_back_to_the_frames_own_pixels(tmp_path: Path) -> None:
    large = np.zeros(SHAPE, np.uint8)
    large[8:24, 12:40] = 1
    everywhere = np.full((32, 64), 1, np.uint8)
    given = {exported("12/0"): carried(large), exported("7/1"): everywhere, "7_1.png": two_parts()}
    found, lost = run(tmp_path, given)
    assert lost == []
    assert sorted(found) == ["12/0", "7/0", "7/1"]  # beside masks on the frames' own grid
    overlap = np.count_nonzero((found["12/0"] > 0) & (large > 0))
    assert 2 * overlap / (np.count_nonzero(found["12/0"]) + large.sum()) > 0.97
    assert found["7/1"][:29].all()
    assert not found["7/1"][30:].any()  # nothing is outside the field


def test_an_exported_name_says_of_which_data_set_it_is(tmp_path: Path) -> None:
    found, lost = run(tmp_path, {exported("12/0", dataset="clinic-b"): carried(two_parts(1))})
    assert (found, lost) == ({}, [])


@pytest.mark.parametrize(
    ("name", "picture", "reason"),
    [
        (exported("12/0", size=(48, 64)), carried(two_parts(1), (48, 64)), "its grid was another one"),
        (exported("12/0"), two_parts(1), "the mask is 60 x 40 pixels and its picture 64 x 32"),
        (exported("7/2"), carried(two_parts(1)), "now there is no picture of its frame"),
    ],
    ids=["other options", "resized", "no input"],
)
def test_masks_of_other_pictures_are_never_laid_over_a_frame(
    tmp_path: Path, name: str, picture: np.ndarray, reason: str
) -> None:
    found, lost = run(tmp_path, {name: picture})
    assert found == {}
    (row,) = lost
    assert row["file"] == f"given/{name}"
    assert reason in row["reason"]


def test_a_jpeg_that_breaks_off_is_no_mask(tmp_path: Path) -> None:
    path = tmp_path / "m.jpg"
    path.write_bytes(cv2.imencode(".jpg", two_parts())[1].tobytes()[:-40])
    with pytest.raises(Unusable, match="breaks off"):
        read_mask(path, SHAPE)


def test_two_masks_for_one_frame_are_not_chosen_between(tmp_path: Path) -> None:
    found, lost = run(tmp_path, {"7_1.png": two_parts(), "7_001.png": two_parts(0)})
    assert found == {}
    assert "7_001.png, 7_1.png" in lost[0]["reason"]


def test_a_chunk_without_masks_is_an_empty_table(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames"), write_inputs(tmp_path / "inputs")
    (tmp_path / "given").mkdir()
    main(
        [
            *(
                "--frames",
                str(tmp_path / "frames"),
                "--inputs",
                str(tmp_path / "inputs"),
                "--folder",
                str(tmp_path / "given"),
                "--dataset",
                "clinic",
            ),
            *("--model", "given-masks", "--masks", str(tmp_path / "masks"), "--quarantine", str(tmp_path / "lost")),
        ]
    )
    assert read_rows(tmp_path / "masks", masks.SCHEMA) == []
    assert read_rows(tmp_path / "lost", quarantine.SCHEMA) == []


def test_small_parts_are_dropped_and_parts_that_touch_at_a_corner_are_one() -> None:
    labels = label_nodules(two_parts(1), min_area=17)
    assert (labels[5, 5], labels[25, 40], labels.max()) == (0, 1, 1)
    assert label_nodules(np.eye(5, dtype=bool), min_area=1).max() == 1


@settings(max_examples=50, deadline=None)
@given(arrays(bool, (12, 15)))
def test_labels_cover_the_mask_and_count_from_the_largest(mask: np.ndarray) -> None:
    labels = label_nodules(mask, min_area=1)
    assert ((labels > 0) == mask).all()
    areas = [int((labels == label).sum()) for label in range(1, int(labels.max()) + 1)]
    assert areas == sorted(areas, reverse=True)
    assert all(areas)


def test_more_parts_than_a_label_can_count_lose_the_smallest() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[::2, ::2] = 1  # 30 x 40 parts
    mask[50:, 70:] = 1
    labels = label_nodules(mask, min_area=1)
    assert labels.max() == 255
    assert labels[55, 75] == 1


def test_an_empty_mask_has_no_labels_and_a_full_one_has_one() -> None:
    assert not label_nodules(np.zeros((5, 5), bool), min_area=1).any()
    assert (label_nodules(np.ones((5, 5), bool), min_area=1) == 1).all()
