"""scenarios: one row is one scenario filled, or refused with its reason."""

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column

TILES = 8
"""A picture is cut into so many rows and columns of tiles."""

SCHEMA = pa.schema(
    [
        column("template", pa.string(), "the template's name"),
        column("scenario_id", pa.string(), "the scenario's id in scenarios.json"),
        column("kind", pa.string(), "error: a wrong decision; appropriate: a right one"),
        column("status", pa.string(), "filled or refused"),
        column("reason", pa.string(), "why it was refused, and what became of the candidates tried before"),
        column("could", pa.string(), "which data set could carry it, where none that Casebook reads does"),
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("frame_id", pa.string(), "the frame"),
        column("frame_index", pa.int32(), "its place in the case, as in the table of frames"),
        column("ground_truth", pa.string(), "what the case's labels carry"),
        column("image", IMAGE, "the exported picture, beside this table"),
        column("overlay", IMAGE, "the same with the expert's outline drawn in; null unless the template asks for it"),
        column("image_sha256", pa.string(), "hash of the exported picture's pixels"),
        column("source_sha256", pa.string(), "hash of the source frame's decoded pixels"),
        column("text_sha256", pa.string(), "hash of the entry's texts as canonical JSON"),
        column(
            "tile_sha256",
            pa.list_(pa.string()),
            "hashes of the exported picture's tiles, 8 rows of 8: how much differs where it does",
        ),
    ]
)
