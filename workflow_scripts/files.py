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


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that counts: 2 before 10, whatever surrounds the digits."""
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Return (relative path, size, time in ns) of every file under `root`, sorted: what a change would change."""
    found = []
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            stat = os.stat(os.path.join(folder, name))
            found.append((os.path.relpath(os.path.join(folder, name), root), stat.st_size, stat.st_mtime_ns))
    return sorted(found)
