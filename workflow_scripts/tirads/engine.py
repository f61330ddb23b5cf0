"""Grade a thyroid nodule by a published TI-RADS table, one of the YAML files beside this module."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import combinations
from math import isfinite
from pathlib import Path

import yaml

FNA = "fna"
FOLLOW_UP = "follow-up"
NO_ACTION = "none"
UNDETERMINED = "cannot be determined"

_COMPARISONS = {">=": operator.ge}


@dataclass(frozen=True)
class Descriptor:
    """One category of the chart: points by term and by other ways to write it, and how both read in a text."""

    label: str
    options: Mapping[str, int]
    also: Mapping[str, int] = field(default_factory=dict)
    in_text: Mapping[str, str] = field(default_factory=dict)
    all_that_apply: bool = False
    if_unknown: str = ""

    @cached_property
    def findings(self) -> dict[int, list[str]]:
        """The findings, in words, that each allowed number of points may stand for."""
        findings: dict[int, list[str]] = {}
        for term, points in self.options.items():
            findings.setdefault(points, []).append(self.in_text.get(term, term))
        if self.all_that_apply:
            scoring = [term for term, points in self.options.items() if points]
            for count in range(2, len(scoring) + 1):
                for first, *others in combinations(scoring, count):
                    points = sum(self.options[term] for term in (first, *others))
                    findings.setdefault(points, []).append(f"{first} with {_join(others, 'and')}")
        return findings


@dataclass(frozen=True)
class Level:
    """One level: lowest and highest sum of points, thresholds on the largest diameter [mm], risk of malignancy [%]."""

    name: str
    points: Sequence[int]
    meaning: str
    fna_mm: float | None
    follow_up_mm: float | None
    schedule: str | None
    risk_percent: float


@dataclass(frozen=True)
class Gap:
    """A sum of points that the chart gives no level: the level chosen, those it may be stated as, and the reason."""

    level: str
    agrees_with: Sequence[str]
    note: str


@dataclass(frozen=True)
class System:
    """A TI-RADS system with its version, as published in `source`."""

    name: str
    source: str
    doi: str
    comparison: str
    descriptors: Mapping[str, Descriptor]
    levels: Sequence[Level]
    gaps: Mapping[int, Gap]


@dataclass(frozen=True)
class Grade:
    """The grade of one nodule; `points` and `level` are None where a descriptor is unknown."""

    system: str
    points: int | None
    level: str | None
    advice: str
    reason: str


@cache
def load_system(name: str = "acr_2017") -> System:
    """Read the table `<name>.yaml` beside this module."""
    table = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    table["descriptors"] = {key: Descriptor(**entry) for key, entry in table["descriptors"].items()}
    table["levels"] = [Level(**entry) for entry in table["levels"]]
    table["gaps"] = {points: Gap(**entry) for points, entry in table["gaps"].items()}
    return System(**table)


def points_of(system: System, descriptor: str, term: str | Sequence[str]) -> int:
    """Points of a term, or of all the terms that apply where the chart adds them up.

    Raises
    ------
    ValueError
        If a term is not in the chart, none is given, or terms exclude each other.
    """
    category = system.descriptors[descriptor]
    points = {**category.options, **category.also}
    terms = {term} if isinstance(term, str) else set(term)
    together = len(terms) == 1 or (category.all_that_apply and "none" not in terms)
    if not (terms and together and terms <= points.keys()):
        raise ValueError(f"{system.name} {category.label}: {term!r} is not a choice from {list(category.options)}")
    return sum(points[each] for each in terms)


def describe_points(system: System, descriptor: str, points: int) -> str:
    """Put into words, to be read mid-sentence, every finding that the points may stand for.

    Raises
    ------
    ValueError
        If no finding gives that many points.
    """
    category = system.descriptors[descriptor]
    if points not in category.findings:
        raise ValueError(
            f"{system.name} {category.label}: {points} points are impossible; allowed are {sorted(category.findings)}"
        )
    findings = category.findings[points]
    nested = any(" or " in finding or " with " in finding for finding in findings)
    return ", or ".join(findings) if nested else _join(findings, "or")


def level_agrees(system: System, points_sum: int, stated_level: str) -> bool:
    """Tell whether a level stated in a table is that of its points; where the chart is silent, either neighbour is.

    Raises
    ------
    ValueError
        If the system has no such level or no such sum.
    """
    names = [level.name for level in system.levels]
    if stated_level not in names:
        raise ValueError(f"{system.name} has no level {stated_level!r}; its levels are {_join(names, 'and')}")
    if points_sum in system.gaps:
        return stated_level in system.gaps[points_sum].agrees_with
    return stated_level == _level_of(system, points_sum).name


def grade_points(
    system: System, points: Mapping[str, int | None], size_mm: Sequence[float | None] | None, spongiform: bool = False
) -> Grade:
    """Grade one nodule from the points of its descriptors and its three diameters.

    Parameters
    ----------
    system
        The table to grade by.
    points
        Points by descriptor; None, or no entry, where unknown.
    size_mm
        The three diameters [mm] in any order; None for one, or for all, that are unknown.
    spongiform
        Whether the composition is known to be spongiform: then nothing else counts.

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
    diameters = _known_diameters(size_mm)
    if spongiform:
        total = points_of(system, "composition", "spongiform")
        if known.get("composition", total) != total:
            raise ValueError(f"{system.name}: spongiform is {total} points, composition says {known['composition']}")
        summed = f"spongiform composition scores {_points(total)} and the other descriptors add none"
    elif unknown := [category for key, category in system.descriptors.items() if key not in known]:
        return Grade(system.name, None, None, UNDETERMINED, _unknown_reason(system, unknown, list(known.values())))
    else:
        total = sum(known.values())
        terms = " + ".join(f"{system.descriptors[key].label} {value}" for key, value in known.items())
        summed = f"{terms} = {_points(total)}"
    level = _level_of(system, total)
    note = f" ({system.gaps[total].note})" if total in system.gaps else ""
    advice, reason = _advise(system, level, diameters)
    return Grade(system.name, total, level.name, advice, f"{system.name}: {summed}, {level.name}{note}; {reason}")


def _known_diameters(size_mm: Sequence[float | None] | None) -> list[float]:
    """Diameters [mm] that are given, freed of float noise (1.5 cm may arrive as 14.999999999999998 mm)."""
    if size_mm is None:
        return []
    if len(size_mm) != 3:
        raise ValueError(f"a nodule has three diameters, unknown ones as None; got {list(size_mm)}")
    known = [float(axis) for axis in size_mm if axis is not None]
    if not all(isfinite(axis) and axis > 0 for axis in known):
        raise ValueError(f"diameters are positive numbers in mm; got {list(size_mm)}")
    return [round(axis, 6) for axis in known]


def _level_of(system: System, points: int) -> Level:
    gap = system.gaps.get(points)
    for level in system.levels:
        if level.name == gap.level if gap else level.points[0] <= points <= level.points[1]:
            return level
    raise ValueError(f"{system.name} has no level for a sum of {_points(points)}")


def _advise(system: System, level: Level, diameters: list[float]) -> tuple[str, str]:
    """Advice for a level, and the reason, from the known ones of three diameters [mm]."""
    if level.fna_mm is None or level.follow_up_mm is None:
        return NO_ACTION, "this level calls for neither FNA nor follow-up at any size"
    fna, follow_up = f"the FNA threshold of {level.fna_mm} mm", f"the follow-up threshold of {level.follow_up_mm} mm"
    if not diameters:
        return UNDETERMINED, f"no diameter is known to compare with {fna} and {follow_up}: {UNDETERMINED}"
    reaches = _COMPARISONS[system.comparison]
    largest, complete = max(diameters), len(diameters) == 3
    diameter = f"largest {'' if complete else 'known '}diameter {largest} mm"
    if reaches(largest, level.fna_mm):
        return FNA, f"{diameter} is at or above {fna}: FNA"
    if not complete:
        return UNDETERMINED, f"{diameter} is below {fna}, but a missing one may be larger: {UNDETERMINED}"
    if reaches(largest, level.follow_up_mm):
        return FOLLOW_UP, f"{diameter} is below {fna} and at or above {follow_up}: follow-up {level.schedule}"
    return NO_ACTION, f"{diameter} is below {fna} and {follow_up}: neither FNA nor follow-up"


def _unknown_reason(system: System, unknown: list[Descriptor], known: list[int]) -> str:
    labels = _join([each.label for each in unknown], "and")
    notes = "".join(f" ({each.if_unknown})" for each in unknown if each.if_unknown)
    missing = f"{system.name}: {labels} {'is' if len(unknown) == 1 else 'are'} not known{notes}"
    others = "the other descriptor adds" if len(known) == 1 else "the other descriptors add"
    return f"{missing}; {others} up to {_points(sum(known))}" if known else missing


def _points(number: int) -> str:
    return f"{number} point{'' if number == 1 else 's'}"


def _join(words: Sequence[str], conjunction: str) -> str:
    """Enumerate words: "a", "a or b", "a, b or c"."""
    return f" {conjunction} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
