"""DDTI: outlines as JSON text in XML, and the defects that its files really have."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fixtures import outline, scan, write_ddti_case
from workflow_scripts.collections import ddti
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Unusable, WrongLayout
from workflow_scripts.provenance import ContentHashes


def index(root: Path, limit: int | None = None) -> dict[str, Indexed]:
    return {
        case.case_id: case
        for case in ddti.index(Source(root, root, limit), ContentHashes(root, root.parent / "hashes.json"))
    }


def read(root: Path, case: Indexed) -> tuple[list, list[Unusable]]:
    assert case.row, case.problems
    clip = ddti.open_case(Source(root, root), case.row)
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
    stills, later = read(tmp_path, cases["1"])
    assert [still.position for still in stills] == ["1_2.jpg"]
    assert not later  # it is said once
    assert cases["1"].row
    assert (cases["1"].row["n_frames"], cases["1"].row["sources"]) == (1, ["1.xml", "1_2.jpg"])
    (problem,) = cases["1"].problems
    assert (problem.file, "breaks off after 200 characters" in problem.reason) == ("1_1.jpg", True)
    assert cases["2"].row is None
    assert (
        cases["2"].problems[0].reason.startswith("no picture of the case can be used: the outline of picture 1 breaks")
    )


def polygon(*points: tuple[float, float]) -> str:
    return json.dumps([{"points": [{"x": x, "y": y} for x, y in points], "regionType": "freehand"}])


@pytest.mark.parametrize(
    ("svg", "reason"),
    [
        ('{"points": 3}', "expected a list of regions"),
        ('[{"points": [{"x": 1}]}]', "expected a list of regions"),
        ("[[1, 2]]", "expected a list of regions"),
        ('[{"regionType": "freehand"}]', "expected a list of regions"),
        ("not JSON at all", "expected a list of regions"),
        ("[" * 100_000, "expected a list of regions"),
        (polygon((1, 1), (9, 9)), "fewer than three points"),
        (polygon((1, 1), (float("nan"), 9), (9, 1)), "lies in no picture"),
        (polygon((1, 1), (float("inf"), 9), (9, 1)), "lies in no picture"),
        (polygon((1, 1), (10**400, 9), (9, 1)), "expected a list of regions"),
        (polygon((1, 1), (10**9, 9), (9, 1)), "lies in no picture"),
        (polygon((1, 1), (5, 5), (9, 9)), "area is zero"),
    ],
    ids=range(12),
)
def test_an_outline_of_another_shape_is_not_guessed(tmp_path: Path, svg: str, reason: str) -> None:
    write_ddti_case(tmp_path, 1, {1: svg, 2: None})
    case = index(tmp_path)["1"]
    assert reason in case.problems[0].reason
    assert [still.position for still in read(tmp_path, case)[0]] == ["1_2.jpg"]


def test_an_outline_is_cut_at_the_edge_and_refused_outside(tmp_path: Path) -> None:
    inside, across = ((-3, -3), (-3, 60), (60, -3)), ((-200, -200), (-200, 60), (60, -200))
    outside = ((300, 10), (340, 10), (340, 60))  # the picture has 280 columns
    write_ddti_case(tmp_path, 1, {1: polygon(*inside), 2: polygon(*across), 3: polygon(*outside)})
    stills, problems = read(tmp_path, index(tmp_path)["1"])
    assert [still.position for still in stills] == ["1_1.jpg"]
    assert stills[0].mask is not None
    assert stills[0].mask[0, 0] == 1
    assert ["outside the picture of 280 x 180" in problem.reason for problem in problems] == [True, True]


def test_marks_are_joined_or_named(tmp_path: Path) -> None:
    write_ddti_case(tmp_path, 1, {1: polygon((10, 10), (10, 50), (50, 10))})
    marks = "".join(
        f"<mark><image>{name}</image><svg>{polygon((100, 100), (100, 150), (150, 100))}</svg></mark>"
        for name in ("1", "7", "two", "\u00b2")
    )
    text = (tmp_path / "1.xml").read_text().replace("</case>", marks + "</case>")
    (tmp_path / "1.xml").write_text(text, encoding="utf-8")
    case = index(tmp_path)["1"]
    stills, _ = read(tmp_path, case)
    assert np.unique(stills[0].mask).tolist() == [0, 1, 2]
    assert [problem.reason for problem in case.problems] == [
        "<image> of a <mark> is 'two'",
        "<image> of a <mark> is '\u00b2'",
        "it has a <mark> for picture 7, which is not there",
    ]


def test_other_spellings_are_read_and_other_files_are_named(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_ddti_case(tmp_path, number, {1: None})
    (tmp_path / "1.xml").rename(tmp_path / "1.XML")
    (tmp_path / "2_1.jpg").rename(tmp_path / "2_1.jpeg")
    for name in ("24 copy.xml", "a%20b.jpg", "3_1.JPG", "._3.xml", "notes.txt", "2_\u00b2.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "3_2.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "3_3.jpg").symlink_to(tmp_path / "3_3.jpg")
    cases = index(tmp_path)
    assert [bool(cases[name].row) for name in "123"] == [True, True, True]
    (remark,) = cases[TABLE].problems
    assert remark.reason.startswith(
        "6 files are not understood: 2_\u00b2.jpg, 3_1.JPG, 3_2.jpg, 3_3.jpg, 24 copy.xml, …"
    )


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
    assert len(usable) == 326
    cut = [name for name, case in cases.items() if any("breaks off" in problem.reason for problem in case.problems)]
    assert sorted(cut, key=int) == ["54", "127", "165", "166", "176", "197", "203", "205"]
    assert not set(cut) & {case.case_id for case in usable}
    assert all(read(samples / "ddti", case)[0] for case in usable)
