"""reviews: one row is one case that somebody looked at on the review page, and what was decided."""

from pathlib import Path

import pyarrow as pa

from workflow_scripts.tables.table import IMAGE, column, stream_rows

SCHEMA = pa.schema(
    [
        column("dataset", pa.string(), "the data set"),
        column("case_id", pa.string(), "the case"),
        column("frame_id", pa.string(), "the frame that was shown"),
        column("decision", pa.string(), "accept: let it stand; correct: `mask` replaces the reference of the frame"),
        column("comment", pa.string(), "what the reviewer wrote; null: nothing"),
        column("reviewer", pa.string(), "who; null: not said"),
        column("mask", IMAGE, "label PNG on the frame's grid, as the reviewer drew it; null unless corrected"),
    ]
)


def read_corrected(reviews: Path | None) -> dict[str, bytes]:
    """Return the label PNGs of the frames whose outline was corrected; of None (nobody reviewed the chunk) none."""
    rows = stream_rows(reviews, ["frame_id", "mask"]) if reviews else ()
    return {row["frame_id"]: row["mask"]["bytes"] for row in rows if row["mask"]}
