"""matches: one row is one template, and how many cases its labels fit."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("template", pa.string(), "the template's name"),
        column("title", pa.string(), "its title"),
        column("kind", pa.string(), "error: a wrong decision; appropriate: a right one"),
        column("asked", pa.int32(), "scenarios that it asks for"),
        column("eligible", pa.int64(), "cases that fit by their labels"),
        column("patients", pa.int64(), "groups that these cases are of"),
        column("candidates", pa.int32(), "cases that are tried, in order: all that fit, or a reserve of them"),
        column("unfit", pa.string(), "where none fits: which label is missing, or which condition leaves none"),
        column("datasets", pa.list_(pa.string()), "those whose cases fit; where none does, those that come nearest"),
    ]
)
