"""Test-time augmentation: what a network makes of a picture seen in several ways, brought back and averaged."""

from collections.abc import Callable

import cv2
import numpy as np

ZOOMS = (0.85, 1.1, 1.2)  # what each gave is in docs/comparing.md


def average_over_views(probabilities: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """Return the mean probability over a picture as it is, mirrored from left to right, and at `ZOOMS`.

    Parameters
    ----------
    probabilities
        Takes pictures (n, h, w) uint8, gives probabilities of the same shape, float32.
    pictures
        (n, h, w) uint8.
    """
    height, width = pictures.shape[1:]
    total = probabilities(pictures) + probabilities(np.ascontiguousarray(pictures[..., ::-1]))[..., ::-1]
    seen = np.full((height, width), 2, np.float32)  # in how many views a pixel was
    for zoom in ZOOMS:
        there = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, zoom)
        back = cv2.invertAffineTransform(there)
        zoomed = np.stack([cv2.warpAffine(picture, there, (width, height)) for picture in pictures])
        total += np.stack([cv2.warpAffine(found, back, (width, height)) for found in probabilities(zoomed)])
        seen += cv2.warpAffine(np.ones_like(seen), back, (width, height))
    return np.asarray(total / seen)
