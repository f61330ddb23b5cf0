"""What the pixels say of a nodule that a reader puts into words: how dark, how even, how sharply bounded, what shines.

Grey levels are compared with those around the nodule and told in units of their spread, or as shares of them, so that
the gain of a picture does not matter. docs/nodules.md says of each figure what it stands for and what it cannot say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from workflow_scripts.imaging.components import connected_parts
from workflow_scripts.imaging.measure import nodules_of

FIELD_ROWS = 300  # the height of field that the pixels below are meant for; in a higher one they are more
GAP = 3  # pixels around an outline that nobody draws to the pixel: they count as border, not as surroundings
RING = 0.5  # width of the surroundings, of the radius of the disc of the nodule's area
NARROWEST = 6  # and at least so many pixels
FLUID = 0.3  # of the way from black to the surroundings: what stays darker when smoothed is free of echoes
BLACK = 0.2  # of the grey level of the surroundings: what is black is darker, even in a picture that has no black
FOCUS = 3.0  # spreads by which a focus is brighter than what is around it
WINDOW = 17  # pixels around a spot that count as around it
SMALLEST = 4  # pixels of a focus
FEWEST = 20  # pixels from which a grey level is told


@dataclass(frozen=True)
class Descriptors:
    """The columns of the table `nodules` that need the picture or the field; None where they cannot say."""

    x: float
    depth: float
    touches_edge: bool
    margin_irregularity: float | None
    circularity: float | None
    echogenicity: float | None = None
    heterogeneity: float | None = None
    cystic_share: float | None = None
    border_contrast: float | None = None
    bright_foci: int | None = None
    bright_share: float | None = None
    shadow: float | None = None
    relative_grey: float | None = None
    focus_diameter: float | None = None


@dataclass(frozen=True)
class Cut:
    """A nodule with its surroundings, cut out of a frame, all (h, w); and how many pixels one of the constants is."""

    grey: np.ndarray  # beyond the tissue it is the nodule's median, so that no filter sees what lies there
    region: np.ndarray
    tissue: np.ndarray  # what may be looked at: the field without overlays
    free: np.ndarray  # the same without any nodule
    beyond: np.ndarray  # distance to the nodule, 0 in it
    scale: float


def describe_nodules(
    grey: np.ndarray,
    labels: np.ndarray,
    field: np.ndarray,
    overlay: np.ndarray | None = None,
    spacing_mm: tuple[float, float] | None = None,
) -> list[Descriptors]:
    """Return what the pixels say of each nodule of a label mask, in the order of the labels.

    Parameters
    ----------
    grey
        (H, W) uint8, the frame as it was decoded.
    labels
        (H, W) uint8: 0 background, 1..n nodules.
    field
        (H, W) bool: the ultrasound field; nothing outside it is looked at.
    overlay
        (H, W) bool: what a scanner or a reader painted over the tissue, which is left out; None where nothing was.
    spacing_mm
        Distance between (rows, columns) in mm; None where nobody states it.
    """
    tissue = field if overlay is None else field & ~overlay
    whole = field.astype(np.uint8)
    left, top, width, height = cv2.boundingRect(whole)
    within = cv2.erode(whole, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    dark = percentile(grey[tissue], 1) or 0.0
    found = []
    for label in nodules_of(labels):
        region = labels == label
        x, y, *size = cv2.boundingRect(region.astype(np.uint8))
        box = np.s_[y : y + size[1], x : x + size[0]]
        rows, columns = np.nonzero(region[box])
        cut = cut_out(grey, labels, label, tissue, max(1.0, height / FIELD_ROWS))
        found.append(
            Descriptors(
                x=(x + float(columns.mean()) + 0.5 - left) / max(1, width),
                depth=(y + float(rows.mean()) + 0.5 - top) / max(1, height),
                touches_edge=bool((region[box] & ~within[box]).any()),
                **describe_outline(region[box], spacing_mm),
                **describe_tissue(cut, dark, max(1, height)),
            )
        )
    return found


def describe_outline(region: np.ndarray, spacing_mm: tuple[float, float] | None) -> dict[str, Any]:
    """Return `margin_irregularity` and `circularity` of a nodule (H, W) bool, of its largest part.

    The outline is smoothed along its way, or its steps from pixel to pixel would make it longer than it is.
    """
    outlines = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    points = max(outlines, key=cv2.contourArea)[:, 0] * np.array(spacing_mm[::-1] if spacing_mm else (1.0, 1.0))
    smooth = gaussian_filter1d(points, 2, axis=0, mode="wrap").astype(np.float32)
    area, length = cv2.contourArea(smooth), cv2.arcLength(smooth, True)
    if not area:  # a line or a dot has no shape
        return {"margin_irregularity": None, "circularity": None}
    return {
        "margin_irregularity": max(0.0, 1 - area / cv2.contourArea(cv2.convexHull(smooth))),
        "circularity": 4 * np.pi * area / length**2,
    }


def cut_out(grey: np.ndarray, labels: np.ndarray, label: int, tissue: np.ndarray, scale: float) -> Cut:
    """Return a nodule with its surroundings, and with as much as its own height below it; see `Cut`."""
    region = labels == label
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    pad = int(scale * (GAP + max(NARROWEST, RING * np.sqrt(width * height / np.pi)))) + 1
    rows = slice(max(0, y - pad), y + height + max(pad, height))
    columns = slice(max(0, x - max(pad, width // 2)), x + width + max(pad, width // 2))
    box = rows, columns
    beyond = cv2.distanceTransform((~region[box]).astype(np.uint8), cv2.DIST_L2, 5)
    middle = percentile(grey[box][region[box] & tissue[box]], 50) or 0
    filled = np.where(tissue[box], grey[box], np.uint8(middle))
    return Cut(filled, region[box], tissue[box], tissue[box] & (labels[box] == 0), beyond, scale)


def describe_tissue(cut: Cut, dark: float, field_rows: int) -> dict[str, Any]:
    """Return what the grey levels of a nodule say; nothing where there are too few inside or around it.

    Parameters
    ----------
    cut
        The nodule with its surroundings.
    dark
        The grey level that one percent of the picture's tissue does not reach.
    field_rows
        The field's height, pixels.
    """
    core = cut.region & cut.tissue
    width = max(NARROWEST * cut.scale, RING * np.sqrt(np.count_nonzero(cut.region) / np.pi))
    ring = cut.free & (cut.beyond > GAP * cut.scale) & (cut.beyond <= GAP * cut.scale + width)
    inside, around = middle_and_spread(cut.grey[core]), middle_and_spread(cut.grey[ring])
    if inside is None or around is None or not around[1]:
        return {}
    spread = float(np.hypot(inside[1], around[1]) / np.sqrt(2))
    area = np.count_nonzero(core)
    smooth = cv2.GaussianBlur(cut.grey, (0, 0), 1.5 * cut.scale)
    black = min(dark, BLACK * around[0])
    fluid = core & (smooth < black + FLUID * (around[0] - black))
    foci = bright_foci(cut, core, max(inside[0], around[0]) + FOCUS * spread)
    return {
        "echogenicity": (inside[0] - around[0]) / spread,
        "heterogeneity": inside[1] / around[1],
        "cystic_share": float(np.count_nonzero(fluid) / area),
        "border_contrast": border_contrast(cut, smooth, spread),
        "bright_foci": len(foci),
        "bright_share": float(foci.sum()) / area,
        "shadow": shadow(cut, spread),
        "relative_grey": (inside[0] - black) / (around[0] - black) if around[0] else None,
        "focus_diameter": float(np.sqrt(4 / np.pi * foci.max(initial=0))) / field_rows,
    }


def bright_foci(cut: Cut, core: np.ndarray, glare: float) -> np.ndarray:
    """Return the areas (n,) in pixels of the spots of a nodule that outshine what is around them, or all that is.

    They are brighter than the median of a window around them by `FOCUS` of the usual differences from it, or than the
    grey level `glare`, which finds those that fill a window.
    """
    x, y, width, height = cv2.boundingRect(cut.region.astype(np.uint8))
    pad = round(WINDOW * cut.scale)
    box = np.s_[max(0, y - pad) : y + height + pad, max(0, x - pad) : x + width + pad]
    fine, core = cv2.GaussianBlur(cut.grey[box], (0, 0), 0.8 * cut.scale), core[box]
    above = cv2.subtract(fine, cv2.medianBlur(fine, 2 * (pad // 2) + 1), dtype=cv2.CV_16S)
    first, third = np.percentile(above[core], [25, 75])
    spots = core & ((above > FOCUS * max(1.0, (third - first) / 1.349)) | (fine > glare))
    areas = connected_parts(spots.astype(np.uint8))[1][1:, cv2.CC_STAT_AREA]
    found: np.ndarray = areas[areas >= SMALLEST * cut.scale**2]
    return found


def border_contrast(cut: Cut, smooth: np.ndarray, spread: float) -> float | None:
    """Return how much the grey level changes across the border, `GAP` pixels on either side, in spreads.

    It is the mean slope across the outline, up or down, times the border's width.
    """
    signed = cut.beyond - cv2.distanceTransform(cut.region.astype(np.uint8), cv2.DIST_L2, 5)
    seen = cv2.erode(cut.tissue.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0  # no slope down to what is left out
    border = seen & (abs(signed) <= GAP * cut.scale)
    if np.count_nonzero(border) < FEWEST:
        return None
    (down, across), (out_down, out_across) = (
        [cv2.Sobel(picture, cv2.CV_32F, dx, dy, scale=1 / 8)[border] for dx, dy in ((0, 1), (1, 0))]
        for picture in (smooth, cv2.GaussianBlur(signed, (0, 0), 1))
    )
    slope = abs(down * out_down + across * out_across) / np.maximum(np.hypot(out_down, out_across), 1e-6)
    return float(slope.mean()) * 2 * GAP * cut.scale / spread


def shadow(cut: Cut, spread: float) -> float | None:
    """Return how much brighter it is straight below a nodule than beside that, at the same depth, in spreads."""
    x, y, width, height = cv2.boundingRect(cut.region.astype(np.uint8))
    rows = slice(y + height + round(GAP * cut.scale), y + 2 * height)
    places = (np.arange(cut.grey.shape[1]) + 0.5 - x) / width  # 0 to 1 below the nodule
    behind, beside = abs(places - 0.5) < 0.35, (abs(places - 0.5) > 0.5) & (abs(places - 0.5) < 1)
    here, there = (percentile(cut.grey[rows][cut.free[rows] & where], 50) for where in (behind, beside))
    return None if here is None or there is None else (here - there) / spread


def middle_and_spread(values: np.ndarray) -> tuple[float, float] | None:
    """Return the median of grey levels (n,) uint8, and the standard deviation that a normal distribution with their
    quartiles would have; None of fewer than `FEWEST`."""
    if len(values) < FEWEST:
        return None
    first, middle, third = percentiles(values, [25, 50, 75])
    return middle, (third - first) / 1.349


def percentile(values: np.ndarray, share: float) -> float | None:
    """Return a percentile of grey levels (n,) uint8; None of fewer than `FEWEST`."""
    return percentiles(values, [share])[0] if len(values) >= FEWEST else None


def percentiles(values: np.ndarray, shares: list[float]) -> list[float]:
    """Return percentiles of grey levels (n,) uint8, by counting them."""
    counts = cv2.calcHist([values], [0], None, [256], [0, 256]).astype(np.int64)
    found: list[float] = np.searchsorted(np.cumsum(counts), np.array(shares) / 100 * len(values)).astype(float).tolist()
    return found
