"""Words burned into the part of a picture that is shown: whether there are any, and where.

RapidOCR (Apache-2.0) finds them, with the models that its wheel holds; nothing is fetched. It is optional: the group
`text` of pyproject.toml. `python -m tests.bench_text` measures what is found and what is not.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
import numpy as np

from workflow_scripts.imaging.field_of_view import as_grey, same_shape

_CERTAIN = 0.8  # mean probability of the characters read; tissue and caliper crosses read as words stay below
_CHARACTERS = 2  # letters and digits in a word; single ones are caliper numbers and the orientation marker


@dataclass(frozen=True)
class TextBox:
    """A line of text: its corner and size in pixels of the picture. What it says is not kept: it may be a name."""

    x: int
    y: int
    width: int
    height: int
    score: float


def available() -> str | None:
    """Return the name and version of the text detector, or None where it is not installed."""
    try:
        return ", ".join(f"{name} {version(name)}" for name in ("rapidocr", "onnxruntime"))
    except PackageNotFoundError:
        return None


def find_text(picture: np.ndarray, field: np.ndarray) -> list[TextBox]:
    """Find the lines of text in the field of a picture, from top to bottom.

    Give the picture as it is decoded: `remove_overlays` erases some letters of a word, and the rest is read worse.

    Not found are single characters, most handwriting, and letters barely brighter than the tissue.

    Parameters
    ----------
    picture : np.ndarray
        uint8, shape (H, W) or (H, W, 3) as RGB.
    field : np.ndarray
        bool, shape (H, W): where to look, from `find_field`; all True for an X-ray.

    Returns
    -------
    list of TextBox
        Boxes in pixels of the picture, clipped to it; empty where no text is suspected.

    Raises
    ------
    ModuleNotFoundError
        If the detector is not installed; see `available`.
    ValueError
        If the picture has another type or shape, or the field another shape.
    """
    grey = as_grey(picture)
    inside = same_shape(field, grey).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(inside)
    if not width:
        return []
    shown = cv2.cvtColor((grey * inside)[top : top + height, left : left + width], cv2.COLOR_GRAY2BGR)
    read = _engine()(shown)
    if read.boxes is None:
        return []
    found = []
    for corners, words, score in zip(read.boxes, read.txts, read.scores, strict=True):
        if score >= _CERTAIN and sum(map(str.isalnum, words)) >= _CHARACTERS:
            x0, y0 = np.floor(corners.min(axis=0)).astype(int).clip(0).tolist()
            x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int), (width, height)).tolist()
            found.append(TextBox(left + x0, top + y0, x1 - x0, y1 - y0, round(float(score), 3)))
    return sorted(found, key=lambda box: (box.y, box.x))


@functools.cache
def _engine() -> Any:
    # one thread: the same sums in the same order whatever the machine, and the workflow fills the cores with chunks
    threads = "EngineConfig.onnxruntime.intra_op_num_threads"
    settings = {"Global.log_level": "critical", "Global.use_cls": False, "Global.text_score": _CERTAIN, threads: 1}
    return importlib.import_module("rapidocr").RapidOCR(params=settings)
