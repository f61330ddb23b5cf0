"""The ultrasound field: the beam's coordinates on the picture, and the speckle that they shape."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Probe = Literal["linear", "convex"]

GREY_PER_DB = 255 / 60
GLAND_GREY = 92
NOISE_FLOOR_DB = -20.0
LOOKS = 2
"""Compounded looks: the mean of two intensities, as a scanner's spatial compounding smooths its speckle."""


@dataclass(frozen=True)
class Field:
    """The beam's coordinates of each pixel.

    Attributes
    ----------
    depth, lateral
        (H, W) float32; 0 to 1 from the skin to the deepest row, and from the first beam to the last.
    inside
        (H, W) bool; pixels that a beam reaches.
    """

    depth: np.ndarray
    lateral: np.ndarray
    inside: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the field."""
        return self.depth.shape[0], self.depth.shape[1]

    def pixel(self, depth: float, lateral: float) -> tuple[float, float]:
        """Row and column of a point in the beam's coordinates (the nearest pixel)."""
        distance = np.where(self.inside, np.hypot(self.depth - depth, self.lateral - lateral), np.inf)
        row, column = np.unravel_index(int(distance.argmin()), distance.shape)
        return float(row), float(column)

    def from_beams(self, picture: np.ndarray) -> np.ndarray:
        """Scan-convert a (depth, lateral) picture onto the pixels."""
        height, width = self.shape
        return cv2.remap(picture, self.lateral * width - 0.5, self.depth * height - 0.5, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REFLECT)  # fmt: skip

    def noise(self, rng: np.random.Generator, sigma_depth: float, sigma_lateral: float) -> np.ndarray:
        """Smooth unit-variance noise, (H, W) float32; sigmas as shares of the field's height."""
        height, _ = self.shape
        white = rng.standard_normal(self.shape, dtype=np.float32)
        return self.from_beams(_blurred(white, sigma_depth * height, sigma_lateral * height))


def make_field(shape: tuple[int, int], probe: Probe) -> Field:
    """Lay a linear (rectangular) or convex (sector-shaped) field over a picture of the given shape."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    if probe == "linear":
        return Field(rows / height, columns / width, np.ones(shape, bool))
    # The apex lies above the picture, the middle beam ends at its bottom; the outer beams may leave it at the sides.
    inner, half_angle = 0.45 * height, np.deg2rad(30)
    above = inner * np.cos(half_angle)
    outer = height + above
    down, across = rows + above, columns - width / 2
    depth = (np.hypot(down, across) - inner) / (outer - inner)
    lateral = 0.5 + np.arctan2(across, down) / (2 * half_angle)
    inside = (depth >= 0) & (depth <= 1) & (lateral >= 0) & (lateral <= 1)
    return Field(depth.astype(np.float32), lateral.astype(np.float32), inside)


def speckle(field: Field, rng: np.random.Generator, correlation: float) -> Iterator[np.ndarray]:
    """Endless intensities of fully developed speckle, mean 1, (H, W) float32 each.

    The cells are wider than deep and widen with depth; successive pictures correlate as an autoregressive process.
    """
    height, _ = field.shape
    scale = height / 300
    sigmas = ((max(0.5, 0.75 * scale), max(0.8, 1.4 * scale)), (max(0.6, 0.95 * scale), max(1.2, 2.8 * scale)))
    beam_depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    weights = (np.sqrt(1 - beam_depth), np.sqrt(beam_depth))
    state = rng.standard_normal(
        (LOOKS, 2, 2, *field.shape), dtype=np.float32
    )  # looks, near and far, real and imaginary
    while True:
        power = np.zeros(field.shape, np.float32)
        for near_and_far in state:
            for component in range(2):
                wave = sum(
                    weight * _blurred(white[component], *sigma)
                    for weight, white, sigma in zip(weights, near_and_far, sigmas, strict=True)
                )
                power += wave**2 / (2 * LOOKS)
        yield field.from_beams(power)
        fresh = rng.standard_normal(state.shape, dtype=np.float32)
        state = correlation * state + np.float32(np.sqrt(1 - correlation**2)) * fresh


def compress(echo_db: np.ndarray, intensity: np.ndarray, field: Field) -> np.ndarray:
    """Log-compress echoes (dB against the gland) under speckle into grey values, (H, W) uint8."""
    power = 10 ** (echo_db / 10) * intensity + 10 ** (NOISE_FLOOR_DB / 10) * (0.5 + 0.5 * intensity[::-1])
    grey = GLAND_GREY + GREY_PER_DB * (10 * np.log10(np.maximum(power, 1e-6)) + 1.0)
    return np.where(field.inside, np.clip(grey, 2, 255), 0).astype(np.uint8)


def _blurred(white: np.ndarray, sigma_rows: float, sigma_columns: float) -> np.ndarray:
    """Blur white noise and give it unit variance back."""
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=sigma_columns, sigmaY=sigma_rows, borderType=cv2.BORDER_REFLECT)
    return smooth / smooth.std()
