"""What a level calls for at a size."""

import operator
from collections.abc import Sequence
from math import isfinite

from workflow_scripts.tirads.systems import NOT_STATED, Level, System

FNA = "fna"
FOLLOW_UP = "follow-up"
NO_ACTION = "none"
NO_FNA = "no fna"  # and the table does not hold whether to follow up
UNDETERMINED = "cannot be determined"

_COMPARISONS = {">=": (operator.ge, "at or above", "below"), ">": (operator.gt, "above", "not above")}


def known_diameters(size_mm: Sequence[float | None] | None) -> list[float]:
    """Return the diameters [mm] that are given, freed of float noise (1.5 cm may arrive as 14.999999999999998 mm).

    Raises
    ------
    ValueError
        If there are not three, or one is no length.
    """
    if size_mm is None:
        return []
    if len(size_mm) != 3:
        raise ValueError(f"a nodule has three diameters, unknown ones as None; got {list(size_mm)}")
    known = [float(axis) for axis in size_mm if axis is not None]
    if not all(isfinite(axis) and axis > 0 for axis in known):
        raise ValueError(f"diameters are positive numbers in mm; got {list(size_mm)}")
    return [round(axis, 6) for axis in known]


def advise(system: System, level: Level, diameters: list[float]) -> tuple[str, str]:
    """Return the advice for a level, and the reason, from the known ones of three diameters [mm]."""
    if level.fna_mm == NOT_STATED:
        return UNDETERMINED, f"{system.name} ties no size to a level: {UNDETERMINED}"
    if not isinstance(level.fna_mm, int | float):
        if level.follow_up_mm == NOT_STATED:
            return NO_FNA, "this level calls for no FNA at any size; follow-up is not in this table"
        return NO_ACTION, "this level calls for neither FNA nor follow-up at any size"
    fna, follow_up = f"the FNA threshold of {level.fna_mm} mm", f"the follow-up threshold of {level.follow_up_mm} mm"
    to_compare = f"{fna} and {follow_up}" if level.follow_up_mm not in (NOT_STATED, 0) else fna
    if not diameters:
        return UNDETERMINED, f"no diameter is known to compare with {to_compare}: {UNDETERMINED}"
    reaches, above, below = _COMPARISONS[str(system.comparison)]
    largest, complete = max(diameters), len(diameters) == 3
    diameter = f"largest {'' if complete else 'known '}diameter {largest} mm"
    if reaches(largest, level.fna_mm):
        return FNA, f"{diameter} is {above} {fna}: FNA"
    if not complete:
        return UNDETERMINED, f"{diameter} is {below} {fna}, but a missing one may be larger: {UNDETERMINED}"
    if level.selective:
        reaches_selective, above_selective, _ = _COMPARISONS[str(level.selective["comparison"])]
        if reaches_selective(largest, level.selective["mm"]):
            within = f" and {above_selective} {level.selective['mm']} mm" if level.selective["mm"] else ""
            rule = f"where FNA is for when {level.selective['when']}, which is not known here"
            return UNDETERMINED, f"{diameter} is {below} {fna}{within}, {rule}: {UNDETERMINED}"
    if not isinstance(level.follow_up_mm, int | float):
        return NO_FNA, f"{diameter} is {below} {fna}: no FNA; follow-up is not in this table"
    if level.follow_up_mm == 0:
        return FOLLOW_UP, f"{diameter} is {below} {fna}: follow-up {level.schedule}"
    if reaches(largest, level.follow_up_mm):
        return FOLLOW_UP, f"{diameter} is {below} {fna} and {above} {follow_up}: follow-up {level.schedule}"
    return NO_ACTION, f"{diameter} is {below} {fna} and {follow_up}: neither FNA nor follow-up"
