"""Summarise the scores of every model: means with intervals over groups, and whether they pass the gates."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.metrics.figures import (
    METRICS,
    check_overlap,
    column,
    fractions,
    groups_of,
    spread,
    sum_by_group,
)
from workflow_scripts.metrics.nodules import MATCHING
from workflow_scripts.metrics.scored import below, counted, scored_chunks
from workflow_scripts.metrics.strata import LABELS, STRATA, part_rows
from workflow_scripts.tables.table import stream_rows

RESAMPLES = 2000
FEW = 10  # groups: of fewer a percentile bootstrap promises more than it knows
EMPTY_POLICY = (
    "A frame where only one of the two masks is empty counts as Dice 0 and IoU 0;"
    " a frame where both are empty is counted apart and enters no mean."
)
INTERVAL = (
    f"Intervals are 95 % percentile bootstraps, {RESAMPLES} resamples of groups;"
    f" all frames of a group are drawn together. A part of a stratum with fewer than {FEW} groups has none: it would be"
    " too narrow. Neither has a share of nodules that is the same in every group."
)
FAMILIES = (
    "Per image: the mean over frames. Per patient: the mean over patients (groups) of each one's mean over frames."
    " Pooled: pixels are summed over all frames first. Per nodule: nodules are summed over all frames first."
)
GATE_RULE = (
    "pass: the interval lies at or above the gate; fail: it lies wholly below; undecided: it crosses the gate, or there"
    f" are fewer than {FEW} groups."
)


def bootstrap_ratios(sums: np.ndarray, seed: int, least: int = 2) -> list[list[float] | None]:
    """Return the 95 % percentile intervals of m ratios of sums, where whole groups are drawn.

    Frames of a patient resemble each other; drawn one by one they would promise more than they know
    (Efron and Tibshirani 1993, chapters 8 and 13).

    Parameters
    ----------
    sums
        (k, 2, m): of each group what stands above and below the line.
    seed
        Seeds a generator of its own: the intervals depend on nothing that was summarised before.
    least
        The fewest groups below the line that an interval is given for; one group cannot say how groups differ.

    Returns
    -------
    Lower and upper end of each, or None.
    """
    known = np.count_nonzero(sums[:, 1], axis=0) >= least
    if not known.any():
        return [None] * len(known)
    generator = np.random.default_rng(seed)
    ratios = np.full((RESAMPLES, len(known)), np.nan)
    for block in np.split(ratios, RESAMPLES // 100):  # so that memory does not grow with their number
        drawn = generator.integers(len(sums), size=(len(block), len(sums)))
        times = np.stack([np.bincount(groups, minlength=len(sums)) for groups in drawn])
        top, bottom = np.einsum("rk,khm->hrm", times, sums)
        np.divide(top, bottom, out=block, where=bottom > 0)
    ends = [np.nanpercentile(ratios[:, k], [2.5, 97.5]) if sure else None for k, sure in enumerate(known)]
    return [None if each is None else [float(end) for end in each] for each in ends]


def bootstrap_interval(values: np.ndarray, groups: list[str], seed: int) -> list[float] | None:
    """Return the interval of the mean of (n,) values, one a frame, by the group of each; see `bootstrap_ratios`."""
    return bootstrap_ratios(sum_by_group(np.stack([values, np.ones(len(values))], axis=1)[..., None], groups), seed)[0]


def gate_verdict(interval: list[float] | None, gate: float) -> str:
    """Return `pass`, `fail` or `undecided`; see `GATE_RULE`."""
    if interval is None:
        return "undecided"
    if not below(interval[0], gate):
        return "pass"
    return "fail" if below(interval[1], gate) else "undecided"


def summarise(rows: list[dict[str, Any]], gates: dict[str, float], seed: int) -> dict[str, Any]:
    """Return the summary of scores: how many frames, cases and groups enter the figures, and the figures.

    Parameters
    ----------
    rows
        Rows of `scores` of one model; their order does not matter.
    gates
        The gates of the mean `dice` and the mean `iou`; none for a part that is held against none.
    seed
        Of the bootstrap.

    Returns
    -------
    `n_…`, and by family (see `figures.fractions`) the figures with their intervals. The means over images stand for
    themselves: `dice`, `iou` and so on, with spread, and with gate and verdict where there is a gate.

    Raises
    ------
    RuntimeError
        When an IoU is not what the Dice allows: the scores contradict each other.
    """
    # One order, so that sums do not depend on how the cases were dealt into chunks.
    rows = sorted(rows, key=lambda row: (row["dataset"], row["frame_id"]))
    used = counted(rows)
    keys, sums = fractions(rows)
    values = {
        key: float(top / bottom) if bottom else None
        for key, (top, bottom) in zip(keys, sums.sum(axis=0).T, strict=True)
    }
    check_overlap(values)
    intervals = dict(zip(keys, bootstrap_ratios(sums, seed, 2 if gates else FEW), strict=True))
    alone = [(row["empty_reference"], row["empty_prediction"]) for row in rows]
    images = {name: spread(column(used, name)) | {"interval": intervals["images", name]} for name in METRICS}
    for name, gate in gates.items():
        interval = intervals["images", name] if len(sums) >= FEW else None
        images[name] |= {"gate": gate, "verdict": gate_verdict(interval, gate)}
    families: dict[str, dict[str, Any]] = {"patients": {}, "pooled": {}, "nodules": {}}
    for (family, name), value in values.items():
        interval = intervals[family, name]
        if family == "nodules" and interval and interval[0] == interval[1]:
            interval = None
        if family in families:
            families[family][name] = {"value": value, "interval": interval}
    nodules = {name: int(column(rows, f"n_{name}").sum()) for name in ("outlined", "predicted", "found")}
    return {
        "n_frames": len(used),
        "n_corrected": sum(bool(row["corrected"]) for row in used),  # scored against what a reviewer drew
        "n_cases": len({(row["dataset"], row["case_id"]) for row in used}),
        "n_groups": len(set(groups_of(used))),
        "n_empty": {
            "reference_alone": alone.count((True, False)),
            "prediction_alone": alone.count((False, True)),
            "both": alone.count((True, True)),
        },
        **images,
        **families,
        "n_nodules": nodules | {"false": nodules["predicted"] - nodules["found"]},
    }


def read_labels(folder: Path, chunk: str) -> dict[str, dict[str, Any]]:
    """Return what the strata need of the labels of each case of a chunk."""
    rows = stream_rows(folder / "chunks" / chunk, ["case_id", *LABELS])
    return {row["case_id"]: {name: row[name] for name in LABELS} for row in rows}


def summarise_strata(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Return the summary of each part of each stratum of which anything is known."""
    return [
        {"name": stratum.name, "meaning": stratum.meaning, "parts": parts}
        for stratum in STRATA
        if (
            parts := [
                {"part": part} | summarise(own, {}, seed)
                for part, own in part_rows(stratum, rows).items()
                if counted(own)
            ]
        )
    ]


def summarise_scores(datasets: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of every model: over all its data sets, for each, and for each part of each stratum."""
    models = {}
    for model in sorted(spec["models"]):
        scored = [name for name, scored_with in spec["datasets"].items() if model in scored_with]
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in sorted(scored)}
        for dataset, chunk, found in scored_chunks(datasets, spec, model):
            labels = read_labels(datasets / dataset, chunk)
            rows[dataset] += [row | labels[row["case_id"]] for row in found]
        everything = [row for found in rows.values() for row in found]
        models[model] = {
            "overall": summarise(everything, spec["gates"], spec["seed"]),
            "datasets": {name: summarise(found, spec["gates"], spec["seed"]) for name, found in rows.items()},
            "strata": summarise_strata(everything, spec["seed"]),
        }
    texts = {"empty_policy": EMPTY_POLICY, "interval": INTERVAL, "gate_rule": GATE_RULE, "matching": MATCHING}
    return {**texts, "families": FAMILIES, "models": models}


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
