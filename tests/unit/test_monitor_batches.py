"""Monitoring: each case is counted once, in the batch it came with, and pictures that look otherwise are seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.quality_tables import MODEL, predictions, write_predictions
from workflow_scripts.metrics import monitor_batches
from workflow_scripts.metrics.estimator import write_quality
from workflow_scripts.metrics.fit_quality import fit_quality
from workflow_scripts.tables import monitoring, quality
from workflow_scripts.tables.table import read_rows, write_rows

ROWS = predictions(50)


class Site:
    """A folder of results that grows day by day."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, list[dict[str, Any]]()
        (folder / "own.safetensors").write_text("one")

    def add(self, rows: list[dict[str, Any]], **changes: Any) -> None:
        """Add predictions with an estimate each."""
        bounds = {"estimate": 0.85, "lower_bound": 0.7, "review": False}
        self.rows += [bounds | row | changes for row in rows]

    def run(self, *more: str) -> list[dict[str, Any]]:
        spec = write_predictions(self.folder / "datasets", self.rows)
        for fold in spec["models"][MODEL]:
            kept = [{key: row[key] for key in quality.SCHEMA.names if key in row} for row in self.rows]
            write_rows(self.folder / "datasets" / "d" / "quality" / MODEL / fold / "000.parquet", kept, quality.SCHEMA)
        out = self.folder / "monitoring.parquet"
        arguments = ["--datasets", str(self.folder / "datasets"), "--weights", str(self.folder / "own.safetensors")]
        monitor_batches.main([*arguments, "--spec", str(spec).replace("'", '"'), "--monitoring", str(out), *more])
        return read_rows(out, monitoring.SCHEMA)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def of_cases(first: int, last: int) -> list[dict[str, Any]]:
    return [row for row in ROWS if first <= int(row["case_id"]) < last]


def test_a_batch_is_what_was_not_there_before_and_nothing_new_adds_nothing(site: Site) -> None:
    site.add(of_cases(0, 30))
    (first,) = site.run()
    assert (first["batch"], first["n_cases"], first["compared_with"], first["grey_ks"]) == (1, 30, None, None)
    assert first["dice"] == pytest.approx(np.mean([row["dice"] for row in of_cases(0, 30)]))
    before = (site.folder / "monitoring.parquet").read_bytes()
    assert site.run() == [first]
    assert (site.folder / "monitoring.parquet").read_bytes() == before
    site.add(of_cases(30, 50), review=True)
    again, second = site.run()
    assert again == first
    assert (second["batch"], second["n_cases"], second["review"]) == (2, 20, 1.0)
    assert second["cases"] == [str(k) for k in range(30, 50)]
    assert second["compared_with"] == "the first batch"
    assert second["grey_ks"] < 0.4


def test_pictures_of_another_scanner_are_seen(site: Site) -> None:
    site.add(of_cases(0, 30))
    site.run()
    site.add(of_cases(30, 50), grey=140.0, detail=12.0)
    second = site.run()[1]
    assert second["grey_shift"] > 3
    assert second["detail_shift"] < -3
    assert (second["grey_ks"], second["detail_ks"]) == (1, 1)


def test_the_first_batch_is_compared_with_what_the_estimate_was_fitted_on(site: Site) -> None:
    write_quality(site.folder / "quality.json", fit_quality(predictions(60, seed=3), 0.9))
    site.add(of_cases(0, 30), grey=140.0)
    (first,) = site.run("--estimator", str(site.folder / "quality.json"))
    assert first["compared_with"] == "the pictures that the estimate was fitted on"
    assert first["grey_ks"] > 0.95
    assert first["detail_ks"] < 0.3


def test_how_often_the_bound_held_is_told_where_there_are_references(site: Site) -> None:
    site.add([row | {"dice": 0.6 if int(row["case_id"]) < 3 else 0.9} for row in of_cases(0, 12)])
    (first,) = site.run()
    n_under = sum(int(row["case_id"]) < 3 for row in site.rows)
    assert first["covered"] == pytest.approx(1 - n_under / len(site.rows))
    assert first["n_scored"] == first["n_frames"] == len(site.rows)


def test_what_is_unknown_stays_unknown(site: Site) -> None:
    site.add(of_cases(0, 5), estimate=None, lower_bound=None)
    (first,) = site.run()
    assert (first["estimate"], first["lower_bound"], first["covered"]) == (None, None, None)


def test_a_model_that_was_trained_again_starts_anew(site: Site) -> None:
    site.add(of_cases(0, 10))
    site.run()
    (site.folder / "own.safetensors").write_text("two")
    first, anew = site.run()
    assert (anew["batch"], anew["n_cases"]) == (1, 10)
    assert anew["version"] != first["version"]
