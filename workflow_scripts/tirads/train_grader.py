"""Learn the TI-RADS level, and malignancy where there is histology, and say how good that is on unseen patients.

Each fold is graded by a model that was fitted, chosen and calibrated without any of its groups. Levels of different
systems are never mixed, nor with histology. For research, not for diagnosis.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from workflow_scripts import command
from workflow_scripts.files import natural, write_beside
from workflow_scripts.tables import learned_grades
from workflow_scripts.tables.nodules import EXPERT
from workflow_scripts.tables.table import write_rows
from workflow_scripts.tirads import grader_figures
from workflow_scripts.tirads.grader_features import (
    PICTURE,
    Case,
    Labelled,
    read_cases,
    read_embedded,
    read_measured,
)
from workflow_scripts.tirads.grader_tasks import ALL, FEWEST, HISTOLOGY, Fold, list_tasks, run_task

GIVEN, GIVEN_FOLDS = "given", 5  # a network from elsewhere: the cases are dealt here
METHOD = {
    "interval": grader_figures.INTERVAL,
    "calibration": grader_figures.CALIBRATION,
    "split": "Every case is graded by a model that was fitted, chosen and calibrated without any case of its fold."
    " Where the network's weights are given, groups are as the data set names them: near-duplicates between two are not"
    " joined.",
    "fewest": FEWEST,
}


def read_folds(datasets: Path, spec: dict[str, Any], listed: Sequence[Labelled]) -> list[Fold]:
    """Return the outer folds, each with the features that the network which never saw it gives all cases."""
    names, model = spec["datasets"], spec["model"]
    of_group = {case.group: case.fold for case in listed}
    tested = spec["folds"]
    if given := tested == [GIVEN]:
        tested = [str(number) for number in range(min(GIVEN_FOLDS, len(of_group)))]
        groups = sorted(of_group, key=natural)
        split = GroupKFold(len(tested), shuffle=True, random_state=spec["seed"]) if len(tested) > 1 else None
        for number, (_, test) in enumerate(split.split(groups, groups=groups) if split else []):
            of_group |= {groups[k]: number for k in test}
    read: dict[str, tuple[Any, Any]] = {}
    outer = []
    for name in tested:
        network = GIVEN if given else name
        if network not in read:
            read[network] = (
                read_embedded(datasets, names, model, network),
                read_measured(datasets, names, model, network),
            )
        embedded, measured = read[network]
        sides = [(embedded.get(who, {}), measured.get(who, {})) for who in (EXPERT, model)]
        outer.append(Fold(name, partial(_tests, of_group, int(name)), *sides))
    return outer


def _tests(fold_of: dict[str, int], fold: int, case: Labelled) -> bool:
    return fold_of[case.group] == fold


def train_grader(
    datasets: Path, held_out: Path | None, spec: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the figures of every task, and the rows of `learned_grades`.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    held_out
        The table of folds; None where the network is from elsewhere.
    spec
        `datasets` (names), `model` and its `folds` (or `given`), `seed`.
    """
    everyone = read_cases(datasets, spec["datasets"], held_out)
    outer = read_folds(datasets, spec, everyone)
    outlined = set[Case]().union(*({*fold.expert[0].get(PICTURE, {}), *fold.expert[1]} for fold in outer))
    listed = [case for case in everyone if case.key in outlined]
    tasks = {task: run_task(task, listed, outer, spec["seed"]) for task in list_tasks(listed)}
    figures = {
        "method": METHOD,
        "folds": [fold.name for fold in outer],
        "held_out": sum(any(fold.test(case) for fold in outer) for case in listed),
        "without_outline": len(everyone) - len(listed),
        "n_cases": len(listed),
        "tasks": {task: found for task, (found, _) in tasks.items()},
        "abstained": None if tasks else "no outlined case states a TI-RADS level or a histology: nothing to learn",
    }
    by_case: dict[Case, list[dict[str, Any]]] = {}
    histology = tasks.pop(HISTOLOGY, ({}, {}))[1]
    for task, (_, graded) in tasks.items():
        for key, row in graded.items():
            by_case.setdefault(key, []).append(row | {"system": task})
    rows = []
    for dataset, case_id in sorted({*by_case, *histology}, key=lambda key: (key[0], natural(key[1]))):
        proven = histology.get((dataset, case_id), {})
        for row in by_case.get((dataset, case_id), [{}]):
            doubts = [one["doubt"] for one in (row, proven) if one.get("doubt")]
            joined = proven | row | {"dataset": dataset, "case_id": case_id, "disagreement": "; ".join(doubts) or None}
            rows.append({name: joined.get(name) for name in learned_grades.SCHEMA.names})
    return figures, rows


def sentence(task: str, found: dict[str, Any]) -> str:
    """Return the headline of a task in words."""
    if found["abstained"]:
        return f"nothing learnt: {found['abstained']}"
    told = [
        f"{name} {figure['value']:.3f} ({figure['interval'][0]:.3f} to {figure['interval'][1]:.3f})"
        for name, figure in found["arms"][ALL].items()
        if name != "above_control" and figure["value"] is not None and figure["interval"]
    ]
    return f"{task}: {', '.join(told)}; {found['n_cases']} cases of {found['n_groups']} groups"


def main(argv: list[str] | None = None) -> None:
    """Learn from all data sets, and grade them."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder <results>/datasets")
    arguments.add_argument("--folds", type=command.existing, nargs="*", help="table of folds; none for a given model")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="datasets, model, folds, seed")
    arguments.add_argument("--figures", type=Path, required=True, help="JSON to write")
    arguments.add_argument("--grades", type=Path, nargs="+", required=True, help="tables to write, one a data set")
    args = arguments.parse_args(argv)
    log = command.start("train_grader")
    try:
        with threadpool_limits(1):  # sums in another order are other numbers
            figures, rows = train_grader(args.datasets, next(iter(args.folds or []), None), args.spec)
    except ValueError as error:
        raise command.Refusal(str(error)) from None
    for path, name in zip(args.grades, args.spec["datasets"], strict=True):
        write_rows(path, [row for row in rows if row["dataset"] == name], learned_grades.SCHEMA)
    with write_beside(args.figures) as beside:
        beside.write_text(json.dumps(figures, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    for task, found in figures["tasks"].items():
        log.info("%s", sentence(task, found))
    if figures["abstained"]:
        log.info("%s", figures["abstained"])


if __name__ == "__main__":
    main()
