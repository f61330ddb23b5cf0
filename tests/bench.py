"""What the stages cost, against their floors and against what a user would write or install instead.

python -m tests.bench [--out FILE] [--only NAME ...] [--gigabytes 4] [--images 20000] [--scale 10]
                      [--ultrabench PROGRAM] [--nnunet PYTHON] [--dvc PROGRAM]

Prints a table and writes bench.json. Every ratio is between two figures of the same run: these machines are noisy,
ratios less so. docs/throughput.md says what was found.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
from av.video.stream import VideoStream

from tests.bench_index import bench_index, measured, snakemake
from tests.bench_peers import PEERS, Missing, bench_dvc, bench_nnunet, bench_ultrabench
from tests.bench_readers import bench_readers
from tests.bench_stages import bench_stages
from workflow_scripts.collections.collection import Still
from workflow_scripts.files import write_beside
from workflow_scripts.frames.extract_frames import frame_row
from workflow_scripts.imaging.clips import read_clip
from workflow_scripts.imaging.stills import decode_picture, to_grey
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import cases, frames
from workflow_scripts.tables.table import RowWriter, stream_rows, write_rows

Figures = dict[str, object]
SHAPE, COUNT = (480, 640), 120


def numbered(k: int, rng: np.random.Generator) -> np.ndarray:
    """Return a speckled picture that carries its number: ten bars along its lower edge, black or white."""
    picture = rng.rayleigh(60, SHAPE).clip(0, 255).astype(np.uint8)
    for bit in range(10):
        picture[-48:, bit * 64 : (bit + 1) * 64] = 255 * (k >> bit & 1)
    return picture


def number_of(picture: np.ndarray) -> int:
    """Return the number that a picture carries."""
    bars = to_grey(picture)[-40:-8].reshape(32, 10, 64)[:, :, 8:-8].mean((0, 2)) > 127
    return int(sum(1 << bit for bit, lit in enumerate(bars) if lit))


def write_clip(path: Path, codec: str, variable: bool) -> None:
    """Write a clip of numbered frames, at a constant or at a variable rate."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = SHAPE
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        now = 0
        for k in range(COUNT):
            frame = av.VideoFrame.from_ndarray(numbered(k, rng), format="gray")
            frame.pts, frame.time_base = now, Fraction(1, 1000)
            now += int(rng.integers(15, 90)) if variable else 40
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def guide_loop(path: Path, folder: Path) -> list[int]:
    """Take every frame as the thyroid guide does: seek, read, write a PNG. Return the numbers of what was read."""
    capture = cv2.VideoCapture(str(path))
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    numbers = []
    for index in range(total):
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        found, frame = capture.read()
        if found:
            cv2.imwrite(str(folder / f"{index:04d}.png"), frame)
            numbers.append(number_of(frame))
        else:
            numbers.append(-1)
    capture.release()
    return numbers


def ours(path: Path, folder: Path) -> list[int]:
    """Take every frame as extract_frames does: decode in order, hash, write PNGs into one table."""
    table = folder / "frames.parquet"
    with write_beside(table) as beside, RowWriter(beside, frames.SCHEMA) as writer:
        for index, time_s, image in read_clip(path):
            writer.write(
                frame_row(
                    {"case_id": "1", "modality": "US"},
                    {"outlines": None, "window": None},
                    Still(index, to_grey(image), None, time_s=time_s),
                )
            )
    return [number_of(decode_picture(row["image"]["bytes"])) for row in stream_rows(table, ["image"])]


def timed(runs: int, work: Callable[[], list[int]]) -> tuple[float, list[int]]:
    """Return the seconds of the fastest of some runs, and what it gave."""
    best, result = float("inf"), list[int]()
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def bench_extraction(folder: Path) -> Figures:
    """Frames per second of extraction against the guide's seek-per-frame loop, and the share of wrong frames."""
    figures: Figures = {}
    for name, codec, variable in (
        ("h264", "libx264", False),
        ("h264 variable", "libx264", True),
        ("mpeg4", "mpeg4", False),
    ):
        clip = folder / f"{name.replace(' ', '-')}.mp4"
        write_clip(clip, codec, variable)
        for who, reader in (("guide", guide_loop), ("casebook", ours)):
            target = folder / f"{clip.stem}-{who}"
            target.mkdir()
            seconds, numbers = timed(1 if who == "guide" else 3, partial(reader, clip, target))
            wrong = sum(number != k for k, number in enumerate(numbers)) + max(0, COUNT - len(numbers))
            figures[f"{name}, {who}"] = {
                "frames per s": round(COUNT / seconds, 1),
                "wrong frames": f"{wrong} of {COUNT}",
            }
        pair = [figures[f"{name}, {who}"]["frames per s"] for who in ("casebook", "guide")]  # type: ignore[index]
        figures[f"{name}, ratio"] = round(pair[0] / pair[1], 2)
    return figures


def bench_memory(folder: Path, gigabytes: float) -> Figures:
    """Peak memory of extraction from an HDF5 of some GB, in Stanford's layout with h5py's own chunks."""
    height, width = 802, 1054
    n = int(gigabytes * 1e9 / (2 * height * width))
    root = folder / "stack"
    root.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.rayleigh(60, (8, height, width)).clip(0, 255).astype(np.uint8)
    disc = np.zeros((height, width), np.uint8)
    cv2.circle(disc, (500, 400), 120, 255, -1)
    keys = [f"{k // 90 + 1}_" for k in range(n)]
    with h5py.File(root / "dataset.hdf5", "w") as file:
        file["annot_id"] = np.array([key.encode() for key in keys], "S4")
        file["frame_num"] = np.array([str(k % 90 + 1).encode() for k in range(n)], "S3")
        image = file.create_dataset("image", (n, height, width), "u1", chunks=True)
        mask = file.create_dataset("mask", (n, height, width), "u1", chunks=True)
        depth = image.chunks[0]
        for start in range(0, n, depth):
            stop = min(n, start + depth)
            image[start:stop] = noise[np.arange(start, stop) % 8]
            mask[start:stop] = np.broadcast_to(disc, (stop - start, height, width))
        chunk = image.chunks
    rows = [
        {
            "case_id": key[:-1],
            "dataset": "stack",
            "sources": ["dataset.hdf5"],
            "source_kind": "hdf5-stack",
            "source_key": key,
        }
        for key in dict.fromkeys(keys)
    ]
    write_rows(folder / "chunk.parquet", rows, cases.SCHEMA)
    command = [sys.executable, "-m", "workflow_scripts.frames.extract_frames", "--chunk", str(folder / "chunk.parquet")]
    command += ["--roots", json.dumps({"stack": str(root)}), "--dataset", "stack"]
    spec: dict[str, object] = {
        "kind": "thyroid-cineclip",
        "frames": "all",
        "outlines": "nodule",
        "window": None,
        "options": {},
    }
    command += ["--spec", json.dumps(spec), "--cache", str(folder / "cache")]
    command += ["--frames", str(folder / "frames.parquet"), "--quarantine", str(folder / "quarantine.parquet")]
    seconds, peak = measured(command)
    return {
        "file, GB": round((root / "dataset.hdf5").stat().st_size / 1e9, 2),
        "frames": n,
        "HDF5 chunk": list(chunk),
        "peak memory, GiB": round(peak, 2),
        "frames per s": round(n / seconds, 1),
    }


def bench_run(folder: Path) -> Figures:
    """Sum of the jobs of a run of the demo over the time of the run, and of a run that has nothing to do."""
    make = [sys.executable, "-m", "workflow_scripts.demo.make_demo_data", "--out", str(folder / "data")]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    config = ("--configfile", str(ROOT / "config" / "demo.yaml"))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole, _ = snakemake(folder, *config)
    done = resource.getrusage(resource.RUSAGE_CHILDREN)
    # One record an output: the outputs of one job share its log.
    jobs = {
        (record["rule"], *record["log"]): record["endtime"] - record["starttime"]
        for path in (folder / ".snakemake" / "metadata").rglob("*")
        if path.is_file() and (record := json.loads(path.read_text())).get("endtime")
    }
    work = sum(jobs.values())
    idle = [snakemake(folder, *config)[0] for _ in range(3)]
    return {
        "jobs": len(jobs),
        "whole run on one core, s": round(whole, 2),
        "sum of its jobs, s": round(work, 2),
        "sum over whole": round(work / whole, 3),
        "of the processor, whole run, s": round(done.ru_utime + done.ru_stime - used.ru_utime - used.ru_stime, 2),
        "nothing to do, s": round(min(idle), 2),
    }


def main() -> None:
    """Run the benchmarks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=Path("bench.json"), help="file to write")
    arguments.add_argument("--gigabytes", type=float, default=4, help="size of the synthetic HDF5")
    arguments.add_argument("--images", type=int, default=20_000, help="pictures to index; CheXpert has 224,316")
    arguments.add_argument("--scale", type=int, default=10, help="readers: so many times the demo, and a tenth of it")
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="only these, by the names that the table has")
    for peer, how in PEERS.items():
        arguments.add_argument(f"--{peer}", type=Path, help=f"{peer} in an environment of its own: {how}")
    args = arguments.parse_args()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    figures: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"}
    from tests.bench_learning import bench_prediction, bench_training  # torch is not there in a lean environment
    from tests.bench_live import bench_live

    benches: dict[str, Callable[[Path], Figures]] = {
        "stages": bench_stages,
        "extraction": bench_extraction,
        "ultrabench": partial(bench_ultrabench, program=args.ultrabench),
        "nnunet": partial(bench_nnunet, python=args.nnunet),
        "dvc": partial(bench_dvc, program=args.dvc, files=args.images),
        "memory": partial(bench_memory, gigabytes=args.gigabytes),
        "index": partial(bench_index, images=args.images),
        "readers": partial(bench_readers, scale=args.scale),
        "run": bench_run,
        "prediction": bench_prediction,
        "training": bench_training,
        "live": bench_live,
    }
    if unknown := {*(args.only or ())} - {*benches}:
        arguments.error(f"--only: no {', '.join(sorted(unknown))}; there are {', '.join(benches)}")
    for name in args.only or benches:
        with tempfile.TemporaryDirectory() as folder:
            says = getattr(benches[name], "func", benches[name]).__doc__ or ""  # of a partial, its function
            print(f"\n{name}: {says.splitlines()[0]}", flush=True)
            try:
                figures[name] = result = benches[name](Path(folder))
            except Missing as reason:
                figures[name] = result = {"not measured": str(reason)}
        for key, value in result.items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            print(f"  {key:<28} {shown}", flush=True)
    args.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {args.out}")


if __name__ == "__main__":
    main()
