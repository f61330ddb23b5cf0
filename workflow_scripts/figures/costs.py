"""What the jobs took, as measured when they last ran: no result, and another on every run."""

import json
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
from matplotlib.ticker import LogLocator

from workflow_scripts.figures.plate import BLUE, COLUMN, PAGE, Missing, Plate, Row, Run, count, new_figure

SOURCE = "benchmarks/**/*.jsonl"
MARKERS = "osD^vP<X>d*"


def read_jobs(results: Path) -> list[tuple[str, Path, Row]]:
    """Return of each job its rule, its benchmark relative to that of the rule, and what it took.

    Raises
    ------
    Missing
        When there are no benchmarks.
    """
    jobs = []
    for path in sorted((results / "benchmarks").rglob("*.jsonl")):
        stage, *rest = path.relative_to(results / "benchmarks").with_suffix("").parts
        for line in path.read_text(encoding="utf-8").splitlines()[-1:]:
            job = json.loads(line)
            peak = job["max_rss"] if isinstance(job["max_rss"], float) else None  # NA: too short to be seen
            jobs.append((stage, Path(*rest), {"seconds": job["s"], "peak_mb": peak}))
    if not jobs:
        raise Missing(f"there are no {SOURCE}")
    return jobs


def draw_cost_per_stage(run: Run) -> Plate:
    """Draw the seconds of each stage, summed over its jobs."""
    jobs: dict[str, list[Row]] = defaultdict(list)
    for stage, _, job in read_jobs(run.results):
        jobs[stage].append(job)
    rows: list[Row] = [
        {
            "stage": stage,
            "jobs": len(own),
            "seconds": sum(job["seconds"] for job in own),
            "peak_mb": max((job["peak_mb"] for job in own if job["peak_mb"] is not None), default=None),
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
    return Plate("What each stage took, summed over its jobs", n.removeprefix("n = "), SOURCE, rows, figure)


def size_of(results: Path, job: Path) -> tuple[int, str] | None:
    """Return on how many frames of its chunk a job worked, or on how many cases of its data set; None: on neither."""
    dataset, own = results / "datasets" / job.parts[0], job.parts[1:]
    table = dataset / "frames" / f"{own[-1]}.parquet" if own else dataset / "cases.parquet"
    return (pq.read_metadata(table).num_rows, "frames" if own else "cases") if table.is_file() else None


def draw_cost_per_size(run: Run) -> Plate:
    """Draw seconds and peak memory of every job on one chunk, or on one data set, against its frames or cases."""
    jobs = [(stage, job, took) for stage, job, took in read_jobs(run.results) if job.parts]
    sizes = {job: size_of(run.results, job) for _, job, _ in jobs}
    rows: list[Row] = [
        {"stage": stage, "dataset": job.parts[0], "of": size[1], "size": size[0], **took}
        for stage, job, took in jobs
        if (size := sizes[job]) and size[0]
    ]
    if not rows:
        raise Missing("no chunk has both its benchmarks and its frames (`snakemake clean` deletes them)")
    rows.sort(key=lambda row: (row["stage"], row["size"], row["seconds"]))
    n = f"n = {count(len(rows), 'job')}; as this machine took them"
    labels = {"seconds": "seconds", "peak_mb": "peak memory, MB"}  # where the system measures no memory, no panel of it
    labels = {name: label for name, label in labels.items() if any(row[name] for row in rows)}
    figure, panels = new_figure(PAGE, 3.2, n, 1, len(labels))
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        for place, stage in enumerate(dict.fromkeys(row["stage"] for row in rows)):
            own = [row for row in rows if row["stage"] == stage and row[name]]
            points = [row["size"] for row in own], [row[name] for row in own]
            told = f"{stage}, cases" if stage == "index_cases" else stage
            axes.plot(*points, MARKERS[place % len(MARKERS)], color=f"C{place}", ms=3, mew=0.7, mfc="none", label=told)
        axes.set(xscale="log", yscale="log", xlabel="frames of the chunk, or cases of the data set", ylabel=label)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter("")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=5)
    caption = "What a job took against the size of its chunk: another on every run of the workflow"
    return Plate(caption, n.removeprefix("n = "), f"{SOURCE}, datasets/*/frames/, cases.parquet", rows, figure)
