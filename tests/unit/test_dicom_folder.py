"""A folder of DICOM: what becomes a case, what may leave a header, what is lost and said."""

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid

from tests.dicom_files import write_dicom, write_series
from workflow_scripts.collections import dicom_folder as collection
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Still, Unusable, card
from workflow_scripts.demo.dicom_folder import write_dicom_folder
from workflow_scripts.imaging.dicom import read_header
from workflow_scripts.imaging.values import decode_values, encode_values, show_values
from workflow_scripts.provenance import ContentHashes


def index(root: Path, limit: int | None = None, groups: dict[str, str] | None = None) -> list[Indexed]:
    source = Source(root, root.parent / "cache", limit, groups or {})
    return list(collection.index(source, ContentHashes(root, root.parent / "hashes.json")))


def usable(root: Path) -> list[dict[str, Any]]:
    return [case.row for case in index(root) if case.row]


def problems(cases: list[Indexed]) -> list[Unusable]:
    return [problem for case in cases for problem in case.problems]


def read(root: Path, row: dict[str, Any], indices: list[int] | None = None) -> tuple[list[Still], list[Unusable]]:
    clip = collection.open_case(Source(root, root.parent / "cache"), row)
    return list(clip.read(indices)), clip.problems


def grey(*shape: int, seed: int = 0, kind: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(kind)


def test_a_ct_is_one_case_in_the_order_of_space_in_hounsfield_units(tmp_path: Path) -> None:
    root = tmp_path / "in"
    volume = np.stack([np.full((6, 8), 1024 + k, np.int16) for k in range(12)])
    paths = write_series(root / "a b" / "50%", volume, step=2.5)
    for k, path in enumerate(paths):  # names against the order of space
        path.rename(path.with_name(f"IM{12 - k}"))
    (row,) = usable(root)
    assert row["n_frames"] == 12
    assert row["sources"][0] == "a b/50%/IM12"
    assert row["source_kind"] == "dicom-series"
    stills, lost = read(root, row, [0, 3])
    assert [(s.index, int(s.image[0, 0]), s.image.dtype, s.unit) for s in stills] == [
        (0, 0, np.int16, "HU"),
        (3, 3, np.int16, "HU"),
    ]
    assert stills[1].position == "slice 4 of 12 at 7.5 mm"
    assert not lost
    assert (stills[1].spacing_mm, stills[1].thickness_mm, stills[1].window) == ((0.5, 0.5), 2.5, (40, 400))


def test_nothing_of_a_header_leaves_but_what_is_allowed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom(root / "x.dcm", grey(6, 8), PatientID="4711", PatientAge="097Y", BodyPartExamined="MR MILLER KNEE")
    write_dicom(root / "z" / "y.dcm", grey(6, 8), PatientID="4711", PatientAge="089Y", Laterality="L")
    write_dicom(root / "zz" / "x.dcm", grey(6, 8), "CR", ViewPosition="MILLER")
    write_dicom(root / "zz" / "y.dcm", grey(6, 8), Modality="MILLER")
    first, second, film, unknown = index(root)
    told = json.dumps([(c.case_id, c.row, [str(p) for p in c.problems]) for c in (first, second, film, unknown)])
    for secret in (
        "4711",
        "Phantom",
        "MILLER",
        "miller",
        "20200102",
        str(uid.generate_uid(entropy_srcs=["in", "study"])),
    ):
        assert secret not in told
    assert first.row
    assert second.row
    assert (first.row["age"], second.row["age"], first.row["year"]) == (90, 89, 2020)
    assert first.row["group_id"] == second.row["group_id"] != first.row["study_id"]
    assert (first.row["group_kind"], first.row["sex"], first.row["body_part"]) == ("patient", "female", None)
    assert second.row["laterality"] == "left"
    assert first.case_id.startswith("ct-")
    assert film.row
    assert (film.row["view"], unknown.row) == (None, None)


def test_without_a_patient_the_study_is_the_group_and_the_users_table_goes_first(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom(root / "x.dcm", grey(6, 8), PatientID=None)
    (case,) = index(root)
    assert case.row
    assert case.row["group_id"] == case.row["study_id"]
    assert case.row["group_kind"] == "study: no patient is named"
    (known,) = index(root, groups={case.case_id: "p1"})
    assert known.row
    assert (known.row["group_id"], known.row["group_kind"]) == ("p1", "patient")


def test_a_series_is_split_where_its_pictures_differ_and_each_film_keeps_its_view(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_series(root, grey(3, 6, 8))
    write_dicom(root / "scout.dcm", grey(9, 9), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    for k, view in enumerate(("PA", "LL")):
        write_dicom(root / "film" / f"{k}.dcm", grey(6, 8, kind=np.uint16), "CR", ViewPosition=view)
    rows = usable(root)
    assert sorted(row["n_frames"] for row in rows) == [1, 1, 1, 3]
    assert len({str(r["sources"]) for r in rows}) == 4
    assert {(r["view"], r["projection"]) for r in rows if r["modality"] == "CR"} == {
        ("frontal", "PA"),
        ("lateral", "LL"),
    }
    scout = next(row for row in rows if row["sources"] == ["scout.dcm"])
    assert read(root, scout)[0][0].unit is None  # a localiser is not in Hounsfield units


def test_a_clip_has_times_and_colours_and_a_grey_one_is_ready_to_look_at(tmp_path: Path) -> None:
    root = tmp_path / "in"
    red = np.zeros((3, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    write_dicom(root / "1.dcm", red, "US", jpeg=True)
    write_dicom(root / "2.dcm", grey(32, 32, kind=np.uint8), "US", InstanceNumber=2)
    clip, still = usable(root)
    stills, _ = read(root, clip)
    assert [s.time_s for s in stills] == [0, 0.04, 0.08]
    assert stills[0].spacing_mm == pytest.approx((0.2, 0.2))  # of its region
    assert stills[2].position == "frame 3 of 3"
    assert np.abs(stills[0].image.astype(int) - [200, 0, 0]).max() < 8
    assert clip["source_kind"] == "dicom-clip"
    assert clip["group_id"] == still["group_id"]
    ((alone,), _) = read(root, still)
    assert alone.image.dtype == np.uint8
    assert (alone.unit, alone.time_s, alone.position) == (None, None, None)


def test_monochrome1_is_white_where_its_values_are_low(tmp_path: Path) -> None:
    root = tmp_path / "in"
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    write_dicom(root / "16.dcm", ramp, "DX", PhotometricInterpretation="MONOCHROME1")
    write_dicom(root / "8.dcm", (ramp // 16).astype(np.uint8), "DX", PhotometricInterpretation="MONOCHROME1")
    stills, _ = read(root, usable(root)[0])
    assert sorted(still.inverted for still in stills) == [False, True]
    for still in stills:  # eight bits come inverted
        shown = show_values(still.image, still.window, True) if still.inverted else still.image
        assert shown[0, 0] == 255
        assert shown[-1, -1] < 30


@pytest.mark.parametrize(("window", "noted"), [((470, 950), True), ((100, 200), False), ((None, None), False)])
def test_a_window_that_leaves_nothing_to_see_is_noted(tmp_path: Path, window: tuple[Any, Any], noted: bool) -> None:
    root = tmp_path / "in"
    write_series(root, grey(3, 6, 8), "MR", WindowCenter=window[0], WindowWidth=window[1])
    stills, lost = read(root, usable(root)[0])
    assert len(stills) == 3
    assert [problem.reason.endswith("the grey levels 1 to 55 of 255") for problem in lost] == [True] * noted


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"),
    [(1, -1024, np.int16), (1, 30000, np.uint16), (40, 0, np.float32), (0.5, 0, np.float32)],
)
def test_values_of_any_width_can_be_stored(tmp_path: Path, slope: float, intercept: float, kind: Any) -> None:
    root = tmp_path / "in"
    stored = np.linspace(0, 30000, 64).astype(np.int16).reshape(8, 8)
    write_dicom(root / "x.dcm", stored, RescaleSlope=slope, RescaleIntercept=intercept)
    ((still,), _) = read(root, usable(root)[0])
    assert still.image.dtype == kind
    np.testing.assert_allclose(decode_values(*encode_values(still.image)), stored * float(slope) + intercept, atol=12)


def test_the_unit_of_a_map_is_not_made_up(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom(root / "x.dcm", grey(6, 8), RescaleType="US")
    assert read(root, usable(root)[0])[0][0].unit is None


def test_what_is_no_picture_or_no_dicom_is_said_once_and_what_is_damaged_is_a_case(tmp_path: Path) -> None:
    root = tmp_path / "in"
    whole = write_dicom(root / "deep" / "er" / "whole", grey(6, 8))
    write_dicom(root / "plan.dcm", None, SOPClassUID=uid.RTStructureSetStorage)
    write_dicom(root / "seg.dcm", grey(6, 8, kind=np.uint8), SOPClassUID=uid.SegmentationStorage)
    (root / "half.dcm").write_bytes(whole.read_bytes()[:400])
    (root / "empty.dcm").touch()
    (root / "DICOMDIR").write_bytes(b"x" * 200)
    for stray in ("._x.dcm", "notes.pdf"):
        (root / stray).write_bytes(b"no DICOM")
    cases = index(root)
    assert [case.problems[0].reason for case in cases if case.case_id == TABLE] == [
        "1 file is not understood: notes.pdf",
        "files that hold no picture: 1 RT Structure Set Storage, 1 Segmentation Storage",
    ]
    lost = {case.problems[0].file: case for case in cases if not case.row and case.case_id != TABLE}
    assert lost.keys() == {"half.dcm", "empty.dcm"}
    assert "half" not in lost["half.dcm"].case_id
    assert [row["sources"] for row in usable(root)] == [["deep/er/whole"]]


def test_a_second_copy_of_a_study_is_left_out_and_noted_but_another_picture_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_series(root / "a", grey(3, 6, 8))
    shutil.copytree(root / "a", root / "b")
    cut = write_dicom(root / "a" / "cut.dcm", grey(4, 8))
    first = read_header(root / "a" / "1.dcm")
    write_dicom(cut, grey(4, 8), SOPInstanceUID=first.SOPInstanceUID)  # cut out of the first, under its UID
    cases = index(root)
    assert sorted(case.row["n_frames"] for case in cases if case.row) == [1, 3]
    (problem,) = problems(cases)
    assert problem.file == "b/1.dcm"
    assert problem.reason.startswith("copies of 3 files of this case")


def test_a_slice_that_is_cut_off_or_missing_costs_itself_alone(tmp_path: Path) -> None:
    root = tmp_path / "in"
    paths = write_series(root, grey(7, 32, 32))
    paths[1].write_bytes(paths[1].read_bytes()[:-500])
    paths[4].unlink()
    (case,) = index(root)
    assert case.row
    assert "a slice is missing between 9.00 and 15.00 mm" in case.problems[0].reason
    stills, lost = read(root, case.row)
    assert [still.index for still in stills] == [0, 2, 3, 4, 5]
    assert lost[0].file == "2.dcm"


def test_a_clip_that_is_cut_off_keeps_the_frames_before(tmp_path: Path) -> None:
    root = tmp_path / "in"
    path = write_dicom(root / "x.dcm", grey(6, 32, 32, kind=np.uint8), "US")
    path.write_bytes(path.read_bytes()[:-1500])
    stills, lost = read(root, usable(root)[0])
    assert len(stills) == 4
    assert lost[0].reason.startswith("frame 4 of 0 to 5 does not decode")
    assert lost[0].reason.endswith("it and what follows are lost")


@pytest.mark.parametrize(
    ("modality", "elements", "used"),
    [
        ("CT", {}, False),
        ("CT", {"BurnedInAnnotation": "NO"}, True),
        ("US", {}, True),
        ("CR", {"ViewPosition": "PA"}, True),
        ("CR", {"ViewPosition": "PA", "BurnedInAnnotation": "YES"}, False),
        ("CR", {"ViewPosition": None}, False),
    ],
)
def test_a_screenshot_may_show_a_name(tmp_path: Path, modality: str, elements: dict[str, Any], used: bool) -> None:
    root = tmp_path / "in"
    capture = {"SOPClassUID": uid.SecondaryCaptureImageStorage} | elements
    write_dicom(root / "x.dcm", grey(32, 32, kind=np.uint8), modality, **capture)
    (case,) = index(root)
    assert bool(case.row) == used
    assert [problem.mend for problem in case.problems] == (
        [] if elements.get("BurnedInAnnotation") == "NO" else ["look at it"] if used else [case.problems[0].mend]
    )


def test_text_that_the_file_owns_to_is_noted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom(root / "x.dcm", grey(32, 32, kind=np.uint8), "US", BurnedInAnnotation="YES")
    (case,) = index(root)
    assert case.row
    assert "text is burned into it" in case.problems[0].reason


def test_a_picture_without_a_modality_is_not_taken_for_harmless(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom(root / "x.dcm", grey(6, 8), Modality=None)
    (case,) = index(root)
    assert case.row is None
    assert "Modality" in case.problems[0].reason


def test_phases_at_one_place_are_one_remark(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for k in range(5):
        write_dicom(root / f"{k}.dcm", grey(6, 8, seed=k), "MR", InstanceNumber=k + 1)
    (case,) = index(root)
    assert case.row
    assert case.row["n_frames"] == 5
    assert [problem.reason.endswith("(and 3 more remarks of this kind)") for problem in case.problems] == [True]


def test_the_order_and_the_names_do_not_hang_on_the_names_of_files(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for k in (10, 2, 1):
        write_dicom(root / f"s{k}" / "x.dcm", grey(6, 8, seed=k))
    before = index(root)
    assert [case.row and case.row["sources"] for case in before] == [["s1/x.dcm"], ["s2/x.dcm"], ["s10/x.dcm"]]
    assert [case.case_id for case in index(root, limit=2)] == [case.case_id for case in before[:2]]
    (root / "s2").rename(root / "moved")
    assert {case.case_id for case in index(root)} == {case.case_id for case in before}


def test_broken_copies_raise_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_dicom_folder(root)
    shutil.rmtree(root / "again")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    rng = random.Random(0)
    for _ in range(12):
        path = rng.choice(files)
        data = path.read_bytes()
        copy = bytearray(data)
        for _ in range(20):
            copy[rng.randrange(min(len(copy), 1500))] ^= rng.randrange(1, 256)
        path.write_bytes(bytes(copy))
        name = path.relative_to(root).as_posix()
        for case in index(root):
            if case.row and name in case.row["sources"]:
                with contextlib.suppress(Unusable):
                    read(root, case.row)
        path.write_bytes(data)


def test_the_card_takes_it_that_nothing_may_be_passed_on() -> None:
    about = card("dicom-folder")
    assert (about.redistribution, about.modality, about.outlines, about.counts) == ("forbidden", None, None, {})


def test_real_files_come_out_right_or_are_named(tmp_path: Path, samples: Path) -> None:
    folder = samples / "dicom"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    source = Source(folder, tmp_path)
    cases = list(collection.index(source, ContentHashes(folder, tmp_path / "hashes.json")))
    rows = {row["sources"][0]: row for case in cases if (row := case.row)}
    assert [problem.file for case in cases if not case.row and case.case_id != TABLE for problem in case.problems] == [
        "rtstruct.dcm"
    ]
    for row in rows.values():
        clip = collection.open_case(source, row)
        assert len(list(clip.read())) == row["n_frames"]
        assert not clip.problems
    echo = list(collection.open_case(source, rows["examples_ybr_color.dcm"]).read())
    assert len(echo) == 30
    assert echo[29].time_s == pytest.approx(0.967, abs=0.001)
    assert echo[0].image.shape == (240, 320, 3)
    perfusion = next(iter(collection.open_case(source, rows["eCT_Supplemental.dcm"]).read()))
    assert perfusion.unit is None
    assert perfusion.thickness_mm == 10


def test_real_series_lie_in_order(tmp_path: Path, samples: Path) -> None:
    folder = samples / "hippocampus" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    source = Source(folder, tmp_path)
    cases = list(collection.index(source, ContentHashes(folder, tmp_path / "hashes.json")))
    assert [case.row and case.row["n_frames"] for case in cases] == [32, 35, 40]
    assert not problems(cases)
    assert cases[0].row
    assert cases[0].row["sources"] == [f"study1/{k}.dcm" for k in range(1, 33)]
