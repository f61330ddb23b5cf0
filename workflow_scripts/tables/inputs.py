"""inputs: one row is one frame ready for a model, with the way back to the pixels it came from."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("image", IMAGE, "grey PNG: field only, aspect kept, speckle reduced, contrast adjusted"),
        column("mask", IMAGE, "label PNG on the same grid; null when nobody outlined the frame"),
        column(
            "affine",
            pa.list_(pa.float64(), 6),
            "rows of the 2x3 matrix from (x, y) here to (x, y) in the frame",
            "pixel",
        ),
        column("field", IMAGE, "PNG on the frame's grid: 255 where the ultrasound field is, 0 where it was blanked"),
        column(
            "overlay", IMAGE, "PNG on the frame's grid: 255 where a caliper or marker was painted over; null if none"
        ),
        column("mask_kept", pa.float64(), "share of the mask's area inside the field; null without a mask"),
    ]
)
