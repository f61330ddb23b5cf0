"""Nodules told apart: a mask's connected parts, the largest first."""

import cv2
import numpy as np


def connected_parts(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the connected parts of a mask (H, W) uint8, corners included: labels (H, W) int32, 0 is background, and
    OpenCV's stats (n, 5) of each label.

    The algorithm is named: OpenCV's own choice takes three times as long to count the same parts.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_BBDT)
    return labels, stats


def label_nodules(mask: np.ndarray, min_area: int) -> np.ndarray:
    """Label the connected parts of a mask.

    Parameters
    ----------
    mask : np.ndarray
        (H, W), bool or integer: nodule where it is not zero. Parts that touch at a corner are one.
    min_area : int
        Smallest part that is kept, pixels.

    Returns
    -------
    np.ndarray
        (H, W) uint8: 0 background, 1..n nodules, the largest first, the upper left first among equals. A table of masks
        counts to 255: smaller parts than the 255 largest are dropped.
    """
    parts, stats = connected_parts((mask != 0).astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, len(stats)) if areas[part] >= min_area]
    # The bounding box decides among equals, whatever order the library counts in: no two parts have the same.
    box = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]
    kept.sort(key=lambda part: (-int(areas[part]), *stats[part, box].tolist()))
    labels = np.zeros(len(stats), np.uint8)
    labels[kept[:255]] = np.arange(1, len(kept[:255]) + 1)
    return labels[parts]
