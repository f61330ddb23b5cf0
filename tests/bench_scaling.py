"""What each stage costs against the number of cases: `python -m tests.bench_scaling 1000 10000 100000 --out docs`.

The cases are tiny films in CheXpert's layout (tests/bench_index.py), with a table, some 0.8 folders a picture. Every
stage is a process of its own: its seconds, those of the processor, and its peak memory. `report` reads the tables of a
run that took every case; its frames are one tiny picture, and drawn from no file.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from tests.bench_index import write_tree
from tests.fixtures import index_spec
from workflow_scripts.figures.plate import FORMATS, GREY, PAGE, legend_above, new_figure, paper_style, write_csv
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT, canonical_json
from workflow_scripts.tables import frames, inputs, quarantine, scenarios
from workflow_scripts.tables.table import RowWriter, write_rows

Row = dict[str, Any]
NAME = "chexpert"
STAGES = {  # in the order of a run; with the mark for 1,000,000 cases in seconds, where there is one
    "walk": None,
    "index": 300,
    "match": None,
    "plan": 10,
    "report": None,
    "nothing to be done": 10,
}
GIBIBYTES = 2


def measured(stage: str, size: int, command: Sequence[str], says: str = "") -> Row:
    """Run a command of this repository that `says` so; return what it cost with all that it started."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or says not in said:
        raise SystemExit(f"{stage}, {size} cases: {said[-2000:]}")
    return {
        "stage": stage,
        "cases": size,
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
    }


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a command of the workflow."""
    return [sys.executable, "-m", f"workflow_scripts.{name}", *arguments]


def bench(size: int, root: Path, folder: Path) -> list[Row]:
    """Return the costs of every stage over the films under `root`; `folder` takes what they write."""
    roots, dataset = canonical_json({NAME: str(root)}), folder / "datasets" / NAME
    table, out = str(dataset / "cases.parquet"), folder / "scenarios"
    found = [str(out / "candidates.parquet"), str(out / "matches.parquet")]
    walk = (
        "import sys; from pathlib import Path; from workflow_scripts.files import listing; listing(Path(sys.argv[1]))"
    )
    costs = [measured("walk", size, [sys.executable, "-c", walk, str(root)])]
    index = ["--dataset", NAME, "--roots", roots, "--spec", canonical_json(index_spec(NAME)), "--cases", table]
    index += ["--cache", str(folder / "cache"), "--quarantine", str(dataset / "quarantine" / "index_cases.parquet")]
    costs.append(measured("index", size, module("ingest.index_cases", *index, "--notice", str(dataset / "NOTICE.txt"))))
    match = ["--cases", table, "--spec", '{"seed":0}', "--templates", "config/scenarios"]
    match += ["--candidates", found[0], "--matches", found[1]]
    costs.append(measured("match", size, module("scenarios.match_scenarios", *match)))
    plan = ["--dataset", NAME, "--cases", table, "--spec", '{"n_chunks":64,"extract":"all"}']
    costs.append(measured("plan", size, module("ingest.plan_chunks", *plan, "--out", str(dataset / "chunks"))))
    write_pictures(dataset, next(root.rglob("*.jpg")).relative_to(root).as_posix())
    write_rows(out / "scenarios.parquet", [], scenarios.SCHEMA)
    (out / "scenarios.json").write_text("[]\n", encoding="utf-8")
    spec: dict[str, Any] = {"kinds": {NAME: NAME}, "limit": None, "stages": {"score_calcium": [], "compare_advice": []}}
    spec |= {"datasets": {NAME: []}, "models": {}, "sections": [], "own": {}}
    report = ["--datasets", str(folder / "datasets"), "--roots", roots, "--scenarios", str(out / "scenarios.parquet")]
    report += ["--spec", canonical_json(spec), "--page", str(folder / "index.html")]
    costs.append(measured("report", size, module("report.write_report", *report, "--summary", str(folder / "s.json"))))
    return costs


def write_pictures(dataset: Path, file: str) -> None:
    """Write frames, inputs and an empty quarantine of every case that is planned."""
    png = {"bytes": encode_png(np.full((8, 8), 128, np.uint8)), "path": None}
    for name in ("frames", "inputs"):
        (dataset / name).mkdir()
    for path in sorted((dataset / "chunks").glob("*.parquet")):
        for stage in ("extract_frames", "preprocess_frames"):
            write_rows(dataset / "quarantine" / stage / path.name, [], quarantine.SCHEMA)
        with (
            RowWriter(dataset / "frames" / path.name, frames.SCHEMA) as taken,
            RowWriter(dataset / "inputs" / path.name, inputs.SCHEMA) as ready,
        ):
            for case_id in pq.read_table(path, columns=["case_id"])["case_id"].to_pylist():
                known = {"frame_id": f"{case_id}/0", "case_id": case_id}
                shot = {
                    "modality": "RG",
                    "frame_index": 0,
                    "height": 8,
                    "width": 8,
                    "image": {"bytes": None, "path": file},
                }
                taken.write(dict.fromkeys(frames.SCHEMA.names) | known | shot)
                ready.write(
                    dict.fromkeys(inputs.SCHEMA.names)
                    | known
                    | {"image": png, "field": png, "affine": [1.0, 0, 0, 0, 1, 0]}
                )


def bench_again(size: int, root: Path, folder: Path) -> Row:
    """Return what the workflow costs that has nothing to do: 8 chunks, and the cases that scenarios may take."""
    config = folder / "bench.yaml"
    datasets = {NAME: {"root": str(root), "n_chunks": 8}}
    config.write_text(json.dumps({"datasets": datasets, "scenarios": {"text": "off"}}), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), "--configfile", str(config)]
    measured("first run", size, command)
    return measured("nothing to be done", size, command, "Nothing to be done")


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the costs as a table: a line a stage, a column a size."""
    sizes = sorted({row["cases"] for row in rows})
    cells = {(row["stage"], row["cases"]): row for row in rows}
    lines = [f"| seconds (of the processor), peak memory | {' | '.join(f'{size:,}' for size in sizes)} | mark |"]
    lines.append("|---|" + "---|" * (len(sizes) + 1))
    for stage, mark in STAGES.items():
        own = [cells.get((stage, size)) for size in sizes]
        shown = [f"{r['seconds']:g} ({r['processor_seconds']:g}), {r['peak_gib']:.2f} GiB" if r else "–" for r in own]
        lines.append(f"| {stage} | {' | '.join(shown)} | {f'{mark} s' if mark else '–'} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row]) -> Figure:
    """Return the costs against the number of cases, with the marks for a million."""
    figure, panels = new_figure(PAGE, 2.9, "one run of each; dotted: the marks for 1,000,000 cases", columns=2)
    shown = {"processor_seconds": "seconds of the processor", "peak_gib": "peak memory, GiB"}
    ticks = {"processor_seconds": (0.1, 1, 10, 100), "peak_gib": (0.25, 0.5, 1, 2)}
    sizes = sorted({row["cases"] for row in rows})
    for axes, (what, label) in zip(panels, shown.items(), strict=True):
        for stage in STAGES:
            own = sorted((row["cases"], row[what]) for row in rows if row["stage"] == stage)
            axes.plot(*zip(*own, strict=True), marker="o", label=stage)
        axes.set(xscale="log", yscale="log", xlabel="cases", ylabel=label)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_yticks(ticks[what], [f"{tick:g}" for tick in ticks[what]])
        axes.minorticks_off()
    for mark, text in {10: "10 s: plan, nothing to be done", 300: "5 min: index"}.items():
        panels[0].axhline(mark, color=GREY, linestyle=":", linewidth=0.8)
        panels[0].annotate(text, (sizes[0], mark), (0, 2), textcoords="offset points", color=GREY, size=6)
    panels[0].set_ylim(top=600)
    panels[1].axhline(GIBIBYTES, color=GREY, linestyle=":", linewidth=0.8)
    legend_above(panels[0], "", columns=3)
    return figure


def read_costs(path: Path) -> list[Row]:
    """Read costs as `write_csv` wrote them."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {"stage": row["stage"], "cases": int(row["cases"])}
            | {name: float(row[name]) for name in ("seconds", "processor_seconds", "peak_gib")}
            for row in csv.DictReader(file)
        ]


def main() -> None:
    """Print the table; with --out also write scaling.csv and scaling.svg, and keep other sizes that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", help="how many cases; none: draw what scaling.csv holds")
    parser.add_argument("--out", type=Path, help="folder of scaling.csv and scaling.svg")
    parser.add_argument(
        "--scratch", type=Path, help="folder for the films; a file system in memory leaves the disk out"
    )
    args = parser.parse_args()
    kept = args.out / "scaling.csv" if args.out else None
    rows = [row for row in (read_costs(kept) if kept and kept.is_file() else []) if row["cases"] not in args.sizes]
    for size in args.sizes:
        with tempfile.TemporaryDirectory(dir=args.scratch) as films, tempfile.TemporaryDirectory() as folder:
            root = Path(films) / NAME
            write_tree(root, size)
            rows += bench(size, root, Path(folder) / "stages")
            (Path(folder) / "run").mkdir()
            rows.append(bench_again(size, root, Path(folder) / "run"))
        print(as_markdown(rows), flush=True)
    rows.sort(key=lambda row: (row["cases"], list(STAGES).index(row["stage"])))
    if kept:
        write_csv(rows, kept)
        with paper_style():
            draw(rows).savefig(kept.with_suffix(".svg"), metadata=FORMATS["svg"])


if __name__ == "__main__":
    main()
