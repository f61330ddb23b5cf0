"""The section of learned grades, rendered with what the command itself wrote."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.grader_tables import KWAK, Clinic, learnt
from tests.unit.test_report import Page
from workflow_scripts.report.draw_grader import draw_grader
from workflow_scripts.report.summarise_grader import summarise_grader
from workflow_scripts.report.write_report import page_templates
from workflow_scripts.tables import learned_grades
from workflow_scripts.tables.table import write_rows
from workflow_scripts.tirads import grader_figures, grader_model


def section(clinic: Clinic) -> str:
    figures, rows = learnt(clinic)
    where = clinic.folder / "datasets" / "clinic" / "learned_grades.parquet"
    write_rows(where, rows, learned_grades.SCHEMA)
    (clinic.folder / "grader.json").write_text(json.dumps(figures))
    summary = summarise_grader(clinic.folder / "datasets", clinic.folder / "grader.json", ["clinic"])
    charts = {task: draw_grader(found) for task, found in summary["tasks"].items() if found["abstained"] is None}
    return page_templates().get_template("grader.html").render(summary=summary, charts=charts)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader_figures, "RESAMPLES", 100)
    monkeypatch.setattr(grader_model, "REPEATS", 1)
    monkeypatch.setattr(grader_model, "INNER_FOLDS", 3)


def test_the_section_tells_figures_controls_and_whom_to_look_at(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, [("2", "4a", "5")[k // 2 % 3] for k in range(72)])
    place = np.array([("2", "4a", "5").index(str(level)) for level in clinic.levels])
    clinic.blocks["features"][:, 0] += 8 * place
    clinic.blocks["features"][0, 0] += 16  # its picture is that of a level 5
    page = section(clinic)
    text = " ".join(Page(page).text.split())
    assert "For research, not for diagnosis" in text
    assert "72 cases of 72 groups" in text
    assert "quadratic kappa, 95 % interval" in text
    assert "control: the picture without its nodules" in text
    assert "is at chance within its interval" in text
    assert "the radiologist states Kwak 2011 level 2" in text
    assert page.count("<svg") == 2
    assert page.count('class="n"') == 3 + 9  # levels, and the cases of each pair of them
    assert "None" not in text


def test_the_section_says_why_nothing_was_learnt(tmp_path: Path) -> None:
    page = section(Clinic(tmp_path, ["4a"] * 40))
    assert f"Nothing was learnt: {KWAK}: one class only" in page
    assert "<svg" not in page
    assert "no outlined case states a TI-RADS level" in section(Clinic(tmp_path / "other", [None] * 8))
