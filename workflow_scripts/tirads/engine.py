"""Grade a thyroid nodule by a TI-RADS system: level, points, what is advised, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from workflow_scripts.tirads.classify import Outcome, classify
from workflow_scripts.tirads.size_rule import UNDETERMINED, advise, known_diameters
from workflow_scripts.tirads.systems import (
    Choice,
    Descriptor,
    Level,
    System,
    describe_choices,
    describe_points,
    either,
    join,
    load_system,
    points_of,
)

__all__ = ["UNDETERMINED", "Grade", "grade_nodule", "grade_points", "load_system", "points_of"]


@dataclass(frozen=True)
class Grade:
    """The grade of one nodule.

    `points` and `level` are None where what is known does not give one: `missing` are then the descriptors that would
    decide. `rows` and `sums` are those that remain possible, `doubtful` the descriptors that may be several things,
    `scored` the points by descriptor where each is known. `largest_mm` is the largest known diameter, `sized` whether
    it is the nodule's.
    """

    system: str
    points: int | None
    level: str | None
    advice: str
    reason: str
    rows: Sequence[Level] = ()
    sums: Sequence[int] = ()
    missing: Sequence[str] = ()
    doubtful: Sequence[str] = ()
    scored: Mapping[str, int] = field(default_factory=dict)
    largest_mm: float | None = None
    sized: bool = False


def grade_nodule(
    system: System, findings: Mapping[str, Collection[Choice]], size_mm: Sequence[float | None] | None
) -> Grade:
    """Grade one nodule from what was seen of it and its three diameters.

    A level, a sum and an advice are each given where every nodule that the findings leave possible has the same.

    Parameters
    ----------
    system
        The table to grade by.
    findings
        By descriptor the choices that are possible; no entry where nothing is known.
    size_mm
        The three diameters [mm] in any order; None for one, or for all, that are unknown.

    Raises
    ------
    ValueError
        If a descriptor, a choice or a diameter is impossible.
    """
    diameters = known_diameters(size_mm)
    outcome = classify(system, findings)
    points = outcome.points[0] if len(outcome.points) == 1 else None
    advised = {advise(system, row, diameters) for row in outcome.rows}
    advices = {advice for advice, _ in advised}
    advice = advices.pop() if len(advices) == 1 else UNDETERMINED
    scored = {} if points is None else _scored(system, findings)
    at_this_size = " at this size" if diameters else ""
    if len(advised) == 1:
        because = next(iter(advised))[1]
    elif advice == UNDETERMINED:
        because = f"what is advised{at_this_size} differs between them: {UNDETERMINED}"
    else:
        because = f"each of them leads to the same{at_this_size}: {advice}"
    return Grade(
        system.name,
        points,
        outcome.level,
        advice,
        f"{system.name}: {_why(system, findings, outcome, scored)}; {because}",
        outcome.rows,
        outcome.points,
        outcome.missing,
        [name for name, category in system.descriptors.items() if len(findings.get(name, category.choices)) > 1],
        scored,
        max(diameters, default=None),
        len(diameters) == 3,
    )


def grade_points(
    system: System,
    points: Mapping[str, int | None],
    size_mm: Sequence[float | None] | None,
    spongiform: bool | None = None,
) -> Grade:
    """Grade one nodule by a table of points from the points of its descriptors, each of which must be known.

    Parameters
    ----------
    system
        The table to grade by.
    points
        Points by descriptor; None, or no entry, where unknown.
    size_mm
        The three diameters [mm] in any order; None for one, or for all, that are unknown.
    spongiform
        Whether the composition is spongiform: then nothing else counts. None where only its points are known, which
        are those of a cyst as well: the doubt stays.

    Raises
    ------
    ValueError
        If a descriptor, its points or a diameter is impossible, or the composition contradicts `spongiform`.
    """
    if stray := points.keys() - system.descriptors.keys():
        raise ValueError(f"{system.name} has no descriptor {sorted(stray)}; it has {list(system.descriptors)}")
    known = {key: value for key in system.descriptors if (value := points.get(key)) is not None}
    for key, value in known.items():
        describe_points(system, key, value)  # raises where they are impossible
    if spongiform:
        total = points_of(system, "composition", "spongiform")
        if known.get("composition", total) != total:
            raise ValueError(f"{system.name}: spongiform is {total} points, composition says {known['composition']}")
        return grade_nodule(system, {"composition": [Choice(["spongiform"])]}, size_mm)
    if unknown := {key: category for key, category in system.descriptors.items() if key not in known}:
        known_diameters(size_mm)  # raises where they are impossible
        reason = _unknown_reason(system, list(unknown.values()), list(known.values()))
        return Grade(system.name, None, None, UNDETERMINED, reason, missing=tuple(unknown))
    findings = {
        key: [
            choice
            for choice in category.choices
            if category.points(choice) == known[key] and (spongiform is None or choice.isdisjoint(category.alone))
        ]
        for key, category in system.descriptors.items()
    }
    return grade_nodule(system, findings, size_mm)


def _scored(system: System, findings: Mapping[str, Collection[Choice]]) -> dict[str, int]:
    """Points by descriptor; of the one that ends the counting alone, and none where one of them is in doubt."""
    scored = {}
    for name, category in system.descriptors.items():
        choices = findings.get(name, category.choices)
        values = {category.points(choice) for choice in choices}
        if not any(choice.isdisjoint(category.alone) for choice in choices):
            return {name: min(values)}
        if len(values) > 1:
            return {}
        scored[name] = min(values)
    return scored


def _why(
    system: System, findings: Mapping[str, Collection[Choice]], outcome: Outcome, scored: Mapping[str, int]
) -> str:
    if outcome.level is None:
        doubts = [_doubt(system, name, findings) for name in outcome.missing]
        return f"{join(doubts, 'and')}: the level may be {join(outcome.levels, 'or')}"
    if not system.by_points:
        return f"{either([row.pattern for row in outcome.rows])}, {outcome.level}"
    total = outcome.points[0]
    note = ""
    if len(outcome.points) > 1:
        summed = f"{join([str(points) for points in outcome.points[:-1]], 'or')} or {system.count(outcome.points[-1])}"
    elif len(scored) == 1:
        name = next(iter(scored))
        alone = join(system.descriptors[name].alone, "or")
        summed = f"{alone} {name} scores {system.count(total)} and the other descriptors add none"
    else:
        terms = " + ".join(f"{system.descriptors[name].label} {points}" for name, points in scored.items())
        summed = f"{terms} = {system.count(total)}" if scored else system.count(total)
        note = f" ({system.gaps[total].note})" if total in system.gaps else ""
    return f"{summed}, {outcome.level}{note}"


def _doubt(system: System, name: str, findings: Mapping[str, Collection[Choice]]) -> str:
    """Say of a descriptor that it is not known, or what it may be."""
    category = system.descriptors[name]
    choices = findings.get(name, category.choices)
    if frozenset(choices) == category.choices:
        return f"{category.label} is not known{f' ({category.if_unknown})' if category.if_unknown else ''}"
    return f"{category.label} may be {describe_choices(system, name, choices)}"


def _unknown_reason(system: System, unknown: list[Descriptor], known: list[int]) -> str:
    labels = join([each.label for each in unknown], "and")
    notes = "".join(f" ({each.if_unknown})" for each in unknown if each.if_unknown)
    missing = f"{system.name}: {labels} {'is' if len(unknown) == 1 else 'are'} not known{notes}"
    others = "the other descriptor adds" if len(known) == 1 else "the other descriptors add"
    return f"{missing}; {others} up to {system.count(sum(known))}" if known else missing
