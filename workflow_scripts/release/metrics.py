"""Figures that may leave: sums over many patients; what rests on few, or lists cases, stays."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.release.known import FEW

FIGURES = ("scores", "quality", "comparison", "descriptors", "grader")
# What a block calls the number of its groups, or of what no group has less than one of.
COUNTS = ("n_groups", "n_patients", "groups", "n", "n_cases", "n_frames", "outlines")
ROWS = ("points",)  # lists with a row a frame
COUNTS_OF_FEW = ("left_out", "abstained")  # which labels were too rare to learn from, and how rare
TOO_FEW = f"fewer than {FEW} groups of patients: not told"


def figures_that_may_leave(review: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of each file of figures, by its name.

    Parameters
    ----------
    review
        The folder <results>/review.
    names
        What each data set is called in a release.
    """
    found = {}
    for name in FIGURES:
        path = review / f"{name}.json"
        if path.is_file():
            found[f"{name}.json"] = _without_few(json.loads(path.read_text(encoding="utf-8")), names)
    return found


def _without_few(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        groups = [value[name] for name in COUNTS if isinstance(value.get(name), int)]
        if groups and min(groups) < FEW:
            part = {key: each for key, each in value.items() if key in {"name", "part", "model"}}
            return part | {"not_told": TOO_FEW}
        return {
            names.get(key, key): TOO_FEW if key in COUNTS_OF_FEW and each else _without_few(each, names)
            for key, each in value.items()
            if not (key in ROWS and isinstance(each, list))
        }
    if isinstance(value, list):
        return [_without_few(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
