"""How far apart two outlines lie."""

import cv2
import numpy as np

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def outline(mask: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: a mask's pixels with background among their four neighbours, as outside the picture is."""
    inside = np.pad((mask > 0).astype(np.uint8), 1)
    return (inside > cv2.erode(inside, CROSS))[1:-1, 1:-1]


def surface_distances(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the distance of every outline pixel of each mask to the nearest outline pixel of the other.

    Both directions are pooled, so the result is symmetric but for its order. Its 95th percentile is the HD95 and its
    mean the mean symmetric surface distance, as in medpy's `hd95` and nnU-Net (MONAI takes the larger of the two
    directed percentiles instead).

    Parameters
    ----------
    prediction, reference
        (H, W) labels of one size; whatever is above 0 is nodule.

    Returns
    -------
    (n,) distances in pixels between pixel centres; none where either mask is empty.
    """
    found, outlined = outline(prediction), outline(reference)
    if not (found.any() and outlined.any()):
        return np.empty(0)
    # Everything happens inside the box around both.
    x, y, width, height = cv2.boundingRect((found | outlined).astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    found, outlined = found[box], outlined[box]
    return np.concatenate([distances_to(outlined)[found], distances_to(found)[outlined]]).astype(float)


def distances_to(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W) float64: the distance of each pixel to the nearest one that is set.

    OpenCV's distances differ in their last bits from run to run. Their squares are whole numbers, and so are exact.
    """
    nearly = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    exact: np.ndarray = np.sqrt(np.rint(np.square(nearly.astype(np.float64))))
    return exact
