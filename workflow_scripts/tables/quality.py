"""quality: one row is one prediction and how good it probably is, without a reference."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("model", pa.string(), "the model"),
        column("fold", pa.string(), "the fold that the model never saw, or `given`"),
        column("expected_dice", pa.float64(), "as in masks"),
        column("sharpness", pa.float64(), "as in masks"),
        column("solidity", pa.float64(), "as in masks"),
        column("edge", pa.float64(), "as in masks"),
        column("agreement", pa.float64(), "as in masks"),
        column("grey", pa.float64(), "as in masks"),
        column("detail", pa.float64(), "as in masks"),
        column("estimate", pa.float64(), "estimated Dice, by what was fitted on other patients; null: not known"),
        column("lower_bound", pa.float64(), "the Dice is no lower, at the level of quality.json; null: not known"),
        column("review", pa.bool_(), "the case goes to review"),
        column("reason", pa.string(), "why, in words, as far as this frame says so; null where it does not"),
    ]
)
