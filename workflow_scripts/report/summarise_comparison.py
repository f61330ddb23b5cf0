"""Models side by side, for the report: the figures of `compare`, and where they lie in a drawing."""

import json
from pathlib import Path
from typing import Any

WIDTH = 200  # of a drawing, in units of the viewBox


def summarise_comparison(review: Path) -> dict[str, Any]:
    """Return the figures of review/comparison.json."""
    found: dict[str, Any] = json.loads((review / "comparison.json").read_text(encoding="utf-8"))
    return found


def draw_differences(pairs: list[dict[str, Any]], metric: str = "dice") -> list[dict[str, float] | None]:
    """Return of each pair where its difference and its interval lie from left to right; zero is in the middle of all.

    Returns
    -------
    list
        `at`, `low` and `high` in units of the viewBox; None for a pair without an interval.
    """
    reach = max((abs(end) for pair in pairs for end in pair[metric]["interval"] or ()), default=0) or 1

    def place(value: float) -> float:
        return round(WIDTH / 2 * (1 + 0.95 * value / reach), 1)

    return [
        {"at": place(figure["difference"]), "low": place(figure["interval"][0]), "high": place(figure["interval"][1])}
        if figure["interval"]
        else None
        for figure in (pair[metric] for pair in pairs)
    ]
