"""What learning costs: prediction against a plain loop, a training step against a bare one. Part of tests/bench.py."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from workflow_scripts.imaging.measure import to_frame
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.segment.network import as_batch, be_deterministic, build_network, load_network, save_network
from workflow_scripts.segment.pictures import Pictures
from workflow_scripts.segment.predict_masks import Predictor, predict_masks
from workflow_scripts.segment.train_model import Trainer, loss_of
from workflow_scripts.tables import inputs
from workflow_scripts.tables.table import write_rows

Figures = dict[str, object]


def fastest(runs: int, work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bench_prediction(folder: Path) -> Figures:
    """Pictures per second of predict_masks against a plain loop of one picture at a time in float32."""
    n, shape = 96, (192, 256)
    be_deterministic(0, 2)
    rng = np.random.default_rng(0)
    field = {"bytes": encode_png(np.full((360, 560), 255, np.uint8)), "path": None}
    pictures = [cv2.GaussianBlur(rng.rayleigh(60, shape).clip(0, 255).astype(np.uint8), (5, 5), 2) for _ in range(n)]
    affine = [560 / 256, 0, 0, 0, 360 / 192, 0]
    rows = [
        {"frame_id": f"{k}/0", "case_id": str(k), "affine": affine, "field": field}
        | {"image": {"bytes": encode_png(picture), "path": None}}
        for k, picture in enumerate(pictures)
    ]
    write_rows(folder / "inputs.parquet", rows, inputs.SCHEMA)
    network = build_network("Unet", "resnet18", None)
    save_network(folder / "own.safetensors", network, "Unet/resnet18")

    plain = load_network(folder / "own.safetensors").to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    predictor = Predictor(folder / "own.safetensors", None, 2)

    def plain_loop() -> list[np.ndarray]:
        found = []
        with torch.inference_mode():
            for row in rows:
                picture = decode_picture(row["image"]["bytes"])  # type: ignore[index]
                logits = plain(as_batch(picture[None], torch.device("cpu")).contiguous())
                found.append(to_frame(logits.sigmoid()[0, 0].numpy(), np.array(affine), (360, 560)) > 0.5)
        return found

    def stage() -> None:
        predict_masks(folder / "inputs.parquet", {}, predictor, "own", "given", folder / "masks.parquet")

    reference = plain_loop()
    in_turn = [[fastest(1, work) for work in (plain_loop, stage)] for _ in range(3)]  # a busy minute meets both
    slow, fast = map(min, zip(*in_turn, strict=True))
    dices = []
    for picture, one in zip(pictures, reference, strict=True):
        probability = to_frame(predictor.probabilities(picture[None])[0], np.array(affine), (360, 560))
        two = probability > 0.5
        dices.append(2 * (one & two).sum() / max(1, one.sum() + two.sum()))
    return {
        "plain loop, pictures per s": round(n / slow, 1),
        "predict_masks, pictures per s": round(n / fast, 1),
        "ratio": round(slow / fast, 2),
        "largest difference in Dice": round(1 - float(min(dices)), 5),
    }


def bench_training(folder: Path) -> Figures:
    """Seconds of a training step against a bare loop of forward, loss, backward and step on the same batch."""
    spec: dict[str, Any] = {
        "architecture": "Unet",
        "encoder": "resnet18",
        "encoder_weights": None,
        "epochs": 9,
        "batch_size": 16,
    }
    spec |= {"learning_rate": 0.001, "seed": 0, "threads": 2, "augmentation": "full", "cross_entropy_weight": 1.0}
    rng = np.random.default_rng(0)
    steps = 6
    images = rng.integers(0, 255, (16 * steps, 192, 256), dtype=np.uint8)
    masks = np.zeros_like(images)
    masks[:, 60:120, 80:160] = 1
    trainer = Trainer(spec, steps, folder / "state")
    found = Pictures([str(k) for k in range(len(images))], images, masks)

    def ours() -> None:
        trainer.train_epoch(found, 16)

    def bare() -> None:
        target = torch.from_numpy(masks[:16])[:, None].float()
        for _ in range(steps):
            loss = loss_of(trainer.forward(trainer.network, images[:16]), target)
            trainer.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            trainer.optimiser.step()

    trainer.network.train()
    bare()
    own = fastest(3, ours)
    floor = fastest(3, bare)
    return {
        "step, s": round(own / steps, 3),
        "bare step, s": round(floor / steps, 3),
        "bare over own": round(floor / own, 2),
        "precision": str(trainer.precision).removeprefix("torch."),
    }
