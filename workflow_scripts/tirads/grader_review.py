"""What a grader says of one case, as a row of `learned_grades`; where it contradicts the radiologist, in words."""

from collections.abc import Sequence

SURE = 0.9  # so probable must the other side be to be worth a second look


def first_high(levels: Sequence[str]) -> int | None:
    """Return the place of the lowest level of 4 or 5, by whatever system; None where nothing parts low from high."""
    high = [k for k, level in enumerate(levels) if next((int(c) for c in level if c.isdigit()), 0) >= 4]
    return high[0] if high and high[0] > 0 else None


def contradict(
    system: str, levels: Sequence[str], stated: str | None, level: str, probabilities: Sequence[float], cut: int | None
) -> str | None:
    """Return both sides in words where the grader is sure that the radiologist's level is another; else None.

    Another is one two steps or more away, or, where low parts from high at `cut`, one of the other side.
    """
    if stated not in levels:
        return None
    place = levels.index(stated)
    away = sum(p for k, p in enumerate(probabilities) if abs(k - place) >= 2)
    p_high = sum(probabilities[cut:]) if cut is not None else None
    doubts = []
    if cut is not None and p_high is not None:
        side, other, p_other = ("low", "high", p_high) if place < cut else ("high", "low", 1 - p_high)
        if p_other >= SURE:
            doubts.append(f"{other} (levels {_span(levels, cut, other)}) with probability {p_other:.2f}, not {side}")
    if away >= SURE and abs(levels.index(level) - place) >= 2:
        doubts.append(f"two levels or more away with probability {away:.2f}")
    if not doubts:
        return None
    return f"the radiologist states {system} level {stated}; learnt from other cases: {level}, {' and '.join(doubts)}"


def contradict_histology(pathology: str | None, p_malignant: float) -> str | None:
    """Return both sides in words where the grader is sure of the other histology; else None.

    Histology is the truth that it learnt from: the case is one to look at, not one to correct.
    """
    if pathology == "benign" and p_malignant >= SURE:
        return f"histology is benign; learnt from other cases: malignant with probability {p_malignant:.2f}"
    if pathology == "malignant" and p_malignant <= 1 - SURE:
        return f"histology is malignant; learnt from other cases: benign with probability {1 - p_malignant:.2f}"
    return None


def _span(levels: Sequence[str], cut: int, side: str) -> str:
    of = levels[cut:] if side == "high" else levels[:cut]
    return of[0] if len(of) == 1 else f"{of[0]} to {of[-1]}"
