"""What it costs to match and write 10,000 scenarios from a table of 1,000,000 cases: `python -m tests.bench_scenarios`.

The cases have made-up labels; only the candidates have pictures (80 x 60 pixels, of noise), as in a data set whose card
says `extract: candidates`. Nobody looks for words (`scenarios.text: off`): that is 0.3 s a picture.
"""

import argparse
import hashlib
import json
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.scenario_tables import SHAPE, disc, png
from workflow_scripts.configuration import load_templates
from workflow_scripts.provenance import canonical_json, pixel_sha256
from workflow_scripts.scenarios import match_scenarios, write_scenarios
from workflow_scripts.tables import candidates, cases, frames, grades, inputs, scenarios
from workflow_scripts.tables.table import RowWriter, read_rows, write_rows

LEVELS = ("TR1", "TR2", "TR3", "TR4", "TR5")
CHUNKS = 64


def make_cases(count: int, path: Path) -> None:
    """Write a table of cases with labels drawn at random."""
    rng = np.random.default_rng(0)
    columns = {column.name: pa.nulls(count, column.type) for column in cases.SCHEMA}
    columns |= {
        "case_id": pa.array([f"case {number}" for number in range(count)]),
        "dataset": pa.array(["clinic"] * count),
        "group_id": pa.array([f"patient {number // 3}" for number in range(count)]),
        "content_sha256": pa.array([hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]),
        "label_source": pa.array(["histology"] * count),
        "pathology": pa.array(rng.choice(["benign", "malignant"], count)),
        "tirads_system": pa.array(["ACR 2017"] * count),
        "tirads_level": pa.array(rng.choice(LEVELS, count)),
        "sex": pa.array(rng.choice(["female", "male"], count)),
        "largest_mm": pa.array(rng.uniform(4, 60, count)),
    }
    pq.write_table(pa.table(columns, schema=cases.SCHEMA), path)


def make_pictures(folder: Path, wanted: list[str]) -> None:
    """Write chunks, frames, inputs and grades of the candidates."""
    rng = np.random.default_rng(0)
    field = png(np.full(SHAPE, 255, np.uint8))
    mask = png(disc(9))
    nothing = dict.fromkeys(grades.SCHEMA.names)
    graded = {"dataset": "clinic", "system": "ACR 2017", "advice": "none", "reason": "r", "findings": "f"}
    write_rows(folder / "grades.parquet", [nothing | graded | {"case_id": name} for name in wanted], grades.SCHEMA)
    for number in range(CHUNKS):
        name, own = f"{number:03d}.parquet", wanted[number::CHUNKS]
        write_rows(folder / "chunks" / name, [{"case_id": case_id} for case_id in own], cases.SCHEMA)
        for table in ("frames", "inputs"):
            (folder / table).mkdir(exist_ok=True)
        with (
            RowWriter(folder / "frames" / name, frames.SCHEMA) as shots,
            RowWriter(folder / "inputs" / name, inputs.SCHEMA) as ready,
        ):
            for case_id in own:
                image = rng.integers(0, 255, SHAPE, np.uint8)
                known = {"frame_id": f"{case_id}/0", "case_id": case_id, "mask": mask}
                shot = {"frame_index": 0, "modality": "US", "mask_kind": "nodule", "pixel_sha256": pixel_sha256(image)}
                shots.write(dict.fromkeys(frames.SCHEMA.names) | known | shot | {"image": png(image)})
                ready.write(dict.fromkeys(inputs.SCHEMA.names) | known | {"field": field, "mask_kept": 1.0})


def timed(command: Any, argv: list[str]) -> tuple[float, float, float]:
    """Run a command in a process of its own; return its seconds, those of the processor, and its peak memory in GiB."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (command, argv))


def _run(command: Any, argv: list[str]) -> tuple[float, float, float]:
    started, used = time.perf_counter(), time.process_time()
    command(argv)
    return time.perf_counter() - started, time.process_time() - used, getrusage(RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print the seconds and the peak memory of both commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--scenarios", type=int, default=10_000)
    args = parser.parse_args()
    surgery = load_templates(["config/scenarios/thyroid.yaml"])[0]
    del surgery["advice"]
    templates = [
        surgery
        | {"name": f"t{place}", "id": f"scenario_{place}00000", "count": args.scenarios // 10}
        | {"where": {"tirads_level": level, "pathology": pathology}}
        for place, (level, pathology) in enumerate(((a, b) for a in LEVELS for b in ("benign", "malignant")), 1)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "datasets" / "clinic"
        folder.mkdir(parents=True)
        make_cases(args.cases, folder / "cases.parquet")
        out = Path(scratch) / "scenarios"
        spec = {"seed": 0, "kinds": {"clinic": "ddti"}, "text": "off"}
        asked = Path(scratch) / "templates.yaml"
        asked.write_text(canonical_json({"templates": templates}), encoding="utf-8")
        given = ["--spec", canonical_json(spec), "--templates", str(asked)]
        given += [text for name in ("candidates", "matches") for text in (f"--{name}", str(out / f"{name}.parquet"))]
        matching = timed(match_scenarios.main, ["--cases", str(folder / "cases.parquet"), *given])
        found = read_rows(out / "candidates.parquet", candidates.SCHEMA)
        make_pictures(folder, sorted({row["case_id"] for row in found}))
        places = {"datasets": Path(scratch) / "datasets", "roots": json.dumps({"clinic": scratch})}
        places |= {name: out / file for name, file in (("scenarios", "scenarios.json"), ("images", "images"))}
        places |= {"table": out / "scenarios.parquet"}
        argv = [text for name, value in places.items() for text in (f"--{name}", str(value))]
        writing = timed(write_scenarios.main, [*argv, *given, "--update"])
        rows = read_rows(out / "scenarios.parquet", scenarios.SCHEMA)
    filled = sum(row["status"] == "filled" for row in rows)
    for name, (seconds, used, gigabytes) in {"match": matching, "write": writing}.items():
        print(f"{name}: {seconds:.1f} s ({used:.1f} s of a processor), {gigabytes:.2f} GiB at its peak")
    print(f"{filled} of {len(rows)} scenarios filled, from {args.cases} cases, {len(found)} candidates")


if __name__ == "__main__":
    main()
