"""frames: one row is one still, taken from a case exactly as it was decoded."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "case_id/frame_index"),
        column("case_id", pa.string(), "the case"),
        column("modality", pa.string(), "DICOM modality code of the case"),
        column("frame_index", pa.int32(), "0-based, in decoded order, over the case's files in numeric order"),
        column("position", pa.string(), "file, slice, phase or tile, where the case has several"),
        column("time_s", pa.float64(), "time since the first frame; null when the file does not say", "s"),
        column("height", pa.int32(), "rows", "pixel"),
        column("width", pa.int32(), "columns", "pixel"),
        column("spacing_mm", pa.list_(pa.float64()), "row and column spacing; null when not known", "mm"),
        column(
            "thickness_mm",
            pa.float64(),
            "from slice to slice, by where they lie; else the slice's own; null when not known",
            "mm",
        ),
        column("image", IMAGE, "the picture, or the path of the file that is the picture; 16 bits: values"),
        column("slope", pa.float64(), "of 16 bits: value = slope x sample + intercept; null for 8 bits"),
        column("intercept", pa.float64(), "see slope"),
        column("unit", pa.string(), "of the values: HU; null when they have none"),
        column(
            "window",
            pa.list_(pa.float64()),
            "centre and width by which values are shown; null: all",
        ),
        column("inverted", pa.bool_(), "low values are white (MONOCHROME1)"),
        column("mask", IMAGE, "label PNG: 0 background, 1..n nodules; null when nobody outlined the frame"),
        column("mask_kind", pa.string(), "what the mask outlines: nodule, gland, ventricle, calcium, tumour …"),
        column("mask_names", pa.list_(pa.string()), "what labels 1..n are, where they are not one thing after another"),
        column("given_mask", IMAGE, "a mask that a model predicted, shipped with the data set; null: none"),
        column("pixel_sha256", pa.string(), "hash of the decoded pixels with their shape"),
    ]
)
