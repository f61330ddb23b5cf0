"""Values (Hounsfield units, signal) in 16-bit PNGs, and the way from values to a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts.imaging.stills import UnreadablePicture, decode_picture, encode_png, read_still
from workflow_scripts.imaging.windows import apply_window


def encode_values(values: np.ndarray) -> tuple[bytes, float, float]:
    """Return a lossless PNG of (H, W) values, and the slope and intercept that give them back.

    int16 and uint16 come back as they are. float32 comes back within 1/131,070 of its range.

    Raises
    ------
    ValueError
        For another type, and for values that are not finite.
    """
    if values.dtype == np.uint16:
        return encode_png(values), 1.0, 0.0
    if values.dtype == np.int16:
        return encode_png((values.astype(np.int32) + 32768).astype(np.uint16)), 1.0, -32768.0
    if values.dtype != np.float32 or not np.isfinite(values).all():
        raise ValueError(f"values are {values.dtype}: expected int16, uint16, or finite float32")
    low, high = float(values.min()), float(values.max())
    slope = (high - low) / 65535 or 1.0
    return encode_png(np.rint((values.astype(np.float64) - low) / slope).astype(np.uint16)), slope, low


def decode_values(data: bytes, slope: float, intercept: float) -> np.ndarray:
    """Return the (H, W) float32 values of a 16-bit PNG."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise UnreadablePicture("it does not decode to 16-bit values")
    return (samples * np.float64(slope) + intercept).astype(np.float32)


def show_values(values: np.ndarray, window: tuple[float, float] | None, inverted: bool = False) -> np.ndarray:
    """Return (H, W) uint8: values through a window (centre and width); without one, from the least to the greatest."""
    if window is None:
        low, high = float(values.min()), float(values.max())
        window = ((low + high + 1) / 2, max(1.0, high - low + 1))
    shown = apply_window(values, *window)
    return 255 - shown if inverted else shown


def read_shown(frame: Mapping[str, Any], root: Path) -> np.ndarray:
    """Return a row of `frames` as it is looked at: (H, W) grey or (H, W, 3) RGB, uint8.

    `root` is the data set's folder, for a still that already is a file.
    """
    path, data = frame["image"]["path"], frame["image"]["bytes"]
    if frame["slope"] is None:
        return read_still(root / path) if path else decode_picture(data)
    values = decode_values(data, frame["slope"], frame["intercept"])
    return show_values(values, tuple(frame["window"]) if frame["window"] else None, frame["inverted"])
