"""One task of a grader, the levels of one system or histology: what can be learnt, fold by fold, and how good it is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import PHANTOM
from workflow_scripts.files import natural
from workflow_scripts.tables.nodules import EXPERT
from workflow_scripts.tirads import grader_figures
from workflow_scripts.tirads.grader_features import (
    CLINICAL,
    CONTROL,
    MEASURED,
    PICTURE,
    VIEW,
    Case,
    Labelled,
    stack,
    widths,
)
from workflow_scripts.tirads.grader_figures import Told
from workflow_scripts.tirads.grader_model import calibrate, fit_block
from workflow_scripts.tirads.grader_review import contradict, contradict_histology, first_high

FEWEST = 8  # groups of each level that every training must hold
HISTOLOGY, PATHOLOGIES = "histology", ("benign", "malignant")
ALL, MAJORITY = "all", "majority"
ARMS = {  # what a grade rests on; view: how the picture was taken, and nothing of what it shows
    ALL: (PICTURE, MEASURED, CLINICAL),
    PICTURE: (PICTURE,),
    MEASURED: (MEASURED,),
    CLINICAL: (CLINICAL,),
    CONTROL: (CONTROL,),
    VIEW: (VIEW,),
}


@dataclass
class Fold:
    """One outer fold: what the network that never saw it makes of all cases, by who outlined the nodule."""

    name: str
    test: Callable[[Labelled], bool]
    expert: tuple[dict[str, Any], dict[Case, np.ndarray]]
    model: tuple[dict[str, Any], dict[Case, np.ndarray]]


@dataclass
class Graded:
    """What the models of all folds say of the cases that they never saw, in one order."""

    cases: list[Labelled] = field(default_factory=list)
    folds: list[str] = field(default_factory=list)
    level: dict[str, list[int]] = field(default_factory=dict)  # by arm
    above: dict[str, list[np.ndarray]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    chosen: list[dict[str, Any]] = field(default_factory=list)

    def add(self, arm: str, level: Iterable[int], above: Iterable[np.ndarray]) -> None:
        """Add what one arm says of the cases of a fold."""
        self.level.setdefault(arm, []).extend(int(one) for one in level)
        self.above.setdefault(arm, []).extend(above)


def label_of(task: str, case: Labelled) -> str | None:
    """Return the label of a case for a task: its level in that system, or its histology."""
    if task == HISTOLOGY:
        proven = case.row["label_source"] in ("histology", PHANTOM)
        return case.row["pathology"] if proven and case.row["pathology"] in PATHOLOGIES else None
    return case.row["tirads_level"] if case.row["tirads_system"] == task else None


def list_tasks(listed: Sequence[Labelled]) -> list[str]:
    """Return what can be learnt: the systems that levels are stated in, and histology."""
    systems = {case.row["tirads_system"] for case in listed if case.row["tirads_level"]}
    return sorted(systems - {None}) + [HISTOLOGY] * any(label_of(HISTOLOGY, case) for case in listed)


def learnable(task: str, listed: Sequence[Labelled], outer: Sequence[Fold]) -> tuple[list[str], dict[str, int]]:
    """Return the levels of which every training holds `FEWEST` groups, lowest first, and of the others the groups."""
    enough, too_few = [], {}
    for level in sorted({label for case in listed if (label := label_of(task, case))}, key=natural):
        own = [case for case in listed if label_of(task, case) == level]
        if min(len({case.group for case in own if not fold.test(case)}) for fold in outer) >= FEWEST:
            enough.append(level)
        else:
            too_few[level] = len({case.group for case in own})
    return enough, too_few


def grade_fold(
    fold: Fold, task: str, levels: list[str], listed: list[Labelled], seed: int, graded: Graded, by_model: Graded
) -> None:
    """Learn from the cases outside a fold; add what that says of its own, outlined by the expert and by a model."""
    training = [case for case in listed if not fold.test(case) and label_of(task, case) in levels]
    testing = [case for case in listed if fold.test(case)]
    again = [case for case in testing if case.key in fold.model[0].get(PICTURE, {})]
    width = widths(fold.expert[0])
    inside, outside = stack(training, *fold.expert, width), stack(testing, *fold.expert, width)
    level = np.array([levels.index(str(label_of(task, case))) for case in training])
    groups = np.array([case.group for case in training])
    fitted = {name: fit_block(name, inside, level, groups, seed) for name in inside.blocks if inside.known(name).any()}
    for arm, rests_on in ARMS.items():
        if blocks := [fitted[name] for name in rests_on if name in fitted]:
            grader = calibrate(blocks, level, anchor(levels))
            graded.add(arm, *grader.grade(outside))
            if arm == ALL:
                by_model.add(arm, *grader.grade(stack(again, *fold.model, width)))
    share = np.array([(level > k).mean() for k in range(len(levels) - 1)])
    graded.add(MAJORITY, [int(np.bincount(level).argmax())] * len(testing), [share] * len(testing))
    graded.cases += testing
    graded.folds += [fold.name] * len(testing)
    known = [(name, outside.known(name)) for name in ARMS[ALL]]
    graded.sources += [", ".join(name for name, of in known if of[place]) for place in range(len(testing))]
    strengths = {name: block.strengths for name, block in fitted.items()}
    graded.chosen.append({"fold": fold.name, "training": len(training), "strengths": strengths})
    by_model.cases += again


def anchor(levels: list[str]) -> int:
    """Return the boundary, from 0, that parts low from high; the middle one where none does."""
    cut = first_high(levels)
    return (len(levels) - 1) // 2 if cut is None else cut - 1


def told_by(graded: Graded, arm: str, task: str, levels: list[str]) -> tuple[Told, np.ndarray]:
    """Return what an arm says of the cases whose label was learnt, and the places of these."""
    labels = [label_of(task, case) for case in graded.cases]
    places = np.array([k for k, label in enumerate(labels) if label in levels], int)
    stated = np.array([levels.index(str(labels[k])) for k in places], int)
    at = anchor(levels)
    above = np.array(graded.above[arm]).reshape(-1, len(levels) - 1)[places]
    return Told(stated, np.array(graded.level[arm], int)[places], stated > at, above[:, at]), places


def summarise_task(task: str, levels: list[str], graded: Graded, by_model: Graded, seed: int) -> dict[str, Any]:
    """Return every figure of a task on the cases that were held out."""
    arms = {arm: told_by(graded, arm, task, levels)[0] for arm in graded.level}
    told, places = told_by(graded, ALL, task, levels)
    groups = [graded.cases[k].group for k in places]
    high = task == HISTOLOGY or first_high(levels) is not None
    figures = grader_figures.summarise_arms(arms, groups, len(levels), high, seed)
    confusion = np.zeros((len(levels), len(levels)), int)
    np.add.at(confusion, (told.stated, told.level), 1)
    found: dict[str, Any] = {
        "n_cases": len(places),
        "n_groups": len(set(groups)),
        "n_of_level": {level: int((told.stated == k).sum()) for k, level in enumerate(levels)},
        "high_from": levels[anchor(levels) + 1] if high else None,
        "arms": figures,
        "marks": grader_figures.hold_against_marks(figures[ALL]),
        "control_at_chance": grader_figures.at_chance(figures[CONTROL]) if CONTROL in figures else None,
        "confusion": confusion.tolist(),
        "reliability": grader_figures.reliability(told) if high else None,
        "roc": None,
        "outlined_by_model": None,
        "chosen": graded.chosen,
    }
    if high and told.high.any() and not told.high.all():
        drawn = grader_figures.resample(groups, lambda rows: grader_figures.roc(told.of(rows)), seed)
        band = grader_figures.interval(drawn) if len(set(groups)) > 1 else None
        found["roc"] = {
            "false_positives": grader_figures.FALSE_POSITIVES.tolist(),
            "true_positives": grader_figures.roc(told).tolist(),
            "band": band,
        }
    if by_model.cases:
        again, own = told_by(by_model, ALL, task, levels)
        if len(own):
            same = [by_model.cases[k].group for k in own]
            keys = {by_model.cases[k].key for k in own}
            expert = told.of(np.array([k for k, place in enumerate(places) if graded.cases[place].key in keys], int))
            both = {"model": again, EXPERT: expert}
            found["outlined_by_model"] = {
                "n_cases": len(own),
                "missed": len(places) - len(own),
                "arms": grader_figures.summarise_arms(both, same, len(levels), high, seed),
            }
    return found


def learned_rows(task: str, levels: list[str], graded: Graded) -> dict[Case, dict[str, Any]]:
    """Return what the rows of `learned_grades` take from a task."""
    cut = first_high(levels)
    rows = {}
    for case, fold, level, above, source in zip(
        graded.cases, graded.folds, graded.level[ALL], graded.above[ALL], graded.sources, strict=True
    ):
        shares = -np.diff(np.concatenate([[1.0], above, [0.0]]))
        row: dict[str, Any] = {"group_id": case.group, "fold": fold, "source": source}
        if task == HISTOLOGY:
            row |= {
                "p_malignant": float(above[0]),
                "doubt": contradict_histology(label_of(task, case), float(above[0])),
            }
        else:
            stated = label_of(task, case)
            row |= {
                "system": task,
                "radiologist": stated,
                "level": levels[level],
                "probabilities": list(zip(levels, shares.tolist(), strict=True)),
                "p_high": None if cut is None else float(above[cut - 1]),
                "sure": float(shares[max(0, level - 1) : level + 2].sum()),
                "doubt": contradict(task, levels, stated, levels[level], shares.tolist(), cut),
            }
        rows[case.key] = row
    return rows


def run_task(
    task: str, listed: list[Labelled], outer: list[Fold], seed: int
) -> tuple[dict[str, Any], dict[Case, dict[str, Any]]]:
    """Return the figures of one task and its part of the rows of `learned_grades`; or why nothing is learnt."""
    labelled = [case for case in listed if label_of(task, case)]
    levels, too_few = learnable(task, labelled, outer)
    about = {"levels": levels, "left_out": too_few, "n_labelled": len(labelled), "abstained": None}
    if len(levels) < 2:
        counts = ", ".join(
            f"{level}: {len({case.group for case in labelled if label_of(task, case) == level})}"
            for level in [*levels, *too_few]
        )
        why = "one class only" if len(levels) + len(too_few) < 2 else "too few to learn from"
        need = f"needed are two levels with {FEWEST} groups each outside every fold"
        return about | {"abstained": f"{task}: {why} (groups by label: {counts}); {need}"}, {}
    if not any(label_of(task, case) in levels and fold.test(case) for case in labelled for fold in outer):
        return about | {
            "abstained": f"{task}: no labelled case in the folds that are tested: nothing to hold it against"
        }, {}
    sets = {case.row["dataset"] for case in labelled}
    of_task = [  # whoever has a level of another system is not graded in this one
        case
        for case in listed
        if case.row["dataset"] in sets and (task == HISTOLOGY or case.row["tirads_system"] in (None, task))
    ]
    graded, by_model = Graded(), Graded()
    for fold in outer:
        grade_fold(fold, task, levels, of_task, seed, graded, by_model)
    for arm in [arm for arm, found in graded.level.items() if len(found) < len(graded.cases)]:
        del graded.level[arm], graded.above[arm]  # in the training of some fold nothing was known of it
    return about | summarise_task(task, levels, graded, by_model, seed), learned_rows(task, levels, graded)
