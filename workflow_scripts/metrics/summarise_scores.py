"""Summarise the scores of every model: means with intervals over groups, and whether they pass the gates."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.metrics.overlap import iou_of_dice
from workflow_scripts.metrics.scored import below, counted, scored_chunks

RESAMPLES = 2000
EMPTY_POLICY = (
    "A frame where only one of the two masks is empty counts as Dice 0 and IoU 0;"
    " a frame where both are empty is counted apart and enters no mean."
)
INTERVAL = (
    f"95 % percentile bootstrap of the mean over frames, {RESAMPLES} resamples of groups;"
    " all frames of a group are drawn together."
)
GATE_RULE = "pass: the interval lies at or above the gate; fail: it lies wholly below; undecided: it crosses the gate."


def bootstrap_interval(values: np.ndarray, groups: list[str], seed: int) -> list[float] | None:
    """Return the 95 % percentile interval of the mean of `values`, where whole groups are drawn.

    Frames of a patient resemble each other; drawn one by one they would promise more than they know
    (Efron and Tibshirani 1993, chapters 8 and 13).

    Parameters
    ----------
    values
        (n,) one figure a frame.
    groups
        The group of each frame.
    seed
        Seeds a generator of its own: the interval depends on nothing that was summarised before.

    Returns
    -------
    Lower and upper end; None with fewer than two groups, which cannot say how groups differ.
    """
    names, group = np.unique(np.array(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        return None
    sums, sizes = np.bincount(group, values), np.bincount(group)
    generator = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        drawn = generator.integers(len(names), size=len(names))
        means[index] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return [float(low), float(high)]


def gate_verdict(interval: list[float] | None, gate: float) -> str:
    """Return `pass`, `fail` or `undecided`; see `GATE_RULE`."""
    if interval is None:
        return "undecided"
    if not below(interval[0], gate):
        return "pass"
    return "fail" if below(interval[1], gate) else "undecided"


def summarise_metric(values: np.ndarray, groups: list[str], gate: float, seed: int) -> dict[str, Any]:
    """Return mean, spread, interval and verdict of one figure a frame; null where there is nothing to say."""
    quartiles = [float(value) for value in np.percentile(values, [25, 50, 75])] if len(values) else [None] * 3
    interval = bootstrap_interval(values, groups, seed)
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "q1": quartiles[0],
        "median": quartiles[1],
        "q3": quartiles[2],
        "interval": interval,
        "gate": gate,
        "verdict": gate_verdict(interval, gate),
    }


def summarise(rows: list[dict[str, Any]], gates: dict[str, float], seed: int) -> dict[str, Any]:
    """Return the summary of scores: how many frames, cases and groups enter the means, and the means.

    Parameters
    ----------
    rows
        Rows of `scores` of one model; their order does not matter.
    gates
        The gates of the mean `dice` and the mean `iou`.
    seed
        Of the bootstrap.

    Raises
    ------
    RuntimeError
        When the mean IoU is below what the mean Dice allows: the scores contradict each other.
    """
    # One order, so that sums do not depend on how the cases were dealt into chunks.
    used = sorted(counted(rows), key=lambda row: (row["dataset"], row["frame_id"]))
    groups = [row["group_id"] for row in used]
    values = {name: np.array([row[name] for row in used], dtype=float) for name in ("dice", "iou")}
    if used and below(values["iou"].mean(), least := iou_of_dice(float(values["dice"].mean()))):
        raise RuntimeError(
            f"the scores are inconsistent: a mean Dice of {values['dice'].mean():.4f} needs a mean IoU of at least"
            f" {least:.4f}, and it is {values['iou'].mean():.4f}; delete the tables of scores and run again"
        )
    alone = [(row["empty_reference"], row["empty_prediction"]) for row in rows]
    return {
        "n_frames": len(used),
        "n_cases": len({(row["dataset"], row["case_id"]) for row in used}),
        "n_groups": len(set(groups)),
        "n_empty": {
            "reference_alone": alone.count((True, False)),
            "prediction_alone": alone.count((False, True)),
            "both": alone.count((True, True)),
        },
        **{name: summarise_metric(values[name], groups, gates[name], seed) for name in values},
    }


def summarise_scores(datasets: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of every model, over all its data sets and for each."""
    models = {}
    for model in sorted(spec["models"]):
        scored = [name for name, scored_with in spec["datasets"].items() if model in scored_with]
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in sorted(scored)}
        for dataset, _, found in scored_chunks(datasets, spec, model):
            rows[dataset] += found
        everything = [row for found in rows.values() for row in found]
        models[model] = {
            "overall": summarise(everything, spec["gates"], spec["seed"]),
            "datasets": {name: summarise(found, spec["gates"], spec["seed"]) for name, found in rows.items()},
        }
    return {"empty_policy": EMPTY_POLICY, "interval": INTERVAL, "gate_rule": GATE_RULE, "models": models}


def main(argv: list[str] | None = None) -> None:
    """Summarise all scores."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="models, data sets, gates as JSON")
    arguments.add_argument("--summary", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("summarise_scores")
    try:
        summary = summarise_scores(args.datasets, args.spec)
    except (RuntimeError, ValueError) as error:
        raise command.Refusal(str(error)) from None
    with write_beside(args.summary) as beside:
        beside.write_text(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    for model, figures in summary["models"].items():
        log.info("%s: %s", model, sentence(figures["overall"]))


def sentence(figures: dict[str, Any]) -> str:
    """Return the means in words, each with its interval and its verdict."""
    if not figures["n_frames"]:
        return "no scored frame"
    told = []
    for name, word in (("dice", "Dice"), ("iou", "IoU")):
        figure = figures[name]
        span = "no interval" if figure["interval"] is None else "{:.3f} to {:.3f}".format(*figure["interval"])
        told.append(f"mean {word} {figure['mean']:.3f} ({span}), gate {figure['gate']:.2f}: {figure['verdict']}")
    return f"{'; '.join(told)}; {figures['n_frames']} frames of {figures['n_groups']} groups"


if __name__ == "__main__":
    main()
