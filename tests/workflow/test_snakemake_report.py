"""Snakemake's own report: what a reader wants is marked, with categories, labels and captions that are there."""

import zipfile
from pathlib import Path

from tests.workflow.conftest import Lab

MARKED = {"index.html", "summary.json", "CITATIONS.md", "provenance.json", "scenarios.json"}


def test_snakemakes_own_report_holds_what_a_reader_wants(lab: Lab, tmp_path: Path) -> None:
    done = lab.run("--report", str(tmp_path / "out.zip"))
    assert done.returncode == 0, done.stdout[-3000:]
    with zipfile.ZipFile(tmp_path / "out.zip") as found:
        assert {Path(name).name for name in found.namelist()} - {"report.html"} == MARKED
        page = next(found.read(name).decode() for name in found.namelist() if name.endswith("report.html"))
    for said in ("Provenance", "what to cite", "Versions, lock, configuration, code and content"):
        assert said in page
