"""The cost against the size, as docs/scaling.md shows it."""

from pathlib import Path

from tests.bench_scaling import STAGES, as_markdown, draw, read_costs
from workflow_scripts.figures.plate import FORMATS, paper_style
from workflow_scripts.provenance import ROOT

DOCS = ROOT / "docs"


def test_table_and_drawing_are_those_of_the_figures(tmp_path: Path) -> None:
    rows = read_costs(DOCS / "scaling.csv")
    assert {row["stage"] for row in rows} == set(STAGES)
    assert as_markdown(rows) in (DOCS / "scaling.md").read_text(encoding="utf-8")
    with paper_style():
        draw(rows).savefig(tmp_path / "scaling.svg", metadata=FORMATS["svg"])
    assert (tmp_path / "scaling.svg").read_bytes() == (DOCS / "scaling.svg").read_bytes()
