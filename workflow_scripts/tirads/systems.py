"""The TI-RADS systems as data, one YAML file each beside this module: what can be chosen, points, patterns, levels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path

import yaml

SYSTEMS = {  # by name, the table beside this module
    "ACR 2017": "acr_2017",
    "EU-TIRADS 2017": "eu_2017",
    "K-TIRADS 2016": "k_2016",
    "K-TIRADS 2021": "k_2021",
    "C-TIRADS 2020": "c_2020",
    "Kwak 2011": "kwak_2011",
}
NOTHING = "none"  # no echogenic foci: the choice without a term
NOT_STATED = "not stated"

Choice = frozenset[str]  # of a descriptor: one term, or of echogenic foci all that apply


@dataclass(frozen=True)
class Descriptor:
    """One category of a table: points by term and by other ways to write it, and how both read in a text."""

    label: str
    options: Mapping[str, int]
    also: Mapping[str, int] = field(default_factory=dict)
    in_text: Mapping[str, str] = field(default_factory=dict)
    alone: Sequence[str] = ()
    all_that_apply: bool = False
    if_unknown: str = ""

    @cached_property
    def choices(self) -> frozenset[Choice]:
        """All that can be chosen."""
        if not self.all_that_apply:
            return frozenset(Choice([term]) for term in self.options)
        terms = [term for term in self.options if term != NOTHING]
        return frozenset(Choice(some) for count in range(len(terms) + 1) for some in combinations(terms, count))

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
                    findings.setdefault(points, []).append(f"{first} with {join(others, 'and')}")
        return findings

    def points(self, choice: Choice) -> int:
        """Points of a choice, where all that apply add up."""
        return sum(self.options[term] if term in self.options else self.also[term] for term in choice)


@dataclass(frozen=True)
class Level:
    """One row of a table: when it applies, and what it calls for; thresholds on the largest diameter [mm].

    `points` are the lowest and highest sum, `any_of` the patterns: terms by descriptor. `risk_percent` is the share of
    malignant nodules.
    """

    name: str
    meaning: str
    risk_percent: float | str
    points: Sequence[int] = ()
    any_of: Sequence[Mapping[str, Collection[str]]] = ()
    pattern: str = ""
    fna_mm: float | str | None = NOT_STATED
    selective: Mapping[str, float | str] = field(default_factory=dict)
    follow_up_mm: float | str | None = NOT_STATED
    schedule: str | None = None


@dataclass(frozen=True)
class Gap:
    """A sum of points that the chart gives no level: the level chosen, those it may be stated as, and the reason."""

    level: str
    agrees_with: Sequence[str]
    note: str


@dataclass(frozen=True, eq=False)
class System:
    """A TI-RADS system with its version, as published in `source`."""

    name: str
    source: str
    doi: str
    comparison: str | None
    descriptors: Mapping[str, Descriptor]
    levels: Sequence[Level]
    gaps: Mapping[int, Gap] = field(default_factory=dict)
    unit: str = "point"
    not_confirmed: Sequence[str] = ()
    several: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def by_points(self) -> bool:
        """Whether points give the level, and not patterns."""
        return bool(self.levels[0].points)

    def level_of(self, points: int) -> Level:
        """Return the row of a sum of points."""
        gap = self.gaps.get(points)
        for level in self.levels:
            if level.name == gap.level if gap else level.points[0] <= points <= level.points[1]:
                return level
        raise ValueError(f"{self.name} has no level for a sum of {self.count(points)}")

    def count(self, number: int) -> str:
        """Return a number with what it counts: `1 point`, `2 suspicious features`."""
        return f"{number} {self.unit}{'' if abs(number) == 1 else 's'}"


@cache
def load_system(name: str = "acr_2017") -> System:
    """Read the table `<name>.yaml` beside this module."""
    table = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    for key, entry in table["descriptors"].items():
        if isinstance(entry["options"], list):
            entry["options"] = dict.fromkeys(entry["options"], 0)
        table["descriptors"][key] = Descriptor(**{"label": key} | entry)
    table["levels"] = [Level(**entry) for entry in table["levels"]]
    table["gaps"] = {points: Gap(**entry) for points, entry in table.get("gaps", {}).items()}
    return System(**table)


def points_of(system: System, descriptor: str, term: str | Sequence[str]) -> int:
    """Points of a term, or of all the terms that apply where the chart adds them up.

    Raises
    ------
    ValueError
        If a term is not in the chart, none is given, or terms exclude each other.
    """
    category = system.descriptors[descriptor]
    terms = Choice([term] if isinstance(term, str) else term)
    together = len(terms) == 1 or (category.all_that_apply and NOTHING not in terms)
    if not (terms and together and terms <= category.options.keys() | category.also.keys()):
        raise ValueError(f"{system.name} {category.label}: {term!r} is not a choice from {list(category.options)}")
    return category.points(terms)


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
    return either(category.findings[points])


def describe_choices(system: System, descriptor: str, choices: Collection[Choice]) -> str:
    """Put into words, to be read mid-sentence, what may be chosen; of foci only those that count in the system."""
    category = system.descriptors[descriptor]
    patterns = [pattern.get(descriptor, ()) for row in system.levels for pattern in row.any_of]
    counting = {term for term, points in category.options.items() if points or any(term in terms for terms in patterns)}
    words = set()
    for choice in choices:
        shown = choice & counting if category.all_that_apply else choice
        words.add(join([category.in_text.get(term, term) for term in category.options if term in shown], "with"))
    return either(sorted(word or "none that counts" for word in words))


def level_agrees(system: System, points_sum: int, stated_level: str) -> bool:
    """Tell whether a level stated in a table is that of its points; where the chart is silent, either neighbour is.

    Raises
    ------
    ValueError
        If the system has no such level or no such sum.
    """
    names = [level.name for level in system.levels]
    if stated_level not in names:
        raise ValueError(f"{system.name} has no level {stated_level!r}; its levels are {join(names, 'and')}")
    if points_sum in system.gaps:
        return stated_level in system.gaps[points_sum].agrees_with
    return stated_level == system.level_of(points_sum).name


def either(words: Sequence[str]) -> str:
    """Enumerate what may be the case: "a, b or c"; with commas alone where a word is itself an "or"."""
    nested = any(" or " in word or " with " in word for word in words)
    return ", or ".join(words) if nested else join(words, "or")


def join(words: Sequence[str], conjunction: str) -> str:
    """Enumerate words: "a", "a or b", "a, b or c"."""
    return f" {conjunction} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""
