"""The slices of one series of COCA, with masks of calcium where a reader looked for it."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skimage.draw

from workflow_scripts.collections.coca_outlines import MASK_NAMES, OTHER, Outline, place_outlines, read_outlines
from workflow_scripts.collections.coca_series import read_series, read_slice
from workflow_scripts.collections.collection import Still, Unusable
from workflow_scripts.collections.ddti_outlines import area, outside
from workflow_scripts.imaging.dicom import UnreadableDicom, numbers, spacing_mm, window


class SeriesClip:
    """The slices of one series, with masks where a reader looked for calcium."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Read headers and outlines; no pixel yet."""
        files = [file for file in case["sources"] if not file.lower().endswith(".xml")]
        self._root, self._series = root, read_series(root, files)  # the index says what is strange about it
        self._looked = case["calcium_outlined"] is not None
        self._outlines: dict[int, list[Outline]] = {}
        if case["calcium_outlined"]:
            table = case["sources"][-1]
            self._outlines = place_outlines(read_outlines(root / table, table)[0], self._series, table)
        known = all(outline.label != OTHER for placed in self._outlines.values() for outline in placed)
        self._names = MASK_NAMES[: OTHER - 1] if known else MASK_NAMES
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of slices."""
        return len(self._series.slices)

    def mask_areas(self) -> list[int]:
        """Return the area of the outlines of each slice in pixels, overlaps counted twice, 0 where there are none."""
        return [round(sum(area(outline.polygon) for outline in self._outlines.get(k, []))) for k in range(self.count())]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield slices in the order of space; a broken one costs an outlined case, whose score would be wrong."""
        if indices is not None and not indices:
            reason = "no slice has an outline: `frames: all` takes them without"
            self.problems.append(Unusable(self._series.slices[0], reason, "nothing, or `frames: all`"))
        for k, (file, header) in enumerate(zip(self._series.slices, self._series.headers, strict=True)):
            if indices is not None and k not in indices:
                continue
            try:
                values = read_slice(self._root / file)
            except UnreadableDicom as error:
                problem = Unusable(file, str(error), "copy the file again")
                if self._outlines:
                    raise problem from None
                self.problems.append(problem)
                continue
            corner = numbers(header.get("ImagePositionPatient"), 3)
            yield Still(
                k,
                values,
                self._mask(k, values.shape) if self._looked else None,
                position=f"slice {k + 1}" + (f" (z = {corner[2]:g} mm)" if corner else ""),
                spacing_mm=spacing_mm(header),
                thickness_mm=self._series.step_mm,
                unit="HU",
                window=window(header),
                inverted=header.PhotometricInterpretation == "MONOCHROME1",
                mask_names=self._names if self._looked else None,
            )

    def _mask(self, k: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return the labels of one slice; where outlines overlap, the later is on top."""
        height, width = shape
        mask = np.zeros((height, width), np.uint8)
        for outline in self._outlines.get(k, []):
            if outside(outline.polygon, width, height):
                reason = f"an outline lies outside the picture of {width} x {height} pixels"
                raise Unusable(self._series.slices[k], reason, "take outlines and series from one copy of the set")
            x, y = outline.polygon.T
            inside = skimage.draw.polygon(y, x, (height, width))
            mask[inside] = outline.label
            if not len(inside[0]):
                reason = "an outline is so thin that it holds no pixel"
                self.problems.append(Unusable(self._series.slices[k], reason, "nothing"))
        return mask
