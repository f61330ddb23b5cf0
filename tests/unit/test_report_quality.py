"""Quality control in the report: its figures are those of the tables, and what is unknown says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.quality_tables import MODEL, predictions, write_predictions
from tests.unit.report_tables import HOSTILE
from workflow_scripts.metrics import fit_quality, monitor_batches
from workflow_scripts.provenance import canonical_json
from workflow_scripts.report.draw_quality import draw_quality
from workflow_scripts.report.summarise_quality import SHOWN, summarise_quality
from workflow_scripts.report.write_report import page_templates
from workflow_scripts.tables import quality
from workflow_scripts.tables.table import write_rows


def summarise(folder: Path, rows: list[dict[str, Any]], fitted: bool = True) -> dict[str, Any]:
    """Write what the stages before leave, estimates by hand, and return the summary."""
    datasets, review = folder / "datasets", folder / "review"
    spec = write_predictions(datasets, rows) | {"level": 0.9, "gate": 0.8, "seed": 0}
    kept = [{key: row[key] for key in quality.SCHEMA.names if key in row} for row in rows]
    write_rows(datasets / "d" / "quality" / MODEL / "0" / "000.parquet", kept, quality.SCHEMA)
    (folder / "w.safetensors").write_text("weights")
    common = ["--datasets", str(datasets), "--spec", canonical_json(spec)]
    if fitted:
        outputs = ["--estimator", str(folder / "quality.json"), "--summary", str(review / "quality.json")]
        fit_quality.main([*common, *outputs])
    weights = ["--weights", str(folder / "w.safetensors"), "--monitoring", str(review / "monitoring.parquet")]
    monitor_batches.main([*common, *weights])
    return summarise_quality(datasets, review, spec)


def render(summary: dict[str, Any]) -> str:
    return page_templates().get_template("estimates.html").render(quality=summary, charts=draw_quality(summary))


ESTIMATED = {"estimate": 0.9, "lower_bound": 0.85, "review": False, "reason": None}


def test_the_page_shows_the_figures_of_the_tables(tmp_path: Path) -> None:
    rows = [ESTIMATED | row for row in predictions(60)]
    rows[0] |= {"review": True, "lower_bound": 0.3, "reason": f"ragged {HOSTILE}"}
    for row in rows[1:]:
        row["review"] = row["case_id"] == rows[0]["case_id"]
    summary = summarise(tmp_path, rows)
    assert (summary["n_review"], summary["n_cases"]) == (1, 60)
    page = render(summary)
    evaluation = json.loads((tmp_path / "review" / "quality.json").read_text())
    for figure in (evaluation["auroc"]["value"], evaluation["coverage"]["value"], evaluation["mae"]):
        assert f"<dd>{figure:.3f}</dd>" in page
    assert page.count("<circle") == len(rows)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "cases" not in summary["batches"][0]  # the list of who is counted is no figure


def test_what_is_not_known_says_so(tmp_path: Path) -> None:
    unknown = {"estimate": None, "lower_bound": None, "review": False, "reason": None}
    summary = summarise(tmp_path, [unknown | row for row in predictions(12)])
    page = render(summary)
    assert "Nothing is estimated: 12 groups of patients have scored masks" in page
    assert "<svg" not in page
    assert ">not known<" in page


def test_a_given_model_has_batches_alone(tmp_path: Path) -> None:
    summary = summarise(tmp_path, [ESTIMATED | row for row in predictions(12)], fitted=False)
    assert summary["evaluation"] is None
    assert "the model was given" in render(summary)


@pytest.mark.parametrize("n", [SHOWN, SHOWN + 5])
def test_the_lowest_bounds_come_first_and_the_list_has_an_end(tmp_path: Path, n: int) -> None:
    rows = [ESTIMATED | row for row in predictions(n)]
    rows = [row | {"review": True, "reason": "low", "lower_bound": int(row["case_id"]) / 100} for row in rows]
    summary = summarise(tmp_path, rows, fitted=False)
    assert [case["case_id"] for case in summary["review"]] == [str(k) for k in range(SHOWN)]
    page = render(summary)
    assert f"{n} cases to review" in page
    assert (f"here the {SHOWN} with the lowest bounds" in page) == (n > SHOWN)
