"""What it costs to index a data set of the size of CheXpert: prints a table.

python -m tests.bench_index [--images 224316] [--folder FOLDER]

Every picture is the same tiny one, the labels are random. A folder that is named is kept, and used again.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from workflow_scripts.collections.chexpert import HEADER
from workflow_scripts.provenance import ROOT


def write_tree(root: Path, images: int) -> None:
    """Write train.csv and so many pictures, some 1.2 to a study and 3.4 to a patient, as CheXpert has them."""
    rng = np.random.default_rng(0)
    picture = cv2.imencode(".jpg", np.full((8, 8), 128, np.uint8))[1].tobytes()
    labels = rng.choice(["1.0", "0.0", "-1.0", ""], (images, 14), p=[0.16, 0.08, 0.04, 0.72])
    patient = study = view = 0
    root.mkdir(parents=True)
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for row, chance in zip(labels, rng.random(images), strict=True):
            if patient == 0 or chance < 0.29:
                patient, study, view = patient + 1, 1, 0
            elif chance < 0.84:
                study, view = study + 1, 0
            view += 1
            side = "frontal" if view == 1 else "lateral"
            name = f"train/patient{patient:05d}/study{study}/view{view}_{side}.jpg"
            if view == 1:
                (root / name).parent.mkdir(parents=True)
            (root / name).write_bytes(picture)
            person = ("Male" if patient % 2 else "Female", 18 + patient % 70, side.capitalize())
            writer.writerow([f"CheXpert-v1.0-small/{name}", *person, "AP" if view == 1 else "", *row])


def run(folder: Path) -> tuple[float, str]:
    """Run the workflow and return its seconds, and what it printed."""
    command = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), "--configfile", str(folder / "bench.yaml")]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - start, done.stdout + done.stderr


def main() -> None:
    """Make the tree, run the workflow twice, and print what each run cost."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=224_316, help="how many pictures")
    arguments.add_argument("--folder", type=Path, help="where the tree and the results go; default: nowhere for long")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        folder = args.folder or Path(nowhere)
        root = folder / f"chexpert-{args.images}"
        if not root.is_dir():
            write_tree(root, args.images)
        (folder / "bench.yaml").write_text(json.dumps({"datasets": {"chexpert": {"root": str(root)}}}))
        shutil.rmtree(folder / "results", ignore_errors=True)
        first, _ = run(folder)
        second, said = run(folder)
        (job,) = (folder / "results" / "benchmarks" / "index_cases").glob("*.jsonl")
        cost = json.loads(job.read_text())
    print(f"pictures                    {args.images}")
    print(f"index_cases, s              {cost['s']:.1f}")
    print(f"index_cases, peak GiB       {cost['max_rss'] / 1024:.2f}")
    print(f"first run, all jobs, s      {first:.1f}")
    print(
        f"second run, s               {second:.1f} ({'nothing to do' if 'Nothing to be done' in said else 'jobs ran'})"
    )


if __name__ == "__main__":
    main()
