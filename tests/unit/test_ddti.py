"""DDTI: outlines as JSON text in XML, and the defects that its files really have."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fixtures import outline, scan, write_ddti_case
from workflow_scripts.collections import ddti
from workflow_scripts.collections.collection import Indexed, Unusable, WrongLayout
from workflow_scripts.provenance import ContentHashes


def index(root: Path, limit: int | None = None) -> dict[str, Indexed]:
    return {
        case.case_id: case for case in ddti.index(root, ContentHashes(root, root.parent / "hashes.json"), limit, {})
    }


def read(root: Path, case: Indexed) -> tuple[list, list[Unusable]]:
    assert case.row, case.problems
    clip = ddti.open_case(root, case.row)
    return list(clip.read()), clip.problems


def test_a_case_is_an_xml_and_its_pictures_in_numeric_order(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 10, dict.fromkeys([10, 2, 1]))
    write_ddti_case(tmp_path, 9, {1: None})
    cases = index(tmp_path)
    assert list(cases) == ["9", "10"]
    stills, problems = read(tmp_path, cases["10"])
    assert [still.position for still in stills] == ["10_1.jpg", "10_2.jpg", "10_10.jpg"]
    assert [still.index for still in stills] == [0, 1, 2]
    assert not problems
    for still, k in zip(stills, (1, 2, 10), strict=True):
        assert (still.image == cv2.imread(str(tmp_path / f"10_{k}.jpg"), cv2.IMREAD_UNCHANGED)).all()
        assert (still.mask == scan(1000 + k, (180, 280))[1]).mean() > 0.999


def test_two_regions_are_two_nodules_and_an_arrow_is_none(tmp_path: Path) -> None:
    mask = np.zeros((180, 280), np.uint8)
    mask[40:80, 40:90] = mask[100:140, 160:220] = 1
    regions = json.loads(outline(mask))
    regions.append({"points": [{"x": 5, "y": 5}, {"x": 50, "y": 50}], "annotation": {}, "regionType": "arrow"})
    write_ddti_case(tmp_path, 1, {1: json.dumps(regions)})
    stills, _ = read(tmp_path, index(tmp_path)["1"])
    assert np.unique(stills[0].mask).tolist() == [0, 1, 2]
    assert ((stills[0].mask > 0) == (mask > 0)).all()


def test_an_outline_that_breaks_off_costs_its_picture(tmp_path: Path) -> None:
    cut = outline(scan(1)[1])[:200]
    write_ddti_case(tmp_path, 1, {1: cut, 2: None})
    write_ddti_case(tmp_path, 2, {1: cut})
    cases = index(tmp_path)
    stills, problems = read(tmp_path, cases["1"])
    assert [still.position for still in stills] == ["1_2.jpg"]
    assert (problems[0].file, "breaks off after 200 characters" in problems[0].reason) == ("1_1.jpg", True)
    assert read(tmp_path, cases["2"])[0] == []


@pytest.mark.parametrize(
    "svg", ['{"points": 3}', '[{"points": [{"x": 1}]}]', "[[1, 2]]", '[{"regionType": "freehand"}]']
)
def test_an_outline_of_another_shape_is_not_guessed(tmp_path: Path, svg: str) -> None:
    write_ddti_case(tmp_path, 1, {1: svg})
    stills, problems = read(tmp_path, index(tmp_path)["1"])
    assert not stills
    assert problems


def test_a_picture_without_outline_has_no_mask_and_is_not_healthy(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: ""})
    stills, problems = read(tmp_path, index(tmp_path)["1"])
    assert stills[0].mask is None
    assert "not taken to be healthy" in problems[0].reason


def test_one_picture_in_two_cases_stays_with_the_first_and_joins_them(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 2, {1: None})
    write_ddti_case(tmp_path, 10, {1: None, 2: None}, tirads="5")
    write_ddti_case(tmp_path, 30, {1: None})
    (tmp_path / "10_2.jpg").write_bytes((tmp_path / "2_1.jpg").read_bytes())
    (tmp_path / "30_1.jpg").write_bytes((tmp_path / "2_1.jpg").read_bytes())
    cases = index(tmp_path)
    assert cases["10"].row
    assert cases["2"].row
    assert [still.position for still in read(tmp_path, cases["10"])[0]] == ["10_1.jpg"]
    assert cases["10"].row["group_id"] == cases["2"].row["group_id"] == "2"
    assert "joined" in cases["10"].row["group_kind"]
    assert cases["30"].row is None
    assert "of case 2" in cases["30"].problems[0].reason


def test_one_picture_twice_in_a_case_is_one_picture(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: None, 2: ""})
    (tmp_path / "1_2.jpg").write_bytes((tmp_path / "1_1.jpg").read_bytes())
    case = index(tmp_path)["1"]
    assert [still.position for still in read(tmp_path, case)[0]] == ["1_1.jpg"]
    assert "of this case" in case.problems[0].reason


def test_orphans_and_broken_xml_are_quarantined(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        write_ddti_case(tmp_path, number, {1: None})
    (tmp_path / "1.xml").unlink()
    (tmp_path / "2_1.jpg").unlink()
    (tmp_path / "3.xml").write_text((tmp_path / "3.xml").read_text()[:300])
    cases = index(tmp_path)
    assert [case.row is None for case in cases.values()] == [True, True, True, False]
    reasons = [cases[name].problems[0].reason for name in "123"]
    assert [part in reason for part, reason in zip(("no XML", "no picture", "well-formed"), reasons, strict=True)] == [
        True,
        True,
        True,
    ]


def test_a_corrupt_jpeg_costs_the_picture(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: None, 2: None, 3: None})
    data = (tmp_path / "1_1.jpg").read_bytes()
    (tmp_path / "1_1.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "1_3.jpg").write_bytes(b"no picture")
    stills, problems = read(tmp_path, index(tmp_path)["1"])
    assert [still.position for still in stills] == ["1_2.jpg"]
    assert [problem.file for problem in problems] == ["1_1.jpg", "1_3.jpg"]


def test_the_level_is_kwaks_and_there_is_no_histology(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: None}, tirads="4A", sex="u", age="", composition=" dense ", margins="ill- defined")
    write_ddti_case(tmp_path, 2, {1: None}, tirads="")
    write_ddti_case(tmp_path, 3, {1: None}, tirads="7")
    cases = index(tmp_path)
    label = cases["1"].row
    assert label
    assert (label["tirads_system"], label["tirads_level"], label["label_source"]) == ("Kwak 2011", "4a", "radiologist")
    assert label.get("pathology") is None
    assert (label["sex"], label["age"]) == (None, None)
    assert (label["composition"], label["composition_points"]) == ("dense", None)  # no word of ACR's lexicon
    assert (label["margin_points"], label.get("shape_points")) == (0, None)
    assert cases["2"].row
    assert (cases["2"].row["tirads_system"], cases["2"].row["label_source"]) == (None, "none")
    assert cases["3"].row is None
    assert "4a, 4b, 4c" in cases["3"].problems[0].mend


def test_a_folder_without_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongLayout, match=r"expected a folder with <n>\.xml"):
        index(tmp_path)


def test_xml_bombs_are_refused(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: None})
    bomb = '<!DOCTYPE case [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><case><tirads>&b;</tirads></case>'
    (tmp_path / "1.xml").write_text(bomb)
    assert index(tmp_path)["1"].row is None


def test_real_samples(samples: Path) -> None:
    cases = index(samples / "ddti")
    assert len(cases) == 340
    usable = [case for case in cases.values() if case.row]
    assert len(usable) == 334
    lost = [case for case in usable if not read(samples / "ddti", case)[0]]
    assert sorted(int(case.case_id) for case in lost) == [54, 127, 165, 166, 176, 197, 203, 205]  # outlines cut off
