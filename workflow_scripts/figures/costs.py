"""What each stage took, as measured when it last ran: no result, and another on every run."""

import json
from collections import defaultdict

from workflow_scripts.figures.plate import BLUE, COLUMN, Missing, Plate, Row, Run, count, new_figure


def draw_cost_per_stage(run: Run) -> Plate:
    """Draw the seconds of each stage, summed over its jobs."""
    folder = run.results / "benchmarks"
    jobs: dict[str, list[Row]] = defaultdict(list)
    for path in sorted(folder.rglob("*.jsonl")):
        if lines := path.read_text(encoding="utf-8").splitlines():
            jobs[path.relative_to(folder).parts[0].removesuffix(".jsonl")].append(json.loads(lines[-1]))
    if not jobs:
        raise Missing("there are no benchmarks/*.jsonl")
    rows: list[Row] = [
        {
            "stage": stage,
            "jobs": len(own),
            "seconds": sum(job["s"] for job in own),
            "peak_mb": max((job["max_rss"] for job in own if isinstance(job["max_rss"], float)), default=None),
        }
        for stage, own in jobs.items()
    ]
    rows.sort(key=lambda row: (-row["seconds"], row["stage"]))
    total = sum(row["seconds"] for row in rows)
    n = f"n = {count(sum(row['jobs'] for row in rows), 'job')}, {total:,.0f} s in all; as this machine took them"
    figure, (axes,) = new_figure(COLUMN, 0.7 + 0.16 * len(rows), n)
    axes.barh(range(len(rows)), [row["seconds"] for row in rows], 0.7, color=BLUE)
    for place, row in enumerate(rows):
        told = f" {row['seconds']:,.{0 if row['seconds'] > 100 else 1}f} s, {count(row['jobs'], 'job')}"
        axes.annotate(told, (row["seconds"], place), va="center", size=6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(rows)), [row["stage"] for row in rows])
    low = max(0.01, rows[-1]["seconds"])
    axes.set(xlim=(low / 2, rows[0]["seconds"] * 30), ylim=(len(rows) - 0.4, -0.6), xlabel="seconds")
    axes.grid(axis="y", visible=False)
    return Plate(
        "What each stage took, summed over its jobs", n.removeprefix("n = "), "benchmarks/**/*.jsonl", rows, figure
    )
