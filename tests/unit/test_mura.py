"""MURA: a folder is a study, its name says abnormal or not, and the tables have no header."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fixtures import extract_spec, index_rows, index_spec
from workflow_scripts.collections import mura
from workflow_scripts.collections.collection import TABLE, Indexed, Source, WrongLayout, card
from workflow_scripts.demo.mura import write_mura
from workflow_scripts.frames.extract_frames import extract_frames
from workflow_scripts.provenance import ContentHashes
from workflow_scripts.tables import cases, frames
from workflow_scripts.tables.table import read_rows, write_rows

SHOULDER = "train/XR_SHOULDER/patient00001/study1_positive"
FOREARM = "train/XR_FOREARM/patient00002/study1_negative"
HAND = "valid/XR_HAND/patient00002/study1_positive"
STUDIES = {SHOULDER: 11, FOREARM: 1, HAND: 2}  # study -> pictures


def write_picture(path: Path, value: int = 0, colour: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.arange(value, value + 64, dtype=np.uint8).reshape(8, 8)
    cv2.imwrite(str(path), np.dstack([grey] * 3) if colour else grey)


def write_set(root: Path, *, tables: bool = True) -> Path:
    """Write three studies of two patients under `root`, with the four tables unless told otherwise."""
    top = root / "MURA-v1.1"
    for study, count in STUDIES.items():
        for n in range(1, count + 1):
            write_picture(top / study / f"image{n}.png", n, colour=study == HAND)
    for split in ("train", "valid") if tables else ():
        own = {study: count for study, count in STUDIES.items() if study.startswith(split)}
        labels = "".join(f"MURA-v1.1/{study}/,{int(study.endswith('positive'))}\n" for study in own)
        (top / f"{split}_labeled_studies.csv").write_text(labels)
        paths = "".join(f"MURA-v1.1/{study}/image{n}.png\n" for study in own for n in range(1, own[study] + 1))
        (top / f"{split}_image_paths.csv").write_text(paths)
    return top


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def index(root: Path, limit: int | None = None) -> dict[str, Indexed]:
    source = Source(root, root, limit)
    return {case.case_id: case for case in mura.index(source, ContentHashes(root, root.parent / "hashes.json"))}


def only_reason(case: Indexed) -> str:
    assert case.row is None
    (problem,) = case.problems
    return f"{problem.file}: {problem.reason}"


@pytest.mark.parametrize("tables", [True, False])
def test_a_case_is_a_study_with_its_pictures_in_numeric_order(tmp_path: Path, tables: bool) -> None:
    write_set(tmp_path, tables=tables)
    found = index(tmp_path)
    assert list(found) == [
        "train-XR_FOREARM-patient00002-study1",
        "train-XR_SHOULDER-patient00001-study1",
        "valid-XR_HAND-patient00002-study1",
    ]
    assert not any(case.problems for case in found.values())
    rows = [case.row or {} for case in found.values()]
    assert [row["abnormal"] for row in rows] == [False, True, True]  # the first lines of the tables are rows
    assert [row["body_part"] for row in rows] == ["forearm", "shoulder", "hand"]
    assert [row["split_given"] for row in rows] == ["train", "train", "valid"]
    assert [row["n_frames"] for row in rows] == [1, 11, 2]
    assert [Path(name).name for name in rows[1]["sources"]] == [f"image{n}.png" for n in range(1, 12)]
    assert {row["label_source"] for row in rows} == {"radiologist"}


def test_one_patient_number_is_one_patient_in_both_splits(tmp_path: Path) -> None:
    write_set(tmp_path)
    groups = [case.row and (case.row["group_kind"], case.row["group_id"]) for case in index(tmp_path).values()]
    assert groups == [("patient", "patient00002"), ("patient", "patient00001"), ("patient", "patient00002")]


def test_abnormal_is_never_called_a_fracture(tmp_path: Path) -> None:
    write_set(tmp_path)
    rows, _ = index_rows(tmp_path, "films", index_spec("mura"), tmp_path.parent / "cache")
    write_rows(tmp_path / "cases.parquet", rows, cases.SCHEMA)
    for row in read_rows(tmp_path / "cases.parquet", cases.SCHEMA):
        assert (row["fracture"], row["pathology"], row["modality"]) == (None, None, "RG")
        assert "fracture" not in json.dumps({key: value for key, value in row.items() if key != "fracture"}).lower()
    assert "Abnormal is not fractured" in " ".join(card("mura").truths.split())


def test_a_root_of_its_own_name_or_nested_is_found(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    assert len(index(top)) == 3
    shutil.move(top, tmp_path / "new")
    (tmp_path / "MURA-v1.1 (1)%").mkdir()
    shutil.move(tmp_path / "new", tmp_path / "MURA-v1.1 (1)%/MURA-v1.1")
    assert len(index(tmp_path)) == 3


def test_a_study_without_trailing_slash_is_the_same(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    change(top / "train_labeled_studies.csv", "/,", ",")
    assert not any(case.problems for case in index(tmp_path).values())


def test_a_table_that_denies_the_folder_costs_the_study(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    change(top / "train_labeled_studies.csv", "study1_positive/,1", "study1_positive/,0")
    change(top / "valid_labeled_studies.csv", ",1", ",yes")
    found = index(tmp_path)
    shoulder = only_reason(found["train-XR_SHOULDER-patient00001-study1"])
    assert shoulder == f"train_labeled_studies.csv: it says 0 of {SHOULDER}"
    assert "is 'yes'" in only_reason(found["valid-XR_HAND-patient00002-study1"])
    assert found["train-XR_FOREARM-patient00002-study1"].row


def test_one_study_under_both_labels_is_unusable(tmp_path: Path) -> None:
    top = write_set(tmp_path, tables=False)
    shutil.copytree(top / FOREARM, top / FOREARM.replace("negative", "positive"))
    assert "is the same study" in only_reason(index(tmp_path)["train-XR_FOREARM-patient00002-study1"])


def test_what_is_missing_or_not_listed_is_said(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    (top / SHOULDER / "image2.png").unlink()
    write_picture(top / SHOULDER / "image12.png")
    write_picture(top / "train/XR_HAND/patient00001/study3_negative/image1.png")
    (top / FOREARM / "image1.png").unlink()
    found = index(tmp_path)
    shoulder = found["train-XR_SHOULDER-patient00001-study1"]
    assert shoulder.row
    assert shoulder.row["n_frames"] == 10
    assert [problem.reason for problem in shoulder.problems] == [
        "a table lists it, but it is not there",
        "no table lists it",
    ]
    extra = only_reason(found["train-XR_HAND-patient00001-study3"])
    assert extra.endswith("study3_negative: no row in train_labeled_studies.csv")
    assert only_reason(found["train-XR_FOREARM-patient00002-study1"]).endswith("a table lists it, but it is not there")


def test_of_one_split_the_patients_of_the_other_are_counted(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    shutil.rmtree(top / SHOULDER)
    found = index(tmp_path)
    reasons = {problem.reason for problem in found.pop(TABLE).problems}
    assert reasons == {"patients of whom no picture is here: 1, the first of them patient00001"}
    assert len(found) == 2


@pytest.mark.parametrize(
    "line",
    ["path,label", "0,1", "MURA-v1.1/train/XR_KNEE/patient00001/study1_positive/,1", f"{HAND}/,1", f"{SHOULDER}/"],
)
def test_a_header_or_another_form_is_refused_in_one_line(tmp_path: Path, line: str) -> None:
    top = write_set(tmp_path)
    table = top / "train_labeled_studies.csv"
    table.write_text(f"{line}\n{table.read_text()}")
    with pytest.raises(WrongLayout, match="line 1: .*expected MURA-v1.1/train/.*no header line") as refused:
        index(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_encoding_other_than_utf_8_is_refused(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    table = top / "valid_image_paths.csv"
    table.write_text(table.read_text(), encoding="utf-8-sig")  # with a mark it is still UTF-8
    assert len(index(tmp_path)) == 3
    table.write_text(table.read_text(encoding="utf-8-sig"), encoding="utf-16")
    with pytest.raises(WrongLayout, match="not a CSV in UTF-8"):
        index(tmp_path)


def test_a_folder_without_studies_is_refused(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    for split in ("train", "valid"):
        shutil.rmtree(top / split)
    with pytest.raises(WrongLayout, match="no picture of a study found; expected train and valid"):
        index(tmp_path)


def test_strays_are_passed_over_and_other_pictures_named(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    for name in ("._image1.png", ".DS_Store", "Thumbs.db", "image1 (1).png", "image1.jpg"):
        (top / FOREARM / name).write_bytes(b"x")
    (tmp_path / "__MACOSX" / "MURA-v1.1").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "MURA-v1.1" / "._train").write_bytes(b"x")
    (remark,) = index(tmp_path)[TABLE].problems
    assert remark.reason.startswith("2 files are not understood")


def test_the_same_picture_twice_is_one_and_another_of_its_name_is_left_out(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    shutil.copytree(top, tmp_path / "copy")
    write_picture(tmp_path / "copy" / SHOULDER / "image3.png", 99)
    found = index(tmp_path)
    assert [len(case.problems) for case in found.values()] == [0, 1, 0]
    shoulder = found["train-XR_SHOULDER-patient00001-study1"]
    assert shoulder.row
    assert shoulder.row["n_frames"] == 10


def test_the_limit_takes_the_first_studies(tmp_path: Path) -> None:
    write_set(tmp_path)
    assert list(index(tmp_path, 2)) == list(index(tmp_path))[:2]


def test_pictures_are_read_as_they_are_grey_or_in_colour(tmp_path: Path) -> None:
    top = write_set(tmp_path)
    cut = top / SHOULDER / "image10.png"
    cut.write_bytes(cut.read_bytes()[:60])
    (top / FOREARM / "image1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows, _ = index_rows(tmp_path, "films", index_spec("mura"), tmp_path.parent / "cache")
    write_rows(tmp_path / "chunk.parquet", rows, cases.SCHEMA)
    out = tmp_path / "frames.parquet"
    lost = extract_frames(tmp_path / "chunk.parquet", Source(tmp_path, tmp_path), extract_spec("mura"), out)
    read = read_rows(out, frames.SCHEMA)
    assert len(read) == 12
    assert read[-1]["image"] == {"bytes": None, "path": f"MURA-v1.1/{HAND}/image2.png"}
    assert [row["position"] for row in read[-2:]] == ["image1.png", "image2.png"]
    assert [row["frame_index"] for row in read[:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert [(one["case_id"], one["status"]) for one in lost] == [
        ("train-XR_FOREARM-patient00002-study1", "quarantined"),
        ("train-XR_SHOULDER-patient00001-study1", "partial"),
    ]


def test_the_twin_shows_its_defects(tmp_path: Path) -> None:
    for name in "ab":
        write_mura(tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    found, lost = index_rows(tmp_path / "a", "films", index_spec("mura"), tmp_path / "cache")
    assert {one["status"] for one in lost} == {"quarantined", "noticed"}
    assert len({one["body_part"] for one in found}) == 6  # the label of the elbow is denied
