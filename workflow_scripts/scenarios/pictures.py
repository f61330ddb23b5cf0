"""The picture of a scenario: the frame's own pixels inside the ultrasound field, and never a mask."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from workflow_scripts.imaging.overlays import remove_overlays
from workflow_scripts.imaging.stills import decode_picture, to_grey
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.scenarios.wording import Unfit

MASK_KEPT = 0.98
"""Share of the mask's area that the ultrasound field must hold: with less, the nodule is cut."""


@dataclass(frozen=True)
class Shot:
    """The frame that was chosen of a case, and the hash of its decoded pixels."""

    frame_id: str
    source_sha256: str


def choose_shot(frames: Path, inputs: Path, case_id: str) -> Shot:
    """Return the frame of a case on which the nodule is largest; of several, the one nearest to the middle.

    Raises
    ------
    Unfit
        When no frame shows one nodule, whole and outlined.
    """
    rows = list(_rows_of(frames, "case_id", case_id, ["frame_id", "frame_index", "mask", "pixel_sha256"]))
    kept = {
        row["frame_id"]: row["mask_kept"] for row in _rows_of(inputs, "case_id", case_id, ["frame_id", "mask_kept"])
    }
    if not rows or not kept:
        raise Unfit("in quarantine: no frame can be used")
    middle = (rows[0]["frame_index"] + rows[-1]["frame_index"]) / 2
    found = []
    for row in rows:
        if row["mask"] and row["frame_id"] in kept:
            labels = decode_picture(row["mask"]["bytes"])
            if area := np.count_nonzero(labels):
                place = (-area, abs(row["frame_index"] - middle), row["frame_index"])
                found.append((place, int(np.unique(labels[labels > 0]).size), row))
    if not found:
        raise Unfit("no frame with an outlined nodule")
    _, nodules, row = min(found, key=lambda each: each[0])
    if nodules > 1:
        raise Unfit("several nodules are outlined, and the labels do not say which one they are of")
    if kept[row["frame_id"]] < MASK_KEPT:
        raise Unfit("the nodule is cut by the edge of the ultrasound field")
    return Shot(row["frame_id"], row["pixel_sha256"])


def read_picture(frames: Path, inputs: Path, root: Path, frame_id: str) -> np.ndarray:
    """Return a frame as it is exported: (h, w) grey uint8 at native resolution, 0 outside the field, cut to its box.

    `root` is the data set's folder, for a still that already is a file.
    """
    (frame,) = _rows_of(frames, "frame_id", frame_id, ["image", "slope", "intercept", "window", "inverted"])
    (ready,) = _rows_of(inputs, "frame_id", frame_id, ["field", "overlay"])
    image = read_shown(frame, root)
    field = decode_picture(ready["field"]["bytes"]) > 0
    grey = remove_overlays(image, field)[0] if ready["overlay"] else np.where(field, to_grey(image), np.uint8(0))
    x, y, width, height = cv2.boundingRect(field.astype(np.uint8))
    return np.ascontiguousarray(grey[y : y + height, x : x + width])


def check_picture(picture: np.ndarray) -> None:
    """Check that a picture shows tissue.

    Raises
    ------
    Unfit
        When it is blank, or is itself a mask: a handful of tones, or (a mask that went through JPEG) hardly any between
        the darkest and the brightest. At least half of the pixels of real ultrasound lie between.
    """
    if picture.size == 0 or picture.std() < 3:
        raise Unfit("the picture is blank")
    between = (picture > int(picture.min()) + 16) & (picture < int(picture.max()) - 16)
    if np.unique(picture).size < 16 or between.mean() < 0.1:
        raise Unfit("the picture is itself a mask")


def _rows_of(path: Path, key: str, value: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a large table whose `key` is `value`; other columns are read only where there are any."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            if value in file.read_row_group(group, columns=[key]).column(key).to_pylist():
                rows = file.read_row_group(group, columns=[*dict.fromkeys([key, *columns])]).to_pylist()
                yield from (row for row in rows if row[key] == value)
