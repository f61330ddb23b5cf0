"""embeddings: one row is the largest nodule of one frame as the encoder of a network sees it, and a control."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("frame_id", pa.string(), "the frame"),
        column("case_id", pa.string(), "the case"),
        column("outlined_by", pa.string(), "expert, or the model's name: then it is the outline of the same network"),
        column("model", pa.string(), "the network's name"),
        column("fold", pa.string(), "the fold that the network never saw, or `given`"),
        column(
            "features", pa.list_(pa.float32()), "mean and spread over the nodule of each channel, finer stages first"
        ),
        column(
            "control",
            pa.list_(pa.float32()),
            "the same over a mosaic of what is left of the picture without its nodules; null where nothing is, and of"
            " a model's outline",
        ),
        column(
            "view",
            pa.list_(pa.float32()),
            "how the picture was taken: pixels of the frame to one here; width, height of the field",
        ),
    ]
)
