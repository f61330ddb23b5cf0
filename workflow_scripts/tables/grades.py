"""grades: one row is one case graded by a TI-RADS system."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from workflow_scripts.tables.table import column

MAIN = "ACR 2017"  # the system that every case is graded by, and that scenarios and the report rest on
SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("system", pa.string(), "TI-RADS system and version"),
        column(
            "points",
            pa.int8(),
            "sum of the descriptors' points, or count of suspicious features; null when one is not known",
            "points",
        ),
        column("level", pa.string(), "level in `system`; null when it cannot be determined"),
        column(
            "advice",
            pa.string(),
            "fna, follow-up, none, no fna (follow-up is not in the table), or cannot be determined",
        ),
        column("reason", pa.string(), "why, in one sentence"),
        column(
            "findings",
            pa.string(),
            "the descriptors in the case's own words of the system; points that stand for two say `or`",
        ),
        column("source", pa.string(), "what the grade rests on: radiologist descriptors"),
        column(
            "turn",
            pa.int8(),
            "place among the nodules of its patient for which the same is advised; null for one nodule, an unknown"
            " patient, or where the guideline has no rule for several",
        ),
        column("advice_en", pa.string(), "the advice for a reader: level, why, rule for the size, how sure"),
        column("advice_zh", pa.string(), "the same in Chinese"),
    ]
)


def by_main(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return of rows of `grades` that of each case by the system that every case is graded by."""
    return {row["case_id"]: row for row in rows if row["system"] == MAIN}
