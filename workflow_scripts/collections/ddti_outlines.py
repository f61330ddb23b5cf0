"""The outlines of DDTI: JSON text inside the XML of a case, one <mark> a picture, one region a nodule."""

import json
import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import cv2
import defusedxml.ElementTree
import numpy as np

from workflow_scripts.collections.collection import Unusable


def parse(table: Path) -> Element:
    """Return the root of the XML of a case."""
    try:
        tree = defusedxml.ElementTree.parse(table).getroot()
    except (ParseError, ValueError) as error:
        raise Unusable(table.name, f"not well-formed XML ({error})", "download the file again") from None
    if tree is None or tree.tag != "case":
        raise Unusable(table.name, "its root is not <case>", "use the XML that DDTI ships")
    return tree


def read_outlines(table: Path) -> tuple[dict[int, list[np.ndarray] | Unusable | None], list[Unusable]]:
    """Return the outlines of a case by picture number, and the marks that are of no picture.

    An outline is polygons (n, 2) of (x, y), None if blank, or what is wrong. An `arrow` points at something and
    outlines nothing; it is left out.
    """
    outlines: dict[int, list[np.ndarray] | Unusable | None] = {}
    strays = []
    for mark in parse(table).findall("mark"):
        name = (mark.findtext("image") or "1").strip()
        if not re.fullmatch("[0-9]{1,9}", name):
            reason = f"<image> of a <mark> is {name[:40]!r}"
            strays.append(Unusable(table.name, reason, "the number of its picture, k in <n>_<k>.jpg"))
            continue
        number, before = int(name), outlines.get(int(name))
        try:
            regions = _regions((mark.findtext("svg") or "").strip())
        except ValueError as error:
            reason = f"the outline of picture {number} {error}"
            outlines[number] = Unusable(table.name, reason, "take the XML from another copy of the set")
            continue
        if not isinstance(before, Unusable):
            outlines[number] = [*(before or []), *regions] or None
    return outlines, strays


def _regions(text: str) -> list[np.ndarray]:
    """Return the polygons of the JSON text of a mark; a ValueError says what is wrong with it."""
    try:
        polygons = [
            np.array([[point["x"], point["y"]] for point in region["points"]], dtype=np.float64)
            for region in (json.loads(text) if text else [])
            if region.get("regionType") != "arrow"
        ]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(text) - 1 or error.msg.startswith("Unterminated")
        ):
            raise ValueError(f"breaks off after {len(text)} characters: its mask is incomplete") from None
        raise ValueError("is not an outline (expected a list of regions with points)") from None
    for polygon in polygons:
        if len(polygon) < 3:
            raise ValueError("has fewer than three points")
        if not np.isfinite(polygon).all() or np.abs(polygon).max() > 2**15:
            raise ValueError("has a point that lies in no picture")
        if area(polygon) < 1:
            raise ValueError("encloses nothing: its area is zero")
    return polygons


def area(polygon: np.ndarray) -> float:
    """Return the area of a polygon in pixels."""
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def outside(polygon: np.ndarray, width: int, height: int) -> bool:
    """Tell whether a polygon misses the picture, or leaves it by more than a quarter: what leaves it by less is cut."""
    size = np.array([width, height])
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    return bool((high < 0).any() or (low >= size).any() or (low < -size / 4).any() or (high > size * 1.25).any())


def draw(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return a label mask (H, W): the n-th polygon is n; where two overlap, the later is on top."""
    mask = np.zeros(shape, np.uint8)
    for label, polygon in enumerate(polygons, 1):
        cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], label)
    return mask
