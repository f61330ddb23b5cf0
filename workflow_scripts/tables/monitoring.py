"""monitoring: one row is one batch, the cases of a data set that a model met in a run for the first time."""

import pyarrow as pa

from workflow_scripts.tables.table import column

SCHEMA = pa.schema(
    [
        column("batch", pa.int32(), "counts from 1 within a data set and a version of a model"),
        column("dataset", pa.string(), "the data set"),
        column("model", pa.string(), "the model's name"),
        column("version", pa.string(), "the first digits of a hash over the model's weights"),
        column("n_cases", pa.int32(), "cases"),
        column("n_frames", pa.int32(), "predicted frames"),
        column("n_scored", pa.int32(), "predicted frames with a reference, of which not both masks are empty"),
        column("dice", pa.float64(), "mean Dice of the scored frames; null without"),
        column("iou", pa.float64(), "mean IoU of the scored frames; null without"),
        column("estimate", pa.float64(), "mean estimated Dice; null: not known"),
        column("lower_bound", pa.float64(), "mean lower bound; null: not known"),
        column("covered", pa.float64(), "share of the scored frames with a bound whose Dice is no lower than it"),
        column("review", pa.float64(), "share of the cases that go to review"),
        column("grey", pa.float64(), "mean grey level of the pictures"),
        column("grey_shift", pa.float64(), "from the comparison's mean, in its standard deviations"),
        column("grey_ks", pa.float64(), "Kolmogorov-Smirnov statistic against the comparison: 0 alike, 1 apart"),
        column("detail", pa.float64(), "mean detail of the pictures"),
        column("detail_shift", pa.float64(), "as grey_shift"),
        column("detail_ks", pa.float64(), "as grey_ks"),
        column("compared_with", pa.string(), "whose pictures; null: there is nothing to compare with"),
        column("cases", pa.list_(pa.string()), "the cases, so that none is counted twice"),
    ]
)
