"""The picture of a scenario: one frame's own pixels, of ultrasound inside the field alone, and never a mask."""

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.imaging.overlays import remove_overlays
from workflow_scripts.imaging.stills import decode_picture, encode_png, to_grey
from workflow_scripts.imaging.text import find_text
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.imaging.windows import window_named
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.wording import Unfit
from workflow_scripts.tables.scenarios import TILES

MASK_KEPT = 0.98
"""Share of a nodule's area that the ultrasound field must hold: with less, it is cut."""
OUTLINE = (255, 210, 0)  # stands out from grey, and for every common kind of colour blindness


@dataclass(frozen=True)
class Shot:
    """The frame that was chosen of a case, its place in it, and the hash of its decoded pixels."""

    frame_id: str
    frame_index: int
    source_sha256: str


@dataclass(frozen=True)
class Chunk:
    """The chunk that holds a case: its tables of frames and inputs, and the data set's folder."""

    frames: Path
    inputs: Path
    root: Path


@dataclass(frozen=True)
class Drawn:
    """A scenario's picture: (h, w) grey or (h, w, 3) RGB, uint8; and the same with the expert's outline drawn in."""

    shot: Shot
    picture: np.ndarray
    overlay: np.ndarray | None


def draw(chunk: Chunk, case_id: str, template: Mapping[str, Any], text: str = "off") -> Drawn:
    """Return the picture that a template asks for of a case.

    `text` is the option `scenarios.text`: whether words are looked for in the picture.

    Raises
    ------
    Unfit
        When the case has no frame of the sort, or its picture cannot be shown.
    """
    shot = choose_shot(chunk, case_id, template["frame"])
    picture, outline = read_picture(chunk, shot.frame_id, template.get("window"), text)
    check_picture(picture)
    if not template.get("overlay"):
        return Drawn(shot, picture, None)
    if outline is None:
        raise Unfit("nobody outlined the frame")
    return Drawn(shot, picture, draw_outline(picture, outline))


def choose_shot(chunk: Chunk, case_id: str, rule: str) -> Shot:
    """Return the frame of a case that a rule chooses.

    Parameters
    ----------
    rule
        `largest_mask`: the frame on which the outline is largest, of several the one nearest to the middle of the case.
        `middle`: the middle one, of an even number the earlier.

    Raises
    ------
    Unfit
        When no frame is left, or none is outlined; when several nodules are outlined, or one is cut.
    """
    kept = {row["frame_id"]: row["mask_kept"] for row in _rows_of(chunk.inputs, "case_id", case_id, ("mask_kept",))}
    masks = ("mask", "mask_kind") if rule == "largest_mask" else ()
    rows = list(_rows_of(chunk.frames, "case_id", case_id, ("frame_index", "pixel_sha256", *masks)))
    usable = [row for row in rows if row["frame_id"] in kept]
    if not usable:
        raise Unfit("in quarantine: no frame can be used")
    if rule == "middle":
        row = usable[(len(usable) - 1) // 2]
        return Shot(row["frame_id"], row["frame_index"], row["pixel_sha256"])
    middle = (rows[0]["frame_index"] + rows[-1]["frame_index"]) / 2
    found = []
    for row in usable:
        if row["mask"]:
            labels = decode_picture(row["mask"]["bytes"])
            if area := np.count_nonzero(labels):
                place = (-area, abs(row["frame_index"] - middle), row["frame_index"])
                found.append((place, int(np.unique(labels[labels > 0]).size), row))
    if not found:
        raise Unfit("no frame is outlined")
    _, nodules, row = min(found, key=lambda each: each[0])
    if row["mask_kind"] == "nodule" and nodules > 1:
        raise Unfit("several nodules are outlined, and the labels do not say which one they are of")
    if row["mask_kind"] == "nodule" and kept[row["frame_id"]] < MASK_KEPT:
        raise Unfit("the nodule is cut by the edge of the ultrasound field")
    return Shot(row["frame_id"], row["frame_index"], row["pixel_sha256"])


def read_picture(
    chunk: Chunk, frame_id: str, window: str | list[float] | None = None, text: str = "off"
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a frame as it is exported, at native resolution, and its (h, w) label mask or None.

    Ultrasound is grey, 0 outside the field, cut to its box, and what the scanner drew into it is painted over. Anything
    else is whole; a picture in colour (a slide) keeps it.

    Raises
    ------
    Unfit
        When a window is asked for and the frame has no Hounsfield units, or words are suspected.
    """
    shown = ("image", "slope", "intercept", "window", "inverted", "unit", "modality", "mask")
    (frame,) = _rows_of(chunk.frames, "frame_id", frame_id, shown)
    (ready,) = _rows_of(chunk.inputs, "frame_id", frame_id, ("field", "overlay"))
    if window is not None:
        if frame["unit"] != "HU":
            raise Unfit("its values are not Hounsfield units, for which the window is")
        named = window_named(window) if isinstance(window, str) else None
        frame |= {"window": [named.centre, named.width] if named else window}
    image = read_shown(frame, chunk.root)
    field = decode_picture(ready["field"]["bytes"]) > 0
    if text != "off" and find_text(image, field):
        raise Unfit("words are suspected in the picture")
    if ready["overlay"]:
        image = remove_overlays(image, field)[0]
    elif frame["modality"] == "US" or _is_grey(image):
        image = to_grey(image)
    image[~field] = 0
    x, y, width, height = cv2.boundingRect(field.astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    outline = decode_picture(frame["mask"]["bytes"])[box] if frame["mask"] else None
    return np.ascontiguousarray(image[box]), outline


def check_picture(picture: np.ndarray) -> None:
    """Check that a picture shows tissue.

    Raises
    ------
    Unfit
        When it is blank, or is itself a mask: a handful of tones, or (a mask that went through JPEG) hardly any between
        the darkest and the brightest. At least half of the pixels of real ultrasound lie between.
    """
    grey = to_grey(picture)
    if grey.size == 0 or grey.std() < 3:
        raise Unfit("the picture is blank")
    between = (grey > int(grey.min()) + 16) & (grey < int(grey.max()) - 16)
    if np.unique(grey).size < 16 or between.mean() < 0.1:
        raise Unfit("the picture is itself a mask")


def draw_outline(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a picture as (h, w, 3) RGB with the edge of every label drawn in."""
    drawn = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture.copy()
    for label in np.unique(labels[labels > 0]):
        contours = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(drawn, contours, -1, OUTLINE, max(1, round(max(labels.shape) / 400)))
    return drawn


def tiles_of(picture: np.ndarray) -> list[np.ndarray]:
    """Return the tiles of a picture, 8 rows of 8."""
    rows = np.array_split(picture, TILES, axis=0)
    return [tile for row in rows for tile in np.array_split(row, TILES, axis=1)]


def tile_hashes(picture: np.ndarray) -> list[str]:
    """Return the hash of each tile of a picture: where two pictures differ, how much of them does."""
    return [pixel_sha256(np.ascontiguousarray(tile))[:16] for tile in tiles_of(picture)]


def as_srgb_png(picture: np.ndarray) -> bytes:
    """Return a lossless PNG that says it is sRGB, and nothing else (PNG, third edition, 11.3.2.5)."""
    data = encode_png(picture)
    head = 8 + 25  # the signature, and IHDR
    chunk = b"sRGB\x00"  # to be shown as it is perceived
    return data[:head] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[head:]


def _is_grey(image: np.ndarray) -> bool:
    return image.ndim == 3 and bool((image == image[..., :1]).all())


def _rows_of(path: Path, key: str, value: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a large table whose `key` is `value`: only the row groups that hold it are read."""
    table = _open(path, path.stat().st_mtime_ns)
    for group in table.groups[key].get(value, ()):
        rows = table.file.read_row_group(group, columns=list(dict.fromkeys([key, "frame_id", *columns])))
        yield from rows.filter(pc.equal(rows.column(key), value)).to_pylist()


@dataclass(frozen=True)
class Table:
    """A large table, and in which of its row groups each case and each frame stands."""

    file: pq.ParquetFile
    groups: Mapping[str, Mapping[str, list[int]]]


@lru_cache(maxsize=256)
def _open(path: Path, changed: int) -> Table:
    """Return a table, open; `changed`, its time, keeps apart what the same path held before."""
    file = pq.ParquetFile(path)
    groups: dict[str, dict[str, list[int]]] = {key: defaultdict(list) for key in ("case_id", "frame_id")}
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=list(groups))
        for key, found in groups.items():
            for value in rows.column(key).unique().to_pylist():
                found[value].append(group)
    return Table(file, groups)
