"""The figures of the segmentation: gates, distributions, trainings, what goes to review, which frames to look at."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.files import natural
from workflow_scripts.tables import flags, folds, history
from workflow_scripts.tables.table import planned, read_rows, stream_rows

METRICS = ("dice", "iou")
EDGES = np.arange(21) / 20  # of the bins of a distribution
KINDS = ("worst", "median", "best")
DRAWN_OF_A_KIND = 3
DRAWN_FLAGGED = 12
SCORED = ("dataset", "case_id", "frame_id", "fold", *METRICS, "n_outlined", "views", "touches_edge")
GIVEN = "given"  # the fold of a model or of masks from elsewhere

Row = dict[str, Any]


def read_scores(datasets: Path, spec: dict[str, Any], model: str) -> list[Row]:
    """Return the scores of a model that enter its means, the lowest Dice first.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with.
    model
        The model's name.
    """
    rows = [
        row
        for name, scored_with in spec["datasets"].items()
        if model in scored_with
        for fold in spec["models"][model]
        for path in planned(datasets / name, f"scores/{model}/{fold}")
        for row in stream_rows(path, list(SCORED))
        if row["dice"] is not None
    ]
    return sorted(rows, key=lambda row: (row["dice"], row["iou"], row["dataset"], natural(row["frame_id"])))


def count_outlined(folder: Path) -> int:
    """Return how many frames of a data set an expert outlined."""
    paths = planned(folder, "frames")
    return sum(row["mask_kind"] is not None for path in paths for row in stream_rows(path, ["mask_kind"]))


def distribute(values: Sequence[float], gate: float) -> dict[str, Any]:
    """Count values between 0 and 1 in equal bins; the last one holds 1 itself. `under` are those under the gate."""
    counts, _ = np.histogram(values, EDGES)
    under = sum(value < gate - 1e-9 for value in values)  # as the gates: the last bits of a sum decide nothing
    return {"n": len(values), "under": under, "edges": EDGES.tolist(), "counts": counts.tolist()}


def choose_frames(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the worst, the middle and the best of the scored frames, at most one of a case and none twice.

    Parameters
    ----------
    rows
        The scores of a model, the lowest Dice first.

    Returns
    -------
    The frames of each of `KINDS`, the lowest Dice first; one of a case, since neighbours in a clip are nearly the same
    picture.
    """
    places = range(len(rows))
    middle = (len(rows) - 1) / 2
    orders: dict[str, Iterable[int]] = {
        "worst": places,
        "best": reversed(places),
        "median": sorted(places, key=lambda place: abs(place - middle)),
    }
    n = min(DRAWN_OF_A_KIND, -(-len(rows) // len(KINDS)))
    taken: set[int] = set()
    chosen: dict[str, list[Row]] = {}
    for kind, order in orders.items():
        of_case: dict[tuple[str, str], int] = {}
        for place in order:
            if place not in taken and len(of_case) < n:
                of_case.setdefault((rows[place]["dataset"], rows[place]["case_id"]), place)
        taken |= set(of_case.values())
        chosen[kind] = [dict(rows[place]) for place in sorted(of_case.values())]
    return {kind: chosen[kind] for kind in KINDS}


def choose_special(rows: Sequence[Row]) -> list[Row]:
    """Return of the pictures with several nodules, with two views, and at the edge of the field the middle one by Dice.

    `rows` are the scores of a model, the lowest Dice first. Each frame that is returned says why, as `special`.
    """
    several = [row for row in rows if row["views"] != 2 and row["n_outlined"] > 1]
    views = [row for row in rows if row["views"] == 2]
    edge = [row for row in rows if row["touches_edge"]]
    kinds = {"several nodules": several, "two views side by side": views, "at the edge of the field": edge}
    return [own[(len(own) - 1) // 2] | {"special": kind, "of": len(own)} for kind, own in kinds.items() if own]


def summarise_flags(rows: list[Row], scored: Sequence[Row], n_cases: int) -> dict[str, Any]:
    """Return the flagged cases of a model, the worst first, and of some the frame to draw.

    Parameters
    ----------
    rows
        The model's rows of `flags`, the worst first.
    scored
        The scores of the model.
    n_cases
        How many cases were scored.
    """
    of_frame = {(row["dataset"], row["frame_id"]): row for row in scored}
    drawn = [
        of_frame[row["dataset"], row["worst_frame_id"]] | {"reason": row["reason"], "n_frames": row["n_frames"]}
        for row in rows[:DRAWN_FLAGGED]
    ]
    return {"cases": len(rows), "of": n_cases, "rows": rows, "drawn": drawn}


def read_training(models: Path, model: str, fold: str) -> dict[str, Any]:
    """Return the card of a fold's model and its epochs."""
    card = json.loads((models / model / f"fold-{fold}.json").read_text(encoding="utf-8"))
    epochs = read_rows(models / model / f"fold-{fold}.parquet", history.SCHEMA)
    return {"fold": fold, "card": card, "best_epoch": card["epochs"]["best"], "history": epochs}


def summarise_folds(rows: list[Row]) -> dict[str, Any]:
    """Return how many cases and groups each fold holds out, and the groups joined because their pictures repeat."""
    held_out: dict[int, list[Row]] = defaultdict(list)
    joined: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        held_out[row["fold"]].append(row)
        if row["joined_because"] is not None:
            joined[row["group_id"]].append(row)
    return {
        "held_out": [
            {"fold": fold, "cases": len(own), "groups": len({row["group_id"] for row in own})}
            for fold, own in sorted(held_out.items())
        ],
        "joined": [
            {
                "group_id": group,
                "fold": own[0]["fold"],
                "cases": sorted((f"{row['dataset']}/{row['case_id']}" for row in own), key=natural),
                "because": "; ".join(dict.fromkeys(row["joined_because"] for row in own)),
            }
            for group, own in sorted(joined.items(), key=lambda item: natural(item[0]))
        ],
    }


def summarise_segmentation(datasets: Path, review: Path, models: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return every figure of the segmentation.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    review
        Folder with scores.json and flags.parquet.
    models
        Folder with folds.parquet and one folder a model that was trained; not looked at where none was.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with.
    """
    scores = json.loads((review / "scores.json").read_text(encoding="utf-8"))
    flagged = read_rows(review / "flags.parquet", flags.SCHEMA)
    outlined = {name: count_outlined(datasets / name) for name, scored_with in spec["datasets"].items() if scored_with}
    summary = {key: scores[key] for key in ("empty_policy", "interval", "gate_rule", "families", "matching")} | {
        "models": {}
    }
    # What was trained here comes first.
    for model, own_folds in sorted(spec["models"].items(), key=lambda item: (GIVEN in item[1], item[0])):
        figures = scores["models"][model]
        scored = read_scores(datasets, spec, model)
        overall = figures["overall"]
        summary["models"][model] = figures | {
            "folds": own_folds,
            "outlined": {name: outlined[name] for name in figures["datasets"]},
            "outlined_overall": sum(outlined[name] for name in figures["datasets"]),
            "distribution": {
                metric: distribute([row[metric] for row in scored], overall[metric]["gate"]) for metric in METRICS
            },
            "trainings": [read_training(models, model, fold) for fold in own_folds if fold != GIVEN],
            "frames": choose_frames(scored) | {"special": choose_special(scored)},
            "flagged": summarise_flags([row for row in flagged if row["model"] == model], scored, overall["n_cases"]),
        }
    if any(each["trainings"] for each in summary["models"].values()):
        summary["folds"] = summarise_folds(read_rows(models / "folds.parquet", folds.SCHEMA))
    return summary
