"""Train an encoder-decoder network with Dice + binary cross-entropy and Adam, without ever seeing the fold held out.

What is validated and kept is the running average of the weights, which a step of chance moves little (Polyak and
Juditsky 1992; Izmailov 2018).

Every epoch is kept outside the declared outputs, as safetensors and JSON, under a key of parameters, data and code: a
run that was killed goes on from its last epoch and ends as an undisturbed one.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from workflow_scripts import command
from workflow_scripts.collections.collection import card_of
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.overlap import dice_of, iou_of
from workflow_scripts.provenance import canonical_json, file_sha256, sha256
from workflow_scripts.segment.augment import augment
from workflow_scripts.segment.network import (
    as_batch,
    be_deterministic,
    best_device,
    build_network,
    channels_last,
    mixed_precision,
    out_of_memory,
    save_network,
)
from workflow_scripts.segment.pictures import Pictures, deal, read_pictures
from workflow_scripts.tables import cases, folds, history
from workflow_scripts.tables.table import planned, read_many, read_rows, write_rows

AVERAGED = 0.99  # share of the average that a step leaves: it looks back about a hundred steps


@dataclass
class State:
    """Where a training stands after an epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best_dice: float = -1.0
    rows: list[dict[str, Any]] = field(default_factory=list)


def batches(count: int, size: int, order: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices of batches of `size`; the last is filled up from the start, so that no batch is smaller."""
    for start in range(0, count, size):
        yield np.take(order, np.arange(start, start + size), mode="wrap")


def loss_of(logits: torch.Tensor, masks: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    """Return Dice loss, image by image, plus `weight` times binary cross-entropy; logits and masks are (n, 1, H, W)."""
    # smp pools over the batch: with the images as channels, its Dice is the mean over images.
    dice = smp.losses.DiceLoss("multilabel")(logits.transpose(0, 1), masks.transpose(0, 1))
    return dice + weight * torch.nn.functional.binary_cross_entropy_with_logits(logits, masks)


def overlap(logits: torch.Tensor, masks: np.ndarray) -> list[tuple[float, float]]:
    """Return (Dice, IoU) of each picture whose mask is not empty, at probability 0.5."""
    predicted = (logits.detach()[:, 0] > 0).cpu().numpy()
    return [
        (dice_of(tp, fp, fn) or 0.0, iou_of(tp, fp, fn) or 0.0)
        for found, mask in zip(predicted, masks > 0, strict=True)
        if mask.any()
        for tp, fp, fn in [(int((found & mask).sum()), int((found & ~mask).sum()), int((~found & mask).sum()))]
    ]


class Trainer:
    """A network with its optimiser, and where it stands."""

    def __init__(self, spec: dict[str, Any], steps: int, folder: Path) -> None:
        """Build the network, and go on where `folder` says that an earlier run stopped."""
        be_deterministic(spec["seed"], spec["threads"])
        self.spec, self.folder, self.state = spec, folder, State()
        self.device = best_device()
        self.precision = mixed_precision(self.device)
        network = build_network(spec["architecture"], spec["encoder"], spec["encoder_weights"])
        self.network = channels_last(network.to(self.device))
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED), use_buffers=True)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=spec["learning_rate"])
        total = steps * spec["epochs"]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, spec["learning_rate"], total_steps=total)
        if (folder / "state.json").is_file():
            self._resume()

    def forward(self, network: torch.nn.Module, images: np.ndarray) -> torch.Tensor:
        """Return the logits (n, 1, H, W) of pictures (n, H, W), in float32."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits: torch.Tensor = network(as_batch(images, self.device))
        return logits.float()

    def loss(self, logits: torch.Tensor, masks: np.ndarray) -> torch.Tensor:
        """Return the loss of logits (n, 1, H, W) against masks (n, H, W)."""
        wanted = torch.from_numpy(masks).to(self.device)[:, None].float()
        return loss_of(logits, wanted, self.spec["cross_entropy_weight"])

    def check(self, loss: float) -> None:
        """Refuse to go on with a loss that is no number."""
        if not math.isfinite(loss):
            raise command.Refusal(
                f"training: the loss is {loss} in epoch {self.state.epoch + 1};"
                f" lower model.learning_rate (now {self.spec['learning_rate']})"
            )

    def train_epoch(self, pictures: Pictures, batch: int) -> dict[str, float]:
        """Train one epoch; everything random in it follows from the seed and the epoch's number."""
        rng = np.random.default_rng([self.spec["seed"], self.state.epoch])
        self.network.train()
        losses, overlaps = [], []
        for indices in batches(len(pictures.images), batch, rng.permutation(len(pictures.images))):
            pairs = [
                augment(pictures.images[index], pictures.masks[index], rng, self.spec["augmentation"])
                for index in indices
            ]
            images, masks = (np.stack(part) for part in zip(*pairs, strict=True))
            logits = self.forward(self.network, images)
            loss = self.loss(logits, masks)
            self.check(loss.item())
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            self.average.update_parameters(self.network)
            losses.append(loss.item())
            overlaps += overlap(logits, masks)
        dice, iou = np.mean(overlaps, axis=0)
        return {"loss": float(np.mean(losses)), "dice": float(dice), "iou": float(iou)}

    @torch.inference_mode()
    def validate(self, pictures: Pictures, batch: int) -> dict[str, float]:
        """Return loss, mean per-image Dice and IoU of pictures that are not trained on."""
        self.average.eval()
        losses, overlaps = [], []
        for start in range(0, len(pictures.images), batch):
            masks = pictures.masks[start : start + batch]
            logits = self.forward(self.average, pictures.images[start : start + batch])
            losses.append(self.loss(logits, masks).item() * len(masks))
            overlaps += overlap(logits, masks)
        dice, iou = np.mean(overlaps, axis=0)
        loss = sum(losses) / len(pictures.images)
        self.check(loss)  # a first step that went astray shows here first
        return {"validation_loss": loss, "validation_dice": float(dice), "validation_iou": float(iou)}

    def keep(self) -> None:
        """Write the state after an epoch: tensors first, the JSON that names them last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state, name = self.optimiser.state_dict(), f"epoch-{self.state.epoch}.safetensors"
        tensors = {f"network/{key}": tensor for key, tensor in self.network.state_dict().items()}
        tensors |= {f"average/{key}": tensor for key, tensor in self.average.state_dict().items()}
        for index, values in state["state"].items():
            tensors |= {f"optimiser/{index}/{key}": value for key, value in values.items()}
        tensors["random"] = torch.get_rng_state()
        with write_beside(self.folder / name) as beside:
            save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, beside)
        if self.state.best_epoch == self.state.epoch:
            shutil.copyfile(self.folder / name, self.folder / "best.part")
            (self.folder / "best.part").replace(self.folder / f"best-{self.state.epoch}.safetensors")
        about = vars(self.state) | {
            "schedule": {k: v for k, v in self.schedule.state_dict().items() if not callable(v)}
        }
        about |= {"groups": state["param_groups"]}
        with write_beside(self.folder / "state.json") as beside:
            beside.write_text(json.dumps(about), encoding="utf-8")
        wanted = {name, f"best-{self.state.best_epoch}.safetensors"}
        for path in self.folder.glob("*.safetensors"):
            if path.name not in wanted:
                path.unlink()

    def _resume(self) -> None:
        about = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        groups, schedule = about.pop("groups"), about.pop("schedule")
        self.state = State(**about)
        tensors = load_file(self.folder / f"epoch-{self.state.epoch}.safetensors")
        torch.set_rng_state(tensors.pop("random"))
        for name, module in (("network/", self.network), ("average/", self.average)):
            own = {key.removeprefix(name): tensor for key, tensor in tensors.items() if key.startswith(name)}
            module.load_state_dict(own)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser/"):
                _, index, key = name.split("/")
                moments.setdefault(int(index), {})[key] = tensor
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.schedule.load_state_dict(schedule)

    def restore_best(self) -> None:
        """Put the averaged weights of the best epoch into the network."""
        tensors = load_file(self.folder / f"best-{self.state.best_epoch}.safetensors")
        start = "average/module."
        best = {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}
        self.network.load_state_dict(best)


def train_model(train: Pictures, validate: Pictures, spec: dict[str, Any], folder: Path, log: Any) -> Trainer:
    """Train until the epochs are over or validation no longer improves; return the network with its best weights.

    Out of memory halves the batch and starts the training anew, which the log says.
    """
    batch = min(spec["batch_size"], len(train.images))
    while True:
        try:
            trainer = Trainer(spec, -(-len(train.images) // batch), folder / f"batch-{batch}")
            if trainer.state.epoch:
                log.info("goes on after epoch %d", trainer.state.epoch)
            while trainer.state.epoch < spec["epochs"]:
                _one_epoch(trainer, train, validate, batch, log)
                if trainer.state.epoch - trainer.state.best_epoch >= spec["patience"]:
                    log.info("no better for %d epochs: stopped", spec["patience"])
                    break
            trainer.restore_best()
            return trainer
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                raise command.Refusal("training: out of memory with a batch of one; lower preprocess.size") from None
            batch //= 2
            log.warning("out of memory: the batch is halved to %d, and training starts anew", batch)


def _one_epoch(trainer: Trainer, train: Pictures, validate: Pictures, batch: int, log: Any) -> None:
    state = trainer.state
    figures = trainer.train_epoch(train, batch) | trainer.validate(validate, batch)
    state.epoch += 1
    state.rows.append({"epoch": state.epoch, "learning_rate": trainer.schedule.get_last_lr()[0], **figures})
    if figures["validation_dice"] > state.best_dice:
        state.best_dice, state.best_epoch = figures["validation_dice"], state.epoch
    trainer.keep()
    log.info(
        "epoch %d of %d: loss %.3f, Dice %.3f, IoU %.3f; validation: %.3f, %.3f, %.3f (best Dice %.3f in epoch %d)",
        state.epoch, trainer.spec["epochs"], *figures.values(), state.best_dice, state.best_epoch,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Train one fold's model."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--folds", type=command.existing, required=True, help="table of folds")
    arguments.add_argument("--fold", type=int, required=True, help="the fold that is held out")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="options `model` as JSON")
    arguments.add_argument("--code", required=True, help="version of the code, part of the key of the training state")
    arguments.add_argument("--state", type=Path, required=True, help="folder for the state of unfinished trainings")
    arguments.add_argument("--weights", type=Path, required=True, help="safetensors to write")
    arguments.add_argument("--history", type=Path, required=True, help="table to write")
    arguments.add_argument("--card", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("train_model")
    rows = read_rows(args.folds, folds.SCHEMA)
    training, validating = deal(rows, args.fold, args.spec["seed"])
    train = read_pictures(args.datasets, training, "training pictures")
    validate = read_pictures(args.datasets, validating, "validation pictures")
    content = [
        file_sha256(path)
        for name in sorted({name for name, _ in training})
        for path in planned(args.datasets / name, "inputs")
    ]
    if (encoder := args.spec["encoder_weights"] or "").endswith(".safetensors"):
        content.append(file_sha256(Path(encoder)))
    key = sha256(canonical_json([args.spec, args.code, args.fold, file_sha256(args.folds), content]))[:16]
    log.info("%d pictures to train on, %d to validate on", len(train.images), len(validate.images))
    trainer = train_model(train, validate, args.spec, args.state / key, log)
    redistribution = {
        name: card_of(
            args.spec["kinds"][name], read_many(planned(args.datasets / name, "chunks"), cases.SCHEMA)
        ).redistribution
        for name in sorted({name for name, _ in training})
    }
    about = describe(redistribution, args.fold, rows, train, validate, trainer)
    save_network(args.weights, trainer.network, f"{args.spec['architecture']}/{args.spec['encoder']}")
    write_rows(args.history, trainer.state.rows, history.SCHEMA)
    with write_beside(args.card) as beside:
        beside.write_text(json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(args.state / key)


def describe(
    redistribution: dict[str, str],
    fold: int,
    rows: list[dict[str, Any]],
    train: Pictures,
    validate: Pictures,
    trainer: Trainer,
) -> dict[str, Any]:
    """Return the model's card: what it is, on what and how it was trained, and under which terms."""
    terms = redistribution
    strictest = next((word for word in ("forbidden", "unclear") if word in terms.values()), "allowed")
    spec, best = trainer.spec, trainer.state.rows[trainer.state.best_epoch - 1]
    return {
        "architecture": spec["architecture"],
        "encoder": spec["encoder"],
        "encoder_weights": Path(spec["encoder_weights"] or "none: trained from nothing").name,  # no path of a machine
        "input": f"grey {train.images.shape[1]} x {train.images.shape[2]} pictures as preprocess_frames makes them",
        "preprocess": spec["preprocess"],
        "loss": f"Dice, image by image, + {spec['cross_entropy_weight']:g} x binary cross-entropy",
        "training": f"Adam, one-cycle learning rate, averaged weights, augmentation: {spec['augmentation']}",
        "held_out_fold": str(fold),
        "trained_on": {
            name: sum(row["dataset"] == name and row["fold"] != fold for row in rows) for name in sorted(terms)
        },
        "pictures": {"training": len(train.images), "validation": len(validate.images)},
        "epochs": {"trained": trainer.state.epoch, "best": trainer.state.best_epoch},
        "validation": {"dice": best["validation_dice"], "iou": best["validation_iou"], "n": len(validate.images)},
        "precision": str(trainer.precision).removeprefix("torch."),
        "device": trainer.device.type,
        "redistribution": strictest,
        "terms": "weights carry the terms of the data they were trained on; not for diagnosis",
    }


if __name__ == "__main__":
    main()
