"""The area under the ROC curve, in the one way that every stage states it."""

import numpy as np


def area_under_roc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the areas (r,) under the ROC curve of scores (n,), of cases that count with weights (r, n); ties half.

    `positive` (n,) bool. NaN where one kind alone has weight (Mann and Whitney 1947).
    """
    order = np.argsort(scores)
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    found, not_found = (np.add.reduceat((weights * of)[:, order], starts, axis=1) for of in (positive, ~positive))
    below = not_found.cumsum(axis=1) - not_found / 2
    pairs = found.sum(axis=1) * not_found.sum(axis=1)
    return np.divide((found * below).sum(axis=1), pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
