"""The ultrasound field: the part of a picture that shows tissue, without text, bars, ticks and surround.

Pictures are uint8, grey (H, W) or RGB (H, W, 3); masks are bool (H, W), positions
are (x, y) in pixels with pixel centres at whole numbers.
"""

from __future__ import annotations

import cv2
import numpy as np

_LIT = 4  # grey levels above the surround from which a pixel counts as lit


class FieldNotFound(ValueError):
    """No ultrasound field can be told from the rest of the picture."""


def find_field(image: np.ndarray) -> np.ndarray:
    """Find the insonated picture and leave out text, grey bar, ticks, icons and surround.

    Lit areas survive a median and an opening only if they are wider than 4 % of the picture's short side; the large
    ones make the core, and deep shadow beside it that is barely brighter than the surround is added. A core with both
    upper corners and a straight upper edge is a linear array: the field is its box, or two boxes where two views stand
    side by side at different heights. Any other core is a sector: the field is its convex hull, which includes the
    small cap above a curved probe. Boxes at three edges of the picture become the whole of it, unless something bright
    lies beyond them. Marks drawn over tissue stay inside: see `overlays`.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W) or (H, W, 3) as RGB.

    Returns
    -------
    np.ndarray
        bool, shape (H, W), True in the field; dark tissue is part of it.

    Raises
    ------
    FieldNotFound
        If nothing lit is large and solid enough, or the only large area is one flat tone.
    ValueError
        If the image has another type or shape.
    """
    grey = as_grey(image)
    if min(grey.shape) < 32:
        raise FieldNotFound(f"no ultrasound field: {grey.shape[1]} x {grey.shape[0]} pixels are too few, 32 are needed")
    contrast = cv2.absdiff(grey, np.full_like(grey, _surround(grey)))
    lit = cv2.threshold(contrast, _LIT, 1, cv2.THRESH_BINARY)[1]
    core = _with_dark_parts(_core(lit, grey), contrast)
    field = np.zeros(grey.shape, np.uint8)
    boxes = _boxes(core)
    for x0, y0, x1, y1 in (_settle(lit, box) for box in boxes):
        field[y0:y1, x0:x1] = 1
    if not boxes:
        cv2.fillConvexPoly(field, _hull(core), 1)
    elif sum(bool(edge.any()) for edge in (field[:4], field[-4:], field[:, :4], field[:, -4:])) >= 3:
        beyond = 1 - cv2.dilate(field, np.ones((9, 9), np.uint8))
        if not beyond[contrast > 60].any():
            field[:] = 1
    return field.view(bool)


def as_grey(image: np.ndarray) -> np.ndarray:
    """Return the picture as grey, or raise ValueError when it is no uint8 picture."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"an image must be uint8 of shape (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    return np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def same_shape(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the mask, or raise ValueError when it has another shape than the picture."""
    if mask.shape != image.shape[:2]:
        raise ValueError(f"the mask is {mask.shape}, the image {image.shape[:2]}")
    return mask


def opened(mask: np.ndarray, side: int) -> np.ndarray:
    """Morphological opening with a square; the picture's edge does not erode."""
    wide = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(
        cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))[side:-side, side:-side]
    )


def _surround(grey: np.ndarray) -> int:
    """Grey level of the surround: the tone that most of the picture's rim has, else black."""
    rim = np.concatenate([grey[:2].ravel(), grey[-2:].ravel(), grey[:, :2].ravel(), grey[:, -2:].ravel()])
    tone = int(np.bincount(rim, minlength=256).argmax())
    return tone if np.mean(np.abs(rim.astype(np.int16) - tone) <= 2) >= 0.6 else 0


def _core(lit: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Large solid lit areas as uint8 0/1: text, bars and ticks are thinner than the opening or too small."""
    short = min(lit.shape)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        opened(cv2.medianBlur(lit, 5), max(3, round(0.04 * short)) | 1), connectivity=4
    )
    areas = stats[1:, cv2.CC_STAT_AREA]
    thick = np.minimum(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]) >= 0.1 * short
    keep = thick & (areas >= 0.05 * areas.max(initial=0))
    if areas[keep].sum() < 0.04 * lit.size:
        raise FieldNotFound("no ultrasound field in the picture: nothing lit is large and solid enough")
    core = np.concatenate([[0], keep]).astype(np.uint8)[labels]
    if cv2.meanStdDev(grey, mask=core)[1][0, 0] < 3:
        raise FieldNotFound("no ultrasound field in the picture: its only large area is one flat tone")
    return core


def _with_dark_parts(core: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Add what is barely brighter than the surround and joined to the core: deep shadow that the threshold missed.

    Near anything bright JPEG ringing looks the same, so those places stay out; and an addition that runs to an edge
    of the picture which the core does not reach is a noisy surround.
    """
    x, y, w, _ = cv2.boundingRect(core)
    if core[y : y + 3, x : x + w].any(axis=0).mean() < 0.5:
        return core  # no linear array; a sector's hull closes over its dark parts
    side = max(13, round(0.04 * min(core.shape)) | 1)  # thicker than the 8 pixels that ringing reaches
    bright = cv2.dilate(cv2.threshold(contrast, 40, 1, cv2.THRESH_BINARY)[1], np.ones((17, 17), np.uint8))
    faint = cv2.threshold(cv2.medianBlur(contrast, 5), 0, 1, cv2.THRESH_BINARY)[1]
    added = opened(cv2.subtract(faint, core | bright), side)
    if not added.any():
        return core
    count, labels = cv2.connectedComponents(added, connectivity=4)
    beside = np.zeros(count, np.uint8)
    touching = np.bincount(labels[cv2.dilate(core, np.ones((19, 19), np.uint8)) > 0], minlength=count)
    beside[1:] = touching[1:] > 0
    for edge in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]):
        if not core[edge].any():
            beside[labels[edge].ravel()] = 0
    beside[0] = 0
    return core | beside[labels]


def _boxes(core: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Box of the view, or boxes of two views at different heights, as (x0, y0, x1, y1); empty when it is no box."""
    x0, y0, w, h = cv2.boundingRect(core)
    part = core[y0 : y0 + h, x0 : x0 + w]
    filled = part.any(axis=0)
    top = np.where(filled, part.argmax(axis=0), h)
    bottom = np.where(filled, h - part[::-1].argmax(axis=0), 0)
    steps = np.arange(1, w + 1)
    left = steps * (np.maximum.accumulate(bottom) - np.minimum.accumulate(top))
    right = (steps * (np.maximum.accumulate(bottom[::-1]) - np.minimum.accumulate(top[::-1])))[::-1]
    low, high = w // 5, 4 * w // 5
    if high - low > 1:
        cut = low + int((left[low : high - 1] + right[low + 1 : high]).argmin()) + 1
        halves = [part[:, :cut], part[:, cut:]]
        if left[cut - 1] + right[cut] < 0.99 * w * h and all(map(_is_box, halves)):
            boxes = (cv2.boundingRect(np.ascontiguousarray(half)) for half in halves)
            return [
                (x0 + shift + x, y0 + y, x0 + shift + x + u, y0 + y + v)
                for shift, (x, y, u, v) in zip((0, cut), boxes, strict=True)
            ]
    return [(x0, y0, x0 + w, y0 + h)] if _is_box(part) else []


def _hull(part: np.ndarray) -> np.ndarray:
    """Convex hull, from the first and last pixel of each column (a hundred times fewer points than all pixels)."""
    columns = np.flatnonzero(part.any(axis=0))
    top = part[:, columns].argmax(axis=0)
    bottom = len(part) - 1 - part[::-1, columns].argmax(axis=0)
    points = np.concatenate([np.stack([columns, top], 1), np.stack([columns, bottom], 1)])
    return cv2.convexHull(points.astype(np.int32))


def _is_box(part: np.ndarray) -> bool:
    """Whether both upper corners are there and the upper edge is straight; the lower ones may lie in shadow."""
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(part))
    part = part[y : y + h, x : x + w]
    near = max(5, min(w, h) // 20)
    corners = part[:near, :near].any() and part[:near, -near:].any()
    return bool(corners and part[:3].any(axis=0).mean() >= 0.5)


def _settle(lit: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Move each edge of a box by up to 3 pixels to where the lit share falls."""
    x0, y0, x1, y1 = box
    columns = _edges(lit[y0:y1].mean(axis=0), x0, x1)
    rows = _edges(lit[:, x0:x1].mean(axis=1), y0, y1)
    return columns[0], rows[0], columns[1], rows[1]


def _edges(share: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Edges of a run in a profile of lit shares, moved by up to 3 pixels to where the share is half of that inside."""
    within = share[min(start + 4, len(share) - 1)]
    if within >= 0.3:
        low = max(start - 3, 0)
        start = low + int((share[low : start + 5] >= within / 2).argmax())
    within = share[max(stop - 5, 0)]
    if within >= 0.3:
        high = min(stop + 3, len(share))
        stop = high - int((share[max(stop - 5, 0) : high][::-1] >= within / 2).argmax())
    return start, stop
