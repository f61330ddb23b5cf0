"""What one picture costs a scanner: the whole way of a frame, on two cores. Part of tests/bench.py."""

import logging
import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
import yaml
from av.video.stream import VideoStream

from tests.bench_learning import Figures, fastest
from workflow_scripts.demo.nodules import HYPOECHOIC, Nodule
from workflow_scripts.demo.phantoms import burn_in, draw_clip, draw_phantom
from workflow_scripts.imaging.overlap import dice_of
from workflow_scripts.preprocess.preprocess_frames import prepare_frame
from workflow_scripts.provenance import ROOT
from workflow_scripts.segment.export_onnx import export_onnx
from workflow_scripts.segment.network import as_batch, load_network, save_network
from workflow_scripts.segment.pictures import Pictures
from workflow_scripts.segment.predict_image import follow, read_picture
from workflow_scripts.segment.runtimes import Model, load_model
from workflow_scripts.segment.train_model import train_model

SHAPE, COUNT = (480, 640), 120


def write_clip(path: Path) -> None:
    """Write a sweep through a nodule, to and fro, as H.264."""
    frames, _ = draw_clip(Nodule(echogenicity=HYPOECHOIC), 12, SHAPE, np.random.default_rng(1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt, stream.time_base = *SHAPE, "yuv420p", Fraction(1, 25)
        for k in range(COUNT):
            frame = burn_in(frames[min(k % 24, 23 - k % 24)], "LEFT")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def phantoms(n: int, spec: dict[str, Any]) -> Pictures:
    """Return phantoms as a model sees them, with their nodules."""
    rng = np.random.default_rng(0)
    images, masks = [], []
    for _ in range(n):
        y, x, down, across, along = rng.uniform((0.3, 0.3, 0.08, 0.08, 0.1), (0.6, 0.7, 0.2, 0.2, 0.2)).tolist()
        nodule = Nodule((y, x), (down, across, along), echogenicity=HYPOECHOIC)
        prepared = prepare_frame(*draw_phantom([nodule], (360, 480), rng, probe="linear"), spec)
        assert prepared.mask is not None
        images.append(prepared.image)
        masks.append(np.minimum(prepared.mask, 1))
    return Pictures([str(k) for k in range(n)], np.stack(images), np.stack(masks))


def bench_live(folder: Path) -> Figures:
    """Frames per second from file to measures, of an ONNX file and of weights; both against float32 in torch.

    On a machine that others use, two cores' worth of processor time a frame says what they would reach alone.
    """
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    spec, model = config["preprocess"], config["model"] | {"epochs": 6}
    name = f"{model['architecture']}/{model['encoder']}"
    pictures, sample = phantoms(48, spec), phantoms(8, spec)  # it must outline something: that takes time as well
    trained = train_model(pictures, sample, model, folder / "state", logging.getLogger("bench"))
    save_network(folder / "own.safetensors", trained.network, name)
    card = export_onnx(folder / "own.safetensors", None, spec, folder / "own.onnx")
    with torch.inference_mode():
        logits = load_network(folder / "own.safetensors")(as_batch(sample.images, torch.device("cpu")))
    truth = logits.sigmoid()[:, 0].numpy()
    write_clip(folder / "clip.mp4")
    cv2.setNumThreads(1)
    figures: Figures = {"network": f"{name}, opset {card['opset']}", "frames": COUNT, "compared": len(truth)}
    for path in (folder / "own.onnx", folder / "own.safetensors"):
        run = load_model(path, tuple(spec["size"]))
        groups = [sample.images[k : k + run.batch] for k in range(0, len(truth), run.batch)]
        found = np.concatenate([run.probabilities(group) for group in groups])
        dices = [dice_of(*counts(a, b)) for a, b in zip(found > 0.5, truth > 0.5, strict=True)]
        forward = fastest(10, partial(run.probabilities, groups[0])) / run.batch
        whole = partial(outlined, folder / "clip.mp4", run, spec)
        used = time.process_time()
        seconds = fastest(3, whole)
        used = (time.process_time() - used) / 3
        figures[run.runtime] = {
            "frames per s, whole way": round(COUNT / seconds, 1),
            "processor time a frame, ms": round(1000 * used / COUNT, 1),
            "bare network, ms a picture": round(1000 * forward, 1),
            "largest difference of probability": round(float(np.abs(found - truth).max()), 5),
            "lowest Dice": round(min(dice for dice in dices if dice is not None), 5),
            "frames with a nodule": whole(),
        }
    return figures


def counts(one: np.ndarray, other: np.ndarray) -> tuple[int, int, int]:
    """Return the pixels in both masks, in the first only, in the second only."""
    return int((one & other).sum()), int((one & ~other).sum()), int((~one & other).sum())


def outlined(clip: Path, model: Model, spec: dict[str, Any]) -> int:
    """Go the whole way with every frame of a clip, and return in how many a nodule was outlined."""
    return sum(bool(found.nodules) for found in follow(read_picture(clip)[1], model, spec))
