"""Ultrasound pictures for a model: less speckle, more contrast, one size.

Pictures are uint8, grey (H, W) or RGB (H, W, 3); masks are bool (H, W), positions
are (x, y) in pixels with pixel centres at whole numbers.
"""

from __future__ import annotations

import cv2
import numpy as np

from workflow_scripts.imaging.field_of_view import same_shape

SPECKLE_METHODS = ("none", "median", "bilateral", "non_local_means")
CONTRAST_METHODS = ("none", "clahe", "stretch")


def reduce_speckle(image: np.ndarray, method: str) -> np.ndarray:
    """Smooth speckle with a filter of OpenCV.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W).
    method : str
        none; median (3 x 3); bilateral (diameter 5, sigma 30 grey levels and 3 pixels); non_local_means (strength 10,
        patches 7 x 7, search 15 x 15).

    Returns
    -------
    np.ndarray
        uint8, shape (H, W), a new array.

    Raises
    ------
    ValueError
        If the method is unknown, or the image is not grey uint8.
    """
    _flat(image)
    if method == "none":
        return image.copy()
    if method == "median":
        return cv2.medianBlur(image, 3)
    if method == "bilateral":
        return cv2.bilateralFilter(image, d=5, sigmaColor=30, sigmaSpace=3)
    if method == "non_local_means":
        return cv2.fastNlMeansDenoising(image, None, h=10, templateWindowSize=7, searchWindowSize=15)
    raise ValueError(f"unknown speckle method {method!r}: choose one of {', '.join(SPECKLE_METHODS)}")


def adjust_contrast(image: np.ndarray, field: np.ndarray, method: str) -> np.ndarray:
    """Spread the grey levels inside the field.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W).
    field : np.ndarray
        bool, shape (H, W).
    method : str
        none; clahe (clip limit 2, 8 x 8 tiles over the field's bounding box); stretch (the 1st to 99th percentile
        inside the field becomes 0 to 255).

    Returns
    -------
    np.ndarray
        uint8, shape (H, W), 0 outside the field.

    Raises
    ------
    ValueError
        If the method is unknown, the image is not grey uint8, or the field has another shape.
    """
    _flat(image)
    inside = same_shape(field, image)
    if method not in CONTRAST_METHODS:
        raise ValueError(f"unknown contrast method {method!r}: choose one of {', '.join(CONTRAST_METHODS)}")
    out = np.where(inside, image, np.uint8(0))
    if method == "none" or not inside.any():
        return out
    if method == "clahe":
        x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
        box = np.s_[y : y + h, x : x + w]
        out[box] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(out[box]))
    else:
        low, high = np.percentile(image[inside], (1, 99))
        levels = (np.arange(256) - low) * (255 / max(high - low, 1))
        out = cv2.LUT(out, np.clip(np.round(levels), 0, 255).astype(np.uint8))
    return np.where(inside, out, np.uint8(0))


def resize_keeping_aspect(
    image: np.ndarray, mask: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Fit a picture and its labels into a size without bending them, centred on zeros.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (h, w) or (h, w, 3); area averaging when shrinking, linear when enlarging.
    mask : np.ndarray or None
        Integer or bool labels, shape (h, w); nearest neighbour by pixel centres, so that no label is invented.
    size : tuple of int
        (H, W) in pixels.

    Returns
    -------
    image : np.ndarray
        uint8, shape (H, W) or (H, W, 3).
    mask : np.ndarray or None
        Labels, shape (H, W), of the mask's type.
    affine : np.ndarray
        float64, shape (2, 3), pixels: `affine @ (x, y, 1)` is the place in the input of the output's (x, y). If the
        input was a crop that starts at (left, top), add that to the last column.

    Raises
    ------
    ValueError
        If the size or the image is empty, or the mask has another shape.
    """
    height, width = size
    h, w = image.shape[:2]
    if min(height, width, h, w) < 1:
        raise ValueError(f"cannot fit {w} x {h} pixels into {width} x {height}")
    scale = min(width / w, height / h)
    new_w, new_h = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    left, top = (width - new_w) // 2, (height - new_h) // 2
    place = np.s_[top : top + new_h, left : left + new_w]
    out = np.zeros((height, width, *image.shape[2:]), image.dtype)
    out[place] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    labels = None
    if mask is not None:
        rows, columns = ((np.arange(n) + 0.5) * old // n for n, old in ((new_h, h), (new_w, w)))
        labels = np.zeros((height, width), mask.dtype)
        labels[place] = same_shape(mask, image)[np.ix_(rows.astype(int), columns.astype(int))]
    sx, sy = w / new_w, h / new_h
    affine = np.array([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]])
    return out, labels, affine


def _flat(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError(f"a grey image must be uint8 of shape (H, W), not {image.dtype} {image.shape}")
