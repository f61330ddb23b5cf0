"""How good a mask probably is: the Dice that its signals promise, and a lower bound that holds at a stated level."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command

SMALLEST_ERROR = 0.02  # of 1 - Dice: what is better is not told apart
OVERLAPS = ("expected_dice", "agreement")  # signals that are a Dice themselves: their error stands in a logarithm, too
PARTS = 5  # into so many parts patients are dealt where fewer than three folds are held out


@dataclass(frozen=True)
class Estimator:
    """The logarithm of the error 1 - Dice as a linear function of standardised signals.

    `factor` says at how many times the estimated error the bound lies. It comes from patients that the function was not
    fitted on, so a new patient's error is exchangeable with theirs.
    """

    signals: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    factor: float

    def log_error(self, signals: np.ndarray) -> np.ndarray:
        """Return (n,) estimates of log(1 - Dice) from (n, m) signals as `as_matrix` gives them."""
        standard = (signals - np.array(self.means)) / np.array(self.scales)
        estimate: np.ndarray = standard @ np.array(self.coefficients) + self.intercept
        return estimate

    def estimate(self, signals: Mapping[str, Any]) -> tuple[float, float] | None:
        """Return the estimated Dice and its lower bound; None where a signal is missing."""
        if any(signals[name] is None for name in self.signals):
            return None
        error = float(np.exp(self.log_error(as_matrix([signals], self.signals))[0]))
        return 1 - min(1.0, max(SMALLEST_ERROR, error)), max(0.0, 1 - self.factor * max(SMALLEST_ERROR, error))


def as_matrix(rows: Sequence[Mapping[str, Any]], signals: Sequence[str]) -> np.ndarray:
    """Return (n, m) the signals of rows, an overlap as the logarithm of its error."""
    values = np.array([[row[name] for name in signals] for row in rows], float).reshape(len(rows), len(signals))
    logged = [name in OVERLAPS for name in signals]
    values[:, logged] = np.log(np.maximum(SMALLEST_ERROR / 4, 1 - values[:, logged]))
    return values


@dataclass(frozen=True)
class Quality:
    """What a `quality.json` holds: estimators, and what the pictures and outlines that they rest on were like."""

    level: float
    whole: Estimator | None  # for patients who come later; None: too few to fit one
    why_not: str | None
    by_fold: bool  # what a part is: the patients of a fold, or a share of the patients
    without: dict[str, Estimator | None]  # for the patients of each part: fitted and calibrated on all others
    area: tuple[float, float] | None  # the share of a frame that all but 1 % of the experts' outlines cover
    looks: dict[str, list[float]]  # percentiles over the frames

    def of(self, fold: str, group_id: str | None) -> Estimator | None:
        """Return the estimator that knows nothing of a group: None stands for one that took no part."""
        if fold == "given" or group_id is None:
            return self.whole
        return self.without.get(part_of(fold, group_id, self.by_fold), self.whole)


def part_of(fold: str, group_id: str, by_fold: bool) -> str:
    """Return the part that a group belongs to: its fold, or one that its name alone decides."""
    return fold if by_fold else str(int(hashlib.sha256(group_id.encode()).hexdigest()[:8], 16) % PARTS)


def write_quality(path: Path, quality: Quality) -> None:
    """Write a `quality.json`; whoever reads it gets the same numbers."""
    path.write_text(json.dumps(asdict(quality), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_quality(path: Path) -> Quality:
    """Read a `quality.json`.

    Raises
    ------
    Refusal
        When the file is something else.
    """

    def estimator(value: dict[str, Any] | None) -> Estimator | None:
        if value is None:
            return None
        fields: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in value.items()}
        return Estimator(**fields)

    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        read |= {"whole": estimator(read["whole"]), "area": read["area"] and tuple(read["area"])}
        return Quality(**read | {"without": {part: estimator(each) for part, each in read["without"].items()}})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise command.Refusal(
            f"{path} is not the quality.json that fit_quality writes ({type(error).__name__}: {error}); delete it, or"
            " copy the one of your model again"
        ) from None


def find_estimator(model: Path) -> tuple[Estimator | None, str]:
    """Return the estimator of the quality.json beside a model, and in words at which level its bounds hold."""
    path = model.with_name("quality.json")
    if not path.is_file():
        return None, f"unknown: there is no quality.json beside {model.name}"
    quality = read_quality(path)
    held = (
        "for a frame of a new patient like those it was fitted on, in which something was outlined, the Dice is no"
        f" lower than its bound with a probability of {100 * quality.level:g} %"
    )
    return quality.whole, held if quality.whole else f"unknown: {quality.why_not}"
