"""Training: it learns, it is the same every time, it goes on after a kill, and it says what is wrong."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a lean environment has no torch")

from workflow_scripts.command import Refusal  # noqa: E402
from workflow_scripts.imaging.stills import encode_png  # noqa: E402
from workflow_scripts.provenance import ROOT, canonical_json, sha256  # noqa: E402
from workflow_scripts.segment import train_model as training  # noqa: E402
from workflow_scripts.segment.augment import augment  # noqa: E402
from workflow_scripts.segment.network import build_network, load_network, save_network  # noqa: E402
from workflow_scripts.segment.pictures import Pictures, deal, read_pictures  # noqa: E402
from workflow_scripts.segment.train_model import Trainer, train_model  # noqa: E402
from workflow_scripts.tables import cases, folds, history, inputs  # noqa: E402
from workflow_scripts.tables.table import read_rows, write_rows  # noqa: E402

LOG = logging.getLogger("test")
SPEC: dict[str, Any] = {
    "architecture": "Unet",
    "encoder": "tu-lcnet_050",
    "encoder_weights": None,
    "preprocess": {"size": [64, 96]},
    "epochs": 3,
    "patience": 9,
    "batch_size": 4,
    "learning_rate": 0.003,
    "augmentation": "full",
    "cross_entropy_weight": 1.0,
    "seed": 0,
    "threads": 1,
    "kinds": {"clinic": "ddti"},
}


def scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture (64, 96) with a dark disc, and the disc."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(90, 180, (64, 96), dtype=np.uint8)
    mask = np.zeros_like(picture)
    cv2.circle(mask, (int(rng.integers(30, 66)), int(rng.integers(24, 40))), int(rng.integers(8, 16)), 1, -1)
    picture[mask > 0] //= 3
    return picture, mask


def pictures(n: int) -> Pictures:
    pairs = [scan(k) for k in range(n)]
    return Pictures([str(k) for k in range(n)], np.stack([p for p, _ in pairs]), np.stack([m for _, m in pairs]))


def weights_of(trainer: Trainer) -> str:
    return sha256(b"".join(tensor.numpy().tobytes() for tensor in trainer.network.state_dict().values()))


def test_a_disc_is_learnt(tmp_path: Path) -> None:
    trainer = train_model(pictures(12), pictures(4), SPEC | {"epochs": 25}, tmp_path, LOG)
    assert trainer.state.best_dice > 0.7
    first, last = trainer.state.rows[0], trainer.state.rows[-1]
    assert last["loss"] < 0.7 * first["loss"]
    for row in trainer.state.rows:
        assert row["validation_iou"] >= row["validation_dice"] / (2 - row["validation_dice"]) - 1e-9


def test_the_same_every_time_and_after_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_model(pictures(6), pictures(3), SPEC, tmp_path / "a", LOG)
    again = train_model(pictures(6), pictures(3), SPEC, tmp_path / "b", LOG)
    assert weights_of(again) == weights_of(whole)
    other = train_model(pictures(6), pictures(3), SPEC | {"seed": 1}, tmp_path / "c", LOG)
    assert weights_of(other) != weights_of(whole)

    epoch = training._one_epoch

    def break_after_two(trainer: Trainer, *rest: Any) -> None:
        if trainer.state.epoch == 2:
            raise KeyboardInterrupt
        epoch(trainer, *rest)

    monkeypatch.setattr(training, "_one_epoch", break_after_two)
    with pytest.raises(KeyboardInterrupt):
        train_model(pictures(6), pictures(3), SPEC, tmp_path / "d", LOG)
    monkeypatch.setattr(training, "_one_epoch", epoch)
    resumed = train_model(pictures(6), pictures(3), SPEC, tmp_path / "d", LOG)
    assert weights_of(resumed) == weights_of(whole)
    assert resumed.state.rows == whole.state.rows


def test_it_stops_when_it_no_longer_improves(tmp_path: Path) -> None:
    blind = SPEC | {"learning_rate": 1e-12, "epochs": 9, "patience": 2}
    trainer = train_model(pictures(4), pictures(2), blind, tmp_path, LOG)
    assert trainer.state.epoch < 9
    assert trainer.state.epoch == trainer.state.best_epoch + 2


def test_a_loss_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"the loss is (nan|inf) in epoch \d+; lower model.learning_rate"):
        train_model(pictures(4), pictures(2), SPEC | {"learning_rate": 1e12, "epochs": 5}, tmp_path, LOG)


def test_out_of_memory_halves_the_batch_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train_epoch = Trainer.train_epoch

    def small_memory(self: Trainer, found: Pictures, batch: int) -> dict[str, float]:
        if batch > 2:
            raise torch.OutOfMemoryError
        return train_epoch(self, found, batch)

    monkeypatch.setattr(Trainer, "train_epoch", small_memory)
    trainer = train_model(pictures(4), pictures(2), SPEC | {"epochs": 1}, tmp_path, LOG)
    assert trainer.state.epoch == 1
    assert "halved to 2" in caplog.text


def test_validation_and_the_fold_held_out_share_no_group_with_training() -> None:
    rows = [{"dataset": "d", "case_id": str(k), "group_id": f"d/{k // 2}", "fold": k // 2 % 3} for k in range(60)]
    group = {("d", row["case_id"]): row["group_id"] for row in rows}
    train, validate = deal(rows, 1, 0)
    held_out = {("d", row["case_id"]) for row in rows if row["fold"] == 1}
    sides = [{group[case] for case in side} for side in (train, validate, held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    with pytest.raises(Refusal, match="fold 7 holds no case: the split has 3 folds; write split.folds: 3"):
        deal(rows, 7, 0)


def test_augmentation_keeps_picture_and_mask_together() -> None:
    picture, mask = scan(0)
    for seed in range(20):
        changed, moved = augment(picture, mask, np.random.default_rng(seed))
        assert (changed.shape, changed.dtype, set(np.unique(moved))) == (picture.shape, np.uint8, {0, 1})
        inside, ring = moved > 0, (cv2.dilate(moved, np.ones((9, 9))) > 0) & (moved == 0) & (changed > 0)
        assert changed[inside].mean() < 0.8 * changed[ring].mean()  # the dark disc is where the mask is


def write_set(root: Path, n: int, empty: bool = False) -> None:
    folder = root / "datasets" / "clinic"
    write_rows(folder / "chunks" / "000.parquet", [{"case_id": str(k)} for k in range(n)], cases.SCHEMA)
    rows = []
    for k in range(n):
        picture, mask = scan(k)
        rows.append(
            {
                "frame_id": f"{k}/0",
                "case_id": str(k),
                "image": {"bytes": encode_png(picture), "path": None},
                "mask": {"bytes": encode_png(mask * (not empty)), "path": None},
                "mask_kept": 1.0,
            }
        )
    write_rows(folder / "inputs" / "000.parquet", rows, inputs.SCHEMA)
    dealt = [{"dataset": "clinic", "case_id": str(k), "group_id": f"clinic/{k}", "fold": k % 2} for k in range(n)]
    write_rows(root / "folds.parquet", dealt, folds.SCHEMA)


def test_masks_of_one_class_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, 4, empty=True)
    with pytest.raises(Refusal, match=r"4 masks hold one class only \(background\)"):
        read_pictures(tmp_path / "datasets", {("clinic", str(k)) for k in range(4)}, "training pictures")


def arguments(root: Path, name: str, **other: Any) -> list[str]:
    out = root / name
    out.mkdir()
    asked = ["--datasets", str(root / "datasets"), "--folds", str(root / "folds.parquet"), "--fold", "0"]
    asked += ["--spec", canonical_json(SPEC | other), "--code", "c", "--state", str(root / "state")]
    return asked + [text for key in ("weights", "history", "card") for text in (f"--{key}", str(out / key))]


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    write_set(tmp_path, 12)
    training.main(arguments(tmp_path, "whole", epochs=6))
    asked = arguments(tmp_path, "killed", epochs=6)
    process = subprocess.Popen([sys.executable, "-m", "workflow_scripts.segment.train_model", *asked], cwd=ROOT)
    deadline = time.monotonic() + 100
    while not any(json.loads(path.read_text())["epoch"] >= 2 for path in (tmp_path / "state").glob("*/*/state.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "weights").exists()
    training.main(asked)
    for name in ("weights", "history", "card"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [row["epoch"] for row in read_rows(tmp_path / "whole" / "history", history.SCHEMA)] == list(range(1, 7))
    card = json.loads((tmp_path / "whole" / "card").read_text())
    assert (card["redistribution"], card["trained_on"], card["held_out_fold"]) == ("unclear", {"clinic": 6}, "0")
    assert not list((tmp_path / "state").glob("*"))  # nothing of a finished training stays


def test_weights_that_cannot_be_trusted_or_do_not_fit_are_refused(tmp_path: Path) -> None:
    trainer = Trainer(SPEC, 1, tmp_path / "state")
    path = tmp_path / "own.safetensors"
    save_network(path, trainer.network, "Unet/tu-lcnet_050")
    own, loaded = trainer.network.state_dict(), load_network(path).state_dict()
    assert own.keys() == loaded.keys()
    assert all((own[key] == loaded[key]).all() for key in own)
    with pytest.raises(Refusal, match="has the hash .* expected 00"):
        load_network(path, "00")
    save_network(path, trainer.network, "Unet/resnet18")
    with pytest.raises(Refusal, match="does not hold the tensors of Unet/resnet18"):
        load_network(path)
    save_network(path, trainer.network, "mine")
    with pytest.raises(Refusal, match="does not say what network it is of"):
        load_network(path)
    torch.save(trainer.network.state_dict(), tmp_path / "own.pt")
    with pytest.raises(Refusal, match="can run code and is refused. Convert one that you trust: python -c"):
        load_network(tmp_path / "own.pt")


def test_the_command_that_converts_a_checkpoint_works(tmp_path: Path) -> None:
    trainer = Trainer(SPEC | {"encoder": "resnet18"}, 1, tmp_path / "state")
    torch.save({"state_dict": trainer.network.state_dict()}, tmp_path / "own.pt")
    with pytest.raises(Refusal) as refusal:
        load_network(tmp_path / "own.pt")
    line = str(refusal.value).split("trust: ")[1].replace("python -c", f"{sys.executable} -c", 1)
    subprocess.run(line, shell=True, check=True)
    load_network(tmp_path / "own.safetensors")


def test_an_unknown_network_is_one_line() -> None:
    for name, encoder in (("Umet", "resnet18"), ("Unet", "resnet19")):
        with pytest.raises(Refusal, match=f"model: {name} with encoder {encoder}"):
            build_network(name, encoder, None)
