"""grades: one row is one case graded by a TI-RADS system."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("system", pa.string(), "TI-RADS system and version"),
        column("points", pa.int8(), "sum of the descriptors' points; null when one is not known", "points"),
        column("level", pa.string(), "level in `system`; null when it cannot be determined"),
        column("advice", pa.string(), "fna, follow-up, none, or cannot be determined"),
        column("reason", pa.string(), "why, in one sentence"),
        column(
            "findings",
            pa.string(),
            "the descriptors in the case's own words of the system; points that stand for two say `or`",
        ),
        column("source", pa.string(), "what the grade rests on: radiologist descriptors"),
    ]
)
