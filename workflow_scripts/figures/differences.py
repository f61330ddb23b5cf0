"""By how much models differ from each other on the same frames, and recipes from the first of them."""

import csv
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from workflow_scripts.figures.overlap import METRICS
from workflow_scripts.figures.plate import (
    BLUE,
    GREY,
    ON_WHITE,
    PAGE,
    Estimate,
    Missing,
    Plate,
    Row,
    Run,
    count,
    new_figure,
)

RECIPES = "recipes/recipes.csv"
INTERVAL = "bars: 95 % interval, bootstrap over groups"


def draw_forest(axes: Axes, names: Sequence[str], rows: Sequence[Row], metric: str) -> None:
    """Draw differences with their intervals from above to below, and where there is none."""
    for place, row in enumerate(rows):
        found: Estimate = row[metric]
        low, value, high = np.array([found.low, found.value, found.high], float)
        axes.plot([low, high], [place, place], color=BLUE, solid_capstyle="butt")
        axes.plot(value, place, "o", color=BLUE)
        if metric == "dice":
            told = f"better in {row['better']:,}, worse in {row['worse']:,}"
            axes.annotate(told, (value, place), (0, 4), textcoords="offset points", ha="center", size=6, bbox=ON_WHITE)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=f"difference in {METRICS[metric]}", ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.3)


def draw_differences(rows: list[Row], names: list[str], row_height: float, caption: str, n: str, source: str) -> Plate:
    """Draw a forest of Dice and one of IoU beside each other."""
    figure, panels = new_figure(PAGE, 0.8 + row_height * len(rows), f"{n}; {INTERVAL}", 1, len(METRICS))
    for axes, metric, shown in zip(panels, METRICS, (names, [""] * len(names)), strict=True):
        draw_forest(axes, shown, rows, metric)
    return Plate(caption, n, source, rows, figure)


def draw_paired_comparison(run: Run) -> Plate:
    """Draw by how much one model differs from another on the same frames, group by group."""
    compared = run.part("comparison", "fewer than two models were scored on the same frames")["comparisons"]
    rows: list[Row] = [
        {"model": pair["model"], "minus": pair["minus"], "datasets": " ".join(each["datasets"])}
        | {name: pair["dice"][name] for name in ("n_frames", "n_groups", "better", "worse", "equal")}
        | {metric: Estimate.of(pair[metric], "difference") for metric in METRICS}
        for each in compared
        for pair in each["pairs"]
    ]
    names = [f"{row['model']} − {row['minus']}\n{row['datasets']}" for row in rows]
    rests_on = dict.fromkeys(f"{count(row['n_frames'], 'frame')} of {count(row['n_groups'], 'group')}" for row in rows)
    caption = "Models against each other on the same frames; better and worse: groups, by Dice"
    return draw_differences(rows, names, 0.42, caption, f"n = {'; '.join(rests_on)}", "review/comparison.json")


def draw_recipes(run: Run) -> Plate:
    """Draw by how much each recipe differs from the first: what a step of preprocessing, say, is worth."""
    path = run.results / RECIPES
    if not path.is_file():
        raise Missing(f"recipes were not compared: there is no {RECIPES}")
    with path.open(newline="", encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["dice_change"]]
    if not found:
        raise Missing(f"{RECIPES} holds no recipe that ran beside the first")
    rows: list[Row] = [
        {"recipe": row["recipe"], "differs": row["differs"], "n_frames": int(row["n_compared"])}
        | {name: int(row[name]) for name in ("better", "worse")}
        | {metric: change_of(row, metric) for metric in METRICS}
        for row in found
    ]
    names = [f"{row['recipe']}\n{row['n_frames']:,} frames" for row in rows]
    n = f"n = {count(len(rows), 'recipe')}, {min(row['n_frames'] for row in rows):,} frames or more each"
    caption = "Recipes against the first on the same frames; better and worse: groups, by Dice"
    return draw_differences(rows, names, 0.36, caption, n, RECIPES)


def change_of(row: dict[str, str], metric: str) -> Estimate:
    """Return the difference of a recipe to the first, from a row of the CSV."""
    value, low, high = (
        float(text) if (text := row[f"{metric}_change{end}"]) else None for end in ("", "_low", "_high")
    )
    return Estimate(value, low, high)
