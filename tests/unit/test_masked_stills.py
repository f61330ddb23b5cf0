"""TN3K, TG3K, and folders of one's own: masks that went through JPEG, glands that are no nodules, maps of columns."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fixtures import scan
from workflow_scripts.collections import image_folder, tg3k, tn3k
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Still, Unusable, WrongLayout, card
from workflow_scripts.demo.masked_stills import write_image_folder, write_tg3k, write_tn3k
from workflow_scripts.imaging.stills import read_still
from workflow_scripts.provenance import ContentHashes

OPTIONS: dict[str, Any] = {
    "modality": "US",
    "body_part": "thyroid",
    "columns": {"file": "picture", "patient": "patient", "pathology": "diagnosis", "spacing_mm": "mm", "age": "age"},
}


def index(kind: Any, root: Path, **source: Any) -> dict[str, Indexed]:
    found: dict[str, Indexed] = {}
    for case in kind.index(Source(root, root.parent / "cache", **source), ContentHashes(root, root.parent / "h.json")):
        known = found.setdefault(case.case_id, case)
        if known is not case:
            assert case.case_id == TABLE
            known.problems += case.problems
    return found


def still(kind: Any, root: Path, case: Indexed) -> Still:
    assert case.row
    (only,) = kind.open_case(Source(root, root), case.row).read()
    assert isinstance(only, Still)
    return only


def reasons(case: Indexed) -> str:
    return "; ".join(f"{problem.file}: {problem.reason}; {problem.mend}" for problem in case.problems)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    write_tn3k(tmp_path / "tn3k")
    write_tg3k(tmp_path / "tg3k")
    write_image_folder(tmp_path / "mine")
    return tmp_path


def test_masks_that_went_through_jpeg_come_back_as_they_were_drawn(tmp_path: Path) -> None:
    picture, mask = scan(3, (180, 240))
    for part, pixels in (("image", picture), ("mask", mask * 255)):
        (tmp_path / f"test-{part}").mkdir()
        cv2.imwrite(str(tmp_path / f"test-{part}" / "0001.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    stored = read_still(tmp_path / "test-mask" / "0001.jpg")
    assert np.unique(stored).size > 2  # as shipped: no longer black and white
    read = still(tn3k, tmp_path, index(tn3k, tmp_path)["test-0001"])
    assert read.mask is not None
    assert set(np.unique(read.mask)) == {0, 1}
    assert np.count_nonzero(read.mask != mask) < 0.01 * np.count_nonzero(mask)
    assert read.path == "test-image/0001.jpg"


def test_the_same_number_in_both_parts_is_two_cases_and_the_class_is_not_histology(three: Path) -> None:
    found = index(tn3k, three / "tn3k")
    first, other = found["trainval-0000"].row, found["test-0000"].row
    assert first
    assert other
    assert (first["split_given"], other["split_given"]) == ("train", "test")
    assert first["labels"] == {"class": "malignant", "fold": "0"}
    assert "pathology" not in first
    assert (first["group_id"], first["group_kind"]) == ("trainval-0000", "picture: no patient is named")


def test_nothing_of_tn3k_is_lost(three: Path) -> None:
    found = index(tn3k, three / "tn3k")
    assert len(found) == 14
    unmasked = found["trainval-0007"]
    assert unmasked.row
    assert "no mask: it stays without one, and is not taken to be healthy" in reasons(unmasked)
    assert still(tn3k, three / "tn3k", unmasked).mask is None
    assert found["test-0002"].row is None
    assert "no picture test-image/0002.jpg with it; add the picture" in reasons(found["test-0002"])


def test_folds_that_do_not_fit_the_pictures_are_left_out(three: Path) -> None:
    path = three / "tn3k" / "tn3k-trainval-fold1.json"
    path.write_text(json.dumps({"train": [0, 1], "val": [1]}))
    found = index(tn3k, three / "tn3k")
    assert "tn3k-trainval-fold1.json: it does not deal the 10 pictures" in reasons(found[TABLE])
    row = found["trainval-0001"].row
    assert row
    assert row["labels"] == {"class": "benign"}


@pytest.mark.parametrize("text", ["0001.jpg,1\n0001.jpg,0\n", "0001.jpg,2\n0002.jpg,0\n", "0001.jpg\n0002.jpg,0\n"])
def test_a_line_that_is_no_label_is_said(three: Path, text: str) -> None:
    (three / "tn3k" / "label4trainval.csv").write_text(text)
    assert "label4trainval.csv: 1 lines are not understood" in reasons(index(tn3k, three / "tn3k")[TABLE])


def test_another_file_in_place_of_the_labels_is_refused(three: Path) -> None:
    (three / "tn3k" / "label4test.csv").write_text("name,label\na,b\n")
    with pytest.raises(WrongLayout, match=r"label4test.csv: no line is <name>.jpg,0 or <name>.jpg,1"):
        index(tn3k, three / "tn3k")


def test_the_gland_is_no_nodule_and_the_leaking_split_is_refused(three: Path) -> None:
    found = index(tg3k, three / "tg3k")
    assert card("tg3k").outlines == "gland"
    assert "tg3k-trainval.json: its split is not used: it has frames of one video in both parts" in reasons(
        found[TABLE]
    )
    rows = [case.row for case in found.values() if case.row]
    assert len(rows) == 8
    assert {row["group_id"] for row in rows} == {"all"}  # nobody says which frame is of which video
    assert all("split_given" not in row for row in rows)
    read = still(tg3k, three / "tg3k", found["0001"])
    assert read.mask is not None
    assert set(np.unique(read.mask)) == {0, 1}  # soft edges and all


def test_a_users_own_table_of_videos_makes_groups(three: Path) -> None:
    groups = {f"{k:04d}": f"video {k // 4}" for k in range(8)}
    rows = [case.row for case in index(tg3k, three / "tg3k", groups=groups).values() if case.row]
    assert {(row["group_id"], row["group_kind"]) for row in rows} == {("video 0", "video"), ("video 1", "video")}


@pytest.mark.parametrize(("kind", "wanted"), [(tn3k, "trainval-image/"), (tg3k, "thyroid-image/")])
def test_another_layout_is_refused_in_one_line(kind: Any, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(WrongLayout, match=wanted) as refusal:
        index(kind, tmp_path / "set")
    assert "\n" not in str(refusal.value)


def test_a_nested_root_stray_files_and_a_name_with_blanks_and_percent(three: Path) -> None:
    inner = three / "outer" / "tg3k"
    inner.parent.mkdir()
    (three / "tg3k").rename(inner)
    (inner / "thyroid-image" / "._0001.jpg").write_bytes(b"junk")
    (inner / "readme.txt").write_text("x")
    for folder in ("thyroid-image", "thyroid-mask"):
        (inner / folder / "0003.jpg").rename(inner / folder / "a 50%.jpg")
    found = index(tg3k, inner.parent)
    assert "readme.txt" in reasons(found[TABLE])
    assert "._0001" not in found
    assert still(tg3k, inner.parent, found["a 50%"]).path == "tg3k/thyroid-image/a 50%.jpg"


def test_a_mask_of_another_grid_costs_the_mask_alone(three: Path) -> None:
    write_small = three / "tg3k" / "thyroid-mask" / "0002.jpg"
    cv2.imwrite(str(write_small), np.zeros((10, 12), np.uint8))
    case = index(tg3k, three / "tg3k")["0002"]
    assert case.row
    clip = tg3k.open_case(Source(three / "tg3k", three), case.row)
    (read,) = clip.read()
    assert read.mask is None
    assert "the mask is 12 x 10 pixels and its picture 400 x 300" in clip.problems[0].reason


def test_a_truncated_picture_costs_the_case(three: Path) -> None:
    path = three / "tg3k" / "thyroid-image" / "0000.jpg"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(Unusable, match="thyroid-image/0000.jpg"):
        still(tg3k, three / "tg3k", index(tg3k, three / "tg3k")["0000"])


def test_the_users_map_of_columns(three: Path) -> None:
    found = index(image_folder, three / "mine", options=OPTIONS)
    row = found["scan 4"].row
    assert row
    assert (row["pathology"], row["age"], row["modality"], row["body_part"]) == ("malignant", 43, "US", "thyroid")
    same = found["scan 3"].row
    assert same
    assert row["group_id"] == same["group_id"] != "P2"  # the patient's own name stays in the clinic
    assert found["scan 5"].row is None
    assert "pathology is 'maligne?': expected benign, malignant" in reasons(found["scan 5"])
    assert "notes.txt" in reasons(found[TABLE])
    read = still(image_folder, three / "mine", found["scan 4"])
    assert read.spacing_mm == (0.09, 0.09)
    assert read.mask is not None
    assert set(np.unique(read.mask)) == {0, 1, 2}  # the second nodule is in a file of its own


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "add a DICOM modality code to the data set, for example modality: US"),
        (OPTIONS | {"columns": {"file": "picture", "patology": "diagnosis"}}, "did you mean pathology?"),
        (OPTIONS | {"columns": {"file": "pictures"}}, "it has no column 'pictures'; it has picture, patient, age"),
        (OPTIONS | {"columns": {}}, "it has no column one with the pictures' names"),
        (OPTIONS | {"table": "../secret.csv"}, "the table is not there; give its name relative to"),
    ],
)
def test_what_a_folder_must_be_told_is_asked_for_in_one_line(three: Path, options: dict, expected: str) -> None:
    (three / "secret.csv").write_text("picture\nscan 1.png\n")
    with pytest.raises(WrongLayout) as refusal:
        index(image_folder, three / "mine", options=options)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("column", "text"), [("age", "400000"), ("ejection_fraction", "inf"), ("age", "4x")])
def test_a_value_that_its_column_cannot_hold_costs_the_case(tmp_path: Path, column: str, text: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scan(1)[0])
    (tmp_path / "table.csv").write_text(f"file,value\na.png,{text}\n")
    case = index(image_folder, tmp_path, options={"modality": "US", "columns": {column: "value"}})["a"]
    assert case.row is None
    assert f"{column} is '{text}'" in reasons(case)


def test_pictures_alone_are_enough(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scan(1)[0])
    found = index(image_folder, tmp_path, options={"modality": "US"})
    assert found["a"].row
    assert still(image_folder, tmp_path, found["a"]).mask is None
    assert found["a"].row["label_source"] == "none"


def test_two_pictures_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    for ending in ("png", "bmp"):
        cv2.imwrite(str(tmp_path / f"a.{ending}"), scan(1)[0])
    case = index(image_folder, tmp_path, options={"modality": "US"})["a"]
    assert case.row is None
    assert "2 files of one name" in reasons(case)
