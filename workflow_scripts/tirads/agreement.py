"""How far one reading agrees with another: confusion table, kappa, balanced accuracy, areas under the curve.

Each figure has an interval over whole groups: cases of a patient resemble each other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from workflow_scripts.roc import area_under_roc

RESAMPLES = 2000
INTERVAL = f"95 % percentile bootstrap, {RESAMPLES} resamples of groups"


def agreement(truth: np.ndarray, scores: np.ndarray, group: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the confusion table of the likeliest classes and its figures, with intervals over whole groups.

    Parameters
    ----------
    truth
        (n,) class of each case, 0 to k - 1.
    scores
        (n, k) probability of each class.
    group
        (n,) group of each case, 0 to g - 1.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        `confusion` (rows are the truth), `accuracy`, `majority` (the accuracy of always naming the commonest class);
        with `value` and `interval` each, `balanced_accuracy`, `kappa`, and the list `auc` (a class against the rest).
    """
    of_group = np.zeros((group.max() + 1, scores.shape[1], scores.shape[1]))
    np.add.at(of_group, (group, truth, scores.argmax(axis=1)), 1)
    table = of_group.sum(axis=0)
    drawn = np.random.default_rng(seed).multinomial(len(of_group), np.full(len(of_group), 1 / len(of_group)), RESAMPLES)
    resampled = np.tensordot(drawn, of_group, axes=1)

    def figure(value: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        return {"value": float(value), "interval": np.nanpercentile(values, [2.5, 97.5]).tolist()}

    once = np.ones((1, len(truth)))
    return {
        "confusion": table.astype(int).tolist(),
        "accuracy": float(np.trace(table) / table.sum()),
        "majority": float(table.sum(axis=1).max() / table.sum()),
        "balanced_accuracy": figure(balanced_accuracy(table), balanced_accuracy(resampled)),
        "kappa": figure(kappa_of(table), kappa_of(resampled)),
        "auc": [
            figure(area_under_roc(truth == k, column, once)[0], area_under_roc(truth == k, column, drawn[:, group]))
            for k, column in enumerate(scores.T)
        ],
    }


def balanced_accuracy(tables: np.ndarray) -> np.ndarray:
    """Return of tables (..., k, k), rows the truth, the mean share of each class that was read as that class."""
    right, totals = np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(axis=-1)
    shares = np.divide(right, totals, out=np.full(totals.shape, np.nan), where=totals > 0)
    mean: np.ndarray = np.nanmean(shares, axis=-1)
    return mean


def kappa_of(tables: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa of tables (..., k, k): agreement beyond chance (Cohen 1960)."""
    total = tables.sum(axis=(-2, -1))
    observed = np.diagonal(tables, axis1=-2, axis2=-1).sum(axis=-1) / total
    expected = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / total**2
    kappa: np.ndarray = np.divide(
        observed - expected, 1 - expected, out=np.full(total.shape, np.nan), where=expected < 1
    )
    return kappa


def verdict(kappa: Mapping[str, Any]) -> str:
    """Return in words what a kappa with its interval comes to; the limits are those of Landis and Koch (1977)."""
    if kappa["interval"][0] <= 0:
        return "not shown to be read from the pixels: the interval reaches chance"
    for limit, word in ((0.2, "slightly"), (0.4, "fairly"), (0.6, "moderately"), (0.8, "substantially")):
        if kappa["value"] < limit:
            return f"agrees {word}"
    return "agrees almost perfectly"
