"""The pixels of Brain-Mets-Lung-MRI-Path-Segs: axial slices of a series with the tumour's outline, tiles of a slide."""

import math
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import Still, Unusable
from workflow_scripts.imaging.slides import Tile, UnreadableSlide, list_tiles, open_slide, read_tile
from workflow_scripts.imaging.volumes import UnreadableVolume, open_volume, resample_mask

CORE, AROUND, WHOLE = 1, 2, 3
NAMES = ("tumour core", "tumour around the core", "tumour, its core not outlined")
SHOWN = (0.5, 99.5)  # percentiles of a volume that become black and white: MR has no unit, and no window of its own
SAMPLE = 2**20  # voxels that the percentiles are taken of, at most

# Scanned at 20x. At 10x a tile is half a millimetre wide: growth pattern and nuclei are both seen, and a slide gives
# eight pictures instead of thousands.
MAGNIFICATION, SIDE, MOST_TILES = 10, 512, 8

AGAIN = "download it again"
OTHER = "take it from another copy, or leave the slide out"


class SeriesClip:
    """One series: its axial slices in the file's order, and the tumour on the grid of the series.

    The core is outlined on the T1CE grid, the whole tumour on the FLAIR grid; what was outlined on the other grid is
    carried over by the files' coordinates, nearest neighbour, and the core wins where both are. An outline that is not
    there is unknown, and no sign of health.
    """

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Read the header of the series; no voxel yet."""
        self._root, (self._name, *self._outlines) = root, case["sources"]
        self.problems: list[Unusable] = []
        try:
            self._volume = open_volume(root / self._name)
            self._view = self._volume.view("axial")
        except UnreadableVolume as error:
            raise Unusable(self._name, str(error), AGAIN) from None

    def count(self) -> int:
        """Return the number of slices."""
        return self._volume.shape[self._view.axes[2]]

    def mask_areas(self) -> list[int]:
        """Return the outlined area of every slice in pixels; all 0 where nobody outlined the tumour, which is noted."""
        if self._labels is None:
            if not self.problems:
                reason = "nobody outlined its tumour: it is not known which slices show it"
                self.problems.append(Unusable(self._name, reason, "take it with `frames: all`, or leave it out"))
            return [0] * self.count()
        columns, rows, _ = self._view.axes
        return [int(area) for area in np.count_nonzero(self._labels, axis=(columns, rows))]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the slices as values, to be shown through the window of the whole volume."""
        if indices is not None and not indices:
            return
        labels = self._labels
        try:
            for piece in self._volume.slices():
                if indices is not None and piece.index not in indices:
                    continue
                mask = None if labels is None else self._view.picture(labels, piece.index)
                if mask is not None and not mask.any():
                    mask = None
                place = "" if piece.position_mm is None else f" (z = {round(piece.position_mm, 1) + 0.0} mm)"
                yield Still(
                    piece.index,
                    _values(piece.pixels),
                    mask,
                    position=f"slice {piece.index + 1}{place}",
                    spacing_mm=piece.spacing_mm,
                    window=self._window,
                    mask_names=None if mask is None else NAMES,
                )
        except UnreadableVolume as error:
            raise Unusable(self._name, str(error), AGAIN) from None

    @cached_property
    def _labels(self) -> np.ndarray | None:
        """The tumour on the grid of the series, (i, j, k) uint8; None where nobody outlined it."""
        outlined = {}
        for name in self._outlines:
            try:
                moved = resample_mask(open_volume(self._root / name), self._volume) > 0
            except UnreadableVolume as error:
                self.problems.append(Unusable(name, f"{error}: the outline is left out", AGAIN))
                continue
            if moved.any():
                outlined[name.lower().endswith(("_core_seg.nii", "_core_seg.nii.gz"))] = moved
            else:
                reason = f"it outlines nothing in {Path(self._name).name}: empty, or beside it"
                self.problems.append(Unusable(name, reason, "outline the tumour, or leave the file out"))
        if not outlined:
            return None
        labels = np.zeros(self._volume.shape, np.uint8)
        if (whole := outlined.get(False)) is not None:
            labels[whole] = AROUND if True in outlined else WHOLE
        if (core := outlined.get(True)) is not None:
            labels[core] = CORE
        return labels

    @cached_property
    def _window(self) -> tuple[float, float]:
        """Centre and width from the percentiles of a regular sample of the voxels."""
        step = math.ceil(math.sqrt(math.prod(self._volume.shape) / SAMPLE))
        sample = np.concatenate([_values(piece.pixels)[::step, ::step].ravel() for piece in self._volume.slices()])
        low, high = (float(value) for value in np.percentile(sample.astype(np.float64), SHOWN))
        return (low + high + 1) / 2, high - low + 1  # DICOM's linear function: low is black, high is white


def _values(pixels: np.ndarray) -> np.ndarray:
    """Return signal as int16, uint16 or float32.

    Raises
    ------
    UnreadableVolume
        When a value is too large for any of them.
    """
    if pixels.dtype in (np.int16, np.uint16):
        return pixels
    if pixels.dtype in (np.int8, np.uint8):
        return pixels.astype(np.int16)
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float32)
    if not np.isfinite(values).all():
        raise UnreadableVolume("a voxel is beyond 3.4e38: expected the signal of an MR series")
    return values


class SlideClip:
    """One slide: at most `MOST_TILES` tiles, those with the most tissue, and where many are full, spread over them."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Name the file; no pixel yet."""
        self._path, self._name = root / case["sources"][0], case["sources"][0]
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of tiles."""
        return len(self._tiles)

    def mask_areas(self) -> list[int]:
        """Return the area of tissue of every tile in pixels: nobody outlines tissue, but it is what is worth taking."""
        return [round(tile.tissue * tile.size**2) for tile in self._tiles]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the tiles in colour, the fullest first."""
        tiles = self._tiles
        try:
            with open_slide(self._path) as slide:
                for index, tile in enumerate(tiles):
                    if indices is None or index in indices:
                        yield Still(
                            index,
                            read_tile(slide, tile),
                            None,
                            position=f"tile {tile.x},{tile.y} level {tile.level} at {MAGNIFICATION}x",
                            spacing_mm=(tile.mpp / 1000, tile.mpp / 1000) if tile.mpp else None,
                        )
        except UnreadableSlide as error:
            raise Unusable(self._name, str(error), OTHER) from None

    @cached_property
    def _tiles(self) -> list[Tile]:
        try:
            with open_slide(self._path) as slide:
                if "openslide.objective-power" in slide.properties:
                    tiles = list_tiles(slide, SIDE, magnification=MAGNIFICATION)
                else:  # 10x is 1 micron a pixel by the scanners' convention (20x: 0.5)
                    tiles = list_tiles(slide, SIDE, mpp=10 / MAGNIFICATION)
        except UnreadableSlide as error:
            raise Unusable(self._name, str(error), OTHER) from None
        if not tiles:
            raise Unusable(self._name, f"no tile of {SIDE} pixels at {MAGNIFICATION}x is tissue", OTHER)
        least = tiles[:MOST_TILES][-1].tissue
        fuller = [tile for tile in tiles if tile.tissue > least]
        tied = [tile for tile in tiles if tile.tissue == least]
        n = min(MOST_TILES - len(fuller), len(tied))
        return [*fuller, *(tied[k * len(tied) // n] for k in range(n))]
