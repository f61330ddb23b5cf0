"""Nodules counted one by one: which of those that an expert outlined were found."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from workflow_scripts.imaging.components import label_nodules
from workflow_scripts.metrics.overlap import dice_of_iou

SPECK = 0.05  # a part with less of the mask's area than this is no nodule that somebody would count
FOUND = 0.1  # the least IoU of a nodule with the one that was found for it
MATCHING = (
    f"A nodule is a connected part of a mask; parts under {100 * SPECK:g} % of the mask's area are not counted."
    " Outlined and predicted nodules are paired one to one so that the sum of their IoU is greatest; a pair under an"
    f" IoU of {FOUND} is none. The threshold is that of Retina U-Net (Jaeger et al. 2020) and nnDetection (Baumgartner"
    " et al. 2021), there for boxes; to hold masks against it is ours. Where a picture shows two views, a nodule"
    " outlined in both counts twice."
)


@dataclass(frozen=True)
class Matched:
    """How many nodules were outlined and predicted, and the Dice of each pair that belongs together."""

    outlined: int
    predicted: int
    dices: tuple[float, ...]


def label_parts(mask: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8: the connected parts of a mask as labels 1..n, the largest first, specks left out.

    The labels of a mask itself will not do: where outlines overlap, one cuts the other or leaves nothing of it.
    """
    return label_nodules(mask, max(1, math.ceil(SPECK * np.count_nonzero(mask))))


def match_nodules(prediction: np.ndarray, reference: np.ndarray) -> Matched:
    """Pair the predicted nodules with the outlined ones; see `MATCHING`.

    Parameters
    ----------
    prediction, reference
        (H, W) labels of one size; whatever is above 0 is nodule.
    """
    x, y, width, height = cv2.boundingRect(((prediction > 0) | (reference > 0)).astype(np.uint8))
    if not width:
        return Matched(0, 0, ())
    box = np.s_[y : y + height, x : x + width]  # counting parts of the whole picture takes several times as long
    found, outlined = (label_parts(mask[box]).astype(np.uint16) for mask in (prediction, reference))
    # Labels go to 255, so the number of a pair, below, to 255 * 256 + 255: 16 bits hold it.
    n_found, n_outlined = int(found.max(initial=0)), int(outlined.max(initial=0))
    if not (n_found and n_outlined):
        return Matched(n_outlined, n_found, ())
    pairs = np.bincount((outlined * (n_found + 1) + found).ravel(), minlength=(n_outlined + 1) * (n_found + 1))
    shared = pairs.reshape(n_outlined + 1, n_found + 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared
    iou = (shared / np.maximum(union, 1))[1:, 1:]
    iou[iou < FOUND] = 0
    paired = iou[linear_sum_assignment(iou, maximize=True)]
    return Matched(n_outlined, n_found, tuple(dice_of_iou(float(each)) for each in paired if each))
