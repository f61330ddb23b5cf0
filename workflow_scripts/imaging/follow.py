"""Which nodules of neighbouring pictures are one: a slice and the next, a frame and the next."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def follow_nodules(masks: Mapping[int, np.ndarray], joined: bool) -> dict[int, np.ndarray]:
    """Return masks whose labels mean the same nodule in all of them.

    Nodules of neighbouring pictures (indices k and k + 1) that share a pixel are one; so are two nodules of one picture
    that a nodule of the next joins. Labels count from 1 in the order in which nodules first appear: those of a single
    picture stay as they are.

    Parameters
    ----------
    masks
        Index of a picture -> (H, W) labels: 0 background, 1..n nodules, none left out.
    joined
        False: the pictures have nothing to do with one another, and every nodule is one of its own.

    Returns
    -------
    dict
        The same indices, ascending -> (H, W) uint8, or uint16 where there are more than 255 nodules.
    """
    indices = sorted(masks)
    counts = [int(masks[k].max(initial=0)) for k in indices]
    first, count = dict(zip(indices, np.cumsum([0, *counts]).tolist(), strict=False)), sum(counts)
    same = np.zeros((2, 0), np.int64)
    for k in indices:
        if joined and k + 1 in masks:
            both = (masks[k] > 0) & (masks[k + 1] > 0)
            shared = np.unique(np.stack([masks[k][both], masks[k + 1][both]]), axis=1).astype(np.int64)
            same = np.hstack([same, shared - 1 + np.array([[first[k]], [first[k + 1]]])])
    found = connected_components(coo_array((np.ones(same.shape[1]), tuple(same)), shape=(count, count)), False)[1]
    number = {group: n for n, group in enumerate(dict.fromkeys(found.tolist()), 1)}
    numbers = np.array([0, *(number[group] for group in found.tolist())], np.uint8 if len(number) < 256 else np.uint16)
    return {k: np.concatenate([numbers[:1], numbers[1 + first[k] :]])[masks[k]] for k in indices}
