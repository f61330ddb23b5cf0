"""What a case says of its nodule, as choices that a TI-RADS table has: one where it is clear, else several."""

from collections.abc import Collection, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.tirads.systems import NOTHING, Choice, System, load_system

SEPARATOR = ";"  # between echogenic foci that are seen together


@cache
def lexicon() -> Mapping[str, Mapping[str, list[str]]]:
    """What words may stand for, by descriptor."""
    found: Mapping[str, Mapping[str, list[str]]] = yaml.safe_load(
        Path(__file__).with_name("lexicon.yaml").read_text(encoding="utf-8")
    )
    return found


def possible_findings(system: System, case: Mapping[str, Any]) -> dict[str, frozenset[Choice]]:
    """Return the choices that a case leaves possible, by descriptor; no entry where it says nothing.

    Its words go before its ACR points, for points often stand for several terms. Points are taken for something that
    was seen: that a descriptor could not be determined, which ACR gives points too, only words can say.
    """
    findings = {}
    for name in system.descriptors:
        possible = read_words(system, name, case[name]) if case[name] else None
        if possible is None and case[f"{name}_points"] is not None:
            possible = read_points(system, name, case[f"{name}_points"])
        if possible:
            findings[name] = possible
    return findings


def read_words(system: System, descriptor: str, text: str) -> frozenset[Choice] | None:
    """Return the choices that a text may stand for, no one if nobody can tell; None where a word is not understood."""
    category = system.descriptors[descriptor]
    every = []
    for word in text.split(SEPARATOR) if category.all_that_apply else [text]:
        known = [word.strip()] if word.strip() in category.options else lexicon()[descriptor].get(word.strip())
        if known is None:
            return None
        every.append([Choice(part.strip() for part in one.split(SEPARATOR)) - {NOTHING} for one in known])
    return frozenset(Choice().union(*choices) for choices in product(*every))


def read_points(system: System, descriptor: str, points: int) -> frozenset[Choice] | None:
    """Return the choices that ACR points may stand for; None where they are none of ACR's."""
    acr = load_system("acr_2017").descriptors[descriptor]
    readings: list[Collection[Choice] | None] = [
        read_words(system, descriptor, SEPARATOR.join(choice) or NOTHING)
        for choice in acr.choices
        if acr.points(choice) == points
    ]
    return frozenset(choice for reading in readings if reading for choice in reading) or None
