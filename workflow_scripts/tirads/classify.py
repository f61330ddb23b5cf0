"""From what was seen of a nodule to rows of a table, whatever the system: the one place that decides on a level.

What was seen of a descriptor is a set of choices. One choice is knowledge, several are a doubt, all of them ignorance:
every nodule that is left possible is looked up, and a level is known where they all have the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

from workflow_scripts.tirads.systems import NOTHING, Choice, Level, System, join

Nodule = tuple[Choice, ...]  # one choice a descriptor, in the system's order


@dataclass(frozen=True)
class Outcome:
    """What a table says of all the nodules that the findings leave possible.

    `rows` are in the order of the table, `points` ascending (none for patterns); `missing` are the descriptors that
    would have to be known better, for the level differs with them alone.
    """

    rows: tuple[Level, ...]
    points: tuple[int, ...]
    missing: tuple[str, ...]

    @property
    def level(self) -> str | None:
        """The one level that every possible nodule has, or None."""
        return self.levels[0] if len(self.levels) == 1 else None

    @property
    def levels(self) -> list[str]:
        """The levels that are possible, from low to high."""
        return sorted({row.name for row in self.rows})


def classify(system: System, findings: Mapping[str, Collection[Choice]]) -> Outcome:
    """Return what a table says of a nodule of which some things are known.

    Parameters
    ----------
    system
        The table.
    findings
        By descriptor the choices that are possible; no entry where nothing is known.

    Raises
    ------
    ValueError
        If a descriptor is not the system's, or no choice, or one that it does not have, is said to be possible.
    """
    if stray := findings.keys() - system.descriptors.keys():
        raise ValueError(f"{system.name} has no descriptor {sorted(stray)}; it has {list(system.descriptors)}")
    possible = []
    for name, category in system.descriptors.items():
        choices = frozenset(findings.get(name, category.choices))
        terms = category.options.keys() | category.also.keys()
        if not choices or not all(choice <= terms for choice in choices):
            shown = sorted(join(sorted(choice), "and") or NOTHING for choice in choices)
            raise ValueError(f"{system.name} {category.label}: {shown} is not a choice from {list(category.options)}")
        possible.append(choices)
    return _classify(system, tuple(possible))


@cache
def _classify(system: System, possible: tuple[frozenset[Choice], ...]) -> Outcome:
    found = {nodule: _row_of(system, nodule) for nodule in product(*possible)}
    missing = []
    for position, name in enumerate(system.descriptors):
        level_beside: dict[Nodule, str] = {}  # by all the other choices
        for nodule, (row, _) in found.items():
            others = nodule[:position] + nodule[position + 1 :]
            if level_beside.setdefault(others, row.name) != row.name:
                missing.append(name)
                break
    rows = {id(row) for row, _ in found.values()}
    points = {points for _, points in found.values() if points is not None}
    return Outcome(
        tuple(row for row in system.levels if id(row) in rows),
        tuple(sorted(points)),
        tuple(missing),
    )


def _row_of(system: System, nodule: Nodule) -> tuple[Level, int | None]:
    """Return the row of a nodule of which everything is known, and its sum of points where points decide."""
    if system.by_points:
        points = 0
        for category, choice in zip(system.descriptors.values(), nodule, strict=True):
            if not choice.isdisjoint(category.alone):
                points = category.points(choice)
                break
            points += category.points(choice)
        return system.level_of(points), points
    seen = dict(zip(system.descriptors, nodule, strict=True))
    for row in system.levels:
        for pattern in row.any_of:
            if all(not seen[name].isdisjoint(terms) for name, terms in pattern.items()):
                return row, None
    raise ValueError(f"{system.name} has no row for {[sorted(choice) for choice in nodule]}")
