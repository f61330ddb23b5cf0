"""Files fetched so that an interruption costs nothing: NAME.part grows beside its place, and is renamed once whole.

Beside it `NAME.part.version` says of which version of the remote file (its ETag) the part is: a part of another version
is thrown away.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from tqdm import tqdm

from workflow_scripts.command import Refusal
from workflow_scripts.download.catalogue import size_text

PART = ".part"
VERSION = ".part.version"
STREAMS = 4  # files at a time
PATIENCE = 5  # breaks of the connection in a row without a byte between them
RESTARTS = 3  # of one file, because it changed while it was fetched
BLOCK = 4 << 20  # bytes asked for at a time


@dataclass(frozen=True)
class Remote:
    """A file to fetch, as its store describes it now."""

    name: str  # relative, with /
    size: int | None
    version: str | None  # None: the store does not say, and the file cannot be resumed
    md5: bytes | None = None


class Changed(Exception):
    """The remote file is no longer the version that was asked for."""


class Broken(Exception):
    """The connection broke, or the store had a bad moment: what arrived is kept, and it can be asked again."""


class Store(Protocol):
    """Where files are fetched from. Both methods raise `Broken`, or `Refusal` where asking again is of no use."""

    def look(self, name: str) -> Remote:
        """Return how a file is now."""

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        """Yield the bytes of this version of a file from `start` on, or raise `Changed`."""


def refuse_unsafe(names: Sequence[str]) -> None:
    """Refuse names that would be written outside the folder, onto each other, or that a terminal would act on.

    Raises
    ------
    Refusal
        With the first such name.
    """
    for name in names:
        parts = name.split("/")
        if name.startswith("/") or {"", ".", ".."} & set(parts) or re.search(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:", name):
            raise Refusal(f"the store lists a file {name!r}, which would not stay in the folder: nothing was fetched")
        if name.endswith((PART, VERSION)):
            raise Refusal(f"the store lists a file {name!r}: names of this ending are for files half downloaded")
    if len(set(names)) < len(names):
        raise Refusal("the store lists two files of one name: nothing was fetched")


def fetch_all(store: Store, remotes: Sequence[Remote], folder: Path) -> int:
    """Fetch the files that `folder` lacks, several at a time, and return how many they were.

    Raises
    ------
    Refusal
        Before anything is fetched: for an unsafe name, for a file of another size in its place, for too little space.
        Later: when a file cannot be had, or arrived damaged; what arrived of the others is kept.
    """
    refuse_unsafe([remote.name for remote in remotes])
    with _alone(folder):
        waiting = [remote for remote in remotes if not _there(folder / remote.name, remote)]
        total = sum(remote.size or 0 for remote in waiting)
        parts = (folder / f"{remote.name}{PART}" for remote in waiting)
        needed = total - sum(part.stat().st_size for part in parts if part.is_file())
        if needed > (free := shutil.disk_usage(folder).free):
            raise Refusal(f"{folder}: {size_text(needed)} are still to come, but only {size_text(free)} are free")
        stop = Event()
        with tqdm(total=total, unit="B", unit_scale=True, desc=folder.name) as bar, ThreadPoolExecutor(STREAMS) as pool:

            def moved(count: int) -> None:
                with bar.get_lock():
                    bar.update(count)

            jobs = [pool.submit(fetch, store, remote, folder, moved, stop) for remote in waiting]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:  # Ctrl-C too: the other streams end at their next block
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return len(waiting)


def fetch(store: Store, remote: Remote, folder: Path, moved: Callable[[int], None], stop: Event) -> None:
    """Fetch one file, going on where its part ends; `moved` is told how many bytes it gained or lost."""
    path = folder / remote.name
    part, version = path.with_name(path.name + PART), path.with_name(path.name + VERSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    counted = breaks = restarts = 0
    changed = False
    while not stop.is_set():
        try:
            if changed:
                remote, changed = store.look(remote.name), False
            start = _usable(part, version, remote)
            moved(start - counted)
            counted = start
            if start != remote.size:
                with part.open("ab") as file:
                    for block in store.read(remote, start):
                        file.write(block)
                        moved(len(block))
                        counted, breaks = counted + len(block), 0
                        if stop.is_set():
                            return
            if remote.size is not None and counted != remote.size:
                raise Broken(f"{counted:,} of {remote.size:,} bytes arrived")
            _verify(part, version, remote)
            part.rename(path)
            version.unlink()
            return
        except Changed:
            changed, restarts = True, restarts + 1
            if restarts > RESTARTS:
                raise Refusal(f"{remote.name} changes again and again while it is fetched; try later") from None
        except Broken as error:
            breaks += 1
            if breaks > PATIENCE:
                raise Refusal(f"{remote.name}: {error}; what arrived is kept: give the same command again") from None
            stop.wait(2 ** (breaks - 1))


def _usable(part: Path, version: Path, remote: Remote) -> int:
    """Return how many bytes of the part are of this version; a part of another, or of none, is thrown away."""
    if remote.version and part.is_file() and version.is_file() and version.read_text() == remote.version:
        size = part.stat().st_size
        if remote.size is None or size <= remote.size:
            return size
    part.write_bytes(b"")
    version.write_text(remote.version or "")
    return 0


def _verify(part: Path, version: Path, remote: Remote) -> None:
    if remote.md5 is None:
        return
    with part.open("rb") as file:
        if hashlib.file_digest(file, "md5").digest() == remote.md5:
            return
    part.unlink()
    version.unlink()
    raise Refusal(f"{remote.name} arrived damaged (its MD5 differs) and was deleted; give the same command again")


def _there(path: Path, remote: Remote) -> bool:
    if not path.exists():
        return False
    if not path.is_file() or remote.size not in (None, path.stat().st_size):
        raise Refusal(
            f"{path} is in the way: it is not the published file ({size_text(remote.size)}); move it elsewhere"
        )
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second download out of the folder as long as this one lasts."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refusal(f"{folder}: another download is writing there; wait for it") from None
    finally:
        os.close(handle)
