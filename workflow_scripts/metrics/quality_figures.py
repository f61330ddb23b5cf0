"""How far estimates of Dice can be trusted: every figure on patients that the estimate was not fitted on."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import pearsonr, spearmanr

from workflow_scripts.metrics.estimator import Quality
from workflow_scripts.metrics.scored import below
from workflow_scripts.roc import area_under_roc

RESAMPLES = 2000
INTERVAL = f"95 % percentile bootstrap, {RESAMPLES} resamples of groups; all frames of a group are drawn together."

Row = dict[str, Any]
Figure = Callable[[np.ndarray], float | None]  # of the (n,) weights of frames


def out_of_fold(rows: list[Row], quality: Quality) -> list[Row]:
    """Return the frames that have an estimate with it and its bound: by the estimator that knows nothing of the group.

    The fallback of `Quality.of` is not used: what has no estimator of its own is not evaluated.
    """
    found = []
    for row in rows:
        estimator = quality.of(row["fold"], row["group_id"])
        if estimator is not None and estimator is not quality.whole and (pair := estimator.estimate(row)):
            found.append(row | {"estimate": pair[0], "lower_bound": pair[1]})
    return found


def weighted_coverage(rows: list[Row]) -> Figure:
    """Return the share of frames whose Dice is no lower than its bound, each group weighing one, as a function of the
    frames' weights; None of no frame."""
    sizes = Counter(row["group_id"] for row in rows)
    ones = np.array([1 / sizes[row["group_id"]] for row in rows])
    held = np.array([not below(row["dice"], row["lower_bound"]) for row in rows], bool)
    return lambda weights: float((held * ones * weights).sum() / (ones * weights).sum()) if len(rows) else None


def auroc(rows: list[Row], gate: float) -> float | None:
    """Return the area under the ROC curve of the estimate for masks under the gate; None where there is one kind."""
    return auroc_of(rows, gate, "estimate")(np.ones(len(rows)))


def auroc_of(rows: list[Row], gate: float, name: str) -> Figure:
    """Return how well a low column tells masks under the gate: the area under the ROC curve, as a function of the
    frames' weights; None where there is one kind."""
    bad = np.array([below(row["dice"], gate) for row in rows], bool)
    values = np.array([row[name] for row in rows], float)

    def area(weights: np.ndarray) -> float | None:
        (found,) = area_under_roc(bad, -values, weights[None])
        return None if np.isnan(found) else float(found)

    return area


def coverage(rows: list[Row]) -> float | None:
    """Return the share of frames whose Dice is no lower than its bound, as a mean over groups; None of no frame."""
    return weighted_coverage(rows)(np.ones(len(rows)))


def bootstrap(groups: list[str], figure: Figure, seed: int) -> list[float] | None:
    """Return the 95 % percentile interval of a figure where whole groups are drawn; None with fewer than two groups."""
    names, group = np.unique(np.array(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        return None
    generator, n = np.random.default_rng(seed), len(names)
    drawn = (np.bincount(generator.integers(n, size=n), minlength=n) for _ in range(RESAMPLES))
    values = [value for times in drawn if (value := figure(times[group])) is not None]
    return [float(value) for value in np.percentile(values, [2.5, 97.5])] if values else None


def flagged(rows: list[Row], found: list[Row], gate: float) -> dict[str, Any]:
    """Return how many cases the bound sends to review, and how many bad ones it lets pass.

    A case is bad with a mean Dice under the gate, and goes to review with a mean bound under it or an empty mask.
    """
    bounds, dice, empty = defaultdict(list), defaultdict(list), set()
    for row in found:
        bounds[row["dataset"], row["case_id"]].append(row["lower_bound"])
    for row in rows:
        case = row["dataset"], row["case_id"]
        dice[case].append(row["dice"])
        if row["empty_prediction"]:
            empty.add(case)
    cases = [case for case in dice if case in empty or case in bounds]
    sent = {case for case in cases if case in empty or below(float(np.mean(bounds[case])), gate)}
    bad = {case for case in cases if below(float(np.mean(dice[case])), gate)}
    share = lambda some, all_: len(some) / len(all_) if all_ else None  # noqa: E731
    return {
        "n_cases": len(cases),
        "n_flagged": len(sent),
        "n_bad": len(bad),
        "n_bad_missed": len(bad - sent),
        "share_flagged": share(sent, cases),
        "share_bad_missed": share(bad - sent, bad),
        "share_good_flagged": share(sent - bad, set(cases) - bad),
    }


def risk_coverage(rows: list[Row], gate: float) -> list[dict[str, float]]:
    """Return mean Dice and share under the gate of the frames with the best estimates, for each twentieth of them."""
    ordered = sorted(rows, key=lambda row: -row["estimate"])
    curve = []
    for step in range(1, 21):
        taken = [row["dice"] for row in ordered[: round(len(ordered) * step / 20)]]
        if taken:
            bad = float(np.mean([below(dice, gate) for dice in taken]))
            curve.append({"share": step / 20, "dice": float(np.mean(taken)), "bad": bad})
    return curve


def correlation(of: Any, rows: list[Row], name: str) -> float | None:
    """Return a correlation of scipy between a column and Dice; None where it cannot be had."""
    values, dice = [row[name] for row in rows], [row["dice"] for row in rows]
    return float(of(values, dice).statistic) if len(set(values)) > 1 and len(set(dice)) > 1 else None


def evaluate(rows: list[Row], quality: Quality, gate: float, seed: int) -> dict[str, Any]:
    """Return every figure of the estimates of one model.

    Parameters
    ----------
    rows
        Scored frames with their signals.
    quality
        Fitted on these rows: each is estimated by the estimator without its part.
    gate
        A Dice under it is bad.
    seed
        Of the bootstrap.
    """
    found = out_of_fold(rows, quality)
    groups = [row["group_id"] for row in found]
    errors = [abs(row["estimate"] - row["dice"]) for row in found]
    mean = np.mean([row["dice"] for row in found]) if found else 0.0
    return {
        "level": quality.level,
        "gate": gate,
        "why_not": quality.why_not,
        "interval": INTERVAL,
        "parts": "the folds" if quality.by_fold else "shares of the patients of one model",
        "n_frames": len(found),
        "n_groups": len(set(groups)),
        "n_empty": sum(row["empty_prediction"] for row in rows),
        "spearman": correlation(spearmanr, found, "estimate"),
        "pearson": correlation(pearsonr, found, "estimate"),
        "mae": float(np.mean(errors)) if errors else None,
        "mae_of_the_mean": float(np.mean([abs(mean - row["dice"]) for row in found])) if found else None,
        "auroc": {
            "value": auroc(found, gate),
            "interval": bootstrap(groups, auroc_of(found, gate, "estimate"), seed),
            "n_bad": sum(below(row["dice"], gate) for row in found),
        },
        "coverage": {"value": coverage(found), "interval": bootstrap(groups, weighted_coverage(found), seed)},
        "flagged": flagged(rows, found, gate),
        "risk_coverage": risk_coverage(found, gate),
        "signals": {
            name: {
                "spearman": correlation(spearmanr, found, name),
                "auroc": auroc_of(found, gate, name)(np.ones(len(found))),
            }
            for name in (quality.whole.signals if quality.whole else ())
        },
        "points": sorted([row["estimate"], row["dice"], row["lower_bound"]] for row in found),
    }
