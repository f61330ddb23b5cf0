"""Overlap of two masks as functions of counts of pixels, so that figures can be added up before they are divided."""


def dice_of(tp: int, fp: int, fn: int) -> float | None:
    """Return 2 tp / (2 tp + fp + fn), the Dice coefficient; None where both masks are empty."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def iou_of(tp: int, fp: int, fn: int) -> float | None:
    """Return tp / (tp + fp + fn), intersection over union; None where both masks are empty."""
    return tp / (tp + fp + fn) if tp + fp + fn else None
