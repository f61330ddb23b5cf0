"""Files in and out: nothing half-written, and folders listed the same way everywhere."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, and rename it when all went well: no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def natural(text: str) -> tuple[tuple[int, int, str, str], ...]:
    """Return a sort key that counts: 2 before 10, whatever surrounds the digits."""
    key = []
    for part in filter(None, re.split(r"([0-9]+)", text)):
        digits = part.lstrip("0")  # of two numbers the longer is the larger, however long they are
        key.append((0, len(digits), digits, part) if part[0] in "0123456789" else (1, 0, part, ""))
    return tuple(key)


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Return (relative path, size, time in ns) of every file under `root`, sorted: what a change would change.

    A link that leads nowhere, or back to a folder above it, has -1 for both.
    """
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        loops = [name for name in folders if _leads_back(os.path.join(folder, name), here)]
        folders[:] = [name for name in folders if name not in loops]
        for name in (*names, *loops):
            path = os.path.join(folder, name)
            try:
                stat = None if name in loops else os.stat(path)
            except OSError:
                stat = None
            size, time = (stat.st_size, stat.st_mtime_ns) if stat else (-1, -1)
            found.append((os.path.relpath(path, root), size, time))
    return sorted(found)


def _leads_back(path: str, here: str) -> bool:
    real = os.path.realpath(path)
    return os.path.islink(path) and os.path.commonpath([real, here]) == real
