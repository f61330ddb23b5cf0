"""Picture and masks of one row of a thyroid screening record: files below the root, or URLs from permitted hosts."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from workflow_scripts.collections.collection import Source, Still, Unusable
from workflow_scripts.collections.masked_stills import read_mask
from workflow_scripts.collections.thyroid_table_columns import Record, open_table
from workflow_scripts.collections.thyroid_table_rows import Row
from workflow_scripts.collections.thyroid_table_words import NOTHING, normal
from workflow_scripts.fetching import Fetcher, FetchRules, NotFetched
from workflow_scripts.imaging.stills import UnreadablePicture, read_still

IMAGE, MASKS = "image_uri", ("mask_expert_uri", "mask_predicted_uri")
VIEWABLE = (".png", ".jpg", ".jpeg")
NO_FETCHING = FetchRules((), (), 0, 0, 0, True)


def uri_of(record: Record, column: str) -> str | None:
    """Return the path or URL in a column, None where it is blank or says that there is none."""
    text = record.values.get(column, "")
    return None if not text or NOTHING.fullmatch(normal(text)) else text


def base_of(table: Path, source: Source) -> Path:
    """Return the folder at which paths in the table start: the root, or the folder in it that the data set is in."""
    return source.root if source.options.get("table") else table.parent


def locate(text: str, base: Path, root: Path) -> Path | str:
    """Return the file under `root` that a path or a file:// URI names, or an http(s) URL as it is.

    Raises
    ------
    Unusable
        When it is neither, leads out of the root, or is not there.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme and scheme[1].lower() in ("http", "https"):
        return text
    if scheme and not text.lower().startswith(("file:///", "file://localhost/")):
        raise Unusable(
            text.partition("?")[0][:200], "it is neither a path nor file:///…, http(s)://…", "write one of these"
        )
    path = unquote(text[7:].removeprefix("localhost")) if scheme else text.replace("\\", "/")
    found = Path(os.path.normpath(base / path))
    for top in (os.path.normpath(root), os.path.abspath(root), os.path.realpath(root)):
        if found.is_relative_to(top):
            inside = root / found.relative_to(top)
            if not os.path.isfile(inside):
                raise Unusable(path[:200], "it is not there", "add the file, or correct its name in the table")
            return inside
    raise Unusable(path[:200], "it leads out of the data set's root", "move the file below the root")


@lru_cache(maxsize=1)
def _fetcher(rules: FetchRules, cache: Path) -> Fetcher:
    return Fetcher(rules, cache)  # reads the system's certificates, which takes a while


class RecordClip:
    """The picture of one case, with the masks of an expert and of a model."""

    def __init__(self, source: Source, case: Mapping[str, Any]) -> None:
        """Find the row of the case in the table; no pixel yet."""
        self._root, self._table = source.root, case["sources"][0]
        path = source.root / self._table
        records = [one for one in open_table(path, source).records if one.key == case["source_key"]]
        if len(records) != 1:
            raise Unusable(self._table, "the row of the case is not in it", "run again: it has changed since the index")
        self._record, self._base = records[0], base_of(path, source)
        options = source.options.get("fetch")
        self._rules, self._fetched = FetchRules.of(options) if options else NO_FETCHING, source.cache / "fetched"
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return 1."""
        return 1

    def mask_areas(self) -> list[int]:
        """Return the area that the expert outlined, in pixels."""
        return [0 if self._still.mask is None else int(np.count_nonzero(self._still.mask))]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the picture; a mask that cannot be used is noted in `problems`, and left out."""
        if indices is None or 0 in indices:
            yield self._still

    @cached_property
    def _still(self) -> Still:
        path, name = self._file(IMAGE)
        try:
            image = read_still(path)
        except (UnreadablePicture, OSError) as error:
            raise self._unusable(name, str(error), "take the picture from another copy") from None
        expert, predicted = (self._mask(column, (image.shape[0], image.shape[1])) for column in MASKS)
        if expert is not None and predicted is not None and not (expert.any() or predicted.any()):
            reason = "expert and model outlined nothing: Dice is not defined, and it is counted apart"
            self.problems.append(self._unusable(None, reason, "nothing, if there is no nodule"))
        shown = name if name and name.lower().endswith(VIEWABLE) else None
        return Still(0, image, expert, name and Path(name).name, path=shown, given_mask=predicted)

    def _mask(self, column: str, shape: tuple[int, int]) -> np.ndarray | None:
        """Return a mask (H, W) as labels; None where there is none, or where it could be of either of two lobes."""
        if uri_of(self._record, column) is None or len(Row(self._record).sides) > 1:
            return None
        name = None
        try:
            path, name = self._file(column)
            return read_mask(path.parent, [path.name], shape)
        except Unusable as error:
            self.problems.append(
                self._unusable(name or error.file, f"{error.reason}; {column} is left out", error.mend)
            )
        except OSError as error:
            self.problems.append(self._unusable(name, f"{error.strerror}; {column} is left out", "see the file"))
        return None

    def _file(self, column: str) -> tuple[Path, str | None]:
        """Return a picture's file, fetched where it is a URL, and its path in the root where it is none."""
        place = locate(self._record.values[column], self._base, self._root)
        if isinstance(place, Path):
            return place, place.relative_to(self._root).as_posix()
        try:
            return _fetcher(self._rules, self._fetched).fetch(place), None
        except NotFetched as error:
            reason, _, mend = str(error).partition("; ")
            raise self._unusable(None, reason, mend) from None

    def _unusable(self, file: str | None, reason: str, mend: str) -> Unusable:
        line = f"line {self._record.line}: "
        return Unusable(file or self._table, reason if reason.startswith(line) else line + reason, mend)
