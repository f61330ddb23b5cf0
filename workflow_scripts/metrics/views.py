"""What a picture shows around a nodule: one view or two side by side, and where the ultrasound field ends."""

import cv2
import numpy as np

# Tried on the 396 pictures of DDTI, 149 of them two views by eye. Across the seam of these the grey level steps at
# least 3.1 times as much as across the columns around it. In the middle of single views that are as wide as `WIDE`, it
# does at most 1.8 times as much, in 63 pictures from other machines 1.5 times.
SEAM = 2.4
AROUND = 0.05  # to either side, share of the field's width
MIDDLE = (0.47, 0.53)  # where a seam may lie, shares of the field's width
WIDE = 1.4  # the least width over height of a field with two views
NEAR = 3  # pixels: the edges of a field are known no better (imaging.field_of_view moves them by as much)


def may_show_two(field: np.ndarray) -> bool:
    """Say whether a field (H, W), where it is above 0, is wide enough for two views side by side."""
    _, _, width, height = cv2.boundingRect((field > 0).astype(np.uint8))
    return bool(width >= WIDE * height)


def count_views(image: np.ndarray, field: np.ndarray) -> int:
    """Return how many views a picture shows: 2 where they stand side by side, else 1.

    Neighbouring columns of one view are nearly alike; where two views meet, in the middle of a wide field, they differ.

    Parameters
    ----------
    image
        (H, W) uint8, grey, as it was decoded.
    field
        (H, W), the ultrasound field where it is above 0.
    """
    if not may_show_two(field):
        return 1
    x, y, width, height = cv2.boundingRect((field > 0).astype(np.uint8))
    inside = image[y : y + height, x : x + width]
    steps = cv2.absdiff(inside[:, 1:], inside[:, :-1]).mean(axis=0)
    first, last = (round(share * width) for share in MIDDLE)
    seam, near = first + int(steps[first : last + 1].argmax()), round(AROUND * width)
    return 2 if steps[seam] > SEAM * np.median(steps[max(0, seam - near) : seam + near + 1]) else 1


def touches_edge(mask: np.ndarray, field: np.ndarray) -> bool:
    """Say whether a mask comes within `NEAR` pixels of what lies outside the field, or of the picture's own edge.

    Parameters
    ----------
    mask, field
        (H, W) of one size; nodule, and ultrasound field, where they are above 0.
    """
    padded = np.pad((field > 0).astype(np.uint8), NEAR)
    inner = cv2.erode(padded, np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8))[NEAR:-NEAR, NEAR:-NEAR]
    return bool(((mask > 0) & (inner == 0)).any())
