"""How far two masks agree: counts of pixels first, and every measure a function of the counts."""

from dataclasses import dataclass

import numpy as np

from workflow_scripts.imaging.overlap import dice_of, iou_of


@dataclass(frozen=True)
class Counts:
    """Pixels of one prediction against its reference: nodule in both, in the prediction or reference alone, in none."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def dice(self) -> float | None:
        """Twice the shared pixels over both sizes (Dice 1945): 0 where one mask is empty, None where both are."""
        return dice_of(self.tp, self.fp, self.fn)

    @property
    def iou(self) -> float | None:
        """Shared pixels over all nodule pixels (Jaccard 1912): 0 where one mask is empty, None where both are."""
        return iou_of(self.tp, self.fp, self.fn)

    @property
    def sensitivity(self) -> float | None:
        """Share of the reference's pixels that were found; None where there are none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted pixels that are nodule; None where there are none."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None


def count_pixels(prediction: np.ndarray, reference: np.ndarray) -> Counts:
    """Return the counts of one prediction against its reference.

    Parameters
    ----------
    prediction, reference
        (H, W) labels or truth values; whatever is above 0 is nodule.

    Raises
    ------
    ValueError
        When the two are not of one size: neither is resized in silence.
    """
    if prediction.shape != reference.shape:
        sizes = [" × ".join(str(side) for side in mask.shape) for mask in (prediction, reference)]
        raise ValueError(f"the predicted mask is {sizes[0]} pixels, the expert's is {sizes[1]} (rows × columns)")
    found, outlined = prediction > 0, reference > 0
    tp = int(np.count_nonzero(found & outlined))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(outlined)) - tp
    return Counts(tp, fp, fn, found.size - tp - fp - fn)


def iou_of_dice(dice: float) -> float:
    """Return the IoU that belongs to a Dice: D / (2 - D).

    It holds for one image. The function is convex, so a mean IoU is at least that of the mean Dice (Jensen).
    """
    return dice / (2 - dice)


def dice_of_iou(iou: float) -> float:
    """Return the Dice that belongs to an IoU: 2 J / (1 + J)."""
    return 2 * iou / (1 + iou)
