"""What indexing costs on a folder of CheXpert's shape, against walking and hashing it. Part of tests/bench.py."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from workflow_scripts.collections.chexpert import HEADER, LABELS
from workflow_scripts.provenance import ROOT

Figures = dict[str, object]
TURNS = 3


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Run a command of this repository; return its seconds, and its peak memory in GiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, usage.ru_maxrss / 2**20


def snakemake(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run the workflow in a folder; return its seconds, and what it said."""
    command = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(ROOT / "Snakefile")]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--directory", str(folder), "--cores", "1", *arguments], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, done.stdout + done.stderr


def write_tree(root: Path, images: int) -> None:
    """Write train.csv and so many pictures, some 1.2 to a study and 3.4 to a patient, as CheXpert has them.

    They are one tiny picture, each with a comment of its own: no two files are the same.
    """
    rng = np.random.default_rng(0)
    picture = cv2.imencode(".jpg", np.full((8, 8), 128, np.uint8))[1].tobytes()
    labels = rng.choice(["1.0", "0.0", "-1.0", ""], (images, len(LABELS)), p=[0.16, 0.08, 0.04, 0.72]).tolist()
    patient = study = view = 0
    root.mkdir(parents=True)
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for number, (row, chance) in enumerate(zip(labels, rng.random(images).tolist(), strict=True)):
            if number == 0 or chance < 0.29:
                patient, study, view = patient + 1, 1, 0
            elif chance < 0.84:
                study, view = study + 1, 0
            view += 1
            side = "frontal" if view == 1 else "lateral"
            name = f"train/patient{patient:05d}/study{study}/view{view}_{side}.jpg"
            if view == 1:
                (root / name).parent.mkdir(parents=True)
            comment = b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big")  # marker and length, after the start of image
            (root / name).write_bytes(picture[:2] + comment + picture[2:])
            person = ("Male" if patient % 2 else "Female", 18 + patient % 70, side.capitalize())
            writer.writerow([f"CheXpert-v1.0-small/{name}", *person, "AP" if view == 1 else "", *row])


def walk_and_hash(root: Path) -> float:
    """Return the seconds of what no index can do without: every file found, read and hashed."""
    start = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                hashlib.sha256(file.read()).hexdigest()
    return time.perf_counter() - start


def bench_index(folder: Path, images: int = 20_000) -> Figures:
    """Seconds and peak memory of a first index against os.walk and sha256, and of a run that has nothing to do."""
    root = folder / "data"
    write_tree(root, images)
    exclude: dict[str, list[str]] = {"cases": [], "patients": [], "files": []}
    spec = {"kind": "chexpert", "limit": None, "groups": None, "exclude": exclude, "options": {}}
    floors, runs = [], []
    for turn in range(TURNS):  # in turn: a busy minute meets both
        out = folder / f"turn-{turn}"
        command = [sys.executable, "-m", "workflow_scripts.ingest.index_cases", "--dataset", "chexpert"]
        command += ["--roots", json.dumps({"chexpert": str(root)}), "--spec", json.dumps(spec)]
        command += ["--cache", str(out / "cache"), "--cases", str(out / "cases.parquet")]
        command += ["--quarantine", str(out / "quarantine.parquet"), "--notice", str(out / "NOTICE.txt")]
        floors.append(walk_and_hash(root))
        runs.append(measured(command))
    config = folder / "bench.yaml"
    config.write_text(json.dumps({"datasets": {"chexpert": {"root": str(root)}}}), encoding="utf-8")
    snakemake(folder, "--configfile", str(config))
    again = [snakemake(folder, "--configfile", str(config)) for _ in range(TURNS)]
    return {  # every run is shown: the fastest alone would hide what a busy machine makes of it
        "pictures": images,
        "os.walk and sha256, s": [round(seconds, 2) for seconds in floors],
        "first index, s": [round(seconds, 2) for seconds, _ in runs],
        "ratio, median": round(median(s / floor for (s, _), floor in zip(runs, floors, strict=True)), 2),
        "peak memory, GiB": round(max(peak for _, peak in runs), 2),
        "unchanged run, s": [round(seconds, 2) for seconds, _ in again],
        "unchanged run": "nothing to do" if all("Nothing to be done" in said for _, said in again) else "jobs ran",
    }
