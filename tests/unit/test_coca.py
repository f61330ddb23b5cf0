"""COCA: its series, outlines and scores, with the traps that they hold."""

import hashlib
import plistlib
import random
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from tests.dicom_files import write_dicom, write_series
from workflow_scripts.collections import coca as collection
from workflow_scripts.collections.collection import TABLE, Clip, Indexed, Source, Still, Unusable, WrongLayout
from workflow_scripts.demo.coca import write_coca
from workflow_scripts.frames.extract_frames import choose_frames
from workflow_scripts.provenance import ContentHashes

SERIES = "Pro_Gated_CS_3.0_I30f_3_70%"
SQUARE = ((4, 3), (10, 3), (10, 8), (4, 8))  # (x, y): columns 4 to 10, rows 3 to 8
LAD = "Left Anterior Descending Artery"
Z0 = -60.0


def volume(slices: int = 5, shape: tuple[int, int] = (16, 20), seed: int = 0) -> np.ndarray:
    """Return stored values of soft tissue, with 300 HU where the square is."""
    values = 1024 + 40 + np.random.default_rng(seed).integers(-9, 9, (slices, *shape))
    values[:, 3:9, 4:11] = 1024 + 300
    return values.astype(np.uint16)


def write_gated(root: Path, patient: str = "1", series: str = SERIES, *, seed: int = 0, **elements: Any) -> Path:
    """Write a series of five slices, 1.dcm the lowest, and return its folder."""
    folder = root / "Gated_release_final" / "patient" / patient / series
    stored = volume(seed=seed)
    for k, path in enumerate(write_series(folder, stored, **elements)):
        place: dict[str, Any] = {
            "ImagePositionPatient": [-5, -5, Z0 + 3 * k],
            "InstanceNumber": k + 1,
            "SliceThickness": 3,
        }
        write_dicom(path, stored[k], **(place | elements))
    return folder


def roi(
    slice_index: int | None = 2, name: str = LAD, points: Sequence[tuple[float, float]] = SQUARE, **other: Any
) -> dict[str, Any]:
    """Return an outline; without a slice it has no place in mm."""
    in_mm = [] if slice_index is None else [f"({x - 5}, {y - 5}, {Z0 + 3 * slice_index})" for x, y in points]
    pixels = [f"({x:.3f}, {y:.3f})" for x, y in points]
    found = {"Area": 30.0, "Name": name, "NumberOfPoints": len(points), "Point_mm": in_mm, "Point_px": pixels}
    return found | {"Type": 20, "IndexInImage": 0} | other


def write_table(root: Path, images: dict[int | None, list[dict[str, Any]]], patient: str = "1") -> Path:
    """Write the outlines of a patient; the keys are ImageIndex, which counts from the last file, here the highest."""
    path = root / "Gated_release_final" / "calcium_xml" / f"{patient}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [
        ({} if index is None else {"ImageIndex": index}) | {"NumberOfROIs": len(rois), "ROIs": rois}
        for index, rois in images.items()
    ]
    path.write_bytes(plistlib.dumps({"Images": listed}))
    return path


def write_scores(
    root: Path, rows: list[tuple[Any, ...]], header: tuple[str, ...] = ("filename", "LCA", "LAD", "LCX", "RCA", "total")
) -> Path:
    book = openpyxl.Workbook()
    for row in (header, *rows):
        book.worksheets[0].append(row)
    path = root / "deidentified_nongated" / "scores.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def write_nongated(root: Path, patient: str, seed: int = 0) -> None:
    write_series(root / "deidentified_nongated" / patient / patient, volume(3, seed=seed))


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    """Return a set with one outlined patient: the square, on the third of five slices."""
    root = tmp_path / "coca"
    write_gated(root)
    write_table(root, {2: [roi(2)]})
    return root


def index(root: Path, groups: dict[str, str] | None = None, limit: int | None = None) -> dict[str, Indexed]:
    hashes = ContentHashes(root, root.parent / "hashes.json")
    return {case.case_id: case for case in collection.index(Source(root, root, limit, groups or {}), hashes)}


def usable(case: Indexed) -> dict[str, Any]:
    assert case.row, case.problems
    empty = {"calcium_outlined": None}
    return empty | case.row


def refused(case: Indexed) -> str:
    assert case.row is None
    return "; ".join(map(str, case.problems))


def take(root: Path, case_id: str, rule: Any = "all") -> tuple[Clip, list[Still]]:
    clip = collection.open_case(Source(root, root), usable(index(root)[case_id]))
    return clip, list(clip.read(choose_frames(rule, clip)))


def masks(stills: list[Still]) -> np.ndarray:
    return np.stack([still.mask for still in stills if still.mask is not None])


def test_slices_are_hounsfield_units_in_the_order_of_space(gated: Path) -> None:
    row = usable(index(gated)["gated-1"])
    assert (row["body_part"], row["gated"], row["n_frames"], row["age"], row["sex"]) == ("heart", True, 5, 45, "female")
    assert row["sources"][-1] == "Gated_release_final/calcium_xml/1.xml"
    _, stills = take(gated, "gated-1")
    assert [still.position for still in stills][:2] == ["slice 1 (z = -60 mm)", "slice 2 (z = -57 mm)"]
    for still, stored in zip(stills, volume(), strict=True):
        assert still.image.dtype == np.int16
        np.testing.assert_array_equal(still.image, stored.astype(int) - 1024)
        assert (still.unit, still.window, still.spacing_mm, still.thickness_mm) == ("HU", (40, 400), (0.5, 0.5), 3)
        assert still.mask_names
        assert still.mask_names[1] == "left anterior descending"


def test_an_outline_becomes_the_label_of_its_artery_on_its_slice(gated: Path) -> None:
    right = [(12, 10), (15, 10), (15, 13), (12, 13)]
    write_table(gated, {2: [roi(2)], 4: [roi(0, "Right Coronary Artery", right), roi(0, "Left Circumflex Artery")]})
    clip, stills = take(gated, "gated-1")
    drawn = masks(stills)
    assert drawn.shape == (5, 16, 20)
    assert [sorted(np.unique(mask)) for mask in drawn] == [[0, 3, 4], [0], [0, 2], [0], [0]]
    expected = np.zeros((16, 20), np.uint8)
    expected[3:9, 4:11] = 2
    np.testing.assert_array_equal(drawn[2], expected)
    assert clip.mask_areas() == [39, 0, 30, 0, 0]
    assert [still.index for still in take(gated, "gated-1", "outlined")[1]] == [0, 2]


def test_without_mm_the_image_index_counts_from_the_last_file(tmp_path: Path) -> None:
    root = tmp_path / "coca"
    folder = write_gated(root)
    for path in sorted(folder.iterdir()):  # as scanners number them: 1.dcm the highest, which the index counts last
        path.rename(folder / f"IM-{6 - int(path.stem)}.dcm")
    write_table(root, {1: [roi(None)]})
    _, stills = take(root, "gated-1")
    assert [int(mask.any()) for mask in masks(stills)] == [0, 1, 0, 0, 0]
    write_table(root, {9: [roi(None)]})
    assert "its ImageIndex 9 is of no slice" in refused(index(root)["gated-1"])


def test_z_and_image_index_that_disagree_cost_the_case_and_both_are_said(gated: Path) -> None:
    write_table(gated, {2: [roi(2)], 1: [roi(1)]})
    assert "z of an outline's points says 2.dcm, its ImageIndex 1, counted from the last file, says 4.dcm" in refused(
        index(gated)["gated-1"]
    )
    write_table(gated, {None: [roi(1)]})  # with z alone nothing disagrees
    assert masks(take(gated, "gated-1")[1])[1].any()
    write_table(gated, {2: [roi(7)]})
    assert "lies at z = -39 mm, where the series has no slice" in refused(index(gated)["gated-1"])


def test_empty_outlines_are_skipped_and_unknown_arteries_are_noted(gated: Path) -> None:
    blank = roi(2, points=()) | {"Area": 0.0}
    write_table(gated, {2: [blank, roi(2, Area=0), roi(2, points=SQUARE[:2]), roi(2)]})
    assert index(gated)["gated-1"].problems == []
    write_table(gated, {2: [roi(2), roi(2, "Aorta", [(12, 10), (15, 10), (15, 13)])]})
    case = index(gated)["gated-1"]
    assert usable(case)
    assert "an outline is of 'Aorta', no artery that is known" in str(case.problems[0])
    _, stills = take(gated, "gated-1")
    assert stills[2].mask_names
    assert stills[2].mask_names[4] == "artery not known"
    assert sorted(np.unique(masks(stills))) == [0, 2, 5]
    write_table(gated, {2: [blank]})
    row = usable(index(gated)["gated-1"])
    assert (row["calcium_outlined"], row["label_source"]) == (None, "none")  # neither outlined nor free of calcium


def test_no_table_is_free_of_calcium_in_the_gated_part_only(gated: Path) -> None:
    write_gated(gated, "2", seed=2)
    write_nongated(gated, "2")
    write_scores(gated, [])
    found = index(gated)
    row, other = usable(found["gated-2"]), usable(found["nongated-2"])
    assert (row["calcium_outlined"], row["label_source"]) == (False, "radiologist")
    assert (other["calcium_outlined"], other["label_source"]) == (None, "none")
    assert not masks(take(gated, "gated-2")[1]).any()
    assert len(take(gated, "gated-2")[1]) == 5
    assert all(still.mask is None for still in take(gated, "nongated-2")[1])
    clip, stills = take(gated, "gated-2", "outlined")
    assert not stills
    assert "frames: all" in clip.problems[0].reason


def test_a_table_without_series_and_a_patient_without_slices_are_quarantined(gated: Path) -> None:
    write_table(gated, {0: [roi()]}, "7")
    (gated / "Gated_release_final/patient/8").mkdir()
    found = index(gated)
    assert "7.xml: no series with it" in refused(found["gated-7"])
    assert "no *.dcm in it" in refused(found["gated-8"])


def test_copies_of_a_slice_are_dropped_and_noted(gated: Path) -> None:
    folder = gated / "Gated_release_final/patient/1" / SERIES
    (folder / "6.dcm").write_bytes((folder / "2.dcm").read_bytes())
    case = index(gated)["gated-1"]
    assert usable(case)["n_frames"] == 5
    assert "6.dcm is a duplicate of 2.dcm: dropped" in str(case.problems[0])
    _, stills = take(gated, "gated-1")
    assert len(stills) == 5
    assert masks(stills)[2].any()
    write_table(gated, {3: [roi(2)]})  # counted with the copy among the files
    assert masks(take(gated, "gated-1")[1])[2].any()
    write_table(gated, {3: [roi(None)]})  # with nothing that says which way it was counted
    assert "of no slice, or of several" in refused(index(gated)["gated-1"])


def test_outlines_go_to_the_one_series_that_they_fit(gated: Path) -> None:
    other = "Pro Gated 30 %"
    folder = write_gated(gated, "1", other, seed=1)
    for k, path in enumerate(sorted(folder.iterdir())):
        write_dicom(path, volume(seed=1)[k], ImagePositionPatient=[-5, -5, Z0 + 1.5 + 3 * k], InstanceNumber=k + 1)
    found = index(gated)
    rows = {usable(case)["source_key"]: usable(case) for case in found.values()}
    assert rows[SERIES]["calcium_outlined"] is True
    assert rows[other]["calcium_outlined"] is None
    assert all("/" not in case_id and "%" not in case_id and " " not in case_id for case_id in found)
    assert {row["group_id"] for row in rows.values()} == {"gated-1"}
    write_gated(gated, "1", other, seed=1)  # now both have slices where the outlines lie
    assert all("fit 2 series alike" in refused(case) for case in index(gated).values())


def test_copies_of_a_series_are_one_case_and_of_a_patient_one_group(gated: Path) -> None:
    write_gated(gated, "2")
    found = index(gated)
    assert usable(found["gated-2"])["group_id"] == "gated-1"
    assert "the same slices as of gated-1" in str(found["gated-2"].problems[0])
    patient = gated / "Gated_release_final/patient/1"
    (patient / "copy").mkdir()
    for path in (patient / SERIES).iterdir():
        (patient / "copy" / path.name).write_bytes(path.read_bytes())
    cases = [case for name, case in index(gated).items() if name.startswith("gated-1")]
    assert [bool(case.row) for case in cases].count(True) == 1  # the outlines stay with one
    assert any(f"the same slices as in {SERIES}" in str(problem) for case in cases for problem in case.problems)


@pytest.mark.parametrize("harm", ["missing", "cut header", "cut pixels", "no position", "no rescale"])
def test_a_slice_that_is_lost_costs_an_outlined_case_and_is_noted_in_others(gated: Path, harm: str) -> None:
    write_gated(gated, "2", seed=2)
    for patient, seed in (("1", 0), ("2", 2)):
        path = gated / "Gated_release_final/patient" / patient / SERIES / "4.dcm"
        match harm:
            case "missing":
                path.unlink()
            case "cut header":
                path.write_bytes(path.read_bytes()[:300])
            case "cut pixels":
                path.write_bytes(path.read_bytes()[:-100])
            case "no position":
                write_dicom(path, volume(seed=seed)[3], ImagePositionPatient=None)
            case "no rescale":
                write_dicom(path, volume(seed=seed)[3], RescaleIntercept=None, ImagePositionPatient=[-5, -5, Z0 + 9])
    found = index(gated)
    if harm == "cut pixels":  # only decoding tells
        with pytest.raises(Unusable, match="pixels break off"):
            take(gated, "gated-1")
        clip, stills = take(gated, "gated-2")
        assert len(stills) == 4
        assert "pixels break off" in clip.problems[0].reason
        return
    assert "a missing slice would make a wrong score" in refused(found["gated-1"])
    row = usable(found["gated-2"])
    assert row["n_frames"] is None
    assert found["gated-2"].problems
    assert len(take(gated, "gated-2")[1]) == (5 if harm == "no position" else 4)


def test_scores_of_patients_without_gating(tmp_path: Path) -> None:
    root = tmp_path / "coca"
    for patient in ("1", "2", "3", "10"):
        write_nongated(root, patient, seed=int(patient))
    rows = [("1A", 1.5, 20, 0, 3, 24.5), (2, 0, 0, 0, 0, 0), ("10A ", 5, None, "n/a", 5, 90), ("99A", 1, 0, 0, 0, 1)]
    write_scores(root, [*rows, ("sum", 1, 1, 1, 1, 4)], header=("Patient no.", "LCA", "LAD ", "LCX", "RCA", "total"))
    found = index(root)
    row = usable(found["nongated-1"])
    given = {name: value for name, value in row.items() if name.startswith("agatston")}
    assert given == {
        "agatston_given": 24.5,
        "agatston_lca_given": 1.5,
        "agatston_lad_given": 20,
        "agatston_lcx_given": 0,
        "agatston_rca_given": 3,
    }
    assert (row["body_part"], row["label_source"], row["gated"]) == ("chest", "radiologist", False)
    assert usable(found["nongated-2"])["agatston_given"] == 0
    assert usable(found["nongated-3"])["label_source"] == "none"  # no row
    assert usable(found["nongated-10"])["agatston_lad_given"] is None
    assert "lcx of patient 10 is 'n/a'" in str(found["nongated-10"].problems[0])
    assert "patient 99 has scores, but no *.dcm" in refused(found["nongated-99"])
    assert "1 rows name no patient: sum" in str(found[TABLE].problems[0])
    assert [name for name in found if name != TABLE] == [f"nongated-{n}" for n in (1, 2, 3, 10, 99)]
    assert list(index(root, limit=2)) == [TABLE, "nongated-1", "nongated-2"]


def test_a_total_that_is_not_the_sum_is_kept_and_noted_and_a_second_row_refused(tmp_path: Path) -> None:
    root = tmp_path / "coca"
    write_nongated(root, "1")
    write_nongated(root, "2", seed=2)
    write_scores(root, [("1A", 1, 2, 3, 4, 12), ("2A", 1, 0, 0, 0, 1), ("2A", 2, 0, 0, 0, 2)])
    found = index(root)
    assert usable(found["nongated-1"])["agatston_given"] == 12
    assert "the total of patient 1 is 12, its arteries add up to 10" in str(found["nongated-1"].problems[0])
    assert "patient 2 stands in 2 rows" in refused(found["nongated-2"])


def test_ids_of_the_two_parts_are_not_taken_for_the_same_people(gated: Path) -> None:
    write_nongated(gated, "1")
    write_scores(gated, [("1A", 0, 0, 0, 0, 0)])
    found = index(gated, groups={"nongated-1": "p7"})
    assert usable(found["gated-1"])["group_id"] == "gated-1"
    assert "nobody says" in usable(found["gated-1"])["group_kind"]
    assert (usable(found["nongated-1"])["group_id"], usable(found["nongated-1"])["group_kind"]) == ("p7", "patient")


def test_a_nested_root_and_stray_files(gated: Path) -> None:
    folder = gated / "Gated_release_final/patient/1" / SERIES
    (folder / "._1.dcm").write_bytes(b"\0")
    (folder / "notes.txt").write_text("?")
    (gated / "Gated_release_final/calcium_xml/._2.xml").write_bytes(b"\0")
    (gated / "Gated_release_final/calcium_xml/1 (copy).xml").write_bytes(b"")
    found = index(gated.parent)
    assert usable(found["gated-1"])["sources"][0].startswith("coca/Gated_release_final/patient/1/")
    said = [problem.reason for problem in found[TABLE].problems]
    assert "notes.txt" in said[-1]
    assert "._" not in "".join(said)
    assert len(take(gated.parent, "gated-1")[1]) == 5


def test_what_is_not_the_layout_is_refused_in_one_line(gated: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongLayout, match="no Gated_release_final and no deidentified_nongated found; expected"):
        index(tmp_path / "empty")
    write_nongated(gated, "1")
    with pytest.raises(WrongLayout, match=r"no deidentified_nongated/scores\.xlsx found"):
        index(gated)
    write_scores(gated, [], header=("id", "LCA", "LAD", "CX", "RCA", "total"))
    with pytest.raises(WrongLayout, match="no column lcx; expected the patient"):
        index(gated)
    (gated / "deidentified_nongated/scores.xlsx").write_bytes(b"PK\3\4 no workbook")
    with pytest.raises(WrongLayout, match="no workbook that can be read"):
        index(gated)
    (gated / "Gated_release_final/calcium_xml/1.xml").unlink()
    with pytest.raises(WrongLayout, match="nobody can be told to be free of calcium"):
        index(gated)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<plist><dict><key>Images</key>",
        b'<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/hostname">]><plist><dict><key>Images</key><string>&a;</string></dict></plist>',
        plistlib.dumps({"Images": [{"ROIs": [roi() | {"Point_px": ["(1, 2)", "(__import__('os'), 2)", "(3, 4)"]}]}]}),
        plistlib.dumps({"Images": [{"ROIs": [roi() | {"Point_px": ["(1, 2)", "(inf, 2)", "(3, 4)"]}]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": "2", "ROIs": [roi()]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 2}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 2, "ROIs": [roi(points=[(900, 3), (905, 3), (905, 9)])]}]}),
    ],
)
def test_damaged_outlines_cost_the_case_and_are_never_taken_for_none(gated: Path, text: bytes) -> None:
    (gated / "Gated_release_final/calcium_xml/1.xml").write_bytes(text)
    case = index(gated)["gated-1"]
    if case.row:  # only the size of a decoded picture tells that an outline lies outside it
        with pytest.raises(Unusable, match="lies outside the picture of 20 x 16 pixels"):
            take(gated, "gated-1")
    else:
        assert "1.xml" in refused(case)


def test_a_workbook_that_claims_an_absurd_size_is_read_in_no_time(tmp_path: Path) -> None:
    root = tmp_path / "coca"
    write_nongated(root, "1")
    path = write_scores(root, [("1A", 0, 0, 0, 0, 0)])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b'<dimension ref="A1:F2"', b'<dimension ref="A1:XFD1048576"')
    parts[sheet] = parts[sheet].replace(b'<row r="2"', b'<row r="2000000000"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert usable(index(root)["nongated-1"])["label_source"] == "none"
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(2**26 + 1))
    with pytest.raises(WrongLayout, match="unpacks to more than"):
        index(root)


def digest(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(str(path.relative_to(root)).encode() + path.read_bytes() for path in files)
    ).hexdigest()


def test_the_twin_is_the_same_each_time_and_shows_the_defects(tmp_path: Path) -> None:
    write_coca(tmp_path / "a")
    write_coca(tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    found = index(tmp_path / "a")
    assert [case.case_id for case in found.values() if not case.row] == ["gated-7", "gated-8", "nongated-5"]
    assert len(found) == 15
    with pytest.raises(Unusable):
        take(tmp_path / "a", "gated-6")
    write_coca(tmp_path / "many", scale=2)
    assert len(index(tmp_path / "many")) == 30


def test_broken_copies_raise_nothing_else(gated: Path) -> None:
    write_nongated(gated, "1")
    write_scores(gated, [("1A", 0, 0, 0, 0, 0)])
    files = sorted(path for path in gated.rglob("*") if path.is_file())
    rng = random.Random(0)
    for _ in range(60):
        path = rng.choice(files)
        data = path.read_bytes()
        broken = bytearray(data)
        for _ in range(rng.choice((1, 8))):
            broken[rng.randrange(len(broken))] ^= rng.randrange(1, 256)
        path.write_bytes(broken[: rng.choice((len(broken), rng.randrange(len(broken))))])
        with suppress(Unusable, WrongLayout):
            found = index(gated)
            assert {"gated-1", "nongated-1"} <= found.keys()
            for case in found.values():
                if case.row:
                    list(collection.open_case(Source(gated, gated), usable(case)).read())
        path.write_bytes(data)
