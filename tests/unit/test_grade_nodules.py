"""Grades of cases: points, the system's words, a stated level that does not agree, and what is not known."""

from typing import Any

import pytest

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.tables import cases
from workflow_scripts.tirads.engine import load_system
from workflow_scripts.tirads.grade_nodules import grade_case

SYSTEM = load_system("acr_2017")
EMPTY: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names) | {"case_id": "1", "dataset": "d", "sources": ["x"]}


def case(points: tuple[int | None, ...], **other: object) -> dict[str, Any]:
    named = {f"{name}_points": value for name, value in zip(cases.DESCRIPTORS, points, strict=True)}
    stated = {"tirads_system": "ACR 2017", "size_mm": [12.0, 9.0, 10.0], "largest_mm": 12.0}
    return EMPTY | named | stated | other


def test_points_give_level_advice_and_reason() -> None:
    grade = grade_case(SYSTEM, case((2, 2, 0, 0, 3), tirads_level="TR5"))
    assert (grade["points"], grade["level"], grade["advice"]) == (7, "TR5", "fna")
    assert "12.0 mm is at or above the FNA threshold of 10 mm" in grade["reason"]
    assert "solid or almost completely solid" in grade["findings"]


def test_a_stated_level_that_is_not_the_sum_costs_the_case() -> None:
    with pytest.raises(Unusable, match="stated level TR3 is not that of its 7 points, TR5"):
        grade_case(SYSTEM, case((2, 2, 0, 0, 3), tirads_level="TR3"))


def test_a_level_of_another_system_is_not_compared() -> None:
    grade = grade_case(SYSTEM, case((2, 2, 0, 0, 3), tirads_system="Kwak 2011", tirads_level="3"))
    assert grade["level"] == "TR5"


def test_an_unknown_descriptor_is_not_guessed() -> None:
    grade = grade_case(SYSTEM, case((2, 2, None, 0, 3), tirads_system="Kwak 2011", tirads_level="5"))
    assert (grade["points"], grade["level"], grade["advice"]) == (None, None, "cannot be determined")
    assert "shape is not known" in grade["reason"]


def test_words_of_the_lexicon_count_and_others_are_refused() -> None:
    words = dict(
        zip(cases.DESCRIPTORS, ("solid", "isoechoic", "wider-than-tall", "smooth", "macrocalcifications"), strict=True)
    )
    grade = grade_case(SYSTEM, case((None,) * 5, **words, tirads_level="TR4"))
    assert (grade["points"], grade["level"], grade["advice"]) == (4, "TR4", "follow-up")
    both = words | {"foci": "macrocalcifications; punctate echogenic foci"}
    assert grade_case(SYSTEM, case((None,) * 5, **both))["points"] == 7
    with pytest.raises(Unusable, match="fuzzy"):
        grade_case(SYSTEM, case((None,) * 5, **(words | {"margin": "fuzzy"})))


def test_spongiform_needs_no_other_descriptor() -> None:
    grade = grade_case(SYSTEM, case((None,) * 5, composition="spongiform"))
    assert (grade["points"], grade["level"], grade["advice"]) == (0, "TR1", "none")


def test_a_blank_axis_is_a_lower_bound() -> None:
    size = {"size_mm": [12.0, None, 9.0], "largest_mm": None}
    assert grade_case(SYSTEM, case((2, 2, 0, 0, 3), **size))["advice"] == "fna"
    assert grade_case(SYSTEM, case((2, 2, 0, 0, 0), **size))["advice"] == "cannot be determined"


def test_the_largest_diameter_alone_decides() -> None:
    size = {"size_mm": [12.0, None, None], "largest_mm": 12.0}
    assert grade_case(SYSTEM, case((2, 2, 0, 0, 0), **size))["advice"] == "follow-up"
