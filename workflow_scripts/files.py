"""Files in and out: nothing half-written, and folders listed the same way everywhere."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.command import Refusal

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SKEW = 10 * 10**9  # ns by which the clocks of a disk and of this machine may differ
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, and rename it when all went well: no reader sees half a file.

    Raises
    ------
    Refusal
        When the disk is full or may not be written to; what was at `path` before is still there.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        ours = error.filename is not None and Path(os.fsdecode(error.filename)) in (beside, *path.parents)
        if error.errno in FULL or (error.errno in READ_ONLY and ours):
            mend = "make room, or run with --directory elsewhere, and give the same command again"
            raise Refusal(f"{path}: {os.strerror(error.errno)}; {mend}") from None
        raise
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill, which takes its place when all went well: no reader sees half of one.

    Snakemake marks what a killed job has begun, but looks for the marks of those jobs alone that it knows before its
    checkpoints: half a folder would pass for the whole.

    Raises
    ------
    Refusal
        When the folder that the command runs in is `path` or lies in it: all of that would be thrown away.
    """
    path = Path(os.path.abspath(path))
    if Path.cwd().is_relative_to(path):
        raise Refusal(f"{path}: is where you are, and would be replaced as a whole; name a folder of its own")
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_read_only(*folders: Path) -> None:
    """Refuse to begin where nothing can be written; a folder that is not there yet stands for the one it would lie in.

    Raises
    ------
    Refusal
        When the disk is mounted to be read only, or the folder may not be written to.
    """
    for folder in folders:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
        if not os.access(there, os.W_OK):
            raise Refusal(f"{there}: may not be written to; run with --directory elsewhere")


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
    found, waiting = [], [("", os.fspath(root))]
    while waiting:
        above, folder = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                name, size, time = above + entry.name, -1, -1
                try:  # a million times: `suppress` alone would take a second
                    if entry.is_dir():
                        if not (entry.is_symlink() and _leads_back(entry.path, folder)):
                            waiting.append((f"{name}/", entry.path))
                            continue
                    else:
                        stat = entry.stat()
                        size, time = stat.st_size, stat.st_mtime_ns
                except OSError:
                    pass
                found.append((name, size, time))
    return sorted(found)


def _leads_back(link: str, folder: str) -> bool:
    real = os.path.realpath(link)
    return os.path.commonpath([real, os.path.realpath(folder)]) == real


def set_back(results: Path) -> float:
    """Set the times of all results back where the newest lies in the future, and return by how many seconds.

    After a clock was set back Snakemake would take a changed input for older than what rests on it, and leave that as
    it is. All go back by as much, so that none overtakes another.
    """
    parts = sorted(part for part in results.glob("*") if part.is_dir() and part.name != "cache")
    times = {part / name: when for part in parts for name, _, when in listing(part) if when > 0}
    times |= {path: path.stat().st_mtime_ns for path in results.glob("cache/sources/*.fetched")}
    now, inside = time.time_ns(), results.resolve()
    if max(times.values(), default=0) - now >= SKEW:  # what a link leads to elsewhere is not ours
        times = {path: when for path, when in times.items() if path.resolve().is_relative_to(inside)}
    ahead = max(times.values(), default=0) - now
    if ahead < SKEW:
        return 0
    for path, when in times.items():
        with contextlib.suppress(FileNotFoundError, PermissionError):  # another run may be renaming it
            os.utime(path, ns=(when - ahead, when - ahead))
    return ahead / 1e9


def space_of(results: Path) -> dict[str, int]:
    """Return how many bytes each stage of a run takes, the most first; those of all data sets together."""
    taken = Counter[str]()
    for name, size, _ in listing(results):
        first, *rest = name.split("/")
        taken[rest[1] if first == "datasets" and len(rest) > 2 else first] += max(size, 0)
    return dict(taken.most_common())


def in_bytes(count: float) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
