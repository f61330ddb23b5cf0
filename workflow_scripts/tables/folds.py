"""folds: one row is one case of a group with reference masks, and the fold that holds it out."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("group_id", pa.string(), "dataset/group_id of the first of the groups that were joined"),
        column("fold", pa.int8(), "0-based; the model of this fold has never seen the case's group"),
        column("joined_because", pa.string(), "the frames whose pictures nearly repeat in another group; null if none"),
    ]
)
