"""Distributions of scores and curves of a training as the geometry of SVG: the template says how they look."""

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 44  # around the plot, in units of the viewBox
OVERLAP = ("dice", "iou")
BOX: dict[str, Any] = {
    "view": f"0 0 {WIDTH} {HEIGHT}",
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
    "middle": (LEFT + WIDTH - RIGHT) / 2,
    "foot": HEIGHT - 6,
}


class Scale:
    """Where the values of an axis lie."""

    def __init__(self, values: tuple[float, float], places: tuple[float, float]) -> None:
        """Let the first value lie at the first place, the last at the last."""
        self.low, self.high = values
        self.start, self.end = places

    def __call__(self, value: float) -> float:
        """Return the place of a value; values that are all one lie at the start."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return round(self.start + share * (self.end - self.start), 1)


def across(low: float, high: float) -> Scale:
    """Return the scale from left to right."""
    return Scale((low, high), (LEFT, WIDTH - RIGHT))


def upwards(high: float) -> Scale:
    """Return the scale from the foot of the plot, 0, to its top."""
    return Scale((0, high), (HEIGHT - BOTTOM, TOP))


def round_step(top: float, most: int = 5) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that reaches `top` in at most `most` steps."""
    steps = (digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5))
    return next(step for step in steps if step * most >= top)


def ticks(scale: Scale, step: float) -> list[dict[str, Any]]:
    """Return place and text of the lower end of an axis and of every further step on it."""
    n = int(scale.high / step + 1e-6)
    values = [scale.low, *(value for value in (round(k * step, 6) for k in range(n + 1)) if value > scale.low)]
    return [{"at": scale(value), "text": f"{value:g}"} for value in values]


def draw_distribution(counts: Sequence[int], figures: dict[str, Any]) -> dict[str, Any]:
    """Return a histogram over 0 to 1 with the gate, and with the mean and its interval above the bars.

    Parameters
    ----------
    counts
        How many values lie in each of equal bins.
    figures
        `gate`, `mean`, `interval` as summarise_scores gives them; mean and interval may be None.
    """
    step = max(1, round_step(max(counts)))
    x, y = across(0, 1), upwards(max(step, max(counts)))
    width = 1 / len(counts)
    return BOX | {
        "bars": [
            {"x": x(k * width), "y": y(n), "width": x(width) - x(0) - 1.5, "height": round(y(0) - y(n), 1)}
            for k, n in enumerate(counts)
            if n
        ],
        "x": ticks(x, 0.2),
        "y": ticks(y, step),
        "gate": x(figures["gate"]),
        "gate_anchor": "end" if figures["gate"] > 0.5 else "start",
        "mean": None if figures["mean"] is None else x(figures["mean"]),
        "interval": [x(end) for end in figures["interval"] or []],
    }


def draw_curves(history: Sequence[dict[str, Any]], names: Sequence[str], best: int, top: float = 0) -> dict[str, Any]:
    """Return the curves of some columns of `history`, training and validation, from 0 to `top` or the largest value.

    Parameters
    ----------
    history
        The rows, one an epoch.
    names
        The columns to draw; each has its twin that begins with `validation_`.
    best
        The epoch whose weights were kept.
    top
        The upper end of the axis; 0 leaves it to the values.
    """
    columns = [column for name in names for column in (name, f"validation_{name}")]
    epochs = [row["epoch"] for row in history]
    highest = top or max(row[name] for row in history for name in columns) or 1.0
    x, y = across(1, max(epochs)), upwards(highest)
    step = max(1, round_step(max(epochs)))
    kept = next(row for row in history if row["epoch"] == best)
    return BOX | {
        # The first point stands twice: of a single epoch a line without length is left, which is drawn as a dot.
        "lines": {name: path([(x(row["epoch"]), y(row[name])) for row in [history[0], *history]]) for name in columns},
        "x": ticks(x, step),
        "y": ticks(y, round_step(highest)),
        "best": x(best),
        "best_anchor": "end" if best > max(epochs) / 2 else "start",
        "marks": {name: y(kept[name]) for name in columns},
    }


def draw_charts(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the charts of a model of `summarise_segmentation`: its distributions, and the curves of each fold."""
    return {
        "distribution": {
            metric: draw_distribution(counted["counts"], figures["overall"][metric])
            for metric, counted in figures["distribution"].items()
        },
        "trainings": {
            training["fold"]: {
                "loss": draw_curves(training["history"], ["loss"], training["best_epoch"]),
                "overlap": draw_curves(training["history"], OVERLAP, training["best_epoch"], top=1),
            }
            for training in figures["trainings"]
        },
    }


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the path of SVG through some points."""
    return "M" + " ".join(f"{x:g},{y:g}" for x, y in points)
