"""The figures of quality control: how far the estimates hold, which cases go to review, and every batch so far."""

import json
from pathlib import Path
from typing import Any

from workflow_scripts.files import natural
from workflow_scripts.tables import monitoring
from workflow_scripts.tables.table import planned, read_rows, stream_rows

SHOWN = 25  # of the cases that go to review
TOLD = 4  # of the reasons of one case


def summarise_quality(datasets: Path, review: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return every figure of quality control of one model.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    review
        Folder with monitoring.parquet, and quality.json where an estimate was fitted in this run.
    spec
        `model`, `models`: the folds of each model, `datasets`: the models that each data set is scored with.
    """
    model = spec["model"]
    path = review / "quality.json"
    cases: dict[tuple[str, str], dict[str, Any]] = {}
    for dataset in sorted(name for name, models in spec["datasets"].items() if model in models):
        for fold in spec["models"][model]:
            for table in planned(datasets / dataset, f"quality/{model}/{fold}"):
                for row in stream_rows(table, ["frame_id", "case_id", "lower_bound", "review", "reason"]):
                    about = {"dataset": dataset, "case_id": row["case_id"], "bounds": [], "review": row["review"]}
                    case = cases.setdefault((dataset, row["case_id"]), about | {"reasons": {}})
                    case["bounds"] += [] if row["lower_bound"] is None else [row["lower_bound"]]
                    case["reasons"] |= dict.fromkeys((row["reason"] or "").split("; "))
    sent = []
    for case in cases.values():
        if case["review"]:
            bounds = case.pop("bounds")
            reasons = list(filter(None, case.pop("reasons")))
            more = [f"and {len(reasons) - TOLD} more"] if len(reasons) > TOLD else []
            words = "; ".join(reasons[:TOLD] + more)
            sent.append(case | {"lower_bound": sum(bounds) / len(bounds) if bounds else None, "reason": words})
    # What has no bound has nothing in its mask, or an unknown model: it comes first.
    sent.sort(key=lambda case: (case["lower_bound"] or 0.0, case["dataset"], natural(case["case_id"])))
    batches = read_rows(review / "monitoring.parquet", monitoring.SCHEMA)
    return {
        "model": model,
        "evaluation": json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None,
        "n_cases": len(cases),
        "n_review": len(sent),
        "review": sent[:SHOWN],
        "batches": [{key: value for key, value in row.items() if key != "cases"} for row in batches],
    }
