"""Whole slides: tiles of tissue at a stated magnification, read from the pyramid and never from a whole level at once.

The pictures beside the pyramid (label, macro) are not read: a label shows names.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from openslide import OpenSlide, OpenSlideError

LEAST_TISSUE = 0.5  # share of a tile
OVERVIEW = 2048  # pixels of the overview's longer side, at most
BLOCK = 1024  # side of the squares in which a level is read, pixels
MOST_PIXELS = 2**27  # of the level that the overview is drawn from
NEAR = 1.01  # levels are rounded: 4.0003 stands for 4, and 0.499 for 0.5 microns

# Saturation, 0 to 255. Otsu's threshold is held between these, for a slide that is all tissue or all glass has no two
# classes; black borders have a saturation by chance.
PALEST, DEEPEST, BLACK = 15, 40, 30


class UnreadableSlide(ValueError):
    """A slide that does not open, does not decode, or does not say what is needed."""


@dataclass(frozen=True)
class Tile:
    """A square of a slide.

    `x`, `y` are the upper left corner in pixels of level 0, `size` is the side in pixels as it is read. `downsample` is
    the length in level 0 of one of its pixels, `level` the level that it is read from, `mpp` the microns of one of its
    pixels (None where the slide does not say), `tissue` the share that is tissue.
    """

    x: int
    y: int
    size: int
    level: int
    downsample: float
    mpp: float | None
    tissue: float


def open_slide(path: Path) -> OpenSlide:
    """Open a slide; close it, or use it in a `with` statement.

    Raises
    ------
    UnreadableSlide
        When it is missing, of no format that OpenSlide knows, or damaged.
    """
    with _damage():
        return OpenSlide(path)


def list_tiles(
    slide: OpenSlide, size: int, *, magnification: float | None = None, mpp: float | None = None
) -> list[Tile]:
    """Return the tiles of a slide with enough tissue, those with the most first, then by row and column.

    The tiles lie side by side from the upper left corner and do not reach over the edge. Tissue is what is coloured:
    saturation above Otsu's threshold in an overview of at most `OVERVIEW` pixels a side. Ink of a pen counts as tissue.

    Parameters
    ----------
    slide : OpenSlide
        From `open_slide`.
    size : int
        Side of a tile, pixels.
    magnification, mpp : float
        One of the two: the objective's power (20 for 20x), or microns per pixel.

    Raises
    ------
    UnreadableSlide
        When the slide does not say its own magnification or pixel size, was scanned coarser than was asked for, has
        pixels that are not square, or no level coarse enough to look for tissue in.
    """
    own = _mpp(slide)
    if magnification and mpp is None:
        downsample = _needed("objective-power", _stated(slide, "objective-power")) / magnification
    elif mpp and magnification is None:
        downsample = mpp / _needed("mpp-x, mpp-y", own)
    else:
        raise TypeError("expected either a magnification or microns per pixel")
    if downsample * NEAR < 1:
        raise UnreadableSlide(f"it was scanned {1 / downsample:.3g} times coarser than was asked for")
    level, downsample = _level(slide, downsample)
    side = size * downsample
    width, height = slide.dimensions
    columns, rows = (int((length + 0.5) / side) for length in (width, height))
    if not rows or not columns:
        return []
    tissue, scale = _tissue(slide)
    shares = _shares(tissue, side / scale, rows, columns)
    tiles = [
        Tile(
            x=round(column * side),
            y=round(row * side),
            size=size,
            level=level,
            downsample=downsample,
            mpp=own * downsample if own else None,
            tissue=float(shares[row, column]),
        )
        for row, column in np.argwhere(shares >= LEAST_TISSUE).tolist()
    ]
    return sorted(tiles, key=lambda tile: (-tile.tissue, tile.y, tile.x))


def read_tile(slide: OpenSlide, tile: Tile) -> np.ndarray:
    """Return the pixels of a tile: (size, size, 3), RGB, uint8; white where nothing was scanned.

    Raises
    ------
    UnreadableSlide
        When a part of it does not decode. OpenSlide reads nothing more from this slide then: open it again.
    """
    return _shrunk(slide, tile.level, (tile.x, tile.y), (tile.size, tile.size), tile.downsample)


def _stated(slide: OpenSlide, name: str) -> float | None:
    try:
        value = float(slide.properties.get(f"openslide.{name}", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _needed(name: str, value: float | None) -> float:
    if value is None:
        raise UnreadableSlide(f"it does not say its scale (openslide.{name}): nothing else tells how large a tile is")
    return value


def _mpp(slide: OpenSlide) -> float | None:
    across, down = _stated(slide, "mpp-x"), _stated(slide, "mpp-y")
    if across is None or down is None:
        return None
    if not 1 / NEAR <= across / down <= NEAR:
        raise UnreadableSlide(f"its pixels are {across:g} by {down:g} microns: expected squares")
    return across


def _level(slide: OpenSlide, downsample: float) -> tuple[int, float]:
    """Return the coarsest level that is not coarser than asked, and its own downsample where the two are near."""
    level = max(k for k, own in enumerate(slide.level_downsamples) if own <= downsample * NEAR)
    own = slide.level_downsamples[level]
    return level, own if downsample <= own * NEAR else downsample


def _tissue(slide: OpenSlide) -> tuple[np.ndarray, float]:
    """Return where tissue is in an overview, 0/1, and the length in level 0 of one of its pixels."""
    level, scale = _level(slide, max(1.0, max(slide.dimensions) / OVERVIEW))
    width, height = slide.level_dimensions[level]
    if width * height > MOST_PIXELS:
        raise UnreadableSlide(
            f"its level {level} has {width} x {height} pixels and none is coarser: expected a pyramid"
        )
    width, height = (max(1, int(length / scale)) for length in slide.dimensions)
    hsv = cv2.cvtColor(_shrunk(slide, level, (0, 0), (width, height), scale), cv2.COLOR_RGB2HSV)
    saturation, value = hsv[..., 1], hsv[..., 2]
    threshold = cv2.threshold(saturation, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
    coloured = (saturation > min(max(threshold, PALEST), DEEPEST)) & (value > BLACK)
    return coloured.astype(np.uint8), scale


def _shares(mask: np.ndarray, side: float, rows: int, columns: int) -> np.ndarray:
    """Return the mean of a mask in squares of a side (a fraction of pixels too) from its upper left corner."""
    sums = cv2.integral(mask).astype(np.float64)
    for count in (rows, columns):
        places = np.minimum(np.arange(count + 1) * side, len(sums) - 1)
        low = places.astype(int)
        part = (places - low)[:, None]
        sums = (sums[low] * (1 - part) + sums[np.minimum(low + 1, len(sums) - 1)] * part).T
    return np.round(np.diff(np.diff(sums, axis=0), axis=1) / side**2, 4)  # the sums' last digits are no order


def _shrunk(
    slide: OpenSlide, level: int, corner: tuple[int, int], size: tuple[int, int], downsample: float
) -> np.ndarray:
    """Return (height, width, 3) RGB of a part of a slide (corner and downsample in level 0), read block by block."""
    ratio, (width, height) = downsample / slide.level_downsamples[level], size
    pixels, step = np.empty((height, width, 3), np.uint8), max(1, int(BLOCK / ratio))
    for top in range(0, height, step):
        for left in range(0, width, step):
            block = pixels[top : top + step, left : left + step]
            place = corner[0] + round(left * downsample), corner[1] + round(top * downsample)
            with _damage():
                region = slide.read_region(place, level, (round(block.shape[1] * ratio), round(block.shape[0] * ratio)))
            colours, alpha = np.split(np.asarray(region).astype(np.uint16), [3], axis=2)
            on_white = ((colours * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
            block[:] = cv2.resize(on_white, (block.shape[1], block.shape[0]), interpolation=cv2.INTER_AREA)
    return pixels


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except OpenSlideError as error:
        raise UnreadableSlide(f"it does not read as a slide ({' '.join(str(error).split())})") from None
