"""HDF5 stacks: one data set (frame, row, column) that holds many clips, read in slices that follow its chunks."""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

BLOCK_BYTES = 128 * 2**20  # the most that one read of one stack holds in memory, chunks permitting
BLOCK_MOST = 2**30  # a chunk is decompressed whole, and may claim anything


class UnreadableStack(ValueError):
    """An HDF5 that does not open, or does not hold what was expected."""


def open_stack(path: Path) -> h5py.File:
    """Open an HDF5 for reading.

    Raises
    ------
    UnreadableStack
        When it does not open: no HDF5, or cut off; when it leads to other files; when one of its blocks is too large.
    """
    try:
        file = h5py.File(path, "r", locking=False)  # never written; network file systems may know no locks
    except OSError as error:
        raise UnreadableStack(f"{path}: not a whole HDF5 file ({error}); download it again") from None
    for name in file:
        elsewhere, stack = isinstance(file.get(name, getlink=True), h5py.ExternalLink), None
        if not elsewhere:
            with contextlib.suppress(OSError, KeyError):  # what is damaged is refused where it is read
                stack = file[name]
        if isinstance(stack, h5py.Dataset):
            elsewhere = bool(stack.external) or stack.is_virtual
            if math.prod(stack.chunks or stack.shape[1:]) * stack.dtype.itemsize > BLOCK_MOST:
                reason = f"{name} has blocks of more than {BLOCK_MOST >> 30} GiB"
                raise UnreadableStack(f"{path}: {reason}; download it again")
        if elsewhere:
            raise UnreadableStack(f"{path}: {name} lies in another file; expected all pixels in this one")
    return file


def runs(keys: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """Return for each key the half-open ranges of rows that carry it, in the order of the file."""
    if len(keys) == 0:
        return {}
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    stops = np.append(starts[1:], len(keys))
    found: dict[str, list[tuple[int, int]]] = {}
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        found.setdefault(keys[start].decode("ascii", "replace"), []).append((start, stop))
    return found


def blocks(stack: h5py.Dataset, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges that cover [start, stop), aligned to the stack's chunks.

    A block holds whole chunks along the frame axis, so that none is read twice, and at most `BLOCK_BYTES`, where the
    chunks themselves are not deeper than that.
    """
    depth = stack.chunks[0] if stack.chunks else 1
    frame_bytes = int(np.prod(stack.shape[1:])) * stack.dtype.itemsize
    step = max(1, BLOCK_BYTES // max(1, frame_bytes))
    step = step // depth * depth if step >= depth else step
    first = start
    while first < stop:
        last = min(stop, (first // depth) * depth + step if step >= depth else first + step)
        yield first, last
        first = last


def rows_sha256(stacks: list[h5py.Dataset], start: int, stop: int) -> str:
    """Return the hash of the rows [start, stop) of several stacks, with their shapes; memory stays bounded."""
    digest = hashlib.sha256()
    for stack in stacks:
        digest.update(f"{stack.dtype.str}{stack.shape[1:]}{stop - start}".encode())
        for first, last in blocks(stack, start, stop):
            digest.update(np.ascontiguousarray(stack[first:last]).data)
    return digest.hexdigest()
