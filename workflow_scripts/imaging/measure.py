"""Nodules on a frame from a model's probabilities, and what calipers would read of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workflow_scripts.imaging.components import label_nodules

SMALLEST = 0.001  # of the field: what is smaller is no nodule that an expert would outline


@dataclass(frozen=True)
class Measures:
    """A nodule's size, in pixels and, where the spacing is known, in mm.

    `tall_over_wide` is the height over the width of its box, in mm where the spacing is known, else as if pixels were
    square. It stands for the descriptor "taller-than-wide" on a transverse view only, and no picture says its plane.
    """

    area_px: int
    longest_px: float
    perpendicular_px: float
    tall_over_wide: float
    area_mm2: float | None
    longest_mm: float | None
    perpendicular_mm: float | None


def to_frame(probability: np.ndarray, affine: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a probability map (h, w) on the frame's grid (H, W), both float32, by the affine of `inputs`."""
    height, width = shape
    return cv2.warpAffine(probability, affine.reshape(2, 3), (width, height), flags=cv2.INTER_LINEAR)


def outline_nodules(probability: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Return the nodules of a probability map as labels (H, W) uint8, the largest first; none is outside the field."""
    found = ((probability > 0.5) & field).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(found)
    labels = np.zeros_like(found)
    if width:  # parts are counted where there are any: over the whole frame that takes several times as long
        box = np.s_[y : y + height, x : x + width]
        labels[box] = label_nodules(found[box], max(1, round(SMALLEST * int(field.sum()))))
    return labels


def measure_nodules(labels: np.ndarray, spacing_mm: tuple[float, float] | None) -> list[Measures]:
    """Return the measures of each nodule of a label mask, in the order of the labels.

    Parameters
    ----------
    labels
        (H, W) uint8: 0 background, 1..n nodules; a label that no pixel has is no nodule.
    spacing_mm
        Distance between (rows, columns) in mm; None where nobody states it.
    """
    return [measure_nodule(labels == label, spacing_mm) for label in nodules_of(labels)]


def nodules_of(labels: np.ndarray) -> list[int]:
    """Return the labels above 0 of a mask (H, W) uint8, ascending."""
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()
    return [int(label) for label in np.flatnonzero(counts) if label]


def measure_nodule(region: np.ndarray, spacing_mm: tuple[float, float] | None) -> Measures:
    """Return the measures of one nodule, (H, W) bool with at least one pixel; see `measure_nodules`."""
    mask = region.astype(np.uint8)
    area = int(np.count_nonzero(region))
    _, _, width, height = cv2.boundingRect(mask)
    outline = np.concatenate(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0])[:, 0]
    down, across = spacing_mm or (1.0, 1.0)
    longest, perpendicular = diameters(outline)
    in_mm = diameters(outline * np.array([across, down])) if spacing_mm else (None, None)
    ratio = height * down / (width * across)
    return Measures(area, longest, perpendicular, ratio, area * down * across if spacing_mm else None, *in_mm)


def diameters(points: np.ndarray) -> tuple[float, float]:
    """Return the longest distance between points (n, 2) as (x, y), and their extent perpendicular to it.

    Of the outermost pixels' centres: of an ellipse drawn on pixels, that is 0.3 pixels too short on average, where
    their outer edges would be 0.6 to 1 too long.
    """
    hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
    between = hull[:, None] - hull
    distances = np.hypot(between[..., 0], between[..., 1])
    one, other = np.unravel_index(int(distances.argmax()), distances.shape)
    longest = float(distances[one, other])
    if not longest:
        return 0.0, 0.0
    x, y = between[one, other] / longest
    across = hull @ np.array([-y, x])
    return longest, float(across.max() - across.min())
