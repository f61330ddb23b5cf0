"""Twins of the sets of stills with masks: TN3K, TG3K, and a folder of a user's own."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from workflow_scripts.demo.nodules import HYPOECHOIC, LOBULATED, PUNCTATE, Nodule
from workflow_scripts.demo.phantoms import burn_in, draw_phantom, field_slices

SHAPES = ((300, 420), (360, 480), (280, 360))  # the pictures of these sets are of many sizes
LIKELY = Nodule(radii=(0.14, 0.19, 0.2))
UNLIKELY = Nodule(radii=(0.19, 0.15, 0.2), echogenicity=HYPOECHOIC, margin=LOBULATED, foci=(PUNCTATE,))


def draw_scan(number: int, seed: int, malignant: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return one picture and the labels of its nodule; the same number gives the same picture."""
    rng = np.random.default_rng([seed, number])
    like = UNLIKELY if malignant else LIKELY
    centre = (float(rng.uniform(0.36, 0.52)), float(rng.uniform(0.35, 0.65)))
    nodule = Nodule(centre, like.radii, like.composition, like.echogenicity, like.margin, like.foci)
    return draw_phantom([nodule], SHAPES[number % len(SHAPES)], rng, probe="linear")


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Write a picture or a mask as these sets do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_tn3k(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write a twin of TN3K: masks as JPEG, tables without header, folds; one mask and one picture are missing."""
    for part, count in (("trainval", 10 * scale), ("test", 4 * scale)):
        lines = []
        for number in range(count):
            malignant = number % 3 == 0
            picture, mask = draw_scan(number + (0 if part == "trainval" else 10_000), seed, malignant)
            lines.append(f"{number:04d}.jpg,{int(malignant)}")
            if (part, number) != ("test", 2):
                write_jpeg(root / f"{part}-image" / f"{number:04d}.jpg", picture)
            if (part, number) != ("trainval", 7):
                write_jpeg(root / f"{part}-mask" / f"{number:04d}.jpg", (mask > 0).astype(np.uint8) * 255)
        (root / f"label4{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    every = range(10 * scale)
    for k in range(5):
        fold = {"train": [n for n in every if n % 5 != k], "val": [n for n in every if n % 5 == k]}
        (root / f"tn3k-trainval-fold{k}.json").write_text(json.dumps(fold), encoding="utf-8")


def write_tg3k(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write a twin of TG3K: frames of two videos with soft masks of the gland, and the split that leaks."""
    for number in range(8 * scale):
        rng = np.random.default_rng([seed, number // 4])
        picture, _ = draw_phantom([], (300, 400), rng, probe="linear")
        gland = np.zeros(picture.shape, np.uint8)
        rows, columns = field_slices((300, 400))
        centre = ((columns.start + columns.stop) // 2 + 3 * (number % 4), (2 * rows.start + rows.stop) // 3)
        cv2.ellipse(gland, centre, (90 + 4 * (number % 4), 40), 0, 0, 360, 255, -1)
        write_jpeg(root / "thyroid-image" / f"{number:04d}.jpg", picture)
        write_jpeg(root / "thyroid-mask" / f"{number:04d}.jpg", cv2.GaussianBlur(gland, (5, 5), 0))
    split = {"train": list(range(0, 8 * scale, 2)), "val": list(range(1, 8 * scale, 2))}
    (root / "tg3k-trainval.json").write_text(json.dumps(split), encoding="utf-8")


def write_image_folder(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write a folder as a clinic would: pictures, masks (one nodule in a second file), a table, and a stray file."""
    lines = ["picture;patient;age;diagnosis;mm".replace(";", ",")]
    for number in range(6 * scale):
        malignant = number % 2 == 1
        picture, mask = draw_scan(20_000 + number, seed, malignant)
        _write_png(root / "images" / f"scan {number + 1}.png", burn_in(picture, "LEFT"))
        for suffix, outlined in _parts(mask, number == 3):
            _write_png(root / "masks" / f"scan {number + 1}{suffix}.png", outlined)
        said = "maligne?" if number == 4 else "malignant" if malignant else "benign"
        lines.append(f"scan {number + 1}.png,P{number // 2 + 1},{40 + number},{said},0.09")
    (root / "labels.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    (root / "notes.txt").write_text("A stray file.\n", encoding="utf-8")


def _parts(mask: np.ndarray, halved: bool) -> Sequence[tuple[str, np.ndarray]]:
    outlined = (mask > 0).astype(np.uint8) * 255
    if not halved:
        return [("", outlined)]
    left, right = outlined.copy(), outlined.copy()
    middle = int(np.flatnonzero(outlined.any(axis=0)).mean())
    left[:, middle - 3 :], right[:, : middle + 3] = 0, 0
    return [("", left), ("__2", right)]


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
