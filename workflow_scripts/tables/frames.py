"""frames: one row is one still, taken from a case exactly as it was decoded."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "case_id/frame_index"),
        column("case_id", pa.string(), "the case"),
        column("frame_index", pa.int32(), "0-based, in decoded order, over the case's files in numeric order"),
        column("position", pa.string(), "which file the frame is from, where the case has several"),
        column("time_s", pa.float64(), "time since the first frame; null when the file does not say", "s"),
        column("height", pa.int32(), "rows", "pixel"),
        column("width", pa.int32(), "columns", "pixel"),
        column("spacing_mm", pa.list_(pa.float64()), "row and column spacing; null when not known", "mm"),
        column("image", IMAGE, "the picture, or the path of the file that is the picture"),
        column("mask", IMAGE, "label PNG: 0 background, 1..n nodules; null when nobody outlined the frame"),
        column("mask_kind", pa.string(), "what the mask outlines: nodule"),
        column("pixel_sha256", pa.string(), "hash of the decoded pixels with their shape"),
    ]
)
