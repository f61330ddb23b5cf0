"""What a grader may know of a case, gathered from the tables: picture, measures, clinical columns, and two controls.

Never among it: the radiologist's descriptors, conclusions and free labels. They are the reading that is to be foretold.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.tables import cases, embeddings, nodules
from workflow_scripts.tables.folds import SCHEMA as FOLDS
from workflow_scripts.tables.nodules import EXPERT
from workflow_scripts.tables.table import planned, read_many, read_rows

Case = tuple[str, str]  # data set, case_id
Vectors = dict[Case, np.ndarray]

PICTURE, MEASURED, CLINICAL = "picture", "measured", "clinical"
CONTROL, VIEW = "control", "view"
NUMBERS = ("age", "largest_mm")  # of the table of cases
CATEGORIES = ("sex", "laterality")
TEXT = "blood_flow"
UNKNOWN = "not known"
MEASURES = tuple(
    name for name in nodules.SCHEMA.names if name not in ("frame_id", "case_id", "outlined_by", "fold", "nodule")
)


@dataclass(frozen=True)
class Labelled:
    """A case with an outline: its row of `cases`, the group that must stay together, and the fold that tests it."""

    row: Mapping[str, Any]
    group: str
    fold: int

    @property
    def key(self) -> Case:
        """Its data set and name."""
        return self.row["dataset"], self.row["case_id"]


@dataclass(frozen=True)
class Features:
    """The blocks of features of some cases: a matrix (n, d) each, NaN where a value is not known."""

    blocks: Mapping[str, np.ndarray]

    def of(self, rows: np.ndarray) -> "Features":
        """Return the features of some of the cases."""
        return Features({name: block[rows] for name, block in self.blocks.items()})

    def known(self, name: str) -> np.ndarray:
        """Return of which cases (n,) a block says anything."""
        block = self.blocks[name]
        unknown = (
            np.isnan(block) if name != CLINICAL else np.array([_unknown(row) for row in block]).reshape(block.shape)
        )
        return np.asarray(~unknown.all(axis=1))


def read_cases(datasets: Path, names: Iterable[str], held_out: Path | None) -> list[Labelled]:
    """Return the cases of the data sets that the table of folds deals, in its order; without one, all.

    Raises
    ------
    ValueError
        When the folds are of cases that are no longer there.
    """
    wanted = set(names)
    rows = {
        (name, row["case_id"]): row
        for name in sorted(wanted)
        for row in read_many(planned(datasets / name, "chunks"), cases.SCHEMA)
    }
    if held_out is None:
        return [Labelled(row, f"{name}/{row['group_id']}", -1) for (name, _), row in rows.items()]
    dealt = [row for row in read_rows(held_out, FOLDS) if row["dataset"] in wanted]
    if gone := [f"{row['dataset']}/{row['case_id']}" for row in dealt if (row["dataset"], row["case_id"]) not in rows]:
        raise ValueError(f"{held_out}: deals the case {gone[0]}, which is in no chunk; delete it and run again")
    return [Labelled(rows[row["dataset"], row["case_id"]], row["group_id"], row["fold"]) for row in dealt]


def read_embedded(datasets: Path, names: Iterable[str], model: str, fold: str) -> dict[str, dict[str, Vectors]]:
    """Return by who outlined it and by block what the network of a fold made of each case: the mean of its frames."""
    found: dict[tuple[str, str], dict[Case, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for name in sorted(names):
        for row in read_many(planned(datasets / name, f"embeddings/{model}/{fold}"), embeddings.SCHEMA):
            for block, column in ((PICTURE, "features"), (CONTROL, "control"), (VIEW, "view")):
                if row[column] is not None:
                    found[row["outlined_by"], block][name, row["case_id"]].append(row[column])
    by_outline: dict[str, dict[str, Vectors]] = defaultdict(dict)
    for (outlined_by, block), frames in found.items():
        by_outline[outlined_by][block] = {case: np.mean(own, axis=0) for case, own in frames.items()}
    return by_outline


def read_measured(datasets: Path, names: Iterable[str], model: str, fold: str) -> dict[str, Vectors]:
    """Return by who outlined it the measures of each case: of the largest nodule of each frame, the mean of its frames.

    Of outlines of a model only those of the network of `fold` count.
    """
    largest: dict[tuple[str, Case, str], Mapping[str, Any]] = {}
    for name in sorted(names):
        for row in read_many(planned(datasets / name, "nodules"), nodules.SCHEMA):
            if row["outlined_by"] == EXPERT or (row["outlined_by"], row["fold"]) == (model, fold):
                key = row["outlined_by"], (name, row["case_id"]), row["frame_id"]
                largest[key] = max(largest.get(key, row), row, key=lambda one: one["area_px"])
    of_case: dict[str, dict[Case, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for outlined_by, case, frame_id in sorted(largest):
        nodule = largest[outlined_by, case, frame_id]
        values = [np.nan if nodule[name] is None else float(nodule[name]) for name in MEASURES]
        of_case[outlined_by][case].append(values)
    return {
        outlined_by: {case: mean_known(np.array(frames)) for case, frames in found.items()}
        for outlined_by, found in of_case.items()
    }


def mean_known(values: np.ndarray) -> np.ndarray:
    """Return the mean of each column (n, d) over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(n, 1), np.nan)


def clinical_columns(row: Mapping[str, Any]) -> list[Any]:
    """Return the clinical columns of a case: numbers with NaN, and words, where what is not known is a word too."""
    numbers = [np.nan if row[name] is None else float(row[name]) for name in NUMBERS]
    return [*numbers, *(row[name] or UNKNOWN for name in (*CATEGORIES, TEXT))]


def _unknown(columns: Iterable[Any]) -> list[bool]:
    return [value == UNKNOWN or value != value for value in columns]


def widths(embedded: Mapping[str, Vectors]) -> dict[str, int]:
    """Return how many features each block of numbers has; 1 where there is none."""
    own = {block: embedded.get(block, {}) for block in (PICTURE, CONTROL, VIEW)}
    return {block: len(next(iter(found.values()), [0])) for block, found in own.items()} | {MEASURED: len(MEASURES)}


def stack(
    listed: Sequence[Labelled], embedded: Mapping[str, Vectors], measured: Vectors, width: Mapping[str, int]
) -> Features:
    """Return the features of cases, in their order; `width` says how many each block of numbers has."""
    blocks: dict[str, np.ndarray] = {}
    for name, n in width.items():
        found, nothing = measured if name == MEASURED else embedded.get(name, {}), np.full(n, np.nan)
        blocks[name] = np.array([found.get(case.key, nothing) for case in listed], float).reshape(-1, n)
    words = [clinical_columns(case.row) for case in listed]
    blocks[CLINICAL] = np.array(words, dtype=object).reshape(-1, len(NUMBERS) + len(CATEGORIES) + 1)
    return Features(blocks)
