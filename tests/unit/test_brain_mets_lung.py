"""Brain-Mets-Lung-MRI-Path-Segs: series on grids of their own, slides, a workbook, and whose labels are whose."""

import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import openpyxl
import pyarrow as pa
import pytest
import tifffile
from nibabel.affines import apply_affine

from workflow_scripts.collections import brain_mets_lung as collection
from workflow_scripts.collections.brain_mets_lung_clips import AROUND, CORE, MOST_TILES, NAMES, WHOLE
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Still, Unusable, WrongLayout
from workflow_scripts.demo.brain_mets_lung import HEADER, WORKBOOK, write_brain_mets_lung
from workflow_scripts.frames.extract_frames import choose_frames, read_case
from workflow_scripts.provenance import ContentHashes
from workflow_scripts.tables import cases

SPEC = {"kind": "brain-mets-lung", "frames": "outlined", "outlines": "tumour", "window": None}
V1 = "Brain-Mets-Lung-MRI-Path-Segs_Clinical_Data.xlsx"
T1CE = np.diag([2.0, 2, 6, 1]) + np.array([[0, 0, 0, -24], [0, 0, 0, -30], [0, 0, 0, 10], [0, 0, 0, 0]])
FLAIR = np.diag([-3.0, -3, 8, 1]) + np.array([[0, 0, 0, 24.3], [0, 0, 0, 30.3], [0, 0, 0, 8.5], [0, 0, 0, 0]])
GRIDS = {"t1ce": ((24, 30, 8), T1CE), "flair": ((17, 21, 6), FLAIR)}
FILES = {"t1ce_img": "t1ce", "flair_img": "flair", "core_seg": "t1ce", "whole_seg": "flair"}
BOX = {"core_seg": ((-9, -5, 25), (3, 9, 43)), "whole_seg": ((-15, -14, 15), (9, 16, 50))}  # the tumour in mm


def row(accession: object, patient: str, **other: object) -> dict[str, object]:
    """Return a row of the workbook: an adenocarcinoma, 2.3 cm, unless told otherwise."""
    values = (accession, patient, 61.5, "Female", 20, "White", 80, 62, 2.3, 1, "Frontal", "Adenocarcinoma")
    rest = ("NSCLC Adenocarcinoma", 1, 1, 0, 1, 2.5)
    return dict(zip(HEADER, (*values, *rest), strict=True)) | other


def write_book(
    path: Path, rows: Sequence[Mapping[str, object]], header: Sequence[str] = HEADER, sheet: str = "Clinical_Data"
) -> Path:
    book = openpyxl.Workbook()
    for title in ("Data Dictionary-Clinical Data", sheet, "Radiomics", "Image_Data"):
        book.create_sheet(title)
    del book["Sheet"]
    book[sheet].append(list(header))
    for line in rows:
        book[sheet].append([*line.values()])
    book.save(path)
    return path


def inside(affine: np.ndarray, shape: tuple[int, int, int], file: str) -> np.ndarray:
    """Return where the voxels of a grid lie in the tumour."""
    low, high = BOX[file]
    places = apply_affine(affine, np.moveaxis(np.indices(shape, float), 0, -1))
    return ((places > low) & (places < high)).all(axis=-1)


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray, unit: str | None = "mm") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def write_files(folder: Path, name: str, files: Sequence[str] = tuple(FILES), seed: int = 0) -> None:
    """Write the series of one examination; the tumour is brighter by 300."""
    for file in files:
        shape, affine = GRIDS[FILES[file]]
        if file.endswith("seg"):
            values = inside(affine, shape, file).astype(np.uint8)
        else:
            noise = np.random.default_rng([seed, len(file)]).integers(100, 200, shape)
            values = (noise + 300 * inside(affine, shape, "core_seg")).astype(np.int16)
        write_volume(folder / f"{name}_{file}.nii.gz", values, affine)


def write_slide(path: Path, says: str = "|AppMag = 20|MPP = 0.5", shape: tuple[int, int] = (1024, 2048)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for by in (1, 4):
            pixels = np.full((shape[0] // by, shape[1] // by, 3), (200, 80, 160), np.uint8)
            pixels[:, -300 // by :] = 243
            text = f"Aperio Image Library v1\r\n{pixels.shape[1]}x{pixels.shape[0]} (256x256){says}"
            file.write(pixels, tile=(256, 256), compression="zlib", photometric="rgb", subfiletype=int(by > 1),
                       description=text, metadata=None, software=False)  # fmt: skip
    return path


def write_set(root: Path, rows: Sequence[Mapping[str, object]] = (row("A1", "YG_1"),)) -> Path:
    """Write one patient, `YG_1`, whose files bear the accession `A1`."""
    write_files(root / "Radiology" / "YG_1", "A1")
    write_book(root / WORKBOOK, rows)
    return root


def source(root: Path, **other: Any) -> Source:
    return Source(root, root.parent / "cache", **other)


def index(root: Path, **other: Any) -> dict[str, Indexed]:
    """Return the cases by name; remarks on tables are joined."""
    found: dict[str, Indexed] = {}
    for case in collection.index(source(root, **other), ContentHashes(root, root.parent / "hashes.json")):
        if case.case_id == TABLE and TABLE in found:
            found[TABLE].problems += case.problems
        else:
            assert case.case_id not in found
            found[case.case_id] = case
        if case.row:
            assert case.row["sources"]
            pa.Table.from_pylist([case.row], schema=cases.SCHEMA)
            assert set(case.row) <= set(cases.SCHEMA.names)
    return found


def said(case: Indexed) -> str:
    return " / ".join(str(problem) for problem in case.problems)


def labels(case: Indexed) -> dict[str, Any]:
    assert case.row
    return case.row


def stills(root: Path, case: Indexed, rule: str = "all") -> list[Still]:
    clip = collection.open_case(source(root), labels(case))
    return list(clip.read(choose_frames(rule, clip)))


# --- The workbook


def test_labels_of_the_workbook_reach_their_columns(tmp_path: Path) -> None:
    found = index(write_set(tmp_path / "set", [row("A1", "YG_1", **{"Packyear Smoking Hx": "Never"})]))
    assert list(found) == ["YG_1-A1-flair", "YG_1-A1-t1ce"]
    for case in found.values():
        assert not case.problems
        expected = {
            "modality": "MR",
            "body_part": "brain",
            "group_id": "YG_1",
            "group_kind": "patient",
            "study_id": "A1",
            "label_source": "histology",
            "pathology": "malignant",
            "histologic_subtype": "Adenocarcinoma",
            "histology_class": "NSCLC Adenocarcinoma",
            "age": 61,
            "sex": "female",
            "pack_years": 0.0,
            "karnofsky": 80,
            "largest_mm": 23.0,
            "n_lesions": 1,
            "lesion_location": "Frontal",
            "extracranial": True,
            "egfr": True,
            "alk": False,
            "pdl1": True,
            "prognostic_score": 2.5,
            "labels": {"nih_racial_category": "White", "age_at_resection": "62"},
        }
        assert {name: labels(case)[name] for name in expected} == expected
    assert labels(found["YG_1-A1-t1ce"])["n_frames"] == 8
    assert labels(found["YG_1-A1-flair"])["view"] == "axial FLAIR"


def test_the_content_of_a_case_changes_with_its_row_and_its_files(tmp_path: Path) -> None:
    def content(root: Path) -> str:
        return str(labels(index(root)["YG_1-A1-t1ce"])["content_sha256"])

    root = write_set(tmp_path / "set")
    before = content(root)
    shutil.copytree(root, tmp_path / "moved" / "deeper")
    assert content(tmp_path / "moved") == before
    write_book(root / WORKBOOK, [row("A1", "YG_1", **{"KPS at BM Dx": 70}), row("B", "YG_2")])
    after = content(root)
    assert after != before
    write_files(root / "Radiology" / "YG_1", "A1", ["t1ce_img"], seed=5)
    assert content(root) not in (before, after)


@pytest.mark.parametrize("spell", [str.upper, lambda text: f" {text.lower().replace(' ', '_')} ", str.title])
def test_headers_are_the_same_in_any_spelling(tmp_path: Path, spell: Any) -> None:
    root = write_set(tmp_path / "set")
    write_book(root / WORKBOOK, [row("A1", "YG_1")], [spell(name) for name in HEADER])
    found = index(root)
    assert TABLE not in found
    assert labels(found["YG_1-A1-t1ce"])["largest_mm"] == 23.0


def test_the_newer_of_two_workbooks_is_read(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    write_book(root / V1, [row("A1", "YG_1", Sex="Male")])
    (root / f"~${WORKBOOK}").write_bytes(b"a lock")
    found = index(root)
    assert labels(found["YG_1-A1-t1ce"])["sex"] == "female"
    assert f"there are 2 workbooks: {WORKBOOK} is read" in said(found[TABLE])
    (root / WORKBOOK).unlink()
    (root / f"~${WORKBOOK}").unlink()
    assert labels(index(root)["YG_1-A1-t1ce"])["sex"] == "male"


@pytest.mark.parametrize(
    ("column", "value", "label", "expected"),
    [
        ("PDL1 Status", 50, "pdl1", "no percentage"),
        ("EGFR Status", "L858R", "egfr", "1 or 0"),
        ("Size of Dominant Lesion (cm)", 23, "largest_mm", "centimetres"),
        ("Size of Dominant Lesion (cm)", 0, "largest_mm", "centimetres"),
        ("Packyear Smoking Hx", "former", "pack_years", "or Never"),
        ("GPA Histology Class", "NSCLC", "histology_class", "SCLC"),
        ("KPS at BM Dx", 82.5, "karnofsky", "whole number"),
        ("Age at BM Dx", "1_0", "age", "years"),
        ("Sperduto GPA", "nan(1)", "prognostic_score", "from 0 to 4"),
        ("Sex", "w", "sex", "Female or Male"),
    ],
)
def test_a_value_that_is_not_understood_is_unknown_and_said(
    tmp_path: Path, column: str, value: object, label: str, expected: str
) -> None:
    case = index(write_set(tmp_path / "set", [row("A1", "YG_1", **{column: value})]))["YG_1-A1-t1ce"]
    assert labels(case)[label] is None
    (problem,) = case.problems
    assert f"is '{value}'" in str(problem)
    assert expected in problem.mend
    assert problem.file == WORKBOOK


def test_blank_is_unknown_and_0_is_not(tmp_path: Path) -> None:
    blank = {"ALK Status": None, "EGFR Status": "N/A", "Histologic Subtype": " ", "PDL1 Status": "0"}
    case = index(write_set(tmp_path / "set", [row("A1", "YG_1", **blank)]))["YG_1-A1-t1ce"]
    assert not case.problems
    found = labels(case)
    assert (found["alk"], found["egfr"], found["pdl1"]) == (None, None, False)
    assert (found["pathology"], found["label_source"]) == (None, "registry")


def test_a_missing_column_costs_its_label_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    write_book(root / WORKBOOK, [row("A1", "YG_1")], [name.replace("ALK Status", "ALK (FISH)") for name in HEADER])
    found = index(root)
    assert labels(found["YG_1-A1-t1ce"])["alk"] is None
    assert "has no column alk_status" in said(found[TABLE])
    assert "unknown columns are left out: ALK (FISH)" in said(found[TABLE])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("key", "has no column accession; its header is Case, Patient ID"),
        ("twice", "has the column sex twice"),
        ("accession", "accession A1 stands in more than one row"),
        ("sheet", "no sheet Clinical_Data; it has Data Dictionary-Clinical Data, Sheet1"),
        ("empty", "sheet Clinical_Data is empty"),
        ("text", "not a workbook that can be read"),
        ("cut", "not a workbook that can be read"),
        ("member", "not a workbook that can be read"),
        ("bomb", "it claims more than 128 MiB"),
    ],
)
def test_a_wrong_workbook_stops_in_one_line(tmp_path: Path, spoil: str, message: str) -> None:
    root = write_set(tmp_path / "set")
    path = root / WORKBOOK
    header = {"key": ["Case", *HEADER[1:]], "twice": [*HEADER[:-1], "SEX"]}.get(spoil, HEADER)
    rows = [row("A1", "YG_1"), row("A1", "YG_2")] if spoil == "accession" else [row("A1", "YG_1")]
    write_book(path, rows, header, "Sheet1" if spoil == "sheet" else "Clinical_Data")
    if spoil == "empty":
        write_book(path, [], [])
    if spoil == "text":
        path.write_text("accession,patient_id\n")
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    if spoil in ("member", "bomb"):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        if spoil == "member":
            members["xl/worksheets/sheet2.xml"] = b"<worksheet><sheetData><row"
        else:
            members["xl/media/zeros"] = bytes(2**27)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    with pytest.raises(WrongLayout, match=re.escape(message)) as raised:
        index(root)
    assert "\n" not in str(raised.value)


def test_a_sheet_that_states_a_wrong_size_is_read_whole(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    with zipfile.ZipFile(root / WORKBOOK) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet2.xml"
    members[sheet] = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', members[sheet])
    with zipfile.ZipFile(root / WORKBOOK, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert labels(index(root)["YG_1-A1-t1ce"])["age"] == 61


def test_without_a_workbook_the_pictures_come_without_labels(tmp_path: Path) -> None:
    write_files(tmp_path / "set" / "YG_1", "A1")
    found = index(tmp_path / "set")
    assert "nothing is known of the cases but their pictures" in said(found[TABLE])
    case = labels(found["YG_1-A1-t1ce"])
    assert (case["label_source"], case["pathology"], case["group_id"]) == ("none", None, "YG_1")


# --- Whose labels


def test_each_of_two_accessions_of_a_patient_has_its_own_labels(tmp_path: Path) -> None:
    again = row("A2", "YG_1", **{"Histologic Subtype": "Squamous cell carcinoma", "KPS at BM Dx": 60})
    root = write_set(tmp_path / "set", [row("A1", "YG_1"), again])
    write_files(root / "Radiology" / "YG_1", "A2_pre", ["t1ce_img"])
    found = index(root)
    first, second = labels(found["YG_1-A1-t1ce"]), labels(found["YG_1-A2_pre-t1ce"])
    assert (first["karnofsky"], second["karnofsky"]) == (80, 60)
    assert (first["study_id"], second["study_id"]) == ("A1", "A2")
    assert first["group_id"] == second["group_id"]


def test_a_file_that_names_neither_accession_has_what_both_rows_say(tmp_path: Path) -> None:
    again = row("A2", "YG_1", **{"Histologic Subtype": "Large cell carcinoma", "KPS at BM Dx": None})
    root = write_set(tmp_path / "set", [row("A1", "YG_1"), again])
    write_files(root / "Radiology" / "YG_1", "YG_1", ["flair_img", "core_seg", "whole_seg"])
    case = index(root)["YG_1-flair"]
    found = labels(case)
    assert (found["histologic_subtype"], found["karnofsky"], found["study_id"]) == (None, None, None)
    assert (found["egfr"], found["pathology"], found["label_source"]) == (True, "malignant", "histology")
    assert "it may be of accession A1 and A2: histologic_subtype, karnofsky differ and stay unknown" in said(case)


def test_an_accession_is_not_found_in_a_longer_one(tmp_path: Path) -> None:
    root = write_set(
        tmp_path / "set", [row("A1", "YG_1"), row("A12", "YG_1", Sex="Male"), row("A1_b", "YG_1", Sex="M")]
    )
    write_files(root / "Radiology" / "YG_1", "A12", ["t1ce_img"])
    write_files(root / "Radiology" / "YG_1", "A1_b_2", ["t1ce_img"])
    found = index(root)
    studies = {name: labels(found[f"YG_1-{name}-t1ce"])["study_id"] for name in ("A1", "A12", "A1_b_2")}
    assert studies == {"A1": "A1", "A12": "A12", "A1_b_2": "A1_b"}


def test_an_accession_as_a_number_is_found(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_files(root / "YG_1", "4711")
    write_book(root / WORKBOOK, [row(4711, "YG_1")])
    assert labels(index(root)["YG_1-4711-t1ce"])["study_id"] == "4711"


def test_an_accession_in_the_folder_of_another_patient_is_quarantined(tmp_path: Path) -> None:
    case = index(write_set(tmp_path / "set", [row("A1", "YG_2")]))["YG_1-A1-t1ce"]
    assert case.row is None
    assert "its accession A1 is of patient YG_2 by the workbook, its folder of YG_1" in said(case)


def test_patients_without_a_row_and_rows_without_a_patient_are_said(tmp_path: Path) -> None:
    found = index(write_set(tmp_path / "set", [row("A7", "YG_7"), row("A8", ""), row("A9", "YG_10")]))
    assert labels(found["YG_1-A1-t1ce"])["label_source"] == "none"
    assert "the workbook has no row of patient YG_1" in said(found["YG_1-A1-t1ce"])
    assert "1 rows have no patient_id" in said(found[TABLE])
    assert "patients without a series here: 2, the first of them YG_7" in said(found[TABLE])


# --- Series and outlines


@pytest.mark.parametrize("kind", ["t1ce", "flair"])
def test_both_outlines_lie_on_the_grid_of_each_series_and_the_core_wins(tmp_path: Path, kind: str) -> None:
    """Each voxel has what the outlines' own voxel at its place says, and the tumour's bright voxels are the core's."""
    root = write_set(tmp_path / "set")
    shape, affine = GRIDS[kind]
    expected = np.zeros(shape, np.uint8)
    for file, label in (("whole_seg", AROUND), ("core_seg", CORE)):
        own_shape, own_affine = GRIDS[FILES[file]]
        own = inside(own_affine, own_shape, file)
        for voxel in np.ndindex(shape):
            near = np.rint(apply_affine(np.linalg.inv(own_affine) @ affine, voxel)).astype(int)
            if (near >= 0).all() and (near < own_shape).all() and own[tuple(near)]:
                expected[voxel] = label
    case = index(root)[f"YG_1-A1-{kind}"]
    taken = stills(root, case, "outlined")
    flip = slice(None, None, -1) if kind == "t1ce" else slice(None)  # stored to the right and front; shown from there
    assert [still.index for still in taken] == np.flatnonzero(expected.any(axis=(0, 1))).tolist()
    for still in taken:
        assert still.mask is not None
        assert still.mask_names == NAMES
        assert (still.mask == expected[flip, flip, still.index].T).all()
    assert {CORE, AROUND} <= set(expected.flat)
    assert (
        collection.open_case(source(root), labels(case)).mask_areas()
        == np.count_nonzero(expected, axis=(0, 1)).tolist()
    )


@pytest.mark.parametrize(
    ("files", "kind", "values", "absent"),
    [
        (("t1ce_img", "core_seg"), "t1ce", {CORE}, "whole_seg"),
        (("flair_img", "whole_seg"), "flair", {WHOLE}, "core_seg"),
        (("t1ce_img", "whole_seg"), "t1ce", {WHOLE}, "core_seg"),
    ],
)
def test_an_outline_that_is_not_there_is_said_and_means_nothing(
    tmp_path: Path, files: Sequence[str], kind: str, values: set[int], absent: str
) -> None:
    root = tmp_path / "set"
    write_files(root / "YG_1", "A1", files)
    write_book(root / WORKBOOK, [row("A1", "YG_1")])
    case = index(root)[f"YG_1-A1-{kind}"]
    assert f"there is no …_{absent}.nii.gz with it" in said(case)
    found = {int(label) for still in stills(root, case) if still.mask is not None for label in still.mask.flat}
    assert found == {0} | values


def test_a_series_that_nobody_outlined_shows_no_slice_unless_all_are_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_files(root / "YG_1", "A1", ["t1ce_img"])
    case = labels(index(root)["YG_1-A1-t1ce"]) | {"case_id": "YG_1-A1-t1ce"}
    with pytest.raises(Unusable, match="nobody outlined its tumour") as raised:
        list(read_case(source(root), SPEC, case, []))
    assert "frames: all" in raised.value.mend
    lost: list[Unusable] = []
    rows = list(read_case(source(root), SPEC | {"frames": "all"}, case, lost))
    assert len(rows) == 8
    assert {frame["mask"] for frame in rows} == {None}


def test_an_outline_beside_the_series_is_said_and_not_used(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    values = inside(FLAIR, GRIDS["flair"][0], "whole_seg").astype(np.uint8)
    write_volume(root / "Radiology/YG_1/A1_whole_seg.nii.gz", values, np.diag([1.0, 1, 1, 1]) + FLAIR * 40)
    found = index(root)
    assert "its grid is not that of A1_flair_img.nii.gz" in said(found["YG_1-A1-flair"])
    assert not found["YG_1-A1-t1ce"].problems
    clip = collection.open_case(source(root), labels(found["YG_1-A1-t1ce"]))
    masks = [still.mask for still in clip.read() if still.mask is not None]
    assert {int(label) for mask in masks for label in mask.flat} == {0, CORE}
    assert "it outlines nothing in A1_t1ce_img.nii.gz: empty, or beside it" in str(clip.problems[0])


@pytest.mark.parametrize("spoil", ["cut", "soft"])
def test_a_damaged_outline_costs_only_itself(tmp_path: Path, spoil: str) -> None:
    root = write_set(tmp_path / "set")
    path = root / "Radiology/YG_1/A1_core_seg.nii.gz"
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        write_volume(path, np.full(GRIDS["t1ce"][0], 0.4, np.float32), T1CE)
    clip = collection.open_case(source(root), labels(index(root)["YG_1-A1-t1ce"]))
    assert {int(label) for still in clip.read() if still.mask is not None for label in still.mask.flat} == {0, WHOLE}
    assert [problem.file for problem in clip.problems] == ["Radiology/YG_1/A1_core_seg.nii.gz"]


def test_a_broken_series_is_quarantined_and_the_other_stays(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    path = root / "Radiology/YG_1/A1_t1ce_img.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(b"nothing" * 60)
    found = index(root)
    assert found["YG_1-A1-t1ce"].row is None
    assert "not a NIfTI file" in said(found["YG_1-A1-t1ce"])
    path.write_bytes(whole[: len(whole) // 2])
    found = index(root)
    with pytest.raises(Unusable, match="not a whole NIfTI volume"):
        stills(root, found["YG_1-A1-t1ce"], "outlined")
    assert stills(root, found["YG_1-A1-flair"], "outlined")


def test_a_volume_that_claims_too_much_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "MOST_VOXELS", 24 * 30 * 8 - 1)
    found = index(write_set(tmp_path / "set"))
    assert "its header claims (24, 30, 8) voxels" in said(found["YG_1-A1-t1ce"])
    assert found["YG_1-A1-flair"].row


def test_outlines_without_their_series_are_quarantined(tmp_path: Path) -> None:
    write_files(tmp_path / "set" / "YG_1", "A1", ["core_seg"])
    (case,) = (case for name, case in index(tmp_path / "set").items() if name != TABLE)
    assert case.row is None
    assert "an outline without its series" in said(case)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_values_keep_their_order_under_one_window_for_the_whole_volume(tmp_path: Path, kind: type) -> None:
    root = tmp_path / "set"
    values = np.arange(20 * 25 * 4).reshape(20, 25, 4, order="F") / 2000  # dark below, bright above
    values = (values * 200).astype(kind) if np.dtype(kind).kind in "iu" else values.astype(kind)
    write_volume(root / "YG_1/A1_t1ce_img.nii.gz", values, T1CE)
    found = stills(root, index(root)["YG_1-A1-t1ce"])
    assert {still.image.dtype for still in found} <= {np.dtype(np.int16), np.dtype(np.uint16), np.dtype(np.float32)}
    assert [still.image.max() for still in found] == pytest.approx([values[..., k].max() for k in range(4)])
    (window,) = {still.window for still in found}
    assert window
    low, high = window[0] - 0.5 - (window[1] - 1) / 2, window[0] - 0.5 + (window[1] - 1) / 2
    assert (low, high) == pytest.approx(np.percentile(values.astype(float), (0.5, 99.5)))


def test_a_window_of_a_large_volume_is_near_that_of_all_its_voxels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow_scripts.collections import brain_mets_lung_clips as clips

    root = write_set(tmp_path / "set")
    case = index(root)["YG_1-A1-t1ce"]
    exact = stills(root, case)[0].window
    monkeypatch.setattr(clips, "SAMPLE", 1500)
    sampled = stills(root, case)[0].window
    assert exact
    assert sampled != exact
    assert sampled == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("value", [0, 7])
def test_a_volume_of_one_value_is_read(tmp_path: Path, value: int) -> None:
    write_volume(tmp_path / "set/YG_1/A1_t1ce_img.nii.gz", np.full((9, 9, 3), value, np.int16), T1CE)
    case = labels(index(tmp_path / "set")["YG_1-A1-t1ce"]) | {"case_id": "x"}
    assert len(list(read_case(source(tmp_path / "set"), SPEC | {"frames": "all"}, case, []))) == 3


def test_a_value_that_no_picture_holds_is_refused(tmp_path: Path) -> None:
    values = np.zeros((9, 9, 3))
    values[1, 1, 1] = 1e300
    write_volume(tmp_path / "set/YG_1/A1_t1ce_img.nii.gz", values, T1CE)
    with pytest.raises(Unusable, match="beyond 3.4e38"):
        stills(tmp_path / "set", index(tmp_path / "set")["YG_1-A1-t1ce"])


def test_place_and_spacing_are_those_of_the_file(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    found = stills(root, index(root)["YG_1-A1-t1ce"])
    assert [still.position for still in found[:2]] == ["slice 1 (z = 10.0 mm)", "slice 2 (z = 16.0 mm)"]
    assert found[0].spacing_mm == (2, 2)
    write_volume(root / "Radiology/YG_1/A1_t1ce_img.nii.gz", np.ones((5, 5, 2), np.int16), T1CE, None)
    found = stills(root, index(root)["YG_1-A1-t1ce"])
    assert (found[1].position, found[1].spacing_mm) == ("slice 2", None)


# --- Slides


def test_a_slide_gives_tiles_at_10x_and_all_count_as_worth_taking(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    write_slide(root / "Pathology" / "A1.svs")
    case = index(root)["YG_1-A1-slide"]
    found = labels(case)
    assert (found["modality"], found["group_id"], found["study_id"], found["view"]) == ("SM", "YG_1", "A1", "H&E")
    assert (found["histologic_subtype"], found["label_source"]) == ("Adenocarcinoma", "histology")
    taken = stills(root, case, "outlined")
    assert [still.position for still in taken] == ["tile 0,0 level 0 at 10x", "tile 1024,0 level 0 at 10x"]
    for still in taken:
        assert still.image.shape == (512, 512, 3)
        assert still.mask is None
        assert still.spacing_mm == pytest.approx((0.001, 0.001))
    assert (taken[0].image == (200, 80, 160)).all()
    assert [still.index for still in stills(root, case, "largest_mask")] == [0]


def test_of_many_full_tiles_a_few_are_taken_from_all_over_the_slide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow_scripts.collections import brain_mets_lung_clips as clips

    monkeypatch.setattr(clips, "SIDE", 64)
    root = write_set(tmp_path / "set")
    write_slide(root / "A1.svs")
    found = stills(root, index(root)["YG_1-A1-slide"])
    assert len(found) == MOST_TILES
    rows = [int((still.position or "").split()[1].split(",")[1]) for still in found]
    assert min(rows) == 0
    assert max(rows) > 1024 * 0.75
    assert rows == sorted(rows)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("YG_1.svs", "YG_1-slide"),
        ("A1_HE 20%.svs", "YG_1-A1_HE 20%-slide"),
        ("YG_1/slide7.SVS", "YG_1-slide7-slide"),
        ("YG_1/A1.svs", "YG_1-A1-slide"),
    ],
)
def test_a_slide_is_found_by_its_name_or_its_folder(tmp_path: Path, name: str, expected: str) -> None:
    root = write_set(tmp_path / "set")
    write_slide(root / "Pathology" / name)
    case = index(root)[expected]
    assert labels(case)["group_id"] == "YG_1"
    assert labels(case)["age"] == 61


@pytest.mark.parametrize("name", ["17", "A10", "YG_2/A1"])
def test_a_slide_of_nobody_is_quarantined_unless_its_user_knows(tmp_path: Path, name: str) -> None:
    root = write_set(tmp_path / "set", [row("A1", "YG_1"), row("A2", "YG_2")])
    write_slide(root / f"{name}.svs")
    case_id = f"{Path(name).name}-slide"
    case = index(root)[case_id]
    assert case.row is None
    assert "whose slide it is cannot be told" in said(case)
    if name == "17":
        assert labels(index(root, groups={case_id: "YG_1"})[case_id])["age"] == 61


@pytest.mark.parametrize("spoil", ["scale", "cut", "glass", "small"])
def test_a_slide_that_cannot_be_used_is_quarantined(tmp_path: Path, spoil: str) -> None:
    root = write_set(tmp_path / "set")
    shape = {"glass": (1024, 1200), "small": (512, 512)}.get(spoil, (1024, 2048))
    path = write_slide(root / "A1.svs", "" if spoil == "scale" else "|AppMag = 20", shape)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    if spoil == "glass":
        tifffile.imwrite(path, np.full((1024, 1200, 3), 243, np.uint8), tile=(256, 256), photometric="rgb",
                         description="Aperio\r\n1200x1024|AppMag = 20", metadata=None)  # fmt: skip
    message = {"scale": "does not say its scale", "cut": "does not read as a slide"}.get(spoil, "is tissue")
    with pytest.raises(Unusable, match=message):
        stills(root, index(root)["YG_1-A1-slide"], "outlined")


# --- The folder


def test_nested_roots_stray_files_blanks_and_other_files(tmp_path: Path) -> None:
    inner = tmp_path / "set" / "My TCIA 100%" / "Brain-Mets"
    write_files(inner / "YG_1", "A1 x")
    write_book(inner / WORKBOOK, [row("A1", "YG_1")])
    (inner / "YG_1" / "._A1 x_t1ce_img.nii.gz").write_bytes(b"junk")
    (inner / ".DS_Store").write_bytes(b"junk")
    (inner / "LICENSE.txt").write_text("CC BY 4.0")
    (inner / "YG_1" / "T1.nii.gz").write_bytes(b"")
    found = index(tmp_path / "set")
    assert labels(found["YG_1-A1 x-t1ce"])["sources"][0] == "My TCIA 100%/Brain-Mets/YG_1/A1 x_t1ce_img.nii.gz"
    assert len(stills(tmp_path / "set", found["YG_1-A1 x-t1ce"])) == 8
    assert said(found[TABLE]).endswith("1 file is not understood: My TCIA 100%/Brain-Mets/YG_1/T1.nii.gz")


def test_a_folder_without_a_series_or_slide_is_refused(tmp_path: Path) -> None:
    write_book(tmp_path / WORKBOOK, [row("A1", "YG_1")])
    with pytest.raises(WrongLayout, match="no series and no slide found; expected <patient_id>/<name>_t1ce_img"):
        index(tmp_path)


def test_copies_are_one_case_and_two_files_of_one_name_none(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    shutil.copytree(root / "Radiology", root / "Copy")
    assert len(index(root)) == 2
    write_files(root / "Copy" / "YG_1", "A1", ["t1ce_img"], seed=3)
    found = index(root)
    assert found["YG_1-A1-t1ce"].row is None
    assert "is another file of this name" in said(found["YG_1-A1-t1ce"])
    assert found["YG_1-A1-flair"].row


def test_cases_come_in_numeric_order_and_no_more_than_asked_for(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        write_files(tmp_path / "set" / f"YG_{number}", f"YG_{number}", ["flair_img"])
    assert [name for name in index(tmp_path / "set") if name != TABLE] == ["YG_1-flair", "YG_9-flair", "YG_10-flair"]
    assert [name for name in index(tmp_path / "set", limit=2) if name != TABLE] == ["YG_1-flair", "YG_9-flair"]


def test_the_users_own_groups_count(tmp_path: Path) -> None:
    found = index(write_set(tmp_path / "set"), groups={"YG_1-A1-t1ce": "mine"})
    assert labels(found["YG_1-A1-t1ce"])["group_id"] == "mine"
    assert labels(found["YG_1-A1-t1ce"])["age"] == 61


def test_the_twin_has_its_defects_and_is_the_same_each_time(tmp_path: Path) -> None:
    write_brain_mets_lung(tmp_path / "a")
    write_brain_mets_lung(tmp_path / "b")
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert sum((tmp_path / "a" / name).stat().st_size for name in files) < 3e6
    with zipfile.ZipFile(tmp_path / "a" / WORKBOOK) as archive:
        core = archive.read("docProps/core.xml").decode()
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
    assert re.findall(r"\d{4}-\d\d-\d\d", core) == ["2000-01-01"] * 2
    lost = []
    found = index(tmp_path / "a")
    for name, case in found.items():
        if name == TABLE:
            continue
        try:
            rows = list(read_case(source(tmp_path / "a"), SPEC, labels(case) | {"case_id": name}, []))
            assert rows
        except Unusable as problem:
            lost.append(problem.reason)
    assert len(found) == 16
    for reason in ("nobody outlined its tumour", "does not say its scale", "not a whole NIfTI volume"):
        assert sum(reason in text for text in lost) == 1
    assert len(lost) == 3


# --- Real files


def test_real_volumes_and_a_real_slide_are_read(samples: Path, tmp_path: Path) -> None:
    """Hippocampi of the Decathlon, as if they were tumours, and a slide of one level at 20x."""
    for image in sorted((samples / "hippocampus" / "images").glob("*.nii.gz"))[:3]:
        for folder, name in (("images", "t1ce_img"), ("masks", "core_seg")):
            path = tmp_path / "set" / image.name.removesuffix(".nii.gz") / f"E1_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(samples / "hippocampus" / folder / image.name, path)
    shutil.copyfile(samples / "wsi" / "CMU-1-Small-Region.svs", tmp_path / "set" / "hippocampus_001.svs")
    found = index(tmp_path / "set")
    assert len(found) == 5
    for name, case in found.items():
        if name.endswith("t1ce"):
            image = nibabel.nifti1.load(tmp_path / "set" / labels(case)["sources"][0])
            taken = stills(tmp_path / "set", case, "outlined")
            assert 5 < len(taken) <= image.shape[2]
            assert all(still.mask is not None and still.mask.shape == still.image.shape for still in taken)
    tiles = stills(tmp_path / "set", found["hippocampus_001-slide"], "outlined")
    assert len(tiles) == 1  # of two rows and two columns
    assert all(tile.image.std() > 10 for tile in tiles)
    assert tiles[0].spacing_mm == pytest.approx((0.000998, 0.000998))
