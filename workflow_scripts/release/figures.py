"""Figures that may leave: each drawn from what the release itself holds, so that it says no more than that does."""

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.figures.differences import draw_paired_comparison
from workflow_scripts.figures.grader import draw_grader_calibration, draw_grader_roc, draw_tirads_confusion
from workflow_scripts.figures.plate import Missing, Run, paper_style
from workflow_scripts.figures.quality import draw_risk_coverage
from workflow_scripts.figures.scenarios import draw_scenario_coverage
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import canonical_json
from workflow_scripts.release.lock import NAME, read_lock

FIGURES = {
    "scenario_coverage": draw_scenario_coverage,
    "paired_comparison": draw_paired_comparison,
    "risk_coverage": draw_risk_coverage,
    "tirads_confusion": draw_tirads_confusion,
    "grader_roc": draw_grader_roc,
    "grader_calibration": draw_grader_calibration,
}


def draw_released(release: Path) -> Mapping[str, np.ndarray]:
    """Return the figures (H, W, 3; uint8) that the metrics and the lock of a release give, by name.

    Who inspects a release draws them again: a picture that does not come out the same is none of them. A figure whose
    numbers are not there (they rest on few patients) is left out.
    """
    return _draw(canonical_json(_summary(release)))


@cache  # who builds a release inspects it next
def _draw(summary: str) -> Mapping[str, np.ndarray]:
    run, drawn = Run(Path(), json.loads(summary)), {}
    with paper_style():
        for name, draw in FIGURES.items():
            try:
                figure = draw(run).figure
            except (Missing, KeyError, TypeError, ValueError):
                continue
            png = io.BytesIO()
            figure.savefig(png, format="png")
            drawn[name] = np.ascontiguousarray(decode_picture(png.getvalue())[..., :3])
    return drawn


def _summary(release: Path) -> dict[str, Any]:
    """Return what a report's summary would say, as far as a release holds it."""

    def metrics(name: str) -> Any:
        path = release / "metrics" / name
        return json.loads(path.read_text(encoding="utf-8"), object_hook=_told) if path.is_file() else {}

    locked = read_lock(release / NAME)
    templates = {
        each["name"]: {"template": each["name"], "kind": each["kind"], "asked": 0} for each in locked["templates"]
    }
    for entry in locked["scenarios"].values():
        row = templates[entry["template"]]
        row["asked"] += 1
        row["filled"] = row.get("filled", 0) + (entry["status"] == "filled")
    return {
        "quality": {"evaluation": metrics("quality.json")},
        "grader": metrics("grader.json"),
        "comparison": metrics("comparison.json"),
        "scenarios": {"templates": [row for row in templates.values() if row["asked"]]},
    }


def _told(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block of metrics without those in its lists that rest on too few patients to be told."""
    return {
        name: [each for each in value if not (isinstance(each, dict) and "not_told" in each)]
        if isinstance(value, list)
        else value
        for name, value in block.items()
    }
