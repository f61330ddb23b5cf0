"""SinoCT, whose layout nobody has described: only its user's own map is followed."""

import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.dicom_files import write_dicom, write_series
from workflow_scripts.collections import sinoct as collection
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Still, Unusable, WrongLayout, card
from workflow_scripts.demo.sinoct import write_sinoct
from workflow_scripts.imaging.windows import window_named
from workflow_scripts.provenance import ContentHashes

MAP = {"file": "scan", "group_id": "who", "abnormal": "read", "split_given": "part"}
HEADER = "scan,who,read,part"
DEMO = {"file": "scan", "group_id": "patient", "abnormal": "label", "split_given": "split"}


def source_of(root: Path, columns: Any = MAP, table: str = "t.csv", limit: int | None = None) -> Source:
    return Source(root, root.parent / "cache", limit, options={"table": table, "columns": columns})


def index(root: Path, columns: Any = MAP, **other: Any) -> list[Indexed]:
    hashes = ContentHashes(root, root.parent / "hashes.json")
    return list(collection.index(source_of(root, columns, **other), hashes))


def read(root: Path, case: Indexed, indices: list[int] | None = None) -> tuple[list[Still], list[Unusable]]:
    assert case.row, case.problems
    clip = collection.open_case(source_of(root), case.row)
    return list(clip.read(indices)), clip.problems


def write_table(root: Path, *lines: str, header: str = HEADER) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "t.csv").write_text("\n".join([header, *lines]), encoding="utf-8")


def write_nifti(path: Path, volume: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.nifti1.Nifti1Image(volume, np.diag([-1, -1, 5, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def head(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2000, (n, 16, 16)).astype(np.int16)


@pytest.mark.parametrize(
    "options", [{}, {"table": "t.csv"}, {"columns": MAP}, {"table": "t.csv", "columns": {"age": "a"}}]
)
def test_without_the_users_map_nothing_is_guessed(tmp_path: Path, options: dict[str, Any]) -> None:
    root = tmp_path / "in"
    write_table(root, "scans/1,p,0,train")
    write_series(root / "scans" / "1", head())
    with pytest.raises(WrongLayout, match=r"documented nowhere.*table: labels.csv, columns: \{file: ") as refused:
        list(collection.index(Source(root, tmp_path, options=options), ContentHashes(root, tmp_path / "h.json")))
    assert "\n" not in str(refused.value)  # only the first line of a refusal is shown again at the end of a run


def test_a_series_a_file_and_a_nifti_come_out_as_head_ct(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_table(root, "scans/a b/,p1,Abnormal,test", "one.dcm,p1,0,", "vol.nii.gz,,1,train")
    write_series(root / "scans" / "a b", head(12), step=5)
    write_dicom(root / "one.dcm", head(1)[0])
    write_nifti(root / "vol.nii.gz", (head(3) - 1000).transpose(2, 1, 0))
    one, series, volume = index(root)
    assert one.row and series.row and volume.row  # noqa: PT018
    for row in (one.row, series.row, volume.row):
        assert (row["body_part"], row["label_source"]) == ("head", "registry")
    assert [row["abnormal"] for row in (one.row, series.row, volume.row)] == [False, True, True]
    assert (series.row["split_given"], "split_given" in one.row) == ("test", False)
    assert series.row["group_id"] == one.row["group_id"] != "p1"
    assert (volume.row["group_id"], volume.row["group_kind"]) == (volume.case_id, "scan: no patient is named")
    stills, _ = read(root, series, [0, 11])
    assert [(s.position, s.unit) for s in stills] == [
        ("slice 1 of 12 at 0 mm", "HU"),
        ("slice 12 of 12 at 55 mm", "HU"),
    ]
    slices, lost = read(root, volume)
    np.testing.assert_array_equal(slices[1].image, head(3)[1] - 1000)  # rows run back, columns left, as DICOM has them
    assert (slices[1].unit, slices[1].spacing_mm, slices[1].image.dtype, lost) == (None, (1, 1), np.int16, [])


def test_values_that_hold_no_air_are_noted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_table(root, "vol.nii,,1,")
    write_nifti(root / "vol.nii", head(3).transpose(2, 1, 0))
    _, lost = read(root, index(root)[0])
    assert "may be no Hounsfield units" in lost[0].reason


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({**MAP, "abnormall": "read"}, r"columns\.abnormall: Casebook has no such column; did you mean abnormal\?"),
        ({**MAP, "zzz": "read"}, r"columns\.zzz: Casebook has no such column; there are file, case_id, group_id"),
        ({**MAP, "modality": "read"}, r"columns\.modality: Casebook has no such column"),
        ({**MAP, "age": "years"}, r"columns\.age is 'years', no column of the table; it has scan, who, read, part"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tmp_path: Path, columns: dict[str, str], message: str) -> None:
    root = tmp_path / "in"
    write_table(root, "x.dcm,p,0,")
    with pytest.raises(WrongLayout, match=message):
        index(root, columns)


@pytest.mark.parametrize("table", ["../t.csv", "/etc/hostname", "gone.csv"])
def test_the_table_lies_under_the_root(tmp_path: Path, table: str) -> None:
    root = tmp_path / "in"
    write_table(root, "x.dcm,p,0,")
    shutil.copy(root / "t.csv", tmp_path / "t.csv")
    with pytest.raises(WrongLayout, match="there is no table"):
        index(root, table=table)


@pytest.mark.parametrize("data", [b"scan,who,read,part\nx,\xff\xfe,0,\n", b"scan,who,read,part\nx,1\n"])
def test_a_broken_table_is_refused(tmp_path: Path, data: bytes) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "t.csv").write_bytes(data)
    with pytest.raises(WrongLayout, match=r"UTF-8|line 2: 2 fields, the header has 4"):
        index(root)


def test_each_line_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    root = tmp_path / "in"
    outside = write_dicom(tmp_path / "outside" / "x.dcm", head(1)[0])
    write_dicom(root / "1.dcm", head(1)[0])
    write_dicom(root / "mr.dcm", head(1)[0], "MR")
    write_series(root / "two", head(2))
    write_dicom(root / "two" / "other.dcm", head(1)[0], SeriesInstanceUID="1.2.3")
    (root / "notes.pdf").write_bytes(b"no scan")
    (root / "._1.dcm").write_bytes(b"stray")
    write_table(
        root,
        *(f"{name},p,0," for name in ("1.dcm", "1.dcm", "gone", "../outside/x.dcm", str(outside), "", "mr.dcm", "two")),
        "notes.pdf,p,2,",
        header="\ufeff" + HEADER,
    )
    cases = index(root)
    assert not any(case.row for case in cases)
    reasons = sorted(case.problems[0].reason for case in cases if case.case_id != TABLE)
    assert len(reasons) == 9
    for words in (
        "lines 2, 3 of t.csv name one scan",
        "line 4 of t.csv names it, but it is not there",
        "line 5: file is '../outside/x.dcm': expected a path relative to the root",
        "line 7: file is '': expected",
        "its Modality is not CT",
        "it holds 2 series: which is meant is not known",
        "line 10: abnormal is '2': expected bool (0 or 1, normal or abnormal)",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)


def test_files_that_no_line_names_are_counted_and_own_names_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for k in (10, 2):
        write_dicom(root / f"{k}.dcm", head(1)[0])
        write_dicom(root / f"more{k}.dcm", head(1)[0])
    write_table(root, "10.dcm,c/10,57,F", "2.dcm,c/2,,", header="scan,id,years,sex")
    columns = {"file": "scan", "case_id": "id", "age": "years"}
    remark, second, tenth = index(root, columns)
    assert remark.problems[0].reason == "2 files are not understood: more2.dcm, more10.dcm"
    assert (second.case_id, tenth.case_id) == ("c-2", "c-10")
    assert tenth.row
    assert tenth.row["age"] == 57
    assert second.row
    assert second.row["label_source"] == "none"
    assert len(index(root, columns, limit=1)) == 2


def test_a_localiser_and_a_damaged_slice_cost_themselves_alone(tmp_path: Path) -> None:
    root = tmp_path / "in"
    paths = write_series(root / "s", head(5))
    write_dicom(root / "s" / "scout.dcm", np.zeros((20, 30), np.int16))
    paths[1].write_bytes(paths[1].read_bytes()[:300])
    paths[4].write_bytes(paths[4].read_bytes()[:-100])
    write_table(root, "s,p,1,")
    (case,) = index(root)
    assert case.row
    assert case.row["sources"] == ["s/1.dcm", "s/3.dcm", "s/4.dcm", "s/5.dcm"]
    assert {"s/2.dcm", "s"} == {problem.file for problem in case.problems}
    stills, lost = read(root, case)
    assert [still.index for still in stills] == [0, 1, 2]
    assert lost[0].file == "s/5.dcm"


def test_the_card_says_what_is_not_known() -> None:
    about = card("sinoct")
    assert "Stanford University Dataset Research Use Agreement" in about.terms
    assert (about.redistribution, about.extract, about.counts, about.window) == (
        "forbidden",
        "candidates",
        {"cases": 9776},
        "brain",
    )
    assert window_named("brain").width == 80


def test_broken_copies_raise_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_sinoct(root)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    files += [path for path in files if path.suffix != ".dcm"] * 10
    rng = random.Random(0)
    for _ in range(15):
        path = rng.choice(files)
        data = path.read_bytes()
        copy = bytearray(data)
        for _ in range(rng.choice((1, 20))):
            copy[rng.randrange(min(len(copy), 1500))] ^= rng.randrange(1, 256)
        path.write_bytes(bytes(copy))
        name = path.relative_to(root).as_posix()
        with contextlib.suppress(WrongLayout, Unusable):
            for case in index(root, DEMO, table="labels.csv"):
                if case.row and name in case.row["sources"]:
                    read(root, case)
        path.write_bytes(data)
