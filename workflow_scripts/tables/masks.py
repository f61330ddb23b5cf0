"""masks: one row is one prediction, on the frame's own grid."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("model", pa.string(), "the model's name, or the name of the masks that were given"),
        column("fold", pa.string(), "the fold that the model never saw; `given` for a model or masks from elsewhere"),
        column("mask", IMAGE, "label PNG on the frame's grid: 0 background, 1..n nodules, the largest first"),
        column("mean_probability", pa.float64(), "mean probability inside the mask; null where empty or not known"),
        column("entropy", pa.float64(), "mean binary entropy over the field; null where not known", "bit"),
    ]
)
