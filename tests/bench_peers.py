"""What a user would install instead, measured beside Casebook in the same run. Part of tests/bench.py.

UltraBench, nnU-Net and DVC live in environments of their own, which the options of tests/bench.py name; one that is not
there, or fails, is said to be missing, and nothing else. Seconds are those of the processor, children included, of the
fastest of some runs in turn.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import yaml

from tests.bench_chunks import Chunk, write_stack
from tests.bench_index import snakemake, write_tree
from tests.bench_stages import Cost, Figures, cost_here, cost_of, fastest, stages_of
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import inputs
from workflow_scripts.tables.table import write_rows

TURNS, PICTURES, CLIPS = 3, 24, 214  # the ids of Stanford's clips go up to 214
PEERS = {
    "ultrabench": "pip install ultrabench; --ultrabench ENV/bin/ultrabench",
    "nnunet": "pip install nnunetv2; --nnunet ENV/bin/python",
    "dvc": "pip install dvc; --dvc ENV/bin/dvc",
}


class Missing(Exception):
    """A peer that cannot be measured here; the message says why."""


def installed(peer: str, program: Path | None) -> str:
    """Return a peer's program, or raise `Missing`."""
    if not (program and program.is_file()):
        raise Missing(f"{program} is not there ({PEERS[peer]})" if program else PEERS[peer])
    return str(program)


def ask(command: list[str], folder: Path = ROOT) -> Cost:
    """Run a peer's command in a folder; return its seconds, or raise `Missing` where it fails."""
    try:
        return cost_of(command, folder)
    except SystemExit as failed:
        raise Missing(str(failed).strip().splitlines()[-1]) from None


def beside(own: Cost, peer: Cost) -> Figures:
    """Return what one of something took Casebook and a peer, and how many times as long it took the peer."""
    return {
        "casebook, ms of the processor": round(1000 * own[0], 1),
        "peer, ms of the processor": round(1000 * peer[0], 1),
        "peer over casebook": round(peer[0] / own[0], 1),
        "by the clock, ms": f"{1000 * own[1]:.0f} and {1000 * peer[1]:.0f}",
    }


def each(cost: Cost, count: int) -> Cost:
    """Return what one of so many took."""
    return cost[0] / count, cost[1] / count


def bench_ultrabench(folder: Path, program: Path | None) -> Figures:
    """From Stanford's HDF5 to clean pictures: extract_frames and preprocess_frames against `ultrabench`."""
    ultrabench = installed("ultrabench", program)
    chunk = Chunk("stack", "thyroid-cineclip", folder / "data", folder)
    write_stack(chunk.root, [f"{k}_" for k in range(1, CLIPS + 1)], 1, (480, 640))
    index, *stages = stages_of(chunk, lambda root: iter(()), None)
    cost_of(index.command())
    out = folder / "ultrabench"
    out.mkdir()
    peer = ask([ultrabench, "stanford-thyroid", str(chunk.root), str(out)])  # it takes minutes: once
    own = [[cost_of(stage.command()) for stage in stages] for _ in range(TURNS)]
    ours = fastest([(sum(used for used, _ in turn), sum(clock for _, clock in turn)) for turn in own])
    made = len([*out.glob("*/masks/scan/*.png")])  # those of convex probes alone
    return {"frames": f"{CLIPS} and {made}"} | beside(each(ours, CLIPS), each(peer, made))


def bench_nnunet(folder: Path, python: Path | None) -> Figures:
    """From picture to mask on one thread: predict_masks against nnU-Net's predictor, each with its default network."""
    nnunet = installed("nnunet", python)
    from workflow_scripts.segment.network import build_network, save_network
    from workflow_scripts.segment.predict_masks import BATCH, Predictor, predict_masks

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    size, rng = config["preprocess"]["size"], np.random.default_rng(0)
    (folder / "pictures").mkdir()
    (folder / "masks").mkdir()
    field = {"bytes": encode_png(np.full(size, 255, np.uint8)), "path": None}
    pictures, rows = [], []
    for k in range(PICTURES):
        picture = cv2.GaussianBlur(rng.rayleigh(60, size).clip(0, 255).astype(np.uint8), (5, 5), 2)
        image = {"bytes": encode_png(picture), "path": None}
        (folder / "pictures" / f"{k:03d}.png").write_bytes(image["bytes"])  # type: ignore[arg-type]
        affine = [1.0, 0, 0, 0, 1.0, 0]
        rows.append({"frame_id": f"{k}/0", "case_id": str(k), "affine": affine, "field": field, "image": image})
        pictures.append(picture)
    write_rows(folder / "inputs.parquet", rows, inputs.SCHEMA)
    weights = folder / "own.safetensors"
    name = config["model"]["architecture"], config["model"]["encoder"]
    save_network(weights, build_network(*name, None), "/".join(name))
    predictor = Predictor(weights, None, 1)
    stacked = np.stack(pictures)

    def stage() -> None:
        predict_masks(folder / "inputs.parquet", {}, predictor, "own", "given", folder / "masks.parquet")

    def forward() -> None:
        for start in range(0, PICTURES, BATCH):
            predictor.probabilities(stacked[start : start + BATCH])

    forward()  # the first pass plans the convolutions
    own, bare = (fastest([cost_here(work) for _ in range(TURNS)]) for work in (stage, forward))
    scratch = dict.fromkeys(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), str(folder))
    command = [nnunet, str(ROOT / "tests" / "bench_nnunet.py"), str(folder / "pictures"), str(folder / "masks")]
    done = subprocess.run(command, env=os.environ | scratch, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{nnunet}: {done.stderr.strip().splitlines()[-1]}")
    peer, peer_bare = json.loads(done.stdout.splitlines()[-1])
    shares = f"{bare[0] / own[0]:.2f} and {peer_bare[0] / peer[0]:.2f}"
    figures: Figures = {"pictures": PICTURES, "share of each one's own bare forward pass": shares}
    return figures | beside(each(own, PICTURES), each(peer, PICTURES))


def bench_dvc(folder: Path, program: Path | None, files: int) -> Figures:
    """Nothing to be done, so many files tracked: `snakemake` against `dvc status`."""
    dvc = installed("dvc", program)
    root, tracked = folder / "data", folder / "dvc"
    write_tree(root, files)
    tracked.mkdir()
    shutil.copytree(root, tracked / "data")
    os.environ["DVC_NO_ANALYTICS"] = "1"  # it would report its use to its makers
    for words in (["init", "--no-scm", "--quiet"], ["add", "data", "--quiet"]):
        ask([dvc, *words], tracked)
    config = folder / "bench.yaml"
    config.write_text(json.dumps({"datasets": {"chexpert": {"root": str(root), "n_chunks": 8}}}), encoding="utf-8")
    own = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    own += ["--directory", str(folder / "run"), "--configfile", str(config)]
    (folder / "run").mkdir()
    cost_of(own)
    turns = [(cost_of(own), ask([dvc, "status"], tracked)) for _ in range(TURNS)]
    if "Nothing to be done" not in snakemake(folder / "run", "--configfile", str(config))[1]:
        raise Missing("the code was changed meanwhile: there was something to be done")
    ours, theirs = (fastest([turn[k] for turn in turns]) for k in range(2))
    return {"files": files} | beside(ours, theirs)
