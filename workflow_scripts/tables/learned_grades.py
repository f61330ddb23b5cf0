"""learned_grades: one row is one case graded by a model that never saw its patient, in the system of its data set."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("group_id", pa.string(), "its group, as in folds"),
        column("fold", pa.string(), "the fold whose model graded it: it never saw the group"),
        column("system", pa.string(), "TI-RADS system and version of the levels; null where none was learnt"),
        column("radiologist", pa.string(), "the level as graded by the radiologist; null when there is none"),
        column("level", pa.string(), "the level that was predicted; null where no system was learnt"),
        column(
            "probabilities", pa.map_(pa.string(), pa.float64()), "of each level, calibrated, the lowest level first"
        ),
        column("p_high", pa.float64(), "probability of level 4 or 5; null when the low levels were too few to learn"),
        column("p_malignant", pa.float64(), "probability of malignant histology; null where it could not be learnt"),
        column("sure", pa.float64(), "probability that the radiologist's level is `level` or a neighbour of it"),
        column("source", pa.string(), "what it rests on: of picture, measured, clinical those that the case has"),
        column("disagreement", pa.string(), "both sides in words, where the case should be looked at; null: no need"),
    ]
)
