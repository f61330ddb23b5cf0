"""Pictures that nearly repeat: one view stored twice, resized, brightened or encoded anew.

Candidates are pictures with almost the same difference hash (whether it grows brighter from left to right, on a grid of
8 x 8; N. Krawetz, "Kind of Like That", 2013), confirmed by the correlation of their thumbnails.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from workflow_scripts.files import natural

# Measured on the inputs of real pictures (DDTI 396, BUSI 30, HC18 33). Different views reach a correlation of 0.81 at
# most (78,000 pairs across DDTI's groups, led by wide pictures between the same black bars); the pairs from 0.90 on, 6
# in BUSI, were one patient's view when looked at. Of 52 DDTI pictures planted again as JPEG of quality 40, at 0.6 of
# their size, brighter, with calipers, speckled anew or cut by 3 %, these limits find 96 % or more; smaller, darker and
# as JPEG at once 77 %, at gamma 0.7 62 %, cut by 6 % 21 %. With 0.97 and 6 it is 81 % at 0.6 of the size, 48 % for all
# at once and 2 % at that gamma.
MIN_CORRELATION = 0.90
MAX_DISTANCE = 14  # of 64 bits: some 0.4 % of all pairs become candidates
THUMBNAIL = 64  # pixels a side
BLOCK = 512  # pictures that are compared with as many others at a time


@dataclass(frozen=True)
class Pair:
    """Two pictures of different groups that show one view: their places, and the correlation of their thumbnails."""

    first: int
    second: int
    correlation: float


def difference_hash(picture: np.ndarray) -> int:
    """Return the 64-bit difference hash of a (H, W) uint8 picture."""
    small = cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Return (THUMBNAIL * THUMBNAIL,) float32 of mean 0 and norm 1: two of them multiply to Pearson's correlation."""
    small = cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    norm = np.linalg.norm(small)
    return small / norm if norm else small


def near_duplicates(hashes: Sequence[int], thumbnails: Sequence[np.ndarray], groups: Sequence[str]) -> list[Pair]:
    """Find the pictures that nearly repeat in another group.

    Parameters
    ----------
    hashes : sequence of int
        The difference hash of each picture.
    thumbnails : sequence of np.ndarray
        The thumbnail of each picture; 17,000 pictures take 285 MB, and what is computed at a time adds some 20 MB.
    groups : sequence of str
        The group of each picture.

    Returns
    -------
    list of Pair
        The most alike pair of each two groups, most alike first.
    """
    bits = np.array(hashes, np.uint64)
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    best: dict[tuple[int, int], Pair] = {}
    starts = range(0, len(bits), BLOCK)
    for top in starts:
        a = slice(top, top + BLOCK)
        for left in starts[top // BLOCK :]:
            b = slice(left, left + BLOCK)
            near = np.bitwise_count(bits[a, None] ^ bits[None, b]) <= MAX_DISTANCE
            near &= numbers[a, None] != numbers[None, b]
            rows, columns = near.any(1).nonzero()[0], near.any(0).nonzero()[0]
            if not rows.size:
                continue
            alike = np.stack([thumbnails[top + k] for k in rows]) @ np.stack([thumbnails[left + k] for k in columns]).T
            alike[~near[np.ix_(rows, columns)]] = 0
            for row, column in zip(*(alike >= MIN_CORRELATION).nonzero(), strict=True):
                first, second = sorted((top + int(rows[row]), left + int(columns[column])))
                # Rounded, so that the order among equals is no matter of how a library adds up.
                pair = Pair(first, second, round(float(alike[row, column]), 4))
                one, other = sorted((int(numbers[first]), int(numbers[second])))
                if (one, other) not in best or _rank(pair) < _rank(best[one, other]):
                    best[one, other] = pair
    return sorted(best.values(), key=_rank)


def _rank(pair: Pair) -> tuple[float, int, int]:
    return -pair.correlation, pair.first, pair.second


def join(groups: Iterable[str], links: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[int]]:
    """Join groups that are linked, directly or through others.

    Returns
    -------
    dict
        The name of each group once joined: the first of those in it, counting.
    list of int
        The places of the links that joined something; the others link what was joined before them.
    """
    name = {group: group for group in groups}

    def root(group: str) -> str:
        while name[group] != group:
            name[group] = group = name[name[group]]
        return group

    joined = []
    for place, link in enumerate(links):
        first, second = sorted(map(root, link), key=natural)
        if first != second:
            name[second] = first
            joined.append(place)
    return {group: root(group) for group in name}, joined
