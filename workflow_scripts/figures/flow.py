"""The flow of cases in and out, stage by stage, in the manner of CONSORT."""

import re
import textwrap
from collections import Counter
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from workflow_scripts.figures.plate import GREY, PAGE, Plate, Row, Run, count, new_figure

LOST = {
    "index_cases": "Could not be read",
    "plan_chunks": "Not asked for",
    "extract_frames": "No usable frame",
    "preprocess_frames": "Could not be prepared for a model",
    "grade_nodules": "Could not be graded",
}
REASONS = {"excluded": "excluded by the user", "not_asked_for": "no scenario asks for them"}
FEWEST = 2  # cases that share a reason: one that a single case has may tell of that case
ALONE = "for reasons of a single case each"
SETS = 8  # data sets that are named
LINE, PADDING, GAP, NUMBER = 0.125, 0.16, 0.17, 0.45  # inches
LEFT, RIGHT, WIDTH = 0.03, 3.7, 3.47  # where the boxes begin, and how wide they are (inches)
LETTERS = 56  # in a line of a box

Line = tuple[str, str]  # a number, and what it counts


def count_reasons(datasets: dict[str, Any]) -> dict[str, Counter[str]]:
    """Return of each stage how many cases left for which reason; a case counts where it left first.

    Digits are taken out of the reasons, and those of a single case are counted together: a figure tells of no case.
    """
    left: dict[tuple[str, str], tuple[str, str]] = {}
    for stage in LOST:
        for name, found in datasets.items():
            for problem in _problems(found, stage):
                for row in problem["rows"]:
                    left.setdefault((name, row["case_id"]), (stage, problem["reason"]))
    reasons: dict[str, Counter[str]] = {stage: Counter() for stage in LOST}
    for (stage, reason), n in Counter(left.values()).items():
        reasons[stage][reason if n >= FEWEST else ALONE] += n
    listed = Counter((name, stage) for (name, _), (stage, _) in left.items())
    for name, found in datasets.items():  # of a reason that hundreds share, the summary lists the first cases alone
        for step in found["flow"]:
            rest = step.get("quarantined", 0) - listed[name, step["stage"]]
            for problem in _problems(found, step["stage"]):
                n = min(rest, problem["more"])
                reasons[step["stage"]][problem["reason"]] += n
                rest -= n
    return reasons


def _problems(found: dict[str, Any], stage: str) -> list[Row]:
    """Return the groups of problems for which cases of a data set left at a stage, their reasons without digits."""
    return [
        problem | {"reason": re.sub(r"\d+(\.\d+)?", "…", problem["reason"])}
        for problem in found["quarantine"]
        if (problem["stage"], problem["status"]) == (stage, "quarantined")
    ]


def follow(datasets: dict[str, Any]) -> list[Row]:
    """Return what is lost at each stage, one row a reason: `stage`, `what`, `cases`."""
    reasons = count_reasons(datasets)
    for found in datasets.values():
        for step in found["flow"]:
            for key, words in REASONS.items():
                reasons[step["stage"]][words] += step.get(key, 0)
    return [
        {"stage": stage, "what": reason, "cases": n}
        for stage, counted in reasons.items()
        for reason, n in sorted(counted.items(), key=lambda item: (item[0] == ALONE, -item[1], item[0]))
        if n
    ]


def uses(summary: dict[str, Any]) -> list[Row]:
    """Return what the cases that got through are used for."""
    rows = []
    for model, found in summary.get("segmentation", {}).get("models", {}).items():
        of = found["overall"]
        words = f"scored with {model}: {count(of['n_frames'], 'frame')} of {count(of['n_groups'], 'group')}"
        rows.append({"stage": "scored", "what": words, "cases": of["n_cases"]})
    for task, found in summary.get("grader", {}).get("tasks", {}).items():
        if found["abstained"] is None:
            rows.append({"stage": "graded", "what": f"graded by what was learnt: {task}", "cases": found["n_cases"]})
    asked = summary["scenarios"]
    shown = {(entry["dataset"], entry["case_id"]) for entry in asked["entries"] if entry["status"] == "filled"}
    words = f"shown in scenarios: {asked['filled']:,} of {asked['asked']:,} filled"
    return [*rows, {"stage": "scenarios", "what": words, "cases": len(shown)}]


def lines_of(rows: list[Row]) -> list[Line]:
    """Return rows as lines of a box."""
    lines: list[Line] = []
    for row in rows:
        first, *more = textwrap.wrap(row["what"], LETTERS)
        lines += [(f"{row['cases']:,}", first), *(("", words) for words in more)]
    return lines


def height_of(lines: list[Line]) -> float:
    """Return the height of a box with a title and these lines (inches)."""
    return LINE * (len(lines) + 1) + PADDING


def draw_box(axes: Axes, x: float, top: float, title: str, lines: list[Line]) -> float:
    """Draw a box whose upper edge lies at `top`, and return where the lower one lies (inches)."""
    foot = top - height_of(lines)
    fill, shape = "#EAF2F8" if x == LEFT else "white", "round,pad=0,rounding_size=0.04"
    axes.add_patch(FancyBboxPatch((x, foot), WIDTH, top - foot, boxstyle=shape, fc=fill, ec=GREY, lw=0.6))
    middle = top - (PADDING + LINE) / 2
    axes.text(x + 0.08, middle, title, va="center", weight="bold")
    for number, words in lines:
        middle -= LINE
        axes.text(x + NUMBER, middle, number, va="center", ha="right")
        axes.text(x + NUMBER + 0.07, middle, words, va="center")
    return foot


def draw_flow(run: Run) -> Plate:
    """Draw what came in, what was lost where and why, and what the rest is used for."""
    summary = run.summary
    cases, frames, datasets = summary["cases"], summary["frames"], summary["datasets"]
    lost, used = follow(datasets), uses(summary)
    found = [{"stage": "found", "what": name, "cases": each["cases"]["in"]} for name, each in datasets.items()]
    named = lines_of(found[:SETS])
    if len(found) > SETS:
        named.append((f"{sum(row['cases'] for row in found[SETS:]):,}", f"{len(found) - SETS} more data sets"))
    words = f"{count(frames['taken'], 'frame')}, {frames['outlined']:,} of them outlined by experts"
    through = {"stage": "through", "what": words, "cases": cases["out"]}
    boxes = [(LEFT, f"Cases found: {cases['in']:,}", named)]
    for stage, title in LOST.items():
        if rows := [row for row in lost if row["stage"] == stage]:
            boxes.append((RIGHT, f"{title}: {sum(row['cases'] for row in rows):,}", lines_of(rows)))
    boxes.append((LEFT, f"Cases that got through: {cases['out']:,}", [("", words)]))
    boxes.append((LEFT, "Of these cases", lines_of(used)))

    height = sum(height_of(lines) + GAP for *_, lines in boxes)
    n = f"n = {count(cases['in'], 'case')} in, {cases['out']:,} out; a group is what is taken to be one patient"
    figure, (axes,) = new_figure(PAGE, height + 0.1, n)
    axes.set_axis_off()
    axes.set(xlim=(0, PAGE), ylim=(GAP - 0.02, height + 0.02), aspect="equal")
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": GREY, "lw": 0.7, "shrinkA": 0, "shrinkB": 0}
    middle, top, foot = LEFT + WIDTH / 2, height, height
    for x, title, lines in boxes:
        if x == LEFT and foot < height:
            axes.annotate("", (middle, top), (middle, foot), arrowprops=arrow)
        end = draw_box(axes, x, top, title, lines)
        if x == RIGHT:
            axes.annotate("", (RIGHT, (top + end) / 2), (middle, (top + end) / 2), arrowprops=arrow)
        else:
            foot = end
        top = end - GAP
    caption = "Flow of cases: found, lost at each stage with the reasons, and what the rest is used for"
    source = "report/summary.json (cases.parquet, quarantine/)"
    return Plate(caption, n.partition(";")[0], source, [*found, *lost, through, *used], figure)
