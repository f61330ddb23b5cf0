"""What a prediction leaves behind that tells how good it is, and what its picture looks like. No reference is needed.

All of it is measured on the model's own grid: it costs the same for every frame, and does not know its pixels' size.
"""

import cv2
import numpy as np

SIGNALS = ("expected_dice", "sharpness", "solidity", "edge")
AGREEMENT = "agreement"  # the one that costs a second prediction
LOOKS = ("grey", "detail")


def measure_signals(probability: np.ndarray, picture: np.ndarray) -> dict[str, float | None]:
    """Return the signals of a prediction; all are None where nothing is above 0.5.

    `expected_dice`: the Dice of the mask with the probabilities themselves. `sharpness`: how fast the probability
    changes across the outline, over a length of the root of the mask's area. `solidity`: how much of its convex hull
    the largest part fills. `edge`: how fast the picture's grey level changes at the outline, over its mean change.

    Parameters
    ----------
    probability
        (h, w) float32; the model's mask is what lies above 0.5.
    picture
        (h, w) uint8, as the model saw it: black outside the field.
    """
    mask = probability > 0.5
    area = int(np.count_nonzero(mask))
    if not area:
        return dict.fromkeys(SIGNALS)
    outlines = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    columns, rows = np.concatenate(outlines)[:, 0].T
    largest = max(outlines, key=cv2.contourArea)
    slope = magnitude(*(cv2.Sobel(probability, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))))
    change = magnitude(*cv2.spatialGradient(cv2.GaussianBlur(picture, (0, 0), 2)))
    return {
        "expected_dice": float(2 * probability[mask].sum() / (area + probability.sum())),
        "sharpness": float(slope[rows, columns].mean() * np.sqrt(area)),
        "solidity": cv2.contourArea(largest) / max(cv2.contourArea(cv2.convexHull(largest)), 1.0),
        "edge": float(change[rows, columns].mean() / (change[picture > 0].mean() + 1) if picture.any() else 0.0),
    }


def magnitude(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return the length of each gradient (h, w) float32."""
    length: np.ndarray = cv2.magnitude(across.astype(np.float32), down.astype(np.float32))
    return length


def measure_agreement(probability: np.ndarray, mirrored: np.ndarray) -> float | None:
    """Return the Dice of two probability maps (h, w), the second found on the mirrored picture and mirrored back; None
    where the first finds nothing."""
    if not (probability > 0.5).any():
        return None
    return float(2 * np.minimum(probability, mirrored).sum() / (probability.sum() + mirrored.sum()))


def measure_looks(picture: np.ndarray, affine: np.ndarray, field: np.ndarray) -> dict[str, float]:
    """Return the mean grey level of a picture inside its field, and the spread of its second derivative: its detail.

    Parameters
    ----------
    picture
        (h, w) uint8, as the model sees it.
    affine
        Six numbers, from the picture to the frame, as in `inputs`.
    field
        (H, W) bool, on the frame's grid.
    """
    size, flags = picture.shape[::-1], cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(field.astype(np.uint8), affine.reshape(2, 3), size, flags=flags)
    return {
        "grey": cv2.mean(picture, inside)[0],
        "detail": float(cv2.meanStdDev(cv2.Laplacian(picture, cv2.CV_16S), mask=inside)[1].item()),
    }
