"""What a scanner or a reader drew over the tissue: found by how it is drawn, and filled in from around it.

Pictures are uint8, grey (H, W) or RGB (H, W, 3); masks are bool (H, W), and uint8 0/1 within this file.
"""

from __future__ import annotations

import cv2
import numpy as np

from workflow_scripts.imaging.components import connected_parts
from workflow_scripts.imaging.field_of_view import as_grey, opened, same_shape

_COLOURED = 30  # difference between the largest and the smallest channel from which a pixel counts as coloured
_TINGED = 12  # the same beside coloured pixels
_SQUARE = np.ones((3, 3), np.uint8)

# Typed glyphs: strokes of one tone, 1 or 2 pixels wide, that stand out from both sides by so many grey levels.
_SHARP, _FAINT = 50, 30  # where nothing is known of the picture; where a glyph of the same tone was found
_SAME_TONE = 20
_WHITE = 210  # tone from which a glyph is as bright as echoes can be
_TALLEST, _WIDEST = 14, 16

# The orientation marker of the active and of the other view, the focus arrow: a letter is a tone, a dot is any tone.
_TONES = {"W": 237, "v": 191, "s": 131, "l": 110, "d": 65}
_MARKER, _FAINT_MARKER = (
    np.array([[_TONES.get(cell, 0) for cell in row] for row in drawn.split()], np.float32)
    for drawn in (
        "WWWWWWWWW Wvvvvvvvv Wss.Wvss. ...Wv.... ...Wv.... ...Wv.... ...Wv.... ...Wv.... ...Wv.... ...sss...",
        "lllllllll l.......d ldddd.ddd ...l.d... ...l.d... ...l.d... ...l.d... ...l.d... ...l.d... ...ddd...",
    )
)
_ARROW = np.array(
    [
        [{"#": 1, "-": -1, ".": 0}[cell] for cell in row]
        for row in ("-------", "-##.---", "-####.-", "-#####-", "-####.-", "-##.---", "-------")
    ],
    np.int8,
)


def remove_overlays(image: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn a picture grey, blank it outside the field, and fill in what was drawn over the tissue.

    Only marks whose nature is certain are replaced from their neighbourhood (`cv2.inpaint`, Telea, radius 3):

    - coloured glyphs and thin coloured lines, unless a solid coloured area shows colour Doppler or a tint;
    - white and grey typed glyphs (letters, digits, cross calipers, hollow arrows): strokes of one tone, thinner than 3
      pixels and at least 50 grey levels above both sides, joined to a shape of 6 to 14 by 1 to 16 pixels. A bright
      echo is thicker or fades out, a punctate focus is smaller: both stay;
    - the orientation marker (a T) in the upper third, and the faint one in the same place of a second view;
    - the white focus arrow at the sides, the ticks and dots of the scale on the field's edge.

    Not caught: glyphs outside these sizes, or less than 30 grey levels above the tissue around; measuring lines that
    are not coloured; markers in another shape; any coloured mark in a Doppler picture.

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
    grey = as_grey(image)
    inside = same_shape(field, grey).astype(np.uint8)
    marks = _markers(grey, inside) | _arrows(grey, inside)
    glyphs = _glyphs(grey, inside, marks)
    marks |= _edge_marks(grey, inside)
    if image.ndim == 3:
        drawn, coloured = _coloured_marks(image, inside)
        glyphs[coloured > 0] = 0
        marks |= drawn
    marks = np.asarray(cv2.dilate(marks | glyphs, _SQUARE), np.uint8) & inside
    if marks.any():
        # what lies beyond the field's edge must not bleed in, so it counts as unknown too
        unknown = cv2.max(marks, cv2.subtract(cv2.dilate(marks, np.ones((13, 13), np.uint8)), inside))
        grey = cv2.inpaint(grey, unknown, 3, cv2.INPAINT_TELEA)
    return grey * inside, marks.view(bool)


def _glyphs(grey: np.ndarray, inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Letters, digits, crosses and hollow arrows, 0/1; two of one grey tone let fainter ones of that tone count too.

    White glyphs stand out of all but the brightest echoes, and to look for faint ones would find those.
    """
    marks = np.zeros_like(grey)
    thin = cv2.subtract(cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, _SQUARE), 255 * cv2.dilate(known, _SQUARE))
    tones = []
    for (rows, columns), glyph in _of_text_size(cv2.threshold(thin, _SHARP - 1, 1, cv2.THRESH_BINARY)[1], inside, 6):
        tones.append(float(np.median(grey[rows, columns][glyph > 0])))
        marks[rows, columns] |= glyph
        around = np.s_[max(rows.start - 3, 0) : rows.stop + 3, max(columns.start - 3, 0) : columns.stop + 3]
        marks[around] |= _of_tone(grey[around], thin[around], tones[-1])
    for tone in set(tones):
        alike = [other for other in tones if abs(tone - other) <= _SAME_TONE / 2]
        if tone == min(alike) and len(alike) >= 2 and tone < _WHITE:
            for spot, glyph in _of_text_size(_of_tone(grey, thin, float(np.median(alike))), inside, 5):
                marks[spot] |= glyph
    return marks & inside


def _of_tone(grey: np.ndarray, thin: np.ndarray, tone: float) -> np.ndarray:
    near = cv2.inRange(grey, np.array([tone - _SAME_TONE]), np.array([tone + _SAME_TONE]))
    return np.asarray(cv2.bitwise_and(cv2.threshold(thin, _FAINT - 1, 1, cv2.THRESH_BINARY)[1], near), np.uint8)


def _of_text_size(mask: np.ndarray, inside: np.ndarray, least: int) -> list[tuple[tuple[slice, slice], np.ndarray]]:
    """Boxes and pixels 0/1 of the components in the field that are as large as a glyph and not one slanted line."""
    labels, stats = connected_parts(mask)
    _, _, width, height, area = stats.T
    found = []
    for number in np.flatnonzero((height >= least) & (height <= _TALLEST) & (width <= _WIDEST) & (area >= 8)):
        x, y, w, h, _ = stats[number].tolist()
        spot = slice(y, y + h), slice(x, x + w)
        glyph = labels[spot] == number
        if inside[spot][glyph].any() and not (w > 2 and _slant(glyph) > 0.8):
            found.append((spot, glyph.astype(np.uint8)))
    return found


def _slant(glyph: np.ndarray) -> float:
    """Correlation of the rows and columns of a glyph's pixels: 1 for a slanted line, near 0 for letters and crosses."""
    return float(abs(np.asarray(np.corrcoef(np.stack(np.nonzero(glyph))))[0, 1]))


def _markers(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """T-shaped orientation markers in the field's upper third, 0/1.

    Bright ones, and faint ones half the field's width beside them: the marker of a second view.
    """
    marks = np.zeros_like(grey)
    x, y, w, h = cv2.boundingRect(inside)
    for row, column in _drawn(grey[y : y + h // 3 + 10, x : x + w + 9], _MARKER, 26):
        _stamp(marks, _MARKER, y + row, x + column)
        for shift in (-w // 2 - 6, w // 2 - 6):
            left = max(x + column + shift, 0)
            band = grey[y + row : y + row + _FAINT_MARKER.shape[0], left : max(x + column + shift + 21, 0)]
            for _, other in _drawn(band, _FAINT_MARKER, 16):
                _stamp(marks, _FAINT_MARKER, y + row, left + other)
    return marks


def _drawn(grey: np.ndarray, pattern: np.ndarray, off: float) -> np.ndarray:
    """Where a pattern is drawn, as (row, column): its pixels' tones are off by at most so much, root mean square."""
    if grey.shape[0] < pattern.shape[0] or grey.shape[1] < pattern.shape[1]:
        return np.empty((0, 2), int)
    known = (pattern > 0).astype(np.float32)
    cost = cv2.matchTemplate(grey.astype(np.float32), pattern, cv2.TM_SQDIFF, mask=known)
    return np.argwhere(cost <= off**2 * known.sum())


def _stamp(marks: np.ndarray, pattern: np.ndarray, row: int, column: int) -> None:
    spot = marks[row : row + pattern.shape[0], column : column + pattern.shape[1]]
    spot |= (pattern > 0).astype(np.uint8)


def _arrows(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Focus arrows at the field's sides, 0/1, pixel for pixel; two thresholds for "white"."""
    marks = np.zeros_like(grey)
    x, y, w, h = cv2.boundingRect(inside)
    left, right = np.s_[y : y + h, x : x + 20], np.s_[y : y + h, max(x + w - 20, 0) : x + w]
    for pattern, where in ((_ARROW, left), (_ARROW[:, ::-1], right)):
        for white in (200, 212):
            part = cv2.threshold(grey[where], white, 1, cv2.THRESH_BINARY)[1]
            wide = cv2.copyMakeBorder(part, 9, 9, 9, 9, cv2.BORDER_CONSTANT)
            found = cv2.morphologyEx(wide, cv2.MORPH_HITMISS, pattern)
            glyph = cv2.dilate(found, (pattern[::-1, ::-1] >= 0).astype(np.uint8))
            marks[where] |= np.asarray(glyph, np.uint8)[9:-9, 9:-9]
    return marks


def _edge_marks(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Ticks of the scale, 0/1: white within 4 pixels of white beyond the field's edge, and white dots on the edge."""
    white = cv2.threshold(grey, 180, 1, cv2.THRESH_BINARY)[1]
    beyond = cv2.subtract(white, cv2.dilate(inside, _SQUARE))
    marks = cv2.bitwise_and(cv2.bitwise_and(white, inside), cv2.dilate(beyond, np.ones((9, 9), np.uint8)))
    core = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    dots = cv2.bitwise_and(cv2.threshold(grey, 235, 1, cv2.THRESH_BINARY)[1], inside)
    _, stats = connected_parts(dots)
    for x, y, w, h, _ in stats[1:][(stats[1:, 4] >= 2) & (stats[1:, 2:4].max(axis=1) <= 3)]:
        spot, around = np.s_[y : y + h, x : x + w], np.s_[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2]
        if not core[spot].any() and np.count_nonzero(grey[around] < 150) >= 0.6 * grey[around].size:
            marks[spot] = 1
    return np.asarray(marks, np.uint8)


def _coloured_marks(image: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thin coloured strokes in the field, none where a solid area shows flow or a tint; all that is coloured; 0/1."""
    red, green, blue = cv2.split(image)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    coloured = cv2.threshold(spread, _COLOURED, 1, cv2.THRESH_BINARY)[1] & inside
    if not coloured.any() or opened(coloured, max(11, round(0.04 * min(inside.shape)))).any():
        return np.zeros_like(inside), coloured
    # JPEG spreads colour over blocks of pixels: strokes that lost most of theirs are still thin
    tinged = cv2.threshold(spread, _TINGED, 1, cv2.THRESH_BINARY)[1]
    thin = cv2.morphologyEx(as_grey(image), cv2.MORPH_TOPHAT, _SQUARE)
    pale = cv2.bitwise_and(cv2.threshold(thin, _SHARP - 1, 1, cv2.THRESH_BINARY)[1], tinged)
    return cv2.max(cv2.dilate(coloured, _SQUARE), pale), coloured
