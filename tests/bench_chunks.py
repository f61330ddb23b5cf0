"""What the stages are measured on: one chunk of a clip, of Stanford's stack, of stills. Part of tests/bench.py."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import h5py
import nibabel
import numpy as np
import yaml

from tests.fixtures import GUIDE_HEADER, row, write_mp4
from workflow_scripts.demo.nodules import HYPOECHOIC, Nodule
from workflow_scripts.demo.phantoms import burn_in, draw_clip
from workflow_scripts.provenance import ROOT

CLIP, STACK, STILL = (480, 640), (802, 1054), (360, 560)


@dataclass(frozen=True)
class Chunk:
    """One chunk of a data set: where its sources lie, and its tables."""

    name: str
    kind: str
    root: Path
    folder: Path
    options: dict[str, object] = field(default_factory=dict)

    def table(self, stage: str) -> Path:
        """Return the table that a stage writes."""
        return self.folder / self.name / f"{stage}.parquet"


def sweep(shape: tuple[int, int], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a sweep to and fro through a nodule with what a scanner writes, and its masks, (count, H, W) uint8."""
    frames, masks = draw_clip(Nodule(echogenicity=HYPOECHOIC), 12, shape, np.random.default_rng(seed))
    order = [min(k % 24, 23 - k % 24) for k in range(count)]
    written = np.stack([burn_in(frame, "LEFT") for frame in frames])
    return written[order], masks[order]


def write_clip(root: Path, count: int) -> None:
    """Write one clip with its mask volume, as the thyroid guide describes them."""
    for name in ("images", "segmentations"):
        (root / name).mkdir(parents=True)
    frames, masks = sweep(CLIP, count, 1)
    write_mp4(root / "images" / "1_clip.mp4", list(frames), rate=25)
    volume = np.ascontiguousarray(masks.transpose(2, 1, 0))
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), root / "segmentations" / "1_seg.nii.gz")
    values = ["1", "50", "Female", "1", "12", "left", "3", "solid or almost completely solid"]
    values += ["hyperechoic or isoechoic", "wider-than-tall", "smooth", "none or large comet-tail artifacts"]
    values += ["benign", "1_clip.mp4", "1_seg.nii.gz"]
    (root / "metadata.csv").write_text(f"{GUIDE_HEADER}\n{','.join(values)}\n", encoding="utf-8")


def write_stack(root: Path, keys: list[str], each: int, shape: tuple[int, int] = STACK) -> None:
    """Write dataset.hdf5 and metadata.csv as Stanford ships them, so many frames a clip."""
    root.mkdir(parents=True)
    frames, masks = sweep(shape, each, 2)
    with h5py.File(root / "dataset.hdf5", "w") as file:
        file["annot_id"] = np.repeat(np.array([key.encode() for key in keys], "S4"), each)
        file["frame_num"] = np.tile(np.array([str(k + 1).encode() for k in range(each)], "S3"), len(keys))
        for name, rows in (("image", frames), ("mask", masks * np.uint8(255))):
            stack = file.create_dataset(name, (len(keys) * each, *shape), "u1", chunks=True)
            for k in range(len(keys)):
                stack[k * each : (k + 1) * each] = rows
    lines = [row(key) for key in keys]
    text = "\n".join(",".join(map(str, values)) for values in ([*lines[0]], *(line.values() for line in lines)))
    (root / "metadata.csv").write_text(text, encoding="utf-8")


def write_stills(root: Path, count: int) -> None:
    """Write JPEGs in colour with masks of the same name."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    frames, masks = sweep(STILL, count, 3)
    for k, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        frame = np.maximum(frame, k % 5)  # the same 24 pictures, but not the same files
        colour = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        cv2.imwrite(str(root / "images" / f"{k}.jpg"), colour, [cv2.IMWRITE_JPEG_QUALITY, 95])
        cv2.imwrite(str(root / "masks" / f"{k}.png"), mask * 255)


def trained_weights(path: Path) -> None:
    """Train a network on small phantoms until it outlines something, since that takes time as well."""
    from tests.bench_live import phantoms  # torch
    from workflow_scripts.segment.network import save_network
    from workflow_scripts.segment.train_model import train_model

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    small, model = config["preprocess"] | {"size": [96, 128]}, config["model"] | {"epochs": 20, "threads": 1}
    learnt, held_out = phantoms(48, small), phantoms(8, small)
    trained = train_model(learnt, held_out, model, path.parent / "state", logging.getLogger("bench"))
    save_network(path, trained.network, f"{model['architecture']}/{model['encoder']}")
