"""candidates: one row is one case that a scenario could take, in the order in which they are tried."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("template", pa.string(), "the template's name"),
        column("rank", pa.int32(), "0 is tried first"),
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("group_id", pa.string(), "the case's group: a template takes one case a group"),
    ]
)
