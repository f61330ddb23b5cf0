"""flags: one row is one case that goes to review, with the reason in words."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("group_id", pa.string(), "its group"),
        column("model", pa.string(), "the model"),
        column("n_frames", pa.int32(), "scored frames of the case"),
        column("dice", pa.float64(), "mean Dice of its scored frames"),
        column("iou", pa.float64(), "mean IoU of its scored frames"),
        column("worst_frame_id", pa.string(), "the frame with the lowest Dice"),
        column("reason", pa.string(), "what is wrong, in words"),
        column("decision", pa.string(), "of a reviewer: accept or correct, as in reviews; null: nobody has looked yet"),
        column("reviewer", pa.string(), "who decided; null: nobody, or not said"),
        column("comment", pa.string(), "what the reviewer wrote"),
    ]
)
