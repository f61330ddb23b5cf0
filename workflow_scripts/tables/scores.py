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
        column("sensitivity", pa.float64(), "tp / (tp + fn); null where the expert outlined nothing"),
        column("precision", pa.float64(), "tp / (tp + fp); null where the model found nothing"),
        column("hd95", pa.float64(), "95th percentile of the surface distances; null where either is empty", "pixel"),
        column("surface_distance", pa.float64(), "mean surface distance; null where either is empty", "pixel"),
        column("hd95_mm", pa.float64(), "hd95; null where either is empty or the spacing is not known", "mm"),
        column("surface_distance_mm", pa.float64(), "mean surface distance; null as above", "mm"),
        column("n_outlined", pa.int16(), "nodules that the expert outlined: connected parts without specks"),
        column("n_predicted", pa.int16(), "nodules that the model found, counted likewise"),
        column("n_found", pa.int16(), "pairs of the two, one to one, each with an IoU of at least 0.1"),
        column("found_dice", pa.float64(), "mean Dice of these pairs; null where there is none"),
        column("touches_edge", pa.bool_(), "the expert's outline reaches the edge of the field; null: no field known"),
        column(
            "views", pa.int8(), "1, or 2 where two views stand side by side; null: not 8-bit ultrasound, or no field"
        ),
        column("longest_mm", pa.float64(), "longest diameter of an outlined nodule here; null: no spacing", "mm"),
        column(
            "corrected", pa.bool_(), "the reference is what a reviewer drew (table reviews), not the data set's outline"
        ),
        column("empty_reference", pa.bool_(), "the expert outlined nothing"),
        column("empty_prediction", pa.bool_(), "the model found nothing"),
    ]
)
