"""nodules: one row is one outlined nodule on one frame, as measured from its outline and the picture.

What needs the picture is null where fewer than 20 pixels of the nodule or of its surroundings lie in the field, or
where the surroundings are all of one grey level. docs/nodules.md says how each figure is computed.
"""

import pyarrow as pa

from workflow_scripts.tables.table import column

EXPERT = "expert"  # who outlined it, where no model did
SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("outlined_by", pa.string(), "expert, or the name of the model (or of the given masks)"),
        column("fold", pa.string(), "the fold that the model never saw, or `given`; null of an expert's outline"),
        column("nodule", pa.int16(), "label in the mask, from 1; a model's are the largest first"),
        column("area_px", pa.int64(), "area", "pixel"),
        column("longest_px", pa.float64(), "longest diameter", "pixel"),
        column("perpendicular_px", pa.float64(), "largest extent perpendicular to it", "pixel"),
        column("tall_over_wide", pa.float64(), "height over width of its box; above 1: taller than wide"),
        column("area_mm2", pa.float64(), "area; null when the spacing is not known", "mm²"),
        column("longest_mm", pa.float64(), "longest diameter; null when the spacing is not known", "mm"),
        column("perpendicular_mm", pa.float64(), "largest extent perpendicular to it; null as above", "mm"),
        column(
            "x", pa.float64(), "centre, share of the field's width from its left edge; an outline may lie outside it"
        ),
        column("depth", pa.float64(), "centre, share of the field's height from its top"),
        column("touches_edge", pa.bool_(), "it reaches the edge of the field: its size may be larger than seen"),
        column(
            "echogenicity",
            pa.float64(),
            "median grey level less that of the surroundings, over the spread: the pooled one of both",
        ),
        column("heterogeneity", pa.float64(), "spread of the grey levels inside, over that of the surroundings"),
        column(
            "cystic_share",
            pa.float64(),
            "share of its area that is free of echoes: smoothed, under 0.3 of the way from black to what is around",
        ),
        column("margin_irregularity", pa.float64(), "1 - area over the area of its convex hull; null of a line"),
        column(
            "circularity",
            pa.float64(),
            "4 pi area over the squared length of its outline: 1 for a disc; null of a line",
        ),
        column("border_contrast", pa.float64(), "mean change of the grey level across its border, over the spread"),
        column("bright_foci", pa.int32(), "spots inside that are much brighter than what is around them"),
        column("bright_share", pa.float64(), "share of its area that these cover"),
        column("shadow", pa.float64(), "median grey level below it less that beside it at that depth, over the spread"),
        column(
            "relative_grey",
            pa.float64(),
            "median grey level over that of the surroundings, both less what is black in the picture",
        ),
        column(
            "focus_diameter", pa.float64(), "diameter of the largest bright spot, share of the field's height; 0: none"
        ),
    ]
)
