"""How far the estimate of quality can be trusted: calibration, and what is left when the least sure are put aside."""

import numpy as np

from workflow_scripts.figures.plate import (
    BLUE,
    COLUMN,
    GREY,
    ORANGE,
    Missing,
    Plate,
    Row,
    Run,
    count,
    legend_above,
    new_figure,
)

BINS = 10
SOURCE = "review/quality.json"


def evaluation(run: Run) -> Row:
    """Return what the estimates were held against.

    Raises
    ------
    Missing
        When no estimate was fitted, or none could be evaluated.
    """
    found: Row | None = run.part("quality", "no estimate of quality was fitted")["evaluation"]
    if not found or not found["risk_coverage"]:
        raise Missing("no estimate of quality could be held against a Dice")
    return found


def words_of(found: Row) -> str:
    """Return on how many the evaluation rests."""
    return f"n = {count(found['n_frames'], 'frame')} of {count(found['n_groups'], 'group')}"


def draw_quality_calibration(run: Run) -> Plate:
    """Draw Dice against its estimate: every frame, and tenths of the frames."""
    found = evaluation(run)
    points = np.array(found["points"])  # estimate, Dice, lower bound
    held = points[:, 1] >= points[:, 2] - 1e-9
    tenths = [part for part in np.array_split(points[np.argsort(points[:, 0], kind="stable")], BINS) if len(part)]
    bins = [(part[:, 0].mean(), part[:, 1].mean(), *np.percentile(part[:, 1], [25, 75]), len(part)) for part in tenths]
    n = words_of(found)
    figure, (axes,) = new_figure(COLUMN, 3.8, n)
    for which, color, label in ((held, BLUE, "at or above its bound"), (~held, ORANGE, "below its bound")):
        marker = "o" if color == BLUE else "x"
        axes.plot(*points[which, :2].T, marker, ms=2.5, mew=0.6, mfc="none", alpha=0.45, color=color, label=label)
    x, y, low, high, _ = np.array(bins).T
    label = "tenths of the frames: mean, middle half"
    axes.errorbar(x, y, [np.maximum(y - low, 0), np.maximum(high - y, 0)], fmt="ks", ms=3.5, lw=0.9, label=label)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    for line in (axes.axhline, axes.axvline):
        line(found["gate"], color=GREY, ls="--", lw=0.7)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="estimated Dice", ylabel="Dice", aspect="equal")
    legend_above(axes, f"{found['model']}: mean absolute error {found['mae']:.3f}", columns=1)
    rows: list[Row] = [
        {"what": "frame", "estimate": estimate, "dice": dice, "lower_bound": bound}
        for estimate, dice, bound in points.tolist()
    ]
    rows += [
        {"what": "tenth", "estimate": estimate, "dice": dice, "quarter": q1, "three_quarters": q3, "frames": size}
        for estimate, dice, q1, q3, size in np.array(bins).tolist()
    ]
    return Plate("Dice against its estimate, of patients that the estimate was not fitted on", n, SOURCE, rows, figure)


def draw_risk_coverage(run: Run) -> Plate:
    """Draw mean Dice and the share under the gate of the frames kept, the surest first."""
    found = evaluation(run)
    curve: list[Row] = found["risk_coverage"]
    n = words_of(found)
    figure, (axes,) = new_figure(COLUMN, 2.5, n)
    share = [row["share"] for row in curve]
    lines = (("dice", "mean Dice", BLUE, "o-"), ("bad", f"share under the gate {found['gate']:g}", ORANGE, "s--"))
    for name, label, color, form in lines:
        axes.plot(share, [row[name] for row in curve], form, ms=2.5, color=color, label=label)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="share of frames kept, the surest first")
    legend_above(axes, found["model"])
    return Plate("What is left when the least sure frames are put aside", n, SOURCE, curve, figure)
