"""The table of recipes: what each run gave, and by how much it differs from the first."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from workflow_scripts.files import write_beside
from workflow_scripts.metrics.paired import INTERVAL, Case, Row, compare, patients_of
from workflow_scripts.metrics.scored import scored_chunks

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # kept in the weights, and not learnt
COLUMNS = (
    *("recipe", "differs", "n_frames", "n_groups", "dice", "dice_low", "dice_high", "iou", "iou_low", "iou_high"),
    *("n_compared", "dice_change", "dice_change_low", "dice_change_high", "better", "worse"),
    *("iou_change", "iou_change_low", "iou_change_high", "training_minutes", "parameters", "failed"),
)


@dataclass(frozen=True)
class Run:
    """What a finished run of one recipe gave."""

    scores: list[Row]  # of the model that it trained
    patients: dict[Case, str]
    cost: Row


def read_run(results: Path) -> Run:
    """Read the scores of the model that a run trained, the minutes that it took, and how many numbers it learnt."""
    from safetensors import safe_open  # not in an environment without torch

    summary = json.loads((results / "report" / "summary.json").read_text(encoding="utf-8"))
    models = summary["segmentation"]["models"]
    (trained,) = (name for name, about in models.items() if about["trainings"])
    names, held_out = list(models[trained]["datasets"]), models[trained]["folds"]
    spec = {"models": {trained: held_out}, "datasets": {name: [trained] for name in names}}
    scores = [row for *_, rows in scored_chunks(results / "datasets", spec, trained) for row in rows]
    benchmarks = [results / "benchmarks" / "train_model" / trained / f"{fold}.jsonl" for fold in held_out]
    seconds = [json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["s"] for path in benchmarks]
    with safe_open(results / "model" / trained / f"fold-{held_out[0]}.safetensors", "numpy") as file:
        learnt = [name for name in file.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118
        parameters = sum(prod(file.get_slice(name).get_shape()) for name in learnt)
    cost = {"training_minutes": sum(seconds) / 60, "parameters": parameters}
    return Run(scores, patients_of(results / "datasets", names), cost)


def table_row(run: Run, first: Run, seed: int) -> Row:
    """Return the figures of a recipe over all its frames, and its difference to the first on those of both."""
    own = compare({"own": run.scores}, run.patients, seed)
    (about,) = own["models"]
    row = {"n_frames": own["n_frames"], "n_groups": own["n_groups"], **run.cost}
    for metric in ("dice", "iou"):
        row |= figures(metric, about[metric]["mean"], about[metric]["interval"])
    if run is not first:
        (pair,) = compare({"own": run.scores, "first": first.scores}, first.patients | run.patients, seed)["pairs"]
        row |= {"n_compared": pair["dice"]["n_frames"]} | {key: pair["dice"][key] for key in ("better", "worse")}
        for metric in ("dice", "iou"):
            row |= figures(f"{metric}_change", pair[metric]["difference"], pair[metric]["interval"])
    return row


def figures(name: str, value: float | None, interval: list[float] | None) -> Row:
    """Return the three columns of a figure with its interval."""
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def in_words(changes: Mapping[str, Any], above: str = "") -> str:
    """Return what a recipe changes: `model.architecture: FPN`."""
    told = [
        in_words(value, f"{above}{key}.") if isinstance(value, dict) else f"{above}{key}: {json.dumps(value)}"
        for key, value in changes.items()
    ]
    return "; ".join(told).replace('"', "")


def as_markdown(rows: list[Row]) -> str:
    """Return the table as people read it."""

    def shown(row: Row, name: str, sign: str = "") -> str:
        if row.get(name) is None:
            return ""
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        span = "no interval" if low is None else f"{low:{sign}.3f} to {high:{sign}.3f}"
        return f"{row[name]:{sign}.3f} ({span})"

    lines = [
        "| recipe | differs in | frames (groups) | mean Dice (95 %) | mean IoU (95 %) | Dice against the first (95 %)"
        " | groups better, worse | IoU against the first (95 %) | training, min | parameters, million |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.get("failed"):
            why = row["failed"].replace("|", "/")
            lines.append(f"| {row['recipe']} | {row['differs']} | failed: {why} |" + " |" * 7)
            continue
        cells = [
            *(row["recipe"], row["differs"], f"{row['n_frames']} ({row['n_groups']})"),
            *(shown(row, "dice"), shown(row, "iou"), shown(row, "dice_change", "+")),
            f"{row['better']}, {row['worse']}" if "better" in row else "",
            *(shown(row, "iou_change", "+"), f"{row['training_minutes']:.1f}", f"{row['parameters'] / 1e6:.1f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", INTERVAL, ""])


def write_table(out: Path, rows: list[Row]) -> None:
    """Write the table as CSV and as Markdown."""
    with write_beside(out / "recipes.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with write_beside(out / "recipes.md") as beside:
        beside.write_text(as_markdown(rows), encoding="utf-8")
