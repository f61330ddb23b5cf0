"""Calcium in the coronary arteries: its Agatston score, slice by slice, within what a reader outlined.

A lesion is calcium that hangs together in one slice: pixels of 130 HU or more, 1 mm2 or more of them. Its area times a
factor by its densest pixel is its score; a heart's score is the sum. Source: Agatston et al., J Am Coll Cardiol
1990;15:827, doi:10.1016/0735-1097(90)90282-T. The paper does not say whether pixels that touch at a corner hang
together. Here they do; with neighbours by edges alone scores are some 3 % lower (van Ooijen et al., Eur Radiol
2005;15:102, doi:10.1007/s00330-004-2479-x).
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import cv2
import numpy as np

from workflow_scripts.imaging.components import connected_parts

ARTERIES = {  # what a mask calls an artery, and what a table does
    "left main": "lca",
    "left anterior descending": "lad",
    "left circumflex": "lcx",
    "right coronary": "rca",
}
FACTORS_HU = (130, 200, 300, 400)  # from here on the factor is 1, 2, 3, 4
LEAST_MM2 = 1.0
SLICE_MM = 3.0  # the paper's slices, one beside the other
CATEGORIES = {0: "0", 10: "1-10", 100: "11-100", 400: "101-400"}  # up to and including this score
ABOVE = ">400"


@dataclass(frozen=True)
class Lesion:
    """Calcium that hangs together in one slice: its area, and its greatest value."""

    area_mm2: float
    peak_hu: float

    @property
    def score(self) -> float:
        """Return its Agatston score: area in mm2 times the factor of its peak."""
        return self.area_mm2 * bisect_right(FACTORS_HU, self.peak_hu)


def find_lesions(values: np.ndarray, outlined: np.ndarray, spacing_mm: tuple[float, float]) -> list[Lesion]:
    """Return the lesions of one slice within an outline.

    Parameters
    ----------
    values
        (H, W) Hounsfield units.
    outlined
        (H, W) bool: where to look.
    spacing_mm
        Distance between rows, between columns.

    Raises
    ------
    ValueError
        When the two are not of one shape, or a distance is not above 0.
    """
    if values.shape != outlined.shape or min(spacing_mm) <= 0:
        raise ValueError(f"values {values.shape}, outline {outlined.shape}, spacing {spacing_mm}: they do not fit")
    dense = (outlined & (values >= FACTORS_HU[0])).astype(np.uint8)
    parts, stats = connected_parts(dense)
    areas = stats[:, cv2.CC_STAT_AREA] * spacing_mm[0] * spacing_mm[1]
    least = LEAST_MM2 - 1e-9  # 100 pixels of 0.1 x 0.1 mm are 1 mm2
    large = [part for part in range(1, len(stats)) if areas[part] >= least]
    return [Lesion(float(areas[part]), float(values[parts == part].max())) for part in large]


def category(score: float) -> str:
    """Return the category of a heart's score: 0, 1-10, 11-100, 101-400 or >400; what lies between is the higher."""
    limits = list(CATEGORIES)
    place = bisect_left(limits, score)
    return CATEGORIES[limits[place]] if place < len(limits) else ABOVE
