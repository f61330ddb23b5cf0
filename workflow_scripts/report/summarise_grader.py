"""The figures of the learned grades as the report shows them, and the cases to look at again."""

import json
from pathlib import Path
from typing import Any

from workflow_scripts.files import natural
from workflow_scripts.tables import learned_grades
from workflow_scripts.tables.table import read_rows

ARMS = {  # in the order of the table: what the grade rests on, in words
    "all": "picture, measures and clinical columns",
    "picture": "picture alone",
    "measured": "measures alone",
    "clinical": "clinical columns alone",
    "majority": "always the commonest level",
    "control": "control: the picture without its nodules",
    "view": "control: size and scale of the picture",
}
FIGURES = {
    "kappa": "quadratic kappa",
    "exact": "exact level",
    "within_one": "within one level",
    "auc": "AUC",
    "ece": "calibration error",
    "brier": "Brier score",
}


def summarise_grader(datasets: Path, figures: Path, names: list[str]) -> dict[str, Any]:
    """Return the figures of grader.json with what the page needs beside them.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    figures
        The file <results>/review/grader.json.
    names
        The data sets that were graded.
    """
    summary: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    for found in summary["tasks"].values():
        if found["abstained"] is None:
            found["rows"] = [
                {"arm": arm, "words": words, "figures": found["arms"][arm]}
                for arm, words in ARMS.items()
                if arm in found["arms"]
            ]
            found["columns"] = [name for name in FIGURES if name in found["arms"]["all"]]
    rows = [
        row for name in names for row in read_rows(datasets / name / "learned_grades.parquet", learned_grades.SCHEMA)
    ]
    review = sorted(
        (row for row in rows if row["disagreement"]), key=lambda row: (row["dataset"], natural(row["case_id"]))
    )
    return summary | {
        "words": FIGURES,
        "graded": len({(row["dataset"], row["case_id"]) for row in rows}),
        "review": [
            {key: row[key] for key in ("dataset", "case_id", "system", "disagreement", "source")} for row in review
        ],
    }
