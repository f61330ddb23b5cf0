"""A grader: of every boundary between two levels the probability to lie above it, chosen and calibrated inside.

Each block of features (picture, measures, clinical columns) gets a regularised logistic regression for each boundary.
An inner split of the training cases by patient chooses how strongly it is regularised, so that a block which tells
little says little; the blocks' log odds are averaged, which a few hundred cases bear better than weights. What is said
there of cases not seen calibrates the whole: a second logistic regression (Platt scaling) over what this boundary says,
and what all of them say on average, for single ones are unsteady. Levels are ordered, and boundaries keep them so
(Frank and Hall 2001).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from workflow_scripts.tirads.grader_features import CATEGORIES, CLINICAL, MEASURED, NUMBERS, Features

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C of the logistic regression, the strongest regularisation first
INNER_FOLDS = 5
REPEATS = 2  # of the inner split: one alone chooses by chance more than it must


def prepare(block: str) -> Pipeline:
    """Return the steps that turn a block into numbers, of about unit length a case whatever the block holds.

    A missing one counts as the mean of the training cases, and a column of its own says that it is missing. Pictures
    are there or not as a whole: what the control lacks is to tell nothing.
    """
    first: Any = SimpleImputer(add_indicator=block in (CLINICAL, MEASURED), keep_empty_features=True)
    if block == CLINICAL:
        n, m = len(NUMBERS), len(NUMBERS) + len(CATEGORIES)
        words = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 2), max_features=64)
        columns = [
            ("numbers", first, slice(0, n)),
            ("categories", OneHotEncoder(handle_unknown="ignore"), slice(n, m)),
            ("text", words, m),
        ]
        first = ColumnTransformer(columns, sparse_threshold=0)
    # What stays after 99 % of the variance is noise to a few hundred cases; without it fits take a tenth of the time.
    return make_pipeline(first, StandardScaler(), FunctionTransformer(evenly), PCA(0.99, svd_solver="full"))


def evenly(values: np.ndarray) -> np.ndarray:
    """Return standardised features (n, d) over the root of their number: a strength then means the same for any d."""
    return values / np.sqrt(values.shape[1])


def learn(values: np.ndarray, above: np.ndarray, strength: float) -> LogisticRegression:
    """Return a logistic regression fitted to cases (n, d) above a boundary or not (n,)."""
    return LogisticRegression(C=strength, max_iter=2000).fit(values, above)


def say(fitted: Sequence[LogisticRegression], values: np.ndarray) -> np.ndarray:
    """Return the log odds (n, boundaries) that fitted boundaries give cases (n, d)."""
    return np.stack([values @ one.coef_[0] + one.intercept_[0] for one in fitted], axis=1)


@dataclass
class Block:
    """One block of features, fitted to training cases, and what it says of them by fits that had not seen them."""

    name: str
    numbers: Pipeline
    boundaries: list[LogisticRegression]
    strengths: list[float]
    unseen: np.ndarray  # log odds (n, boundaries)

    def say(self, features: Features) -> np.ndarray:
        """Return the log odds (n, boundaries) of cases."""
        return say(self.boundaries, self.numbers.transform(features.blocks[self.name]))


def fit_block(name: str, training: Features, level: np.ndarray, groups: np.ndarray, seed: int) -> Block:
    """Return a block fitted to training cases, each boundary at the strength that unseen cases bear best (log loss).

    Parameters
    ----------
    name
        The block.
    training, level, groups
        The training cases: features, level from 0 (n,), group (n,). Each level has cases of several groups.
    seed
        Of the inner split.
    """
    boundaries = range(int(level.max()))
    unseen = np.zeros((len(STRENGTHS), len(level), len(boundaries)))
    values = training.blocks[name]
    for repeat in range(REPEATS):
        inner = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed + repeat)
        for fit, rest in inner.split(values, level, groups):
            numbers = prepare(name)
            inside, outside = fitted_to(numbers, values[fit]), numbers.transform(values[rest])
            for place, strength in enumerate(STRENGTHS):
                fitted = [learn(inside, level[fit] > k, strength) for k in boundaries]
                unseen[place, rest] += say(fitted, outside) / REPEATS
    above = np.stack([level > k for k in boundaries], axis=1)
    loss = np.logaddexp(0, np.where(above, -unseen, unseen)).mean(axis=1)
    best = np.argmin(loss, axis=0)  # of equals the strongest regularisation
    strengths = [STRENGTHS[place] for place in best]
    numbers = prepare(name)
    inside = fitted_to(numbers, values)
    return Block(
        name,
        numbers,
        [learn(inside, level > k, strengths[k]) for k in boundaries],
        strengths,
        np.stack([unseen[best[k], :, k] for k in boundaries], axis=1),
    )


def fitted_to(numbers: Pipeline, values: np.ndarray) -> np.ndarray:
    """Fit the steps to a block (n, d), and return it as numbers."""
    with np.errstate(invalid="ignore"):  # where all cases are the same the variance is 0, and 99 % of it no number
        return np.asarray(numbers.fit_transform(values))


@dataclass
class Grader:
    """Some blocks together, calibrated, and where the levels part."""

    blocks: Sequence[Block]
    calibrated: list[LogisticRegression]
    anchor: int
    cuts: np.ndarray

    def grade(self, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Return of cases the level (n,), from 0, and the probability (n, boundaries) to lie above each boundary.

        Levels are dealt in the order of the expected level, as many of each as in training. Probabilities of a weak
        model crowd at the middle levels: the most probable level would hardly ever be another.
        """
        if not len(features.blocks[self.blocks[0].name]):
            return np.zeros(0, int), np.zeros((0, len(self.calibrated)))
        above = self.above(np.mean([block.say(features) for block in self.blocks], axis=0))
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


def calibrate(blocks: Sequence[Block], level: np.ndarray, anchor: int) -> Grader:
    """Return the grader of some blocks.

    Parameters
    ----------
    blocks
        Fitted to the same training cases.
    level
        Level of these cases (n,), from 0.
    anchor
        The boundary, from 0, that parts low from high.
    """
    said = np.mean([block.unseen for block in blocks], axis=0)
    calibrated = [learn(steadied(said, k), level > k, 1.0) for k in range(said.shape[1])]
    grader = Grader(blocks, calibrated, anchor, np.zeros(0))
    score = np.sort(grader.above(said).sum(axis=1))
    ends = np.cumsum(np.bincount(level))[:-1]
    grader.cuts = (score[ends - 1] + score[ends]) / 2
    return grader
