"""Advice of a machine beside the conclusion of a physician: who agrees, who does not, and what is not clear."""

from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.tables import advice, cases, grades
from workflow_scripts.tables.table import read_rows, write_rows
from workflow_scripts.tirads.compare_advice import compare_advice, compare_all, main

EMPTY: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
GRADE: dict[str, Any] = dict.fromkeys(grades.SCHEMA.names)


def case(case_id: str, ai: str | None, physician: str | None) -> dict[str, Any]:
    texts = {"ai_advice": "AI text", "physician_conclusion": "physician's text"}
    return EMPTY | {"case_id": case_id, "dataset": "d", "ai_says": ai, "physician_says": physician} | texts


@pytest.mark.parametrize(
    ("ai", "physician", "agree", "review"),
    [
        ("benign", "benign", True, None),
        ("malignant", "biopsy", True, None),
        ("follow-up", "benign", True, None),
        ("malignant", "benign", False, 1),
        ("benign", "malignant", False, 1),
        ("biopsy", "benign", False, 2),
        ("follow-up", "malignant", False, 2),
        (None, "malignant", None, None),
        ("benign", None, None, None),
        (None, None, None, None),
    ],
)
def test_what_leads_to_one_course_agrees(
    ai: str | None, physician: str | None, agree: bool | None, review: int | None
) -> None:
    row = compare_advice(case("1", ai, physician), None)
    assert (row["agree"], row["review"]) == (agree, review)


def test_reasons_say_what_each_said() -> None:
    def reason(*said: str | None, **other: Any) -> str:
        return str(compare_advice(case("1", *said) | other, None)["reason"])

    assert reason("malignant", "benign") == "AI: malignant; physician: benign"
    assert reason("biopsy", "malignant") == "AI: to be biopsied; physician: malignant; both lead to tissue"
    assert reason("benign", "benign") == "AI and physician: benign"
    assert reason(None, "benign") == "not compared: what the AI says is not clear"
    assert reason(None, None, ai_advice=None).startswith("not compared: what the AI says is not there and what the phy")


def test_the_guideline_is_told_and_decides_nothing() -> None:
    grade = GRADE | {"case_id": "1", "system": "ACR 2017", "advice": "fna"}
    row = compare_advice(case("1", "benign", "benign"), grade)
    assert row["agree"] is True
    assert (row["system"], row["guideline_advice"]) == ("ACR 2017", "fna")
    assert row["reason"].endswith("; ACR 2017 by its descriptors: FNA")
    unknown = compare_advice(case("1", "benign", "benign"), grade | {"advice": "cannot be determined"})
    assert unknown["reason"] == "AI and physician: benign"


def test_command_puts_contradictions_first_and_leaves_out_who_has_no_advice(tmp_path: Path) -> None:
    rows = [
        case("9", "benign", "benign"),
        case("10", "biopsy", "benign"),
        case("2", "biopsy", "follow-up"),
        case("11", "malignant", "benign"),
        case("3", None, "benign"),
        EMPTY | {"case_id": "4", "dataset": "d"},
    ]
    assert [row["case_id"] for row in compare_all(rows, [])] == ["11", "2", "10", "3", "9"]
    (tmp_path / "chunks").mkdir()
    for k in (0, 1):
        write_rows(tmp_path / "chunks" / f"00{k}.parquet", rows[k::2], cases.SCHEMA)
    graded = GRADE | {"case_id": "11", "dataset": "d", "system": "ACR 2017", "advice": "none"}
    write_rows(tmp_path / "grades.parquet", [graded], grades.SCHEMA)
    out = tmp_path / "advice.parquet"
    main(["--chunks", str(tmp_path / "chunks"), "--grades", str(tmp_path / "grades.parquet"), "--advice", str(out)])
    found = read_rows(out, advice.SCHEMA)
    assert [row["case_id"] for row in found] == ["11", "2", "10", "3", "9"]
    assert found[0]["reason"].endswith("neither FNA nor follow-up")
