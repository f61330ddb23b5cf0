"""What the sets of radiographs share: files found by how their path ends, tables, pictures as they are.

Their archives differ in the folders above a patient's, so nothing is said of those.
"""

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import TABLE, Indexed, Still, Unusable, WrongLayout
from workflow_scripts.files import listing, natural
from workflow_scripts.imaging.stills import UnreadablePicture, read_still
from workflow_scripts.provenance import ContentHashes

DATA = (".csv", ".jpg", ".jpeg", ".png", ".zip")  # the endings of files that must mean something


def file_names(root: Path) -> list[str]:
    """Return every file under `root`, relative to it; what systems leave behind (`._x`, `.x/`) is passed over.

    Raises
    ------
    WrongLayout
        When a name is not UTF-8: no table could hold it.
    """
    names = [name for name, _, _ in listing(root) if not name.startswith(".") and "/." not in name]
    if odd := [name for name in names if not name.isascii() and name.encode(errors="ignore").decode() != name]:
        raise WrongLayout(f"{root}: the name {odd[0]!r} is not UTF-8; rename it")
    return names


def one_of(names: list[str], root: Path, hashes: ContentHashes) -> tuple[str, str]:
    """Return the first of several copies of one file, and the hash of what it holds.

    Raises
    ------
    Unusable
        When one cannot be read, or they differ: nobody says which one is right.
    """
    found = {}
    for name in names:
        try:
            found[hashes.of(root / name)] = name
        except OSError as error:
            raise Unusable(name, f"it cannot be read ({error.strerror})", "take it from another copy") from None
    if len(found) > 1:
        raise Unusable(names[0], f"{' and '.join(names[1:])} is another file of this name", "keep one under the root")
    return names[0], next(iter(found))


def open_table(names: list[str], root: Path, hashes: ContentHashes) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of every line, that is not blank, of a table of which there may be copies.

    Raises
    ------
    WrongLayout
        When it is no CSV in UTF-8, or the copies differ.
    """
    try:
        name, _ = one_of(names, root, hashes)
    except Unusable as problem:
        raise WrongLayout(f"{root}: {problem}; {problem.mend}") from None
    return read_csv(root / name)


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of every line that is not blank.

    Raises
    ------
    WrongLayout
        When the file is no CSV in UTF-8.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for fields in reader:
                if fields:
                    yield reader.line_num, [field.strip() for field in fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 ({error}); download it again, or save it as UTF-8") from None


def remark(name: str, reason: str, mend: str) -> Indexed:
    """Return something to know of a whole table."""
    return Indexed(TABLE, None, [Unusable(name, reason, mend)])


def without_pictures(name: str, patients: set[str]) -> list[Indexed]:
    """Return the remark that a table has rows of patients of whom nothing is there; none where there are none."""
    if not patients:
        return []
    reason = f"patients of whom no picture is here: {len(patients)}, the first of them {min(patients, key=natural)}"
    return [remark(name, reason, "nothing, or unpack the archives that hold them")]


class FilmClip:
    """The films of one case, each a picture that can be looked at as it is."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Name the files; no pixel yet."""
        self._root, self._names = root, case["sources"]
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of films."""
        return len(self._names)

    def mask_areas(self) -> list[int]:
        """Return 0 for every film: nobody outlined anything."""
        return [0] * len(self._names)

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the films in order; one that is broken is noted in `problems` and left out."""
        for index, name in enumerate(self._names):
            if indices is not None and index not in indices:
                continue
            try:
                image = read_still(self._root / name)
            except (UnreadablePicture, OSError) as error:
                reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
                self.problems.append(Unusable(name, reason, "take the picture from another copy"))
                continue
            yield Still(index, image, None, position=Path(name).name, path=name)
