"""The figures of a grader on cases that it never saw, each with its interval over groups, and the marks they are held
against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from workflow_scripts.roc import area_under_roc

RESAMPLES = 2000
INTERVAL = f"95 % percentile bootstrap, {RESAMPLES} resamples of groups; all cases of a group are drawn together."
BINS = 10
CALIBRATION = (
    f"Expected calibration error: cases in {BINS} bins of equal width of the predicted probability; the mean distance"
    " of predicted and observed share, bins weighted by their cases. With few cases chance alone lifts it above 0."
)
# Of a figure its mark, and whether more is better. Kappa: what readers reach among themselves (0.42 to 0.46).
MARKS = {"kappa": (0.46, True), "auc": (0.80, True), "ece": (0.08, False)}
FALSE_POSITIVES = np.arange(21) / 20  # where the band of the ROC curve is drawn

Figures = dict[str, float]


@dataclass(frozen=True)
class Told:
    """What a grader says of cases, and what was stated: all (n,)."""

    stated: np.ndarray  # level from 0
    level: np.ndarray
    high: np.ndarray  # bool, stated; levels and histology have one boundary that parts low from high
    p_high: np.ndarray

    def of(self, rows: np.ndarray) -> "Told":
        """Return some of the cases."""
        return Told(self.stated[rows], self.level[rows], self.high[rows], self.p_high[rows])


def quadratic_kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Return the kappa of two gradings (n,) with quadratic weights; NaN where both know one level only.

    Written out by means and variances: a resample takes microseconds (Fleiss and Cohen 1973).
    """
    by_chance = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    return float(1 - ((one - other) ** 2).mean() / by_chance) if by_chance else float("nan")


def level_figures(told: Told) -> Figures:
    """Return quadratic kappa, and the shares of levels that are exact and within one."""
    apart = np.abs(told.stated - told.level)
    kappa = quadratic_kappa(told.stated, told.level)
    return {"kappa": kappa, "exact": float((apart == 0).mean()), "within_one": float((apart <= 1).mean())}


def binary_figures(told: Told) -> Figures:
    """Return AUC, calibration error and Brier score of low against high."""
    return {
        "auc": float(area_under_roc(told.high, told.p_high, np.ones((1, len(told.high))))[0]),
        "ece": sum(row["n"] * abs(row["predicted"] - row["observed"]) for row in reliability(told)) / len(told.high),
        "brier": float(((told.p_high - told.high) ** 2).mean()),
    }


def reliability(told: Told) -> list[dict[str, Any]]:
    """Return of each bin that holds cases how many, the mean predicted probability, and the observed share."""
    place = np.minimum((told.p_high * BINS).astype(int), BINS - 1)
    return [
        {
            "n": int((place == k).sum()),
            "predicted": float(told.p_high[place == k].mean()),
            "observed": float(told.high[place == k].mean()),
        }
        for k in np.unique(place)
    ]


def roc(told: Told) -> np.ndarray:
    """Return the share of true positives at `FALSE_POSITIVES`; NaN where only low or only high cases are there."""
    if told.high.all() or not told.high.any():
        return np.full(len(FALSE_POSITIVES), np.nan)
    order = np.argsort(-told.p_high, kind="stable")
    last = np.append(np.diff(told.p_high[order]) != 0, True)  # cases of one probability are passed together
    hits, misses = np.cumsum(told.high[order])[last], np.cumsum(~told.high[order])[last]
    return np.interp(FALSE_POSITIVES, np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1]))


def resample(groups: Sequence[str], figures: Callable[[np.ndarray], np.ndarray], seed: int) -> np.ndarray:
    """Return figures (resamples, m) of cases whose groups are drawn with replacement: the same draws for one seed.

    Parameters
    ----------
    groups
        The group of each case.
    figures
        Gives m figures for the places of some cases.
    """
    names, group = np.unique(np.array(groups, dtype=str), return_inverse=True)
    members = [np.flatnonzero(group == k) for k in range(len(names))]
    generator = np.random.default_rng(seed)
    return np.array(
        [
            figures(np.concatenate([members[k] for k in generator.integers(len(names), size=len(names))]))
            for _ in range(RESAMPLES)
        ]
    )


def interval(drawn: np.ndarray) -> list[list[float] | None]:
    """Return of resampled figures (resamples, m) the 95 % interval of each; None where half of them have no value."""
    found: list[list[float] | None] = []
    for column in drawn.T:
        known = column[~np.isnan(column)]
        ends = (np.percentile(known, [2.5, 97.5]).round(12) + 0.0).tolist() if len(known) > RESAMPLES / 2 else None
        found.append(ends)
    return found


def summarise_arms(arms: dict[str, Told], groups: list[str], n_levels: int, high: bool, seed: int) -> dict[str, Any]:
    """Return the figures of every arm with their intervals, and how far each lies above the controls.

    Parameters
    ----------
    arms
        What a grader says by what it rests on; of the same cases in the same order.
    groups
        The group of each case.
    n_levels
        How many levels; of two that low and high tell apart, kappa and accuracy are left out.
    high
        Whether there are cases enough of low and high to tell them apart.
    """

    def figures(told: Told) -> Figures:
        return (level_figures(told) if n_levels > 2 or not high else {}) | (binary_figures(told) if high else {})

    def drawn_figures(told: Told, rows: np.ndarray) -> np.ndarray:
        return np.array(list(figures(told.of(rows)).values()))

    names = list(figures(next(iter(arms.values()))))
    found: dict[str, Any] = {}
    drawn = {}
    enough = len(set(groups)) > 1
    for arm, told in arms.items():
        value = figures(told)
        drawn[arm] = resample(groups, partial(drawn_figures, told), seed)
        spans = interval(drawn[arm]) if enough else [None] * len(names)
        found[arm] = {
            name: {"value": None if np.isnan(value[name]) else value[name], "interval": span}
            for name, span in zip(names, spans, strict=True)
        }
    for arm in found:
        found[arm]["above_control"] = {}
        for name in ("kappa", "auc") if arm not in ("control", "majority") and "control" in arms else ():
            if name not in names:
                continue
            place = names.index(name)
            one, other = found[arm][name]["value"], found["control"][name]["value"]
            span = interval((drawn[arm] - drawn["control"])[:, [place]])[0] if enough else None
            known = None not in (one, other)
            found[arm]["above_control"][name] = {"value": one - other if known else None, "interval": span}
    return found


def hold_against_marks(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each mark with the figure, and its verdict: an interval that crosses the mark leaves it undecided."""
    held = []
    for name, (mark, more) in MARKS.items():
        if name in figures:
            span = figures[name]["interval"]
            verdict = "undecided"
            if span:
                low, high = span if more else (-span[1], -span[0])
                least = mark if more else -mark
                verdict = "pass" if low >= least else "fail" if high < least else "undecided"
            held.append({"figure": name, "mark": mark, "more": more, "verdict": verdict} | figures[name])
    return held


def at_chance(figures: dict[str, Any]) -> bool | None:
    """Say whether what chance gives, kappa 0 and AUC 0.5, lies in the intervals; None where there is none."""
    spans = [
        (figures[name]["interval"], chance)
        for name, chance in (("kappa", 0.0), ("auc", 0.5))
        if name in figures and figures[name]["interval"]
    ]
    return all(low <= chance <= high for (low, high), chance in spans) if spans else None
