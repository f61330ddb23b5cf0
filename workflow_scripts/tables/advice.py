"""advice: one row is one case of which a machine advised, or a physician concluded, something."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case"),
        column("dataset", pa.string(), "the data set"),
        column("ai_advice", pa.string(), "what a machine advised, in the words of the data set"),
        column("physician_conclusion", pa.string(), "what the physician concluded, in the words of the data set"),
        column("ai_says", pa.string(), "ai_advice in one word: benign, malignant, biopsy, follow-up; null: not clear"),
        column("physician_says", pa.string(), "physician_conclusion in the same words"),
        column("system", pa.string(), "TI-RADS system of guideline_advice; null when the case has no grade"),
        column(
            "guideline_advice", pa.string(), "fna, follow-up, none, or cannot be determined; takes no part in agree"
        ),
        column("agree", pa.bool_(), "both lead to the same course; null when either is not clear"),
        column("review", pa.int8(), "1 one says benign, the other malignant; 2 they disagree otherwise; null: no need"),
        column("reason", pa.string(), "why, in one sentence"),
    ]
)
