"""masks: one row is one prediction, on the frame's own grid, and what it leaves that tells how good it is."""

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
        # Signals, on the model's grid; null where the mask is empty or where nobody predicted.
        column("expected_dice", pa.float64(), "Dice of the mask with the probability map that it was cut from"),
        column("sharpness", pa.float64(), "change of probability across the outline, over the root of the area"),
        column("solidity", pa.float64(), "area of the largest part over that of its convex hull"),
        column("edge", pa.float64(), "change of the picture's grey level at the outline, over its mean in the field"),
        column("agreement", pa.float64(), "Dice of the map with that of the mirrored picture; null if not asked for"),
        # The picture as the model saw it, inside the field; null where nobody predicted.
        column("grey", pa.float64(), "mean grey level"),
        column("detail", pa.float64(), "standard deviation of the second derivative (Laplacian)"),
    ]
)
