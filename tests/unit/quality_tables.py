"""Scored predictions whose quality is known: what their signals promise is true, but for noise."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.score_tables import NODULE, png, score_row
from workflow_scripts.imaging.quality_signals import SIGNALS
from workflow_scripts.tables import cases, frames, masks, scores
from workflow_scripts.tables.table import write_rows

MODEL = "m"


def predictions(n_groups: int, seed: int = 0, folds: int = 1, shift: float = 0.0) -> list[dict[str, Any]]:
    """Return scored frames with signals, one to four a patient, whose frames resemble each other.

    `shift` is added to the log of the error that the signals promise: a model on pictures it cannot read, and does not
    know it.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(n_groups):
        signals, own = rng.normal(size=4), rng.normal(0, 0.3)
        for frame in range(int(rng.integers(1, 5))):
            seen = signals + rng.normal(0, 0.2, 4)
            error = float(np.exp(-1.5 - 0.6 * seen[0] - 0.3 * seen[1] + own + shift + rng.normal(0, 0.2)))
            seen[0] = 1 - np.exp(-2.5 - 0.6 * seen[0])  # of a model that is too sure of itself
            about = {"case_id": str(group), "frame_id": f"{group}/{frame}", "fold": str(group % folds)}
            looks = {"grey": float(rng.normal(90, 10)), "detail": float(rng.normal(38, 4)), "agreement": None}
            row = score_row(frame, max(0.0, 1 - error), f"{seed}-{group}", **about)
            rows.append(row | dict(zip(SIGNALS, seen.tolist(), strict=True)) | looks)
    return rows


def write_predictions(datasets: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the tables of one data set `d`, all in one chunk, and return the models and data sets of a spec."""
    folder = datasets / "d"
    folds = sorted({row["fold"] for row in rows})
    listed = [{"case_id": case, "dataset": "d"} for case in dict.fromkeys(row["case_id"] for row in rows)]
    write_rows(folder / "chunks" / "000.parquet", listed, cases.SCHEMA)
    stills = [{"frame_id": row["frame_id"], "case_id": row["case_id"], "position": "a still"} for row in rows]
    write_rows(folder / "frames" / "000.parquet", stills, frames.SCHEMA)
    for fold in folds:
        own = [row for row in rows if row["fold"] == fold]
        kept = [{name: row[name] for name in scores.SCHEMA.names} for row in own]
        write_rows(folder / "scores" / MODEL / fold / "000.parquet", kept, scores.SCHEMA)
        predicted = [
            {"mask": png(NODULE)} | {name: row[name] for name in masks.SCHEMA.names if name in row} for row in own
        ]
        write_rows(folder / "masks" / MODEL / fold / "000.parquet", predicted, masks.SCHEMA)
    return {"model": MODEL, "models": {MODEL: folds}, "datasets": {"d": [MODEL]}}
