"""What reading costs: frames per second and peak memory of every reader on its twin, small and large. Part of
tests/bench.py."""

import inspect
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.fixtures import index_rows, index_spec
from workflow_scripts.collections.collection import Source, Unusable, find
from workflow_scripts.configuration import dataset_options
from workflow_scripts.demo.make_demo_data import SETS
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import cases

Figures = dict[str, object]


def bench_readers(folder: Path, scale: int) -> Figures:
    """Frames per second and peak memory of every reader, on a tenth of so many demos and on all of them."""
    figures: Figures = {}
    for name, write in SETS.items():
        if "scale" not in inspect.signature(write).parameters:
            continue
        for size in (max(1, scale // 10), scale):
            root, out = folder / f"{name}-{size}" / "data" / name, folder / "read.json"
            write(root, 0, size)  # type: ignore[call-arg]
            subprocess.run(
                [sys.executable, "-m", "tests.bench_readers", name, str(root), str(out)], cwd=ROOT, check=True
            )
            found = json.loads(out.read_text())
            figures[f"{name} x{size}"] = {
                "frames": found["frames"],
                "frames per s": round(found["frames"] / found["seconds"]),
                "peak MB": round(found["peak"] / 1024),
            }
    return figures


def read_all(name: str, root: Path, out: Path) -> None:
    """Index a data set of the demo, read every frame of it, and write how many there were and the seconds."""
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    os.chdir(root.parents[1])
    config["datasets"] = {name: config["datasets"][name]}
    options = dataset_options({"frames": None, "fetch": None, **config})[name]
    cache = root.parents[1] / "cache"
    found, _ = index_rows(root, name, index_spec(options["kind"], options=options["options"]), cache)
    source = Source(root, cache, options=options["options"])
    frames, start = 0, time.perf_counter()
    for case in found:
        try:
            for _ in find(options["kind"]).open_case(source, dict.fromkeys(cases.SCHEMA.names) | case).read():
                frames += 1
        except Unusable:  # the twins have their sets' defects
            continue
    seconds = time.perf_counter() - start
    peak = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[0]  # of this process alone
    out.write_text(json.dumps({"frames": frames, "seconds": seconds, "peak": int(peak)}))


if __name__ == "__main__":
    read_all(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
