"""Fit an estimator of Dice on what predictions leave behind, and say how far it holds on patients it never saw.

The bound is split conformal: half of the patients fit the estimator, the other half calibrate it, each patient weighing
one however many frames they have (Lee, Barber and Willett 2023, Distribution-free inference with hierarchical data).
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from workflow_scripts import command
from workflow_scripts.files import natural, write_beside
from workflow_scripts.imaging.quality_signals import AGREEMENT, LOOKS, SIGNALS
from workflow_scripts.metrics.estimator import SMALLEST_ERROR, Estimator, Quality, as_matrix, part_of, write_quality
from workflow_scripts.metrics.quality_figures import auroc, evaluate, out_of_fold
from workflow_scripts.metrics.scored import counted, scored_chunks
from workflow_scripts.tables.table import stream_rows

LEAST_GROUPS = 40  # a dozen patients for each signal that is fitted

Row = dict[str, Any]


def read_predictions(datasets: Path, spec: Row) -> list[Row]:
    """Return the scored frames of a model with their signals, in one order however they were dealt into chunks."""
    rows = []
    for dataset, chunk, scored in scored_chunks(datasets, spec, spec["model"]):
        left: dict[str, Row] = {}
        for fold in spec["models"][spec["model"]]:
            path = datasets / dataset / "masks" / spec["model"] / fold / chunk
            left |= {row["frame_id"]: row for row in stream_rows(path, ["frame_id", *SIGNALS, AGREEMENT, *LOOKS])}
        rows += [left[row["frame_id"]] | row for row in counted(scored)]
    return sorted(rows, key=lambda row: (row["dataset"], natural(row["frame_id"])))


def usable_signals(rows: list[Row]) -> list[str]:
    """Return the signals that every mask has; one with nothing in it has none and is not counted."""
    found = [row for row in rows if not row["empty_prediction"]]
    return [name for name in (*SIGNALS, AGREEMENT) if found and all(row[name] is not None for row in found)]


def fit_estimator(rows: list[Row], signals: list[str], level: float) -> Estimator | None:
    """Return an estimator from masks with something in them; None where they are too few for a bound at the level.

    Parameters
    ----------
    rows
        `group_id`, `dice` and the signals of each frame.
    level
        At least this share of patients like these lies above the bound.
    """
    groups = sorted({row["group_id"] for row in rows}, key=natural)
    drawn = np.random.default_rng(0).permutation(len(groups))
    to_fit = {groups[place] for place in drawn[: len(groups) // 2]}
    fit, calibrate = ([row for row in rows if (row["group_id"] in to_fit) == chosen] for chosen in (True, False))
    if not fit:
        return None
    weights = weigh(fit)
    scaler = StandardScaler().fit(as_matrix(fit, signals), sample_weight=weights)
    ridge = Ridge(1.0).fit(scaler.transform(as_matrix(fit, signals)), log_errors(fit), sample_weight=weights)
    coefficients, intercept = tuple(ridge.coef_.tolist()), float(ridge.intercept_)
    estimator = Estimator(
        tuple(signals), tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()), coefficients, intercept, 1.0
    )
    excess = log_errors(calibrate) - estimator.log_error(as_matrix(calibrate, signals))
    highest = conformal_quantile(excess, weigh(calibrate), level)
    if highest is None:
        return None
    return Estimator(**vars(estimator) | {"factor": math.exp(highest)})


def conformal_quantile(scores: np.ndarray, weights: np.ndarray, level: float) -> float | None:
    """Return the score that a new patient's does not exceed, at a level; None where no score of (n,) is high enough.

    `weights` (n,) are 1 over the patient's frames. The new patient stands beside the K others with an unknown score, so
    each of them weighs 1 / (K + 1).
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) / (weights.sum() + 1)
    place = int(np.searchsorted(reached, level - 1e-9))
    return float(scores[order[place]]) if place < len(scores) else None


def log_errors(rows: list[Row]) -> np.ndarray:
    """Return (n,) log(1 - Dice)."""
    return np.log([max(SMALLEST_ERROR, 1 - row["dice"]) for row in rows])


def weigh(rows: list[Row]) -> np.ndarray:
    """Return (n,) the weight of each frame: those of a patient weigh one together."""
    frames = Counter(row["group_id"] for row in rows)
    return np.array([1 / frames[row["group_id"]] for row in rows])


def fit_quality(rows: list[Row], level: float, signals: list[str] | None = None) -> Quality:
    """Return what is known of a model's masks: an estimator of all patients, and for each part one of all others.

    Parameters
    ----------
    rows
        Scored frames of one model, each predicted by a network that never saw its group.
    level
        Of the lower bound, between 0 and 1.
    signals
        Those to use; None takes all that there are.
    """
    used = [row for row in rows if not row["empty_prediction"]]
    n_groups, least = len({row["group_id"] for row in used}), max(LEAST_GROUPS, math.ceil(2.5 / (1 - level)))
    signals = usable_signals(rows) if signals is None else signals
    by_fold = len({row["fold"] for row in used}) > 2
    why_not, whole, without = None, None, dict[str, Estimator | None]()
    if n_groups < least:
        why_not = f"{n_groups} groups of patients have scored masks: a bound at level {level:g} needs at least {least}"
    elif not signals:
        why_not = "the masks carry no signals: they were not predicted here"
    else:
        whole = fit_estimator(used, signals, level)
        parts = [part_of(row["fold"], row["group_id"], by_fold) for row in used]
        for part in sorted(set(parts)):
            others = [row for row, own in zip(used, parts, strict=True) if own != part]
            both = {row["group_id"] for row in others} & {
                row["group_id"] for row, own in zip(used, parts, strict=True) if own == part
            }
            if both:
                raise ValueError(f"{min(both)} is held out from more than one fold; delete the scores and run again")
            without[part] = fit_estimator(others, signals, level)
    outlined = [(row["tp"] + row["fn"]) / sum(row[key] for key in ("tp", "fp", "fn", "tn")) for row in rows]
    shares = [share for share in outlined if share]
    area = tuple(np.percentile(shares, [0.5, 99.5]).tolist()) if whole else None
    looks = {name: np.percentile([row[name] for row in rows], np.arange(101)).round(3).tolist() for name in LOOKS}
    looks = looks if whole else {}
    return Quality(level, whole, why_not, by_fold, without, area, looks)


def main(argv: list[str] | None = None) -> None:
    """Fit and evaluate on one model."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="model, level, gate, … as JSON")
    arguments.add_argument("--estimator", type=Path, required=True, help="quality.json to write beside the model")
    arguments.add_argument("--summary", type=Path, required=True, help="JSON to write: how far it can be trusted")
    args = arguments.parse_args(argv)
    log = command.start("fit_quality")
    try:
        rows = read_predictions(args.datasets, args.spec)
        quality = fit_quality(rows, args.spec["level"])
        summary = evaluate(rows, quality, args.spec["gate"], args.spec["seed"])
    except ValueError as error:
        raise command.Refusal(str(error)) from None
    if quality.whole and len(quality.whole.signals) > 1:
        for name, figures in summary["signals"].items():  # what each is good for beside the others
            others = [signal for signal in quality.whole.signals if signal != name]
            found = out_of_fold(rows, fit_quality(rows, args.spec["level"], others))
            figures["auroc_without"] = auroc(found, args.spec["gate"])
    with write_beside(args.estimator) as beside:
        write_quality(beside, quality)
    with write_beside(args.summary) as beside:
        text = json.dumps({"model": args.spec["model"]} | summary, indent=2, sort_keys=True, ensure_ascii=False)
        beside.write_text(text + "\n", encoding="utf-8")
    log.info("%s", quality.why_not or f"fitted on {summary['n_frames']} frames of {summary['n_groups']} groups")


if __name__ == "__main__":
    main()
