"""How far apart two outlines lie."""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def outline(mask: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: a mask's pixels with background among their four neighbours, as outside the picture is."""
    inside = np.pad((mask > 0).astype(np.uint8), 1)
    return (inside > cv2.erode(inside, CROSS))[1:-1, 1:-1]


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, float] | None = None
) -> np.ndarray:
    """Return the distance of every outline pixel of each mask to the nearest outline pixel of the other.

    Both directions are pooled, so the result is symmetric but for its order. Its 95th percentile is the HD95 and its
    mean the mean symmetric surface distance, as in medpy's `hd95` and nnU-Net (MONAI takes the larger of the two
    directed percentiles instead).

    Parameters
    ----------
    prediction, reference
        (H, W) labels of one size; whatever is above 0 is nodule.
    spacing
        Distance between rows and between columns; None: one pixel each.

    Returns
    -------
    (n,) distances between pixel centres, in the unit of `spacing`, else in pixels; none where either mask is empty.
    """
    found, outlined = outline(prediction), outline(reference)
    if not (found.any() and outlined.any()):
        return np.empty(0)
    # Everything happens inside the box around both.
    x, y, width, height = cv2.boundingRect((found | outlined).astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    found, outlined = found[box], outlined[box]
    scale = 1.0
    if spacing and spacing[0] == spacing[1]:
        scale, spacing = spacing[0], None
    distances = [distances_to(outlined, found, spacing), distances_to(found, outlined, spacing)]
    return np.concatenate(distances) * scale


def distances_to(pixels: np.ndarray, others: np.ndarray, spacing: tuple[float, float] | None) -> np.ndarray:
    """Return (n,) float64: the distance of each pixel of `others` to the nearest of `pixels`, both (H, W) bool.

    OpenCV is several times as fast as SciPy and knows square pixels only. Its distances differ in their last bits from
    run to run; their squares are whole numbers, and so are exact.
    """
    if spacing:
        return np.asarray(distance_transform_edt(~pixels, sampling=spacing))[others]
    nearly = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[others]
    exact: np.ndarray = np.sqrt(np.rint(np.square(nearly.astype(np.float64))))
    return exact
