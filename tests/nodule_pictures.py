"""Nodules whose truth is known: ellipses on noise, and phantoms drawn at random from their descriptors."""

from typing import Any

import cv2
import numpy as np

from workflow_scripts.demo import nodules
from workflow_scripts.demo.nodules import Nodule
from workflow_scripts.demo.phantoms import draw_field
from workflow_scripts.tirads.measure_nodules import measure_frame


def ellipse(
    shape: tuple[int, int], radii: tuple[float, float], degrees: float = 0, centre: tuple[float, float] | None = None
) -> np.ndarray:
    """Return the mask of an ellipse, (H, W) uint8: the pixels whose centres it holds; radii across and down."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    row, column = centre or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    turn = np.deg2rad(degrees)
    along = (x - column) * np.cos(turn) + (y - row) * np.sin(turn)
    other = (y - row) * np.cos(turn) - (x - column) * np.sin(turn)
    return (np.hypot(along / radii[0], other / radii[1]) <= 1).astype(np.uint8)


def speckled(labels: np.ndarray, seed: int = 0, inside: float = 70.0, around: float = 110.0) -> np.ndarray:
    """Return a grey picture (H, W) uint8 of tissue with noise, its nodules `inside` and all else `around`."""
    noise = np.random.default_rng(seed).normal(0, 1, labels.shape)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), float)
    return np.clip(np.where(labels > 0, inside, around) + 12 * noise / noise.std(), 0, 255).astype(np.uint8)


def random_nodule(rng: np.random.Generator) -> Nodule:
    """Draw the descriptors of a nodule; calcium is seen in solid ones."""
    solid = str(rng.choice([nodules.SOLID, nodules.SOLID, nodules.MIXED, nodules.CYSTIC, nodules.SPONGIFORM]))
    levels = [nodules.HYPERECHOIC, nodules.ISOECHOIC, nodules.HYPOECHOIC, nodules.VERY_HYPOECHOIC]
    size, ratio = rng.uniform(0.10, 0.20), np.exp(rng.uniform(-0.4, 0.4))
    foci = [(), (nodules.MACRO,), (nodules.PUNCTATE,)][int(rng.integers(3))]
    return Nodule(
        centre=(float(rng.uniform(0.34, 0.46)), float(rng.uniform(0.42, 0.58))),
        radii=(size * ratio**0.5, size / ratio**0.5, size),
        composition=solid,
        echogenicity=nodules.ANECHOIC if solid == nodules.CYSTIC else str(rng.choice(levels)),
        margin=str(rng.choice([nodules.SMOOTH, nodules.ILL_DEFINED, nodules.LOBULATED])),
        foci=foci if solid == nodules.SOLID else (),
    )


def measured_phantoms(n: int, shape: tuple[int, int], seed: int = 0) -> list[tuple[Nodule, dict[str, Any]]]:
    """Draw phantoms, every other one under a convex probe, and measure them under their true outlines."""
    found = []
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        nodule = random_nodule(rng)
        image, mask = draw_field([nodule], shape, rng, probe="linear" if k % 2 else "convex")
        (row,) = measure_frame(image, mask, image > 0, None, None)
        found.append((nodule, row | {"case_id": str(k)}))
    return found
