"""Whether a mask can be what it claims to be, by rules that need neither a reference nor a model."""

from collections.abc import Mapping

import cv2
import numpy as np

from workflow_scripts.metrics.nodules import label_parts
from workflow_scripts.metrics.overlap import count_pixels

# Tried on 394 outlined frames of DDTI, each masked by a model that never saw its patient (docs/quality-control.md).
MOST_PARTS = 2  # 1 expert's outline has more; all 5 masks with more had a Dice under 0.80
LEAST_SOLIDITY = 0.90  # of the convex hull: 13 experts' outlines fill less; 24 of 28 such masks were under 0.80
JUMP = 0.5  # Dice with the neighbouring frames of a clip


def describe_shape(labels: np.ndarray, area: tuple[float, float] | None) -> list[str]:
    """Return what is implausible about a mask, in words.

    Parameters
    ----------
    labels
        (H, W) uint8; whatever is above 0 is nodule.
    area
        Between which shares of a frame experts' outlines cover; None: not known.
    """
    mask = (labels > 0).astype(np.uint8)
    if not mask.any():
        return ["nothing was found"]
    told = []
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    n = int(label_parts(mask).max())
    if n > MOST_PARTS:
        told.append(f"{n} parts")
    largest = max(outlines, key=cv2.contourArea)
    solidity = cv2.contourArea(largest) / max(cv2.contourArea(cv2.convexHull(largest)), 1.0)
    if solidity < LEAST_SOLIDITY:
        told.append(f"ragged or bent: it fills {solidity:.2f} of its convex hull")
    share = mask.mean()
    if area and not area[0] <= share <= area[1]:
        told.append(f"too {'small' if share < area[0] else 'large'}: {100 * share:.2g} % of the frame")
    return told


def find_jumps(masks: Mapping[int, np.ndarray]) -> dict[int, str]:
    """Return the frames of a clip whose mask is another than in the frames beside them, in words by index.

    A frame that agrees with one neighbour does not jump: where a view changes, both sides have one.

    Parameters
    ----------
    masks
        (H, W) labels by the index of their frame.
    """
    told = {}
    for index, mask in masks.items():
        beside = [masks[other] for other in (index - 1, index + 1) if other in masks]
        alike = [count_pixels(mask, other).dice for other in beside if mask.shape == other.shape]
        known = [dice for dice in alike if dice is not None]
        if mask.any() and known and max(known) < JUMP:
            told[index] = f"it jumps: Dice {max(known):.2f} with the frames beside it"
    return told
