"""Grades of cases: points, the system's words, a stated level that does not agree, and what is not known."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.tables import cases, grades, quarantine
from workflow_scripts.tables.table import read_rows, write_rows
from workflow_scripts.tirads.grade_nodules import grade_all, grade_case, main
from workflow_scripts.tirads.systems import SYSTEMS, System, load_system

SYSTEM = load_system("acr_2017")
EMPTY: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names) | {"case_id": "1", "dataset": "d", "sources": ["x"]}


def case(points: tuple[int | None, ...], **other: object) -> dict[str, Any]:
    named = {f"{name}_points": value for name, value in zip(cases.DESCRIPTORS, points, strict=True)}
    stated = {"tirads_system": "ACR 2017", "size_mm": [12.0, 9.0, 10.0], "largest_mm": 12.0}
    return EMPTY | named | stated | other


def graded(system: System, case: dict[str, Any]) -> dict[str, Any]:
    return grade_case(system, case)[1]


def test_points_give_level_advice_and_reason() -> None:
    grade = graded(SYSTEM, case((2, 2, 0, 0, 3), tirads_level="TR5"))
    assert (grade["points"], grade["level"], grade["advice"]) == (7, "TR5", "fna")
    assert "12.0 mm is at or above the FNA threshold of 10 mm" in grade["reason"]
    assert "solid or almost completely solid" in grade["findings"]


def test_a_stated_level_that_is_not_the_sum_costs_the_case() -> None:
    with pytest.raises(Unusable, match="stated level TR3 is not that of its 7 points, TR5"):
        grade_case(SYSTEM, case((2, 2, 0, 0, 3), tirads_level="TR3"))


def test_a_level_of_another_system_is_not_compared() -> None:
    grade = graded(SYSTEM, case((2, 2, 0, 0, 3), tirads_system="Kwak 2011", tirads_level="3"))
    assert grade["level"] == "TR5"


def test_an_unknown_descriptor_is_not_guessed() -> None:
    grade = graded(SYSTEM, case((2, 2, None, 0, 3), tirads_system="Kwak 2011", tirads_level="5"))
    assert (grade["points"], grade["level"], grade["advice"]) == (None, None, "cannot be determined")
    assert "shape is not known" in grade["reason"]


def test_words_of_the_lexicon_count_and_others_are_refused() -> None:
    words = dict(
        zip(cases.DESCRIPTORS, ("solid", "isoechoic", "wider-than-tall", "smooth", "macrocalcifications"), strict=True)
    )
    grade = graded(SYSTEM, case((None,) * 5, **words, tirads_level="TR4"))
    assert (grade["points"], grade["level"], grade["advice"]) == (4, "TR4", "follow-up")
    both = words | {"foci": "macrocalcifications; punctate echogenic foci"}
    assert graded(SYSTEM, case((None,) * 5, **both))["points"] == 7
    with pytest.raises(Unusable, match="fuzzy"):
        grade_case(SYSTEM, case((None,) * 5, **(words | {"margin": "fuzzy"})))


@pytest.mark.parametrize(
    ("points", "stated", "expected"),
    [
        ((0, 2, 0, 0, 3), None, (None, None, "cannot be determined")),  # a cyst of 5 points, or spongiform
        ((0, 2, 0, 0, 3), "TR4", (5, "TR4", "follow-up")),
        ((0, 2, 0, 0, 3), "TR1", (0, "TR1", "none")),  # spongiform, or the level were wrong
        ((0, 0, 0, 0, 0), None, (0, "TR1", "none")),
    ],
)
def test_no_points_for_composition_may_mean_spongiform(
    points: tuple[int, ...], stated: str | None, expected: tuple[object, ...]
) -> None:
    grade = graded(SYSTEM, case(points, tirads_level=stated))
    assert (grade["points"], grade["level"], grade["advice"]) == expected


def test_spongiform_in_the_systems_terms_counts_whatever_system_the_level_is_of() -> None:
    other = {"composition": "spongiform", "tirads_system": "C-TIRADS 2020"}
    assert graded(SYSTEM, case((0, 1, 0, 0, 3), **other))["level"] == "TR1"
    with pytest.raises(Unusable, match="stated level TR3 is not that of its 5 points, TR4"):
        grade_case(SYSTEM, case((0, 2, 0, 0, 3), tirads_level="TR3"))


def test_spongiform_needs_no_other_descriptor() -> None:
    grade = graded(SYSTEM, case((None,) * 5, composition="spongiform"))
    assert (grade["points"], grade["level"], grade["advice"]) == (0, "TR1", "none")


def test_a_blank_axis_is_a_lower_bound() -> None:
    size = {"size_mm": [12.0, None, 9.0], "largest_mm": None}
    assert graded(SYSTEM, case((2, 2, 0, 0, 3), **size))["advice"] == "fna"
    assert graded(SYSTEM, case((2, 2, 0, 0, 0), **size))["advice"] == "cannot be determined"


def test_the_largest_diameter_alone_decides() -> None:
    size = {"size_mm": [12.0, None, None], "largest_mm": 12.0}
    assert graded(SYSTEM, case((2, 2, 0, 0, 0), **size))["advice"] == "follow-up"


def test_every_system_asked_for_has_its_row_and_none_takes_over_a_level() -> None:
    stated = {"tirads_system": "Kwak 2011", "tirads_level": "5"}
    rows, lost = grade_all([load_system(stem) for stem in SYSTEMS.values()], [case((2, 2, 0, 0, 1), **stated)])
    assert [(row["system"], row["level"]) for row in rows] == [
        *(("ACR 2017", "TR4"), ("EU-TIRADS 2017", "4"), ("K-TIRADS 2016", "4"), ("K-TIRADS 2021", "4")),
        *(("C-TIRADS 2020", None), ("Kwak 2011", "4b")),
    ]
    assert not lost
    assert rows[-1]["reason"].endswith("; the radiologist states 5")
    assert all("For research" in row["advice_en"] and "仅供研究" in row["advice_zh"] for row in rows)


def test_of_several_nodules_of_a_patient_those_with_most_points_go_first() -> None:
    def nodule(name: str, points: tuple[int, ...], largest: float, **other: object) -> dict[str, Any]:
        whose = {"case_id": name, "group_id": "p", "group_kind": "patient", "largest_mm": largest}
        return case(points, tirads_system=None, **whose | other)

    nodules = [
        nodule("1", (2, 2, 0, 0, 0), 40),
        nodule("2", (2, 2, 3, 0, 3), 11),
        nodule("3", (2, 2, 3, 0, 3), 12),
        nodule("4", (2, 2, 0, 0, 0), 9),
        nodule("5", (2, 2, 3, 2, 3), 20, group_id="q"),
        nodule("6", (2, 2, 3, 2, 3), 20, group_kind="neighbouring clips"),
    ]
    rows, _ = grade_all([SYSTEM], nodules)
    assert {row["case_id"]: row["turn"] for row in rows} == {"1": 3, "2": 2, "3": 1, "4": None, "5": None, "6": None}
    assert rows[0]["advice"] == "fna"
    assert "it is number 3; the guideline takes at most 2" in rows[0]["advice_en"]


def test_the_command_writes_a_row_a_system_and_readers_keep_to_one(tmp_path: Path) -> None:
    (tmp_path / "chunks").mkdir()
    rows = [case((2, 2, 0, 0, 3)), case((2, 2, 0, 0, 3), case_id="2", tirads_level="TR2")]
    write_rows(tmp_path / "chunks" / "000.parquet", rows, cases.SCHEMA)
    out, lost = tmp_path / "grades.parquet", tmp_path / "lost.parquet"
    for also in ([], ["EU-TIRADS 2017"]):
        given = ["--spec", json.dumps({"also": also}), "--grades", str(out), "--quarantine", str(lost)]
        main(["--chunks", str(tmp_path / "chunks"), *given])
        assert [row["system"] for row in read_rows(out, grades.SCHEMA)] == ["ACR 2017", *also]
        assert grades.by_main(read_rows(out, grades.SCHEMA))["1"]["level"] == "TR5"
        assert [row["case_id"] for row in read_rows(lost, quarantine.SCHEMA)] == ["2"]
