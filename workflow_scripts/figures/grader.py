"""Learnt grades against those stated: confusion of levels, ROC curve with its band, calibration."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures.plate import (
    BLUE,
    COLUMN,
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

SOURCE = "review/grader.json"
ACROSS = 3
HISTOLOGY = "histology"
Task = dict[str, Any]


def learnt_tasks(run: Run, asked: str) -> dict[str, Task]:
    """Return the tasks that were learnt and have the figure `asked`.

    Raises
    ------
    Missing
        When there is none.
    """
    tasks: dict[str, Task] = run.part("grader", "no grades were learnt")["tasks"]
    found = {task: each for task, each in tasks.items() if each["abstained"] is None and each[asked]}
    if not found:
        raise Missing("no grades were learnt that could be held against stated ones")
    return found


def estimate(each: Task, name: str) -> Estimate:
    """Return a figure of a task, of the grader that knows all."""
    return Estimate.of(each["arms"]["all"][name], digits=2)


def words_of(each: Task) -> str:
    """Return on how many a task rests."""
    return f"{count(each['n_cases'], 'case')} of {count(each['n_groups'], 'group')}"


def panels_of(tasks: dict[str, Task], remark: str = "") -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each task."""
    down, across = -(-len(tasks) // ACROSS), min(len(tasks), ACROSS)
    width, height = (COLUMN, 3.3) if across == 1 else (PAGE * across / ACROSS, 2.9)
    n = f"n = {'; '.join(map(words_of, tasks.values()))}{remark}"
    figure, panels = new_figure(width, height * down, n, down, across)
    for axes in panels[len(tasks) :]:
        axes.remove()
    return figure, panels


def plate_of(caption: str, tasks: dict[str, Task], rows: list[Row], figure: Figure) -> Plate:
    """Return a figure of these tasks."""
    n = "; ".join(f"{task}: {words_of(each)}" for task, each in tasks.items())
    return Plate(f"{caption}, of patients that the grader never saw", n, SOURCE, rows, figure)


def draw_tirads_confusion(run: Run) -> Plate:
    """Draw how often each stated level was learnt as which."""
    tasks = learnt_tasks(run, "confusion")
    figure, panels = panels_of(tasks, "; per cent of a row")
    rows: list[Row] = []
    for axes, (task, each) in zip(panels, tasks.items(), strict=False):
        table, levels = np.array(each["confusion"]), each["levels"]
        stated = table.sum(axis=1)
        share = table / np.maximum(stated, 1)[:, None]
        axes.imshow(share, vmin=0, vmax=1)
        for row, column in np.ndindex(table.shape):
            n, part = int(table[row, column]), float(share[row, column])
            color = "white" if part > 0.55 else "black"
            axes.text(column, row, f"{n:,}\n{part:.0%}", ha="center", va="center", color=color, size=6)
            cell = {"task": task, "stated": levels[row], "learnt": levels[column]}
            rows.append(cell | {"cases": n, "share_of_stated": part})
        axes.set_xticks(range(len(levels)), levels)
        axes.set_yticks(range(len(levels)), [f"{level}\n({n:,})" for level, n in zip(levels, stated, strict=True)])
        axes.set(xlabel="learnt", ylabel="by histology (cases)" if task == HISTOLOGY else "radiologist's level (cases)")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        words = f"\nquadratic kappa {estimate(each, 'kappa').shown()}" if "kappa" in each["arms"]["all"] else ""
        axes.set_title(f"{task}{words}", loc="left")
    return plate_of("Learnt against stated levels", tasks, rows, figure)


def draw_grader_roc(run: Run) -> Plate:
    """Draw the ROC curve of high against low levels, and of malignancy, with its 95 % band."""
    tasks = learnt_tasks(run, "roc")
    figure, panels = panels_of(tasks, "; shaded: 95 % band, bootstrap over groups")
    rows: list[Row] = []
    for axes, (task, each) in zip(panels, tasks.items(), strict=False):
        roc, levels = each["roc"], each["levels"]
        x, y = roc["false_positives"], roc["true_positives"]
        band = [ends or (None, None) for ends in roc["band"] or [None] * len(x)]
        low, high = np.array(band, float).T
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, lw=0)
        axes.plot(x, y, color=BLUE)
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xlabel="false positive rate", ylabel="true positive rate")
        positive = sum(each["n_of_level"][level] for level in levels[levels.index(each["high_from"]) :])
        what = "malignant" if task == HISTOLOGY else f"of level {each['high_from']} or above"
        words = f"{positive:,} {what}, {each['n_cases'] - positive:,} not\nAUC {estimate(each, 'auc').shown()}"
        axes.set_title(f"{task}: {words}", loc="left")
        rows += [
            {"task": task, "false_positive_rate": at, "true_positive_rate": Estimate(value, *ends)}
            for at, value, ends in zip(x, y, band, strict=True)
        ]
    return plate_of("ROC curves of the learnt grades", tasks, rows, figure)


def draw_grader_calibration(run: Run) -> Plate:
    """Draw the observed share of high cases against the predicted probability."""
    tasks = learnt_tasks(run, "reliability")
    figure, panels = panels_of(tasks, "; numbers: cases")
    rows: list[Row] = []
    for axes, (task, each) in zip(panels, tasks.items(), strict=False):
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
        for row in each["reliability"]:
            place, above = (row["predicted"], row["observed"]), row["observed"] < 0.9
            size = 3 + 6 * (row["n"] / each["n_cases"]) ** 0.5
            axes.plot(*place, "o", ms=size, mew=0, alpha=0.6, color=BLUE, clip_on=False)
            axes.annotate(
                f"{row['n']:,}", place, (0, 7 if above else -7), textcoords="offset points", size=6, ha="center",
                va="bottom" if above else "top", bbox=ON_WHITE,
            )  # fmt: skip
            rows.append({"task": task, **row})
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="predicted probability", ylabel="observed share")
        axes.set_title(f"{task}\ncalibration error {estimate(each, 'ece').shown()}", loc="left")
    return plate_of(
        "Predicted probability against the observed share, in tenths of the probability", tasks, rows, figure
    )
