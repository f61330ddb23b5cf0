"""Masks as outlines: the exact edge to look at, and few points to move."""

import cv2
import numpy as np

MOVED = 1.0  # pixels that an outline to move may lie beside the exact one


def closed_path(labels: np.ndarray) -> str:
    """Return the path of SVG around every label of a mask, holes included, along the middles of its edge pixels."""
    paths = []
    for label in np.unique(labels[labels > 0]):
        region = (labels == label).astype(np.uint8)
        for contour in cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]:
            paths.append("M" + " ".join(f"{x},{y}" for x, y in contour[:, 0].tolist()) + "Z")
    return "".join(paths)


def points_to_move(labels: np.ndarray) -> list[list[list[int]]]:
    """Return polygons of (x, y) that follow a mask closely with few points: without holes, without specks."""
    polygons = []
    for label in np.unique(labels[labels > 0]):
        region = (labels == label).astype(np.uint8)
        for contour in cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
            few = cv2.approxPolyDP(contour, max(MOVED, cv2.arcLength(contour, True) / 160), True)[:, 0]
            if len(few) >= 3:
                polygons.append(few.tolist())
    return polygons
