"""A grader: of every boundary between two levels the probability to lie above it, chosen and calibrated inside.

Each boundary gets a regularised logistic regression over all that the grader may know. An inner split of the training
cases by patient chooses how strongly it is regularised, and what is said there of cases that were not seen calibrates
it: a second logistic regression (Platt scaling) over what this boundary says, and what all of them say on average, for
single ones are unsteady. Levels are ordered, and boundaries keep them so (Frank and Hall 2001).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from workflow_scripts.tirads.grader_features import CATEGORIES, CLINICAL, MEASURED, NUMBERS, Features
from workflow_scripts.tirads.grader_figures import area_under_roc

STRENGTHS = (1.0, 10.0, 100.0)  # C of the logistic regression, the strongest regularisation first
INNER_FOLDS = 5
REPEATS = 2  # of the inner split: one alone chooses by chance more than it must


def prepare(block: str) -> Pipeline:
    """Return the steps that turn a block into standardised numbers.

    A missing one counts as the mean of the training cases, and a column of its own says that it is missing. Pictures
    are there or not as a whole: what the control lacks is to tell nothing.
    """
    numbers = SimpleImputer(add_indicator=block in (CLINICAL, MEASURED), keep_empty_features=True)
    if block != CLINICAL:
        return make_pipeline(numbers, StandardScaler())
    n, m = len(NUMBERS), len(NUMBERS) + len(CATEGORIES)
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 2), max_features=64)
    columns = [
        ("numbers", numbers, slice(0, n)),
        ("categories", OneHotEncoder(handle_unknown="ignore"), slice(n, m)),
        ("text", words, m),
    ]
    return make_pipeline(ColumnTransformer(columns, sparse_threshold=0), StandardScaler())


class Numbers:
    """Blocks of features as numbers: each block of equal weight, whatever it holds; fitted to training cases alone."""

    def __init__(self, blocks: Sequence[str], training: Features) -> None:
        """Fit the steps.

        What stays after 99 % of the variance is noise to a few hundred cases; without it fits take a tenth of the time.
        """
        self.steps = {name: prepare(name).fit(training.blocks[name]) for name in blocks}
        with np.errstate(invalid="ignore"):  # where all cases are the same the variance is 0, and 99 % of it no number
            self.components = PCA(0.99, svd_solver="full").fit(self._join(training))

    def __call__(self, features: Features) -> np.ndarray:
        """Return the numbers (n, d) of cases."""
        return np.asarray(self.components.transform(self._join(features)))

    def _join(self, features: Features) -> np.ndarray:
        joined = [steps.transform(features.blocks[name]) for name, steps in self.steps.items()]
        return np.hstack([values / np.sqrt(values.shape[1]) for values in joined])


def learn(values: np.ndarray, above: np.ndarray, strength: float) -> LogisticRegression:
    """Return a logistic regression fitted to cases (n, d) above a boundary or not (n,)."""
    return LogisticRegression(C=strength, max_iter=2000).fit(values, above)


def say(fitted: Sequence[LogisticRegression], values: np.ndarray) -> np.ndarray:
    """Return the log odds (n, boundaries) that fitted boundaries give cases (n, d)."""
    return np.stack([values @ one.coef_[0] + one.intercept_[0] for one in fitted], axis=1)


@dataclass
class Grader:
    """A grader that was fitted, chosen and calibrated on one set of training cases."""

    numbers: Numbers
    strengths: list[float]
    boundaries: list[LogisticRegression]
    calibrated: list[LogisticRegression]
    anchor: int
    cuts: np.ndarray

    def grade(self, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Return of cases the level (n,), from 0, and the probability (n, boundaries) to lie above each boundary.

        Levels are dealt in the order of the expected level, as many of each as in training. Probabilities of a weak
        model crowd at the middle levels: the most probable level would hardly ever be another.
        """
        if not len(next(iter(features.blocks.values()))):
            return np.zeros(0, int), np.zeros((0, len(self.boundaries)))
        above = self.above(say(self.boundaries, self.numbers(features)))
        return np.searchsorted(self.cuts, above.sum(axis=1), side="right"), above

    def above(self, said: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities of log odds (n, boundaries); the farther up, the less.

        Where neighbouring boundaries cross, the one that parts low from high (`anchor`) stays as it is.
        """
        crossing = expit(np.hstack([say([one], steadied(said, k)) for k, one in enumerate(self.calibrated)]))
        down, up = crossing[:, : self.anchor + 1], crossing[:, self.anchor :]
        lower = np.maximum.accumulate(down[:, ::-1], axis=1)[:, ::-1]
        return np.hstack([lower[:, :-1], np.minimum.accumulate(up, axis=1)])


def steadied(said: np.ndarray, boundary: int) -> np.ndarray:
    """Return what calibrates a boundary (n, 2): what it says, and what all boundaries say on average."""
    return np.stack([said[:, boundary], said.mean(axis=1)], axis=1)


def fit_grader(
    blocks: Sequence[str], training: Features, level: np.ndarray, groups: np.ndarray, anchor: int, seed: int
) -> Grader:
    """Return a grader by some blocks of features.

    Parameters
    ----------
    blocks
        What it may know.
    training, level, groups
        The training cases: features, level from 0 (n,), group (n,). Each level has cases of several groups.
    anchor
        The boundary, from 0, that parts low from high.
    seed
        Of the inner split.
    """
    boundaries = range(int(level.max()))
    unseen = np.zeros((len(STRENGTHS), len(level), len(boundaries)))
    for repeat in range(REPEATS):
        inner = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed + repeat)
        for fit, rest in inner.split(level, level, groups):
            numbers = Numbers(blocks, training.of(fit))
            inside, outside = numbers(training.of(fit)), numbers(training.of(rest))
            for place, strength in enumerate(STRENGTHS):
                fitted = [learn(inside, level[fit] > k, strength) for k in boundaries]
                unseen[place, rest] += say(fitted, outside) / REPEATS
    areas = [[area_under_roc(level > k, of[:, k]) for k in boundaries] for of in unseen]
    best = np.argmax(areas, axis=0)  # of equals the strongest regularisation
    said = np.stack([unseen[best[k], :, k] for k in boundaries], axis=1)
    strengths = [STRENGTHS[place] for place in best]
    numbers = Numbers(blocks, training)
    values = numbers(training)
    grader = Grader(
        numbers,
        strengths,
        [learn(values, level > k, strengths[k]) for k in boundaries],
        [learn(steadied(said, k), level > k, 1.0) for k in boundaries],
        anchor,
        np.zeros(0),
    )
    score = np.sort(grader.above(said).sum(axis=1))
    ends = np.cumsum(np.bincount(level))[:-1]
    grader.cuts = (score[ends - 1] + score[ends]) / 2
    return grader
