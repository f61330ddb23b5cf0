"""quarantine: one row is one case that cannot be used, or one thing that a usable case has lost."""

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("stage", pa.string(), "the rule that found it"),
        column(
            "status",
            pa.string(),
            "quarantined: the case is out; excluded: its user left it out; partial: it stays; noticed: known",
        ),
        column("file", pa.string(), "the file at fault, relative to the data set's root"),
        column("reason", pa.string(), "what is wrong"),
        column("mend", pa.string(), "what would mend it"),
    ]
)


class Problem(Protocol):
    """What is wrong with a case: see `collections.collection.Unusable`."""

    file: str
    reason: str
    mend: str


def problem_row(stage: str, case: Mapping[str, Any], status: str, problem: Problem) -> dict[str, Any]:
    """Return the row that says what `stage` found wrong with a case (`case_id`, `dataset`)."""
    return {
        "case_id": case["case_id"],
        "dataset": case["dataset"],
        "stage": stage,
        "status": status,
        "file": problem.file,
        "reason": problem.reason,
        "mend": problem.mend,
    }


def quarantined(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return (dataset, case_id) of the cases that are out."""
    return {(row["dataset"], row["case_id"]) for row in rows if row["status"] == "quarantined"}
