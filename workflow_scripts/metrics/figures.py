"""The figures of a set of scores, each as a fraction of sums over frames: what can be drawn again, group by group."""

from typing import Any

import numpy as np

from workflow_scripts.metrics.overlap import iou_of_dice
from workflow_scripts.metrics.scored import below

METRICS = (
    "dice", "iou", "sensitivity", "precision", "hd95", "surface_distance", "hd95_mm", "surface_distance_mm",
)  # fmt: skip
COUNTS = ("tp", "fp", "fn", "n_outlined", "n_predicted", "n_found")
Key = tuple[str, str]  # family and name


def spread(values: np.ndarray) -> dict[str, Any]:
    """Return n, mean and spread of (n,) values, without those that are NaN; None where there is nothing to say."""
    values = values[~np.isnan(values)]
    quartiles = [float(value) for value in np.percentile(values, [25, 50, 75])] if len(values) else [None] * 3
    return {
        "n": len(values),
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "q1": quartiles[0],
        "median": quartiles[1],
        "q3": quartiles[2],
    }


def column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """Return (n,) float64 one column of the scores; NaN where it is null."""
    return np.array([row[name] for row in rows], dtype=float)


def sum_by_group(values: np.ndarray, groups: list[str]) -> np.ndarray:
    """Return (k, 2, m) the sums of (n, 2, m) values over each of k groups, in the order of their names."""
    names, group = np.unique(np.array(groups, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, group, values)
    return sums


def fractions(rows: list[dict[str, Any]]) -> tuple[list[Key], np.ndarray]:
    """Return the figures of some scores as fractions, summed over each group.

    Families: `images`, means over frames; `patients`, means over the groups' own means; `pooled`, of the pixels of all
    frames together; `nodules`, of the nodules of all frames together.

    Returns
    -------
    The m figures, and (k, 2, m): of each of k groups what stands above and below the line. A figure is the sum above
    over the sum below; nothing is known of it where 0 is below.
    """
    tp, fp, fn, outlined, predicted, found = (column(rows, name) for name in COUNTS)
    metrics = {("images", name): column(rows, name) for name in METRICS}
    parts: dict[Key, tuple[np.ndarray, np.ndarray]] = {
        **{key: (np.nan_to_num(values), ~np.isnan(values)) for key, values in metrics.items()},
        ("pooled", "dice"): (2 * tp, 2 * tp + fp + fn),
        ("pooled", "iou"): (tp, tp + fp + fn),
        ("pooled", "sensitivity"): (tp, tp + fn),
        ("pooled", "precision"): (tp, tp + fp),
        ("nodules", "sensitivity"): (found, outlined),
        ("nodules", "precision"): (found, predicted),
        ("nodules", "false_per_frame"): (predicted - found, np.ones(len(rows))),
        ("nodules", "dice"): (np.nan_to_num(column(rows, "found_dice")) * found, found),
    }
    sums = sum_by_group(np.stack([np.stack(part) for part in parts.values()], axis=-1).swapaxes(0, 1), groups_of(rows))
    top, bottom = sums[:, 0, : len(METRICS)], sums[:, 1, : len(METRICS)]
    means = np.stack([np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0), bottom > 0], axis=1)
    return [*parts, *(("patients", name) for name in METRICS)], np.concatenate([sums, means], axis=2)


def groups_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the group of each row."""
    return [row["group_id"] for row in rows]


def check_overlap(figures: dict[Key, float | None]) -> None:
    """Raise RuntimeError where the IoU of a family is not what its Dice allows: the scores contradict each other.

    Of one pair of masks, and of pooled counts, it is D / (2 - D); of means it is at least that, for the function is
    convex (Jensen).
    """
    for family in ("images", "patients", "pooled"):
        dice, iou = figures[family, "dice"], figures[family, "iou"]
        if dice is None or iou is None:
            continue
        least = iou_of_dice(dice)
        if below(iou, least) or (family == "pooled" and below(least, iou)):
            raise RuntimeError(
                f"the scores are inconsistent ({family}): a Dice of {dice:.4f} needs an IoU of"
                f" {'' if family == 'pooled' else 'at least '}{least:.4f}, and it is {iou:.4f};"
                " delete the tables of scores and run again"
            )
