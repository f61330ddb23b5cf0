"""history: one row is one epoch of training."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("epoch", pa.int32(), "from 1"),
        column("learning_rate", pa.float64(), "at the end of the epoch"),
        column("loss", pa.float64(), "Dice loss + weighted cross-entropy, mean over the pictures as augmented"),
        column("dice", pa.float64(), "mean per-image Dice of the training pictures as augmented"),
        column("iou", pa.float64(), "mean per-image IoU of the training pictures as augmented"),
        column("validation_loss", pa.float64(), "loss of the validation pictures, with averaged weights"),
        column(
            "validation_dice",
            pa.float64(),
            "mean per-image Dice of the validation pictures: early stopping watches it",
        ),
        column("validation_iou", pa.float64(), "mean per-image IoU of the validation pictures"),
    ]
)
