"""Size of nodules as the models outline them against the experts' outlines: Bland and Altman's plot."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.figures.plate import (
    BLUE,
    GREY,
    ON_WHITE,
    ORANGE,
    PAGE,
    Estimate,
    Missing,
    Plate,
    Row,
    Run,
    count,
    new_figure,
)
from workflow_scripts.files import natural
from workflow_scripts.tables.nodules import EXPERT
from workflow_scripts.tables.table import planned, stream_rows

RESAMPLES, SEED = 2000, 0
FEWEST = 10  # groups that an interval takes
LIMIT = 1.96  # standard deviations on either side hold 95 % of normal differences
ACROSS = 2
SOURCE = "datasets/*/nodules/, datasets/*/scores/"
Key = tuple[str, str, str]  # data set, model, unit


def single_nodules(folder: Path, model: str, folds: list[str]) -> dict[str, str]:
    """Return the group of each frame where one outlined nodule was found as one: there is no doubt which is which."""
    return {
        row["frame_id"]: row["group_id"]
        for fold in folds
        for path in planned(folder, f"scores/{model}/{fold}")
        for row in stream_rows(path, ["frame_id", "group_id", "n_outlined", "n_predicted", "n_found"])
        if row["n_outlined"] == row["n_predicted"] == row["n_found"] == 1
    }


def largest_nodules(folder: Path) -> dict[tuple[str, str, str | None], Row]:
    """Return the largest nodule by frame, who outlined it, and fold: what is smaller beside a single one is a speck."""
    largest: dict[tuple[str, str, str | None], Row] = {}
    names = ["frame_id", "case_id", "outlined_by", "fold", "area_px", "longest_px", "longest_mm"]
    for path in planned(folder, "nodules"):
        if path.is_file():
            for row in stream_rows(path, names):
                key = (row["frame_id"], row["outlined_by"], row["fold"])
                if key not in largest or row["area_px"] > largest[key]["area_px"]:
                    largest[key] = row
    return largest


def pair_sizes(run: Run) -> dict[Key, list[Row]]:
    """Return the longest diameters of each case, `reference` and `measured`: means over its frames.

    Raises
    ------
    Missing
        When there are not two such cases.
    """
    models = run.part("segmentation", "no masks were scored")["models"]
    found: dict[Key, list[Row]] = {}
    for name in sorted(run.summary["datasets"], key=natural):
        folder = run.results / "datasets" / name
        largest = largest_nodules(folder)
        for model, about in models.items():
            if name not in about["datasets"]:
                continue
            cases: dict[tuple[str, str], dict[str, Any]] = {}
            for frame, group in single_nodules(folder, model, about["folds"]).items():
                own = [largest[key] for fold in about["folds"] if (key := (frame, model, fold)) in largest]
                expert = largest.get((frame, EXPERT, None))
                if own and expert:
                    unit = "px" if None in (own[0]["longest_mm"], expert["longest_mm"]) else "mm"
                    case = cases.setdefault((unit, expert["case_id"]), {"group": group, "pairs": []})
                    case["pairs"].append((expert[f"longest_{unit}"], own[0][f"longest_{unit}"]))
            for (unit, _), case in cases.items():
                reference, measured = np.mean(case["pairs"], axis=0).tolist()
                row = {"group": case["group"], "reference": reference, "measured": measured}
                found.setdefault((name, model, unit), []).append(row)
    pairs = {key: rows for key, rows in found.items() if len(rows) > 1}
    if not pairs:
        raise Missing("nodules were not measured, or no frame has a single nodule that the model found as one")
    return pairs


def agreement(rows: list[Row]) -> dict[str, Estimate]:
    """Return bias and limits of agreement of measured less reference, with intervals over groups."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row["measured"] - row["reference"])
    sums = np.array([[len(own), sum(own), sum(value**2 for value in own)] for own in groups.values()])

    def figures(total: np.ndarray) -> np.ndarray:
        n, first, second = total.T
        spread = np.sqrt(np.maximum(second - first**2 / n, 0) / np.maximum(n - 1, 1))
        return np.stack([first / n, first / n - LIMIT * spread, first / n + LIMIT * spread], axis=-1)

    values = figures(sums.sum(axis=0)[None])[0]
    ends: Any = [(None, None)] * len(values)
    if len(groups) >= FEWEST:
        drawn = np.random.default_rng(SEED).multinomial(len(sums), [1 / len(sums)] * len(sums), RESAMPLES)
        ends = np.percentile(figures(drawn @ sums), [2.5, 97.5], axis=0).T.tolist()
    names = ("bias", "lower_limit", "upper_limit")
    parts = zip(names, values.tolist(), ends, strict=True)
    return {name: Estimate(value, low, high, 1) for name, value, (low, high) in parts}


def draw_bland_altman(run: Run) -> Plate:
    """Draw the difference of both sizes over their mean, with bias and limits of agreement."""
    pairs = pair_sizes(run)
    down = -(-len(pairs) // ACROSS)
    n = "a dot is a case; shaded: 95 % intervals, bootstrap over groups"
    figure, panels = new_figure(PAGE, 2.4 * down + 0.3, n, down, ACROSS)
    drawn: list[Row] = []
    for axes, ((name, model, unit), rows) in zip(panels, pairs.items(), strict=False):
        mean, difference = (
            np.array([use(row["measured"], row["reference"]) for row in rows])
            for use in (lambda a, b: (a + b) / 2, lambda a, b: a - b)
        )
        axes.plot(mean, difference, "o", ms=2.2, mew=0, alpha=0.5, color=BLUE)
        for what, found in agreement(rows).items():
            color = ORANGE if what == "bias" else GREY
            if found.low is not None and found.high is not None:
                axes.axhspan(found.low, found.high, color=color, alpha=0.18, lw=0)
            axes.axhline(found.value or 0, color=color, ls="-" if what == "bias" else "--", lw=1)
            place = (1, found.value or 0), (-2, 3), ("axes fraction", "data"), "offset points"
            axes.annotate(f"{what.replace('_', ' ')} {found.shown()}", *place, ha="right", size=6, bbox=ON_WHITE)
            drawn.append({"dataset": name, "model": model, "unit": unit, "what": what, "difference": found})
        groups = len({row["group"] for row in rows})
        axes.set_title(f"{model}, {name}: n = {count(len(rows), 'case')}, {count(groups, 'group')}", loc="left")
        axes.set(xlabel=f"mean of both longest diameters, {unit}", ylabel=f"model − expert, {unit}")
        drawn += [
            {"dataset": name, "model": model, "unit": unit, "what": "case", "mean": at, "difference": value}
            for at, value in sorted(zip(mean.tolist(), difference.tolist(), strict=True))
        ]
    for axes in panels[len(pairs) :]:
        axes.remove()
    told = [f"{model} on {name}: {count(len(rows), 'case')} ({unit})" for (name, model, unit), rows in pairs.items()]
    return Plate(
        "Longest diameter of single nodules: model against expert",
        "; ".join(told),
        SOURCE,
        drawn,
        figure,
    )
