"""CheXpert: rows found by patient, study and view, and labels that are absent, uncertain, or not mentioned."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fixtures import extract_spec, index_rows, index_spec
from workflow_scripts.collections import chexpert
from workflow_scripts.collections.chexpert import HEADER, LABELS
from workflow_scripts.collections.collection import TABLE, Indexed, Source, WrongLayout
from workflow_scripts.demo.chexpert import write_chexpert
from workflow_scripts.frames.extract_frames import extract_frames
from workflow_scripts.provenance import ContentHashes
from workflow_scripts.tables import cases, frames
from workflow_scripts.tables.table import read_rows, write_rows

ONE = "patient00001/study1/view1_frontal.jpg"
TWO = "patient00002/study3/view2_lateral.jpg"


def row(name: str, *, top: str = "CheXpert-v1.0-small", **other: str) -> list[str]:
    """Return a row of train.csv: a frontal PA film of a woman of 50, no label mentioned, unless told otherwise."""
    view = "Frontal" if name.endswith("_frontal.jpg") else "Lateral"
    values = {"Path": f"{top}/{name}", "Sex": "Female", "Age": "50", "Frontal/Lateral": view}
    values["AP/PA"] = "PA" if view == "Frontal" else ""
    return [(values | other).get(column, "") for column in HEADER]


def write_table(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_picture(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.arange(value, value + 64, dtype=np.uint8).reshape(8, 8))


def write_small(root: Path, **other: str) -> Path:
    """Write two films of the small size under `root`; `other` are values of the first's row."""
    top = root / "CheXpert-v1.0-small"
    write_picture(top / "train" / ONE)
    write_picture(top / "train" / TWO)
    write_table(top / "train.csv", [row(f"train/{ONE}", **other), row(f"train/{TWO}")])
    return top


def index(root: Path, limit: int | None = None, groups: Mapping[str, str] | None = None) -> dict[str, Indexed]:
    source = Source(root, root, limit, groups or {})
    return {case.case_id: case for case in chexpert.index(source, ContentHashes(root, root.parent / "hashes.json"))}


def only_reason(case: Indexed) -> str:
    assert case.row is None
    (problem,) = case.problems
    return f"{problem.file}: {problem.reason}; {problem.mend}"


@pytest.mark.parametrize("nested", [True, False])
def test_a_picture_is_found_whatever_lies_above_it(tmp_path: Path, nested: bool) -> None:
    top = write_small(tmp_path)
    found = index(tmp_path if nested else top)
    assert list(found) == ["patient00001-study1-view1_frontal", "patient00002-study3-view2_lateral"]
    first = found["patient00001-study1-view1_frontal"].row
    assert first
    assert first["sources"] == [f"CheXpert-v1.0-small/train/{ONE}" if nested else f"train/{ONE}"]
    shown = {name: first[name] for name in ("group_id", "group_kind", "study_id", "view", "projection", "age", "sex")}
    assert list(shown.values()) == ["patient00001", "patient", "patient00001-study1", "frontal", "PA", 50, "female"]
    assert (first["body_part"], first["split_given"], first["label_source"]) == ("chest", "train", "report")
    lateral = found["patient00002-study3-view2_lateral"].row
    assert lateral
    assert (lateral["view"], lateral["projection"]) == ("lateral", None)


def test_the_batches_of_the_full_size_are_one_set(tmp_path: Path) -> None:
    batches = ["CheXpert-v1.0 batch 1 (validate & csv)", "CheXpert-v1.0 batch 2 (train 1)", "CheXpert-v1.0 batch 100%"]
    valid = "patient00003/study1/view1_frontal.jpg"
    write_picture(tmp_path / batches[0] / "valid" / valid)
    write_picture(tmp_path / batches[1] / ONE)
    write_picture(tmp_path / batches[2] / "CheXpert-v1.0" / "train" / TWO)
    write_table(tmp_path / batches[0] / "train.csv", [row(f"train/{name}", top="CheXpert-v1.0") for name in (ONE, TWO)])
    write_table(tmp_path / batches[0] / "valid.csv", [row(f"valid/{valid}", top="CheXpert-v1.0")])
    found = [case.row for case in index(tmp_path).values()]
    assert [one and one["split_given"] for one in found] == ["train", "train", "valid"]
    assert [one and one["label_source"] for one in found] == ["report", "report", "radiologist"]
    assert found[1]
    assert found[1]["sources"] == [f"{batches[2]}/CheXpert-v1.0/train/{TWO}"]


def test_of_one_batch_the_patients_of_the_others_are_counted_and_not_quarantined(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    absent = [row(f"train/patient{n:05d}/study1/view1_frontal.jpg") for n in (30, 4, 4, 200)]
    write_table(top / "train.csv", [row(f"train/{ONE}"), row(f"train/{TWO}"), *absent])
    found = index(tmp_path)
    (remark,) = found.pop(TABLE).problems
    assert remark.reason == "patients of whom no picture is here: 3, the first of them patient00004"
    assert all(case.row for case in found.values())


def test_the_test_set_has_labels_and_no_demographics(tmp_path: Path) -> None:
    name = "patient64741/study1/view1_frontal.jpg"
    write_picture(tmp_path / "chexlocalize/CheXpert/test" / name)
    header = ["Path", *sorted(LABELS)]
    write_table(tmp_path / "chexlocalize/CheXpert/test_labels.csv", [[f"test/{name}", *["0.0"] * 14]], header)
    (case,) = index(tmp_path).values()
    assert case.row
    assert [case.row[key] for key in ("split_given", "label_source", "sex", "age", "projection", "edema")] == [
        *("test", "radiologist", None, None, None),
        0,
    ]


def test_absent_uncertain_and_not_mentioned_are_kept_apart(tmp_path: Path) -> None:
    write_small(tmp_path, **{"Edema": "1.0", "Pneumonia": "-1.0", "Pleural Effusion": "0.0", "Fracture": ""})
    found, lost = index_rows(tmp_path, "films", index_spec("chexpert"), tmp_path.parent / "cache")
    assert not lost
    write_rows(tmp_path / "cases.parquet", found, cases.SCHEMA)
    first = read_rows(tmp_path / "cases.parquet", cases.SCHEMA)[0]
    assert [first[name] for name in ("edema", "pneumonia", "pleural_effusion", "fracture")] == [1, -1, 0, None]
    assert first["modality"] == "RG"


def test_what_is_not_known_of_a_person_stays_not_known(tmp_path: Path) -> None:
    write_small(tmp_path, Sex="Unknown", Age="0", **{"AP/PA": "LL"})
    case = index(tmp_path)["patient00001-study1-view1_frontal"]
    assert case.row
    assert [case.row[name] for name in ("sex", "age", "projection")] == [None, None, "LL"]
    (problem,) = case.problems
    assert "Age is 0" in problem.reason


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("Edema", text) for text in ("2.0", "yes", "nan")),
        *(("Sex", text) for text in ("F", "\u5973")),
        *(("Age", text) for text in ("-3", "50.5", "400", "\u0665")),
        ("AP/PA", "XX"),
        ("Frontal/Lateral", "Lateral"),
    ],
)
def test_an_unknown_code_costs_its_case_and_says_where(tmp_path: Path, column: str, value: str) -> None:
    write_small(tmp_path, **{column: value})
    found = index(tmp_path)
    reason = only_reason(found["patient00001-study1-view1_frontal"])
    assert reason.startswith("CheXpert-v1.0-small/train.csv: line 2")
    assert value in reason
    assert found["patient00002-study3-view2_lateral"].row


def test_patients_stay_together_and_a_user_may_know_better(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    again = ONE.replace("study1", "study10")
    write_picture(top / "train" / again)
    write_table(top / "train.csv", [row(f"train/{name}") for name in (again, TWO, ONE)])
    found = index(tmp_path, groups={"patient00002-study3-view2_lateral": "a"})
    assert [case.row and case.row["group_id"] for case in found.values()] == ["patient00001", "patient00001", "a"]


def test_rows_and_pictures_without_each_other_are_quarantined(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    write_picture(top / "train" / ONE.replace("view1", "view2"))
    write_table(top / "train.csv", [row(f"train/{ONE}"), row(f"train/{TWO}"), row(f"train/{TWO.replace('y3', 'y4')}")])
    found = index(tmp_path)
    assert "no row in train.csv" in only_reason(found["patient00001-study1-view2_frontal"])
    assert "line 4 of" in only_reason(found["patient00002-study4-view2_lateral"])
    assert sum(case.row is not None for case in found.values()) == 2


def test_lines_that_are_no_rows_and_rows_twice_are_quarantined(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    outside = row("../../etc/passwd")
    write_table(top / "train.csv", [row(f"train/{ONE}"), outside, row(f"train/{ONE}"), ["short"], row(f"train/{TWO}")])
    found = index(tmp_path)
    assert "line 2 of" in only_reason(found["patient00001-study1-view1_frontal"])
    assert "and line 4 of" in only_reason(found["patient00001-study1-view1_frontal"])
    assert {name for name, case in found.items() if "is not a row" in str(case.problems)} == {
        "train.csv-line-3",
        "train.csv-line-5",
    }


def test_copies_are_one_and_two_sizes_are_refused(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    copy = tmp_path / "copy"
    write_picture(copy / "train" / ONE)
    write_picture(copy / "train" / TWO, 91)
    (copy / "train.csv").write_bytes((top / "train.csv").read_bytes())
    found = index(tmp_path)
    assert found["patient00001-study1-view1_frontal"].row
    assert "another file of this name" in only_reason(found["patient00002-study3-view2_lateral"])
    write_table(copy / "train.csv", [row(f"train/{name}", top="CheXpert-v1.0") for name in (ONE, TWO)])
    with pytest.raises(WrongLayout, match="keep one under the root"):
        index(tmp_path)


def test_other_labels_and_files_are_named_and_strays_are_passed_over(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    for name in (
        "train_cheXbert.csv",
        "CheXpert-v1.0 batch 4 (train 3).zip",
        "train/._x.jpg",
        ".git/a.jpg",
        "READ.txt",
    ):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(b"x")
    write_picture(top / "train/patient00001/study1/view1_oblique.jpg")
    write_table(top / "train.csv", [[*row(f"train/{ONE}"), "x"], [*row(f"train/{TWO}"), ""]], [*HEADER, "Race"])
    remarks = [
        str(one.problems[0])
        for one in chexpert.index(Source(tmp_path, tmp_path), ContentHashes(tmp_path, tmp_path / "h"))
        if one.case_id == TABLE
    ]
    assert len(remarks) == 3
    assert "2 files are not understood" in remarks[0]
    assert "batch 4 (train 3).zip" in remarks[0]
    assert "other labels of the same pictures" in remarks[1]
    assert "Race" in remarks[2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no train.csv and no valid.csv"),
        (b"Path,Sex\n", "column Age, Frontal/Lateral"),
        (b"", "column Path"),
        ("\t".join(HEADER).encode(), "column Path"),
        (",".join(HEADER).encode("utf-16"), "not a CSV in UTF-8"),
        (b"Path" + b",\xe9" * 3, "not a CSV in UTF-8"),
        (",".join(HEADER).encode() + b'\n"' + b"x" * 200_000, "not a CSV in UTF-8"),
    ],
    ids=range(7),
)
def test_a_folder_without_its_table_is_refused_in_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    top = write_small(tmp_path)
    (top / "train.csv").unlink()
    if content is not None:
        (top / "train.csv").write_bytes(content)
    with pytest.raises(WrongLayout, match=said) as refused:
        index(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path)
    (tmp_path / "caf\udce9.jpg").write_bytes(b"x")
    with pytest.raises(WrongLayout, match="not UTF-8; rename it"):
        index(tmp_path)


def test_the_limit_takes_the_first_pictures(tmp_path: Path) -> None:
    write_small(tmp_path)
    assert list(index(tmp_path, 1)) == ["patient00001-study1-view1_frontal"]


def test_a_picture_is_read_as_it_is_and_a_broken_one_goes_to_quarantine(tmp_path: Path) -> None:
    top = write_small(tmp_path)
    broken = top / "train" / TWO
    broken.write_bytes(broken.read_bytes()[:300])
    rows, _ = index_rows(tmp_path, "films", index_spec("chexpert"), tmp_path.parent / "cache")
    write_rows(tmp_path / "chunk.parquet", rows, cases.SCHEMA)
    out = tmp_path / "frames.parquet"
    spec = extract_spec("chexpert")
    lost = extract_frames(tmp_path / "chunk.parquet", Source(tmp_path, tmp_path), spec, out)
    (frame,) = read_rows(out, frames.SCHEMA)
    assert frame["image"] == {"bytes": None, "path": f"CheXpert-v1.0-small/train/{ONE}"}
    assert [(one["case_id"], one["status"]) for one in lost] == [("patient00002-study3-view2_lateral", "quarantined")]
    assert "the JPEG" in lost[0]["reason"]


def test_a_changed_label_or_picture_changes_the_content_and_a_touch_does_not(tmp_path: Path) -> None:
    def contents() -> list[str]:
        return [case.row["content_sha256"] for case in index(tmp_path).values() if case.row]

    top = write_small(tmp_path)
    before = contents()
    (top / "train" / ONE).touch()
    assert contents() == before
    write_picture(top / "train" / TWO, 100)
    assert [one == other for one, other in zip(contents(), before, strict=True)] == [True, False]
    write_small(tmp_path, Edema="1.0")
    assert [one == other for one, other in zip(contents(), before, strict=True)] == [False, True]


def test_the_twin_shows_its_defects(tmp_path: Path) -> None:
    write_chexpert(tmp_path / "a")
    write_chexpert(tmp_path / "b")
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    found, lost = index_rows(tmp_path / "a", "films", index_spec("chexpert"), tmp_path / "cache")
    assert sorted(one["status"] for one in lost) == ["partial", "quarantined", "quarantined", "quarantined"]
    assert len({one["group_id"] for one in found}) == 10
