"""The figures of the stages that few data sets get: calcium, and a machine's advice against the physician's."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from workflow_scripts.imaging.agatston import ABOVE, CATEGORIES
from workflow_scripts.report.summarise import most_common
from workflow_scripts.tables import advice, calcium
from workflow_scripts.tables.table import planned, read_many, read_rows

REVIEWED = ("case_id", "ai_says", "physician_says", "ai_advice", "physician_conclusion", "reason")


def summarise_calcium(folder: Path, through: Collection[str]) -> dict[str, Any]:
    """Return how many cases of the data set under `folder` have which category, and why some were not scored."""
    rows = [row for row in read_many(planned(folder, "calcium"), calcium.SCHEMA) if row["case_id"] in through]
    reasons = Counter(str(row["reason"]) for row in rows if row["agatston"] is None)
    return {
        "cases": len(rows),
        "scored": len(rows) - reasons.total(),
        "stated": sum(row["agatston_given"] is not None for row in rows),
        "categories": [
            {
                "category": name,
                "scored": sum(row["category"] == name for row in rows),
                "stated": sum(row["category_given"] == name for row in rows),
            }
            for name in (*CATEGORIES.values(), ABOVE)
        ],
        "unscored": most_common(reasons, "reason"),
    }


def summarise_advice(folder: Path, through: Collection[str]) -> dict[str, Any]:
    """Return how often a machine and the physician agree in the data set under `folder`, and whom to review."""
    rows = [row for row in read_rows(folder / "advice.parquet", advice.SCHEMA) if row["case_id"] in through]
    return {
        "cases": len(rows),
        "agree": sum(row["agree"] is True for row in rows),
        "disagree": sum(row["agree"] is False for row in rows),
        "contradict": sum(row["review"] == 1 for row in rows),
        "not_compared": sum(row["agree"] is None for row in rows),
        "review": [{key: row[key] for key in REVIEWED} for row in rows if row["review"] is not None],
    }
