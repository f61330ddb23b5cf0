"""The scores of one model, read chunk by chunk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.tables import scores
from workflow_scripts.tables.table import planned, read_rows


def below(value: float, gate: float) -> bool:
    """Say whether a figure lies under its gate; the last bits of a sum decide nothing."""
    return value < gate - 1e-9


def counted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the scores that enter a mean: all but those where both masks are empty."""
    return [row for row in rows if row["dice"] is not None]


def scored_chunks(datasets: Path, spec: dict[str, Any], model: str) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield (data set, file name of the chunk, its scores over all folds) for every planned chunk of a model.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with.
    model
        The model's name.

    Raises
    ------
    ValueError
        When two folds scored one frame: it would count twice.
    """
    for dataset in sorted(name for name, models in spec["datasets"].items() if model in models):
        tables = [planned(datasets / dataset, f"scores/{model}/{fold}") for fold in spec["models"][model]]
        for paths in zip(*tables, strict=True):
            fold_of: dict[str, str] = {}
            rows = [row for path in paths for row in read_rows(path, scores.SCHEMA)]
            for row in rows:
                if (first := fold_of.setdefault(row["frame_id"], row["fold"])) != row["fold"]:
                    raise ValueError(
                        f"{dataset}, frame {row['frame_id']}: scored by the folds {first} and {row['fold']} of {model};"
                        " a frame counts once, with the model that never saw its group"
                    )
            yield dataset, paths[0].name, rows
