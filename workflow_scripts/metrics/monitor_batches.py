"""Add a row to the monitoring table for the cases that a model has met for the first time.

What was there before is read from the table itself: without new cases it stays as it is. A model that was trained again
has another version, and starts anew.
"""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from workflow_scripts import command
from workflow_scripts.files import natural
from workflow_scripts.imaging.quality_signals import LOOKS
from workflow_scripts.metrics.estimator import Quality, read_quality
from workflow_scripts.metrics.scored import below, counted, scored_chunks
from workflow_scripts.provenance import file_sha256
from workflow_scripts.tables import monitoring
from workflow_scripts.tables.table import planned, read_rows, stream_rows, write_rows

VERSION_DIGITS = 12
COLUMNS = ["frame_id", "case_id", "estimate", "lower_bound", "review", *LOOKS]

Row = dict[str, Any]


def version_of(weights: list[Path]) -> str:
    """Return the first digits of a hash over all weights of a model, in the order of their folds."""
    hashes = "".join(file_sha256(path) for path in weights)
    return hashlib.sha256(hashes.encode()).hexdigest()[:VERSION_DIGITS]


def mean(values: list[float | None]) -> float | None:
    """Return the mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def compare(values: list[float], with_: list[float]) -> tuple[float | None, float | None]:
    """Return by how many standard deviations a mean lies beside another, and the Kolmogorov-Smirnov statistic of both.

    The first is None where the comparison does not vary, both are where it is fewer than two pictures.
    """
    if len(with_) < 2:
        return None, None
    spread = float(np.std(with_))
    shift = float(np.mean(values) - np.mean(with_)) / spread if spread else None
    return shift, float(ks_2samp(values, with_).statistic)


def describe_batch(rows: list[Row], scored: dict[str, Row], looks: dict[str, list[float]]) -> Row:
    """Return the figures of one batch.

    Parameters
    ----------
    rows
        Rows of `quality` of the new cases.
    scored
        By frame_id, the rows of `scores` that enter a mean.
    looks
        By name, the values that the pictures are compared with; empty where there are none.
    """
    own = [(row, scored[row["frame_id"]]) for row in rows if row["frame_id"] in scored]
    held = [not below(of["dice"], row["lower_bound"]) for row, of in own if row["lower_bound"] is not None]
    cases = {row["case_id"]: row["review"] for row in rows}
    figures: Row = {
        "n_cases": len(cases),
        "n_frames": len(rows),
        "n_scored": len(own),
        "dice": mean([of["dice"] for _, of in own]),
        "iou": mean([of["iou"] for _, of in own]),
        "estimate": mean([row["estimate"] for row in rows]),
        "lower_bound": mean([row["lower_bound"] for row in rows]),
        "covered": float(np.mean(held)) if held else None,
        "review": float(np.mean(list(cases.values()))),
        "cases": sorted(cases, key=natural),
    }
    for name in LOOKS:
        values = [row[name] for row in rows]
        shift, statistic = compare(values, looks.get(name, []))
        figures |= {name: mean(values), f"{name}_shift": shift, f"{name}_ks": statistic}
    return figures


def monitor_dataset(before: list[Row], rows: list[Row], scored: dict[str, Row], known: Quality | None) -> Row | None:
    """Return the row of the cases of one data set that were not there before; None where there are none.

    They are compared with the pictures that the estimate was fitted on, else with those of the first batch.

    Parameters
    ----------
    before
        The rows of `monitoring` of the same data set, model and version, the first batch first.
    rows
        Rows of `quality`.
    """
    met = {case_id for row in before for case_id in row["cases"]}
    new = [row for row in rows if row["case_id"] not in met]
    if not new:
        return None
    looks, words = (known.looks if known else {}), "the pictures that the estimate was fitted on"
    if not looks and before:
        first = set(before[0]["cases"])
        looks = {name: [row[name] for row in rows if row["case_id"] in first] for name in LOOKS}
        words = "the first batch"
    compared = {"compared_with": words if any(looks.values()) else None}
    return {"batch": len(before) + 1} | describe_batch(new, scored, looks) | compared


def monitor_batches(datasets: Path, spec: Row, version: str, known: Quality | None, before: list[Row]) -> list[Row]:
    """Return the rows of `monitoring`: those before, and one for each data set with new cases."""
    model = spec["model"]
    scored: dict[str, dict[str, Row]] = defaultdict(dict)
    for dataset, _, rows in scored_chunks(datasets, spec, model):
        scored[dataset] |= {row["frame_id"]: row for row in counted(rows)}
    after = list(before)
    for dataset in sorted(name for name, models in spec["datasets"].items() if model in models):
        names = {"dataset": dataset, "model": model, "version": version}
        paths = [
            path for fold in spec["models"][model] for path in planned(datasets / dataset, f"quality/{model}/{fold}")
        ]
        rows = [row for path in paths for row in stream_rows(path, COLUMNS)]
        own = [row for row in before if names.items() <= row.items()]
        if added := monitor_dataset(
            own, sorted(rows, key=lambda row: natural(row["frame_id"])), scored[dataset], known
        ):
            after.append(names | added)
    return after


def main(argv: list[str] | None = None) -> None:
    """Bring the monitoring table up to date."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--weights", type=command.existing, nargs="+", required=True, help="of every fold's model")
    arguments.add_argument("--estimator", type=command.existing, nargs="?", help="the model's quality.json, if any")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="model, models, data sets as JSON")
    arguments.add_argument("--monitoring", type=Path, required=True, help="table to extend; made if it is not there")
    args = arguments.parse_args(argv)
    log = command.start("monitor_batches")
    known = read_quality(args.estimator) if args.estimator else None
    try:
        before = read_rows(args.monitoring, monitoring.SCHEMA) if args.monitoring.exists() else []
        rows = monitor_batches(args.datasets, args.spec, version_of(args.weights), known, before)
    except ValueError as error:
        raise command.Refusal(str(error)) from None
    write_rows(args.monitoring, rows, monitoring.SCHEMA)
    log.info("%d batches, %d of them new", len(rows), len(rows) - len(before))


if __name__ == "__main__":
    main()
