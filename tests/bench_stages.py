"""Every stage against its floor: the same job as its rule runs it, and the least that its outputs cost on this machine.

Part of tests/bench.py. Job and floor run in turn, three times, and the fastest of each counts. Seconds are those of the
processor, children included: other work on the machine stretches those of the clock, which are given as well. torch has
one thread, in the job as in the floor: threads that wait for each other count as if they worked.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

import cv2
import pyarrow.parquet as pq
import yaml

from tests.bench_chunks import Chunk, trained_weights, write_clip, write_stack, write_stills
from tests.bench_floors import (
    decode_floor,
    decoded_clip,
    decoded_stack,
    decoded_stills,
    extract_floor,
    forward_floor,
    preprocess_floor,
    read_floor,
)
from tests.fixtures import extract_spec, index_spec
from workflow_scripts.provenance import ROOT

Figures = dict[str, object]
Cost = tuple[float, float]  # seconds of the processor, and by the clock
TURNS, MARK = 3, 0.7
LOADS_TORCH = (
    "from pathlib import Path; from workflow_scripts.segment.predict_masks import Predictor;"
    " Predictor(Path({weights!r}), None, 1)"
)


@dataclass(frozen=True)
class Stage:
    """A job as its rule runs it, and its floor, which can be built once the job has run."""

    name: str
    on: str
    module: str
    arguments: dict[str, object]
    out: Path
    floor: Callable[[], Callable[[], int]]  # it returns for how many rows of `out` it did the work
    loads: str = ""  # what the job loads before its first picture, beside its module

    def command(self) -> list[str]:
        """Return the command line of the job."""
        words = [word for key, value in self.arguments.items() for word in (f"--{key}", text_of(value))]
        return [sys.executable, "-m", f"workflow_scripts.{self.module}", *words]

    def start(self) -> list[str]:
        """Return the command line of what the job costs before its first picture: Python and what it loads."""
        return [sys.executable, "-c", f"import workflow_scripts.{self.module}; {self.loads}"]

    def rows(self) -> int:
        """Return how many rows the job wrote."""
        return int(pq.read_metadata(self.out).num_rows)


def text_of(value: object) -> str:
    """Return an argument of a command line."""
    return json.dumps(value) if isinstance(value, dict) else str(value)


def cost_of(command: list[str], folder: Path = ROOT) -> Cost:
    """Run a command in a folder; return its seconds, those of its children included."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{said[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def cost_here(work: Callable[[], object]) -> Cost:
    """Do something in this process; return its seconds."""
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    done = resource.getrusage(resource.RUSAGE_SELF)
    return done.ru_utime + done.ru_stime - used.ru_utime - used.ru_stime, time.perf_counter() - start


def fastest(costs: list[Cost]) -> Cost:
    """Return the least of each kind of seconds."""
    used, clock = zip(*costs, strict=True)
    return min(used), min(clock)


def stages_of(chunk: Chunk, decoded: Callable[[Path], Iterator[object]], weights: Path | None) -> list[Stage]:
    """Return the stages that a chunk goes through, in their order; those that learn only with weights."""
    roots, dataset = {chunk.name: str(chunk.root)}, {"dataset": chunk.name}
    beside, cache, table = chunk.table("lost"), chunk.folder / "cache" / chunk.name, chunk.table
    preprocess = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["preprocess"]
    reads = f"import workflow_scripts.collections.{chunk.kind.replace('-', '_')}"
    index: dict[str, object] = dataset | {"roots": roots, "spec": index_spec(chunk.kind, options=chunk.options)}
    index |= {"cache": cache, "cases": table("cases"), "quarantine": beside, "notice": beside.with_name("NOTICE.txt")}
    extract: dict[str, object] = dataset | {"chunk": table("cases"), "roots": roots, "cache": cache}
    taken = extract_spec(chunk.kind, options=chunk.options)
    extract |= {"spec": taken, "frames": table("frames"), "quarantine": beside}
    prepare: dict[str, object] = dataset | {"frames": table("frames"), "roots": roots, "spec": preprocess}
    prepare |= {"inputs": table("inputs"), "quarantine": beside}
    name = chunk.name
    found = [
        Stage("index_cases", name, "ingest.index_cases", index, table("cases"), partial(read_floor, chunk), reads),
        Stage(
            *("extract_frames", name, "frames.extract_frames", extract, table("frames")),
            *(partial(extract_floor, chunk, decoded), reads),
        ),
        Stage(
            *("preprocess_frames", name, "preprocess.preprocess_frames", prepare, table("inputs")),
            partial(preprocess_floor, chunk),
        ),
    ]
    if weights is None:
        return found
    learnt: dict[str, object] = {
        "preprocess": preprocess,
        "mirrored": False,
        "test_time_augmentation": False,
        "threads": 1,
        "sha256": None,
    }
    predict: dict[str, object] = dataset | {"inputs": table("inputs"), "weights": weights, "model": "own"}
    predict |= {"fold": "given", "spec": learnt, "masks": table("masks")}
    score: dict[str, object] = dataset | {"frames": table("frames"), "chunk": table("cases"), "roots": roots}
    score |= {"inputs": table("inputs"), "masks": table("masks"), "scores": table("scores")}
    measure: dict[str, object] = dataset | {"frames": table("frames"), "inputs": table("inputs"), "roots": roots}
    measure |= {"masks": table("masks"), "nodules": table("nodules")}
    return [
        *found,
        Stage(
            *("predict_masks", name, "segment.predict_masks", predict, table("masks")),
            *(partial(forward_floor, chunk, weights), LOADS_TORCH.format(weights=str(weights))),
        ),
        Stage(
            *("score_masks", name, "metrics.score_masks", score, table("scores")),
            partial(decode_floor, chunk, False),
        ),
        Stage(
            *("measure_nodules", name, "tirads.measure_nodules", measure, table("frames")),
            partial(decode_floor, chunk, True),
        ),
    ]


def bench_stages(folder: Path, frames: int = 300, stills: int = 200) -> Figures:
    """Seconds of the processor of each stage against its floor, and from how many pictures on it is above the mark."""
    cv2.setNumThreads(1)
    weights = folder / "own.safetensors"
    trained_weights(weights)
    clip = Chunk("clip", "thyroid-cineclip", folder / "data" / "clip", folder)
    stack = Chunk("stack", "thyroid-cineclip", folder / "data" / "stack", folder)
    still = Chunk("stills", "image-folder", folder / "data" / "stills", folder, {"modality": "US"})
    write_clip(clip.root, frames)
    write_stack(stack.root, ["1_", "2_"], frames // 6)
    write_stills(still.root, stills)
    stages = [
        *stages_of(clip, decoded_clip, weights),
        *stages_of(stack, decoded_stack, None),
        *stages_of(still, decoded_stills, None),
    ]
    costs: list[list[tuple[Cost, Cost, Cost]]] = [[] for _ in stages]
    floors: dict[int, Callable[[], int]] = {}
    for _ in range(TURNS):  # in turn: a busy minute meets all
        for k, stage in enumerate(stages):
            if "cache" in stage.arguments:  # the hashes of an earlier turn would spare the index its work
                shutil.rmtree(str(stage.arguments["cache"]), ignore_errors=True)
            job, start = cost_of(stage.command()), cost_of(stage.start())
            floors[k] = floors.get(k) or stage.floor()
            costs[k].append((job, start, cost_here(partial(check_count, stage, floors[k]))))
    return {
        f"{stage.name}, {stage.on}": share([fastest([turn[k] for turn in found]) for k in range(3)], stage.rows())
        for stage, found in zip(stages, costs, strict=True)
    }


def check_count(stage: Stage, floor: Callable[[], int]) -> None:
    """Do the work of a floor; refuse one that does not handle as many rows as the stage wrote."""
    done, wrote = floor(), stage.rows()
    if done != wrote:
        raise SystemExit(f"{stage.name}, {stage.on}: {wrote} rows were written, the floor handled {done}")


def share(costs: list[Cost], count: int) -> Figures:
    """Return what a job, its start and its floor cost, and from how many pictures on the floor is `MARK` of the job."""
    stage, start, floor = costs
    each, least = (stage[0] - start[0]) / count, floor[0] / count
    room = least - MARK * each  # what each picture adds to the share
    return {
        "job, s": round(stage[0], 2),
        "of it start, s": round(start[0], 2),
        "floor, s": round(floor[0], 2),
        "share": round(floor[0] / stage[0], 2),
        "share without start": round(least / each, 2),
        f"{MARK:.0%} from": f"{ceil(MARK * start[0] / room)} pictures" if room > 0 else "no number of pictures",
        "by the clock, s": f"{stage[1]:.2f} and {floor[1]:.2f}",
    }
