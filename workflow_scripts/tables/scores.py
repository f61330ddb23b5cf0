"""scores: one row is one prediction against its reference, on the frame's grid."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("group_id", pa.string(), "whom a bootstrap draws as one: as in folds, else dataset/group_id"),
        column("model", pa.string(), "the model's name"),
        column("fold", pa.string(), "the fold that the model never saw, or `given`"),
        column("tp", pa.int64(), "nodule in both", "pixel"),
        column("fp", pa.int64(), "nodule in the prediction alone", "pixel"),
        column("fn", pa.int64(), "nodule in the reference alone", "pixel"),
        column("tn", pa.int64(), "background in both", "pixel"),
        column("dice", pa.float64(), "2 tp / (2 tp + fp + fn); null where both are empty"),
        column("iou", pa.float64(), "tp / (tp + fp + fn); null where both are empty"),
        column(
            "hd95",
            pa.float64(),
            "95th percentile of the surface distances; null where either is empty",
            "pixel",
        ),
        column("surface_distance", pa.float64(), "mean surface distance; null where either is empty", "pixel"),
        column("empty_reference", pa.bool_(), "the expert outlined nothing"),
        column("empty_prediction", pa.bool_(), "the model found nothing"),
    ]
)
