"""Ultrasound pictures: the insonated field, drawn-in marks, speckle, contrast and size.

Pictures are uint8, grey (H, W) or RGB (H, W, 3); masks are bool (H, W); positions are (x, y) in pixels, with pixel
centres at whole numbers.
"""

from __future__ import annotations

import cv2
import numpy as np

SPECKLE_METHODS = ("none", "median", "bilateral", "non_local_means")
CONTRAST_METHODS = ("none", "clahe", "stretch")

_LIT = 4  # grey levels above the surround from which a pixel counts as lit
_COLOURED = 30  # difference between the largest and the smallest channel from which a pixel counts as coloured

# White marks that scanners draw into the field at a fixed size, as patterns: # must be white, - must not be.
_MARKER, _ARROW = (
    np.array([[{"#": 1, "-": -1, ".": 0}[cell] for cell in row] for row in drawn.split()], np.int8)
    for drawn in (
        ".---------. .#########. .#......... .#.......-- --..#.----. --.-#.----. --.-#.----. --.-#.----. --.-#.----.",
        "------- -##.--- -####.- -#####- -####.- -##.--- -------",
    )
)


class FieldNotFound(ValueError):
    """No ultrasound field can be told from the rest of the picture."""


def find_field(image: np.ndarray) -> np.ndarray:
    """Find the insonated picture and leave out text, grey bar, ticks, icons and surround.

    Lit areas survive a median and an opening only if they are wider than 4 % of the picture's short side; the large
    ones make the core, and deep shadow beside it that is barely brighter than the surround is added. A core with both
    upper corners and a straight upper edge is a linear array: the field is its box, or two boxes where two views stand
    side by side at different heights. Any other core is a sector: the field is its convex hull, which includes the
    small cap above a curved probe. Boxes at three edges of the picture become the whole of it, unless something bright
    lies beyond them. Marks drawn over tissue stay inside: see `remove_overlays`.

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
    grey = _grey(image)
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


def remove_overlays(image: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn a picture grey, blank it outside the field, and fill in what the scanner drew over the tissue.

    Only marks whose nature is certain are replaced from their neighbourhood (`cv2.inpaint`, Telea, radius 3): coloured
    glyphs and thin coloured lines; the white T-shaped orientation marker in the upper third and the white focus arrow
    at the sides, which must fit pixel for pixel; and the white part, at most 4 pixels deep, of a mark that crosses the
    field's edge. If a solid coloured area is found (colour Doppler, a tinted grey scale) no coloured pixel is touched.

    Not caught: white or grey text, digits, calipers, arrows and measuring lines over tissue; grey markers; markers at
    another size than the two above; coloured marks in a Doppler picture. A bright echo or a punctate focus is no glyph
    and stays, unless it is white and within 4 pixels of a white mark beyond the field's edge.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W) or (H, W, 3) as RGB.
    field : np.ndarray
        bool, shape (H, W), from `find_field`.

    Returns
    -------
    grey : np.ndarray
        uint8, shape (H, W), 0 outside the field.
    inpainted : np.ndarray
        bool, shape (H, W), True where a pixel of the field was replaced.

    Raises
    ------
    ValueError
        If the image has another type or shape, or the field another shape.
    """
    grey = _grey(image)
    inside = _same_shape(field, grey).astype(np.uint8)
    marks = _white_marks(grey, inside) | _edge_marks(grey, inside)
    if image.ndim == 3:
        marks |= _coloured_marks(image, inside)
    marks = np.asarray(cv2.dilate(marks, np.ones((3, 3), np.uint8)), np.uint8) & inside
    if marks.any():
        # what lies beyond the field's edge must not bleed in, so it counts as unknown too
        unknown = cv2.max(marks, cv2.subtract(cv2.dilate(marks, np.ones((13, 13), np.uint8)), inside))
        grey = cv2.inpaint(grey, unknown, 3, cv2.INPAINT_TELEA)
    return grey * inside, marks.view(bool)


def reduce_speckle(image: np.ndarray, method: str) -> np.ndarray:
    """Smooth speckle with a filter of OpenCV.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W).
    method : str
        none; median (3 x 3); bilateral (diameter 5, sigma 30 grey levels and 3 pixels); non_local_means (strength 10,
        patches 7 x 7, search 15 x 15).

    Returns
    -------
    np.ndarray
        uint8, shape (H, W), a new array.

    Raises
    ------
    ValueError
        If the method is unknown, or the image is not grey uint8.
    """
    _flat(image)
    if method == "none":
        return image.copy()
    if method == "median":
        return cv2.medianBlur(image, 3)
    if method == "bilateral":
        return cv2.bilateralFilter(image, d=5, sigmaColor=30, sigmaSpace=3)
    if method == "non_local_means":
        return cv2.fastNlMeansDenoising(image, None, h=10, templateWindowSize=7, searchWindowSize=15)
    raise ValueError(f"unknown speckle method {method!r}: choose one of {', '.join(SPECKLE_METHODS)}")


def adjust_contrast(image: np.ndarray, field: np.ndarray, method: str) -> np.ndarray:
    """Spread the grey levels inside the field.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (H, W).
    field : np.ndarray
        bool, shape (H, W).
    method : str
        none; clahe (clip limit 2, 8 x 8 tiles over the field's bounding box); stretch (the 1st to 99th percentile
        inside the field becomes 0 to 255).

    Returns
    -------
    np.ndarray
        uint8, shape (H, W), 0 outside the field.

    Raises
    ------
    ValueError
        If the method is unknown, the image is not grey uint8, or the field has another shape.
    """
    _flat(image)
    inside = _same_shape(field, image)
    if method not in CONTRAST_METHODS:
        raise ValueError(f"unknown contrast method {method!r}: choose one of {', '.join(CONTRAST_METHODS)}")
    out = np.where(inside, image, np.uint8(0))
    if method == "none" or not inside.any():
        return out
    if method == "clahe":
        x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
        box = np.s_[y : y + h, x : x + w]
        out[box] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(out[box]))
    else:
        low, high = np.percentile(image[inside], (1, 99))
        levels = (np.arange(256) - low) * (255 / max(high - low, 1))
        out = cv2.LUT(out, np.clip(np.round(levels), 0, 255).astype(np.uint8))
    return np.where(inside, out, np.uint8(0))


def resize_keeping_aspect(
    image: np.ndarray, mask: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Fit a picture and its labels into a size without bending them, centred on zeros.

    Parameters
    ----------
    image : np.ndarray
        uint8, shape (h, w) or (h, w, 3); area averaging when shrinking, linear when enlarging.
    mask : np.ndarray or None
        Integer or bool labels, shape (h, w); nearest neighbour by pixel centres, so that no label is invented.
    size : tuple of int
        (H, W) in pixels.

    Returns
    -------
    image : np.ndarray
        uint8, shape (H, W) or (H, W, 3).
    mask : np.ndarray or None
        Labels, shape (H, W), of the mask's type.
    affine : np.ndarray
        float64, shape (2, 3), pixels: `affine @ (x, y, 1)` is the place in the input of the output's (x, y). If the
        input was a crop that starts at (left, top), add that to the last column.

    Raises
    ------
    ValueError
        If the size or the image is empty, or the mask has another shape.
    """
    height, width = size
    h, w = image.shape[:2]
    if min(height, width, h, w) < 1:
        raise ValueError(f"cannot fit {w} x {h} pixels into {width} x {height}")
    scale = min(width / w, height / h)
    new_w, new_h = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    left, top = (width - new_w) // 2, (height - new_h) // 2
    place = np.s_[top : top + new_h, left : left + new_w]
    out = np.zeros((height, width, *image.shape[2:]), image.dtype)
    out[place] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    labels = None
    if mask is not None:
        rows, columns = ((np.arange(n) + 0.5) * old // n for n, old in ((new_h, h), (new_w, w)))
        labels = np.zeros((height, width), mask.dtype)
        labels[place] = _same_shape(mask, image)[np.ix_(rows.astype(int), columns.astype(int))]
    sx, sy = w / new_w, h / new_h
    affine = np.array([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]])
    return out, labels, affine


def _grey(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"an image must be uint8 of shape (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    return np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _flat(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError(f"a grey image must be uint8 of shape (H, W), not {image.dtype} {image.shape}")


def _same_shape(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    if mask.shape != image.shape[:2]:
        raise ValueError(f"the mask is {mask.shape}, the image {image.shape[:2]}")
    return mask


def _white_marks(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Orientation markers in the field's upper third and focus arrows at its sides, 0/1; two thresholds for "white"."""
    marks = np.zeros_like(grey)
    x, y, w, h = cv2.boundingRect(inside)
    left, right = np.s_[y : y + h, x : x + 20], np.s_[y : y + h, max(x + w - 20, 0) : x + w]
    for pattern, where in ((_MARKER, np.s_[y : y + h // 3, x : x + w + 12]), (_ARROW, left), (_ARROW[:, ::-1], right)):
        glyph, (rows, columns) = (pattern >= 0).astype(np.uint8), pattern.shape
        for white in (200, 212):
            part = cv2.threshold(grey[where], white, 1, cv2.THRESH_BINARY)[1]
            wide = cv2.copyMakeBorder(part, 9, 9, 9, 9, cv2.BORDER_CONSTANT)
            found = cv2.morphologyEx(wide, cv2.MORPH_HITMISS, pattern)[9:-9, 9:-9]
            for row, column in np.argwhere(found):
                top = max(row + where[0].start - rows // 2, 0)
                start = max(column + where[1].start - columns // 2, 0)
                spot = marks[top : top + rows, start : start + columns]
                spot |= glyph[: spot.shape[0], : spot.shape[1]]
    return marks


def _edge_marks(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """White pixels of the field within 4 pixels of white beyond its edge, 0/1: ticks drawn across the edge."""
    white = cv2.threshold(grey, 180, 1, cv2.THRESH_BINARY)[1]
    beyond = cv2.subtract(white, cv2.dilate(inside, np.ones((3, 3), np.uint8)))
    return cv2.bitwise_and(cv2.bitwise_and(white, inside), cv2.dilate(beyond, np.ones((9, 9), np.uint8)))


def _coloured_marks(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Thin coloured strokes in the field, 0/1; nothing where a solid coloured area shows flow or a tint."""
    red, green, blue = cv2.split(image)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    coloured = cv2.threshold(spread, _COLOURED, 1, cv2.THRESH_BINARY)[1] & inside
    if not coloured.any() or _open(coloured, max(11, round(0.04 * min(inside.shape)))).any():
        return np.zeros_like(inside)
    return cv2.dilate(coloured, np.ones((3, 3), np.uint8))


def _surround(grey: np.ndarray) -> int:
    """Grey level of the surround: the tone that most of the picture's rim has, else black."""
    rim = np.concatenate([grey[:2].ravel(), grey[-2:].ravel(), grey[:, :2].ravel(), grey[:, -2:].ravel()])
    tone = int(np.bincount(rim, minlength=256).argmax())
    return tone if np.mean(np.abs(rim.astype(np.int16) - tone) <= 2) >= 0.6 else 0


def _open(mask: np.ndarray, side: int) -> np.ndarray:
    """Morphological opening with a square; the picture's edge does not erode."""
    wide = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(
        cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))[side:-side, side:-side]
    )


def _core(lit: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Large solid lit areas as uint8 0/1: text, bars and ticks are thinner than the opening or too small."""
    short = min(lit.shape)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        _open(cv2.medianBlur(lit, 5), max(3, round(0.04 * short)) | 1), connectivity=4
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
    added = _open(cv2.subtract(faint, core | bright), side)
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
