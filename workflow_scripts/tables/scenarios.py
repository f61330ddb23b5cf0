"""scenarios: one row is one scenario filled, or refused with its reason."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

SCHEMA = pa.schema(
    [
        column("template", pa.string(), "the template's name"),
        column("scenario_id", pa.string(), "the scenario's id in scenarios.json"),
        column("status", pa.string(), "filled or refused"),
        column("reason", pa.string(), "why it was refused, and what became of the candidates tried before"),
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("frame_id", pa.string(), "the frame"),
        column("ground_truth", pa.string(), "what the case's labels carry"),
        column("image", IMAGE, "the exported picture, beside this table"),
        column("image_sha256", pa.string(), "hash of the exported picture's pixels"),
        column("source_sha256", pa.string(), "hash of the source frame's decoded pixels"),
    ]
)
