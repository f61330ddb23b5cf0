"""The figures of the measured descriptors against the radiologist's words, as the report shows them."""

import json
from pathlib import Path
from typing import Any


def summarise_descriptors(path: Path) -> dict[str, Any]:
    """Return the figures of validate_descriptors with their confusion tables row by row.

    Parameters
    ----------
    path
        <results>/review/descriptors.json.

    Returns
    -------
    dict
        As in the file; each descriptor that could be learnt has `rows` in the place of `confusion`: the word that was
        said, how many cases, its `auc`, whether that is no better than chance (`by_chance`), and its cells (`n`,
        `share` of the row, `right`).
    """
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for figures in summary["datasets"].values():
        for found in figures["descriptors"].values():
            if table := found.pop("confusion", None):
                found["rows"] = [
                    {
                        "said": word,
                        "n": sum(row),
                        "auc": found["auc"][k],
                        "by_chance": found["auc"][k]["interval"][0] <= 0.5,
                        "cells": [{"n": n, "share": n / sum(row), "right": k == other} for other, n in enumerate(row)],
                    }
                    for k, (word, row) in enumerate(zip(found["classes"], table, strict=True))
                ]
    return summary
