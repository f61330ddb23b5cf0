"""What the sets of stills with masks of the same name share: files paired by name, masks that went through JPEG."""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import Still, Unusable, WrongLayout
from workflow_scripts.imaging.components import label_nodules
from workflow_scripts.imaging.stills import UnreadablePicture, read_still

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
WHITE = 127  # above it is outlined: JPEG turns 0 and 255 into their neighbours, and some masks have soft edges


def ending(name: str, endings: tuple[str, ...] = PICTURES) -> str:
    """Return which of `endings` (small letters) a name ends in, as it is written there; empty where it is none."""
    return next((name[-len(one) :] for one in endings if name.lower().endswith(one)), "")


def pictures_in(folder: Path, endings: tuple[str, ...] = PICTURES) -> dict[str, list[Path]]:
    """Return the files of a folder that end in one of `endings`, by their names without it; dot files are passed over.

    Raises
    ------
    WrongLayout
        When a name is not UTF-8: no table could hold it.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if (end := ending(path.name, endings)) and not path.name.startswith(".") and path.is_file():
                if path.name.encode(errors="ignore").decode() != path.name:
                    raise WrongLayout(f"{folder}: the name {path.name!r} is not UTF-8; rename it")
                found[path.name.removesuffix(end)].append(path)
    return found


def one(paths: list[Path]) -> Path:
    """Return the only file of a name.

    Raises
    ------
    Unusable
        When there are several: which one is meant is not known.
    """
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise Unusable(paths[0].name, f"{names} are {len(paths)} files of one name", "leave one of them")
    return paths[0]


def read_rows(path: Path) -> list[list[str]]:
    """Return the lines of a CSV in UTF-8 that are not blank.

    Raises
    ------
    WrongLayout
        When it is none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [fields for fields in csv.reader(file) if any(field.strip() for field in fields)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 ({error}); save it as UTF-8") from None


def read_mask(root: Path, paths: Collection[str], shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W) uint8 labels 1..n from one or several mask pictures of one still.

    Parameters
    ----------
    paths
        Relative to `root`. Of several, each outlines what the others do not.
    shape
        Rows and columns of the still.

    Raises
    ------
    Unusable
        When one does not decode, is of another grid, or is neither black and white nor labels up to 32.
    """
    outlined = np.zeros(shape, bool)
    for path in paths:
        try:
            values = read_still(root / path)
        except UnreadablePicture as error:
            raise Unusable(path, f"the mask cannot be read: {error}", "take it from another copy") from None
        values = values.max(axis=2) if values.ndim == 3 else values
        if values.shape != shape:
            (height, width), (rows, columns) = values.shape, shape
            reason = f"the mask is {width} x {height} pixels and its picture {columns} x {rows}"
            raise Unusable(path, reason, "take both from one copy of the set")
        top = int(values.max())
        if 32 < top <= WHITE:
            raise Unusable(path, f"its greatest value is {top}: neither labels nor white on black", "write 0 and 255")
        outlined |= values > WHITE if top > WHITE else values > 0
    return label_nodules(outlined, min_area=1)


class MaskedStill:
    """A still and its masks; `sources` of the case are the picture, then the masks, then what else it rests on."""

    def __init__(self, root: Path, case: Mapping[str, Any], spacing_mm: float | None = None) -> None:
        """Remember the files; no pixel yet."""
        self._root = root
        self._picture, *rest = case["sources"]
        self._masks = [path for path in rest if Path(path).suffix.lower() in PICTURES]
        self._spacing_mm = (spacing_mm, spacing_mm) if spacing_mm else None
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return 1."""
        return 1

    def mask_areas(self) -> list[int]:
        """Return the outlined area in pixels."""
        return [int((still.mask > 0).sum()) if still.mask is not None else 0 for still in self.read()]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the still; a mask that cannot be used is noted in `problems`, and the still stays without one."""
        if indices is not None and 0 not in indices:
            return
        try:
            image = read_still(self._root / self._picture)
        except (UnreadablePicture, OSError) as error:
            raise Unusable(self._picture, str(error), "take the picture from another copy") from None
        mask = None
        if self._masks:
            try:
                mask = read_mask(self._root, self._masks, (image.shape[0], image.shape[1]))
            except Unusable as problem:
                self.problems = [problem]
        yield Still(0, image, mask, Path(self._picture).name, path=self._picture, spacing_mm=self._spacing_mm)
