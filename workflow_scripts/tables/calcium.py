"""calcium: one row is one case with frames, scored from its masks of calcium; what cannot be scored says why."""

import pyarrow as pa

from workflow_scripts.tables.cases import ARTERIES
from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("n_slices", pa.int32(), "slices that were looked at"),
        column("complete", pa.bool_(), "these are all slices of the series, and none is missing from it"),
        column("slice_mm", pa.float64(), "from one slice to the next; null when not known", "mm"),
        column("agatston", pa.float64(), "Agatston score within the outlines, of slices as they are; null: see reason"),
        *(column(f"agatston_{name}", pa.float64(), f"the same for {name.upper()} alone") for name in ARTERIES),
        column(
            "agatston_3mm",
            pa.float64(),
            "agatston x slice_mm / 3: an estimate of what slices of 3 mm, for which the score is defined, would give",
        ),
        column("volume_mm3", pa.float64(), "of the same lesions: their area x slice_mm", "mm3"),
        column("n_lesions", pa.int32(), "lesions of 1 mm2 or more; each slice counts its own"),
        column("category", pa.string(), "of agatston: 0, 1-10, 11-100, 101-400, >400; what lies between is the higher"),
        column("agatston_given", pa.float64(), "Agatston score as the data set states it"),
        column("category_given", pa.string(), "the same of agatston_given"),
        column("reason", pa.string(), "why something is null; null when nothing is"),
    ]
)
