"""Augmentation of pictures with masks: what another hand, another patient or another machine could have given."""

import cv2
import numpy as np


def augment(
    picture: np.ndarray, mask: np.ndarray, rng: np.random.Generator, policy: str = "full"
) -> tuple[np.ndarray, np.ndarray]:
    """Return a changed copy of a picture (H, W) uint8 and of its mask (H, W) of {0, 1}.

    `policy`, the option `model.augmentation`: `none` changes nothing, `geometry` the place, `full` grey levels too.
    Left and right are swapped, never up and down: skin is above, shadow below. Shifts, zoom and a small turn keep the
    aspect ratio; brightness, contrast, gamma and speckle change as gain and dynamic range do.
    """
    if policy == "none":
        return picture, mask
    height, width = picture.shape
    if rng.random() < 0.5:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    zoom, turn = np.exp(rng.uniform(-0.25, 0.25)), rng.uniform(-12, 12)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-0.1, 0.1, 2) * (width, height)
    picture = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.ascontiguousarray(mask), matrix, (width, height), flags=cv2.INTER_NEAREST)
    if policy == "geometry":
        return picture, mask
    levels = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.3, 0.3))
    levels = (levels - 0.5) * np.exp(rng.uniform(-0.2, 0.2)) + 0.5 + rng.uniform(-0.1, 0.1)
    table = np.clip(levels * 255, 0, 255).astype(np.uint8)
    table[0] = 0  # outside the field stays black
    picture = cv2.LUT(picture, table)
    if rng.random() < 0.3:
        coarse = rng.normal(1, 0.12, (height // 2, width // 2)).astype(np.float32)
        grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        picture = np.clip(picture * grain, 0, 255).astype(np.uint8)
    return picture, mask
