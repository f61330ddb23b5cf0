"""One row of a thyroid screening record: what it says of which lobe, and the labels that follow.

What a row says of no lobe by name is of the only one that it describes. Where it describes both, a label of the row
as a whole is given to neither: only what was advised and concluded is said of both.
"""

from typing import Any

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.collections.thyroid_table_columns import Record
from workflow_scripts.collections.thyroid_table_words import (
    NOTHING,
    POINTS,
    SYSTEMS,
    by_side,
    normal,
    one_meaning,
    read_level,
    read_year,
    say,
    system_named,
    terms,
)

LOBES = ("left", "right")
FEATURES = ("location", "morphology", "echo")  # have columns for each lobe; the other texts are of the row
OF_THE_ROW = ("internal_structure", "blood_flow", "tirads", "ai_advice", "physician_conclusion")
# Where each descriptor is looked for.
READ_IN = {
    "composition": ("internal_structure", "morphology", "echo"),
    "echogenicity": ("echo",),
    "shape": ("morphology",),
    "margin": ("morphology",),
    "foci": ("morphology", "echo", "internal_structure"),
}


class Row:
    """The texts of a record by the side that they speak of; `sides` are the lobes that it describes."""

    def __init__(self, record: Record) -> None:
        """Deal the texts to the sides that their column or their own words name."""
        self.record = record
        self._said = {name: by_side(record.values.get(name, "")) for name in (*FEATURES, *OF_THE_ROW)}
        for name in FEATURES:
            for side in LOBES:
                text = record.values.get(f"{side}_{name}")
                if text and not NOTHING.fullmatch(normal(text)):
                    self._said[name][side] = text
        described = [self._said[name] for name in (*FEATURES, "tirads")]
        self.sides = [side for side in LOBES if any(side in parts for parts in described)]

    def text(self, name: str, side: str | None, of_the_row: bool = False) -> str:
        """Return what is said of a lobe, or of a case of no lobe; with `of_the_row` also what is said of neither."""
        if side is None:
            return self.record.values.get(name, "")
        parts = self._said[name]
        whole = parts.get(None, "") if of_the_row or len(self.sides) < 2 else ""
        return "; ".join(filter(None, (whole, parts.get(side))))

    def shared(self) -> list[str]:
        """Return the texts of the row that could be of either of two lobes."""
        return [name for name in OF_THE_ROW if len(self.sides) > 1 and None in self._said[name]]

    def system(self, of_the_table: str | None) -> str | None:
        """Return the system of its level: as the level itself says, else its column, else what the user says of all."""
        values = self.record.values
        return system_named(values.get("tirads", "")) or system_named(values.get("tirads_system", "")) or of_the_table


def read_labels(
    row: Row, side: str | None, of_the_table: str | None, table: str
) -> tuple[dict[str, Any], list[Unusable]]:
    """Return the labels of one case, by the columns of the table of cases, and what of the texts gives none.

    Parameters
    ----------
    side
        The lobe, or None where the row names none.
    of_the_table
        The TI-RADS system that the user says all levels are of.
    table
        What the table is called in remarks.
    """
    values = row.record.values
    labels: dict[str, Any] = {}
    problems: list[Unusable] = []

    def note(reason: str, mend: str) -> None:
        problems.append(Unusable(table, f"line {row.record.line}: {reason}", mend))

    for descriptor, columns in READ_IN.items():
        found = terms(descriptor, "; ".join(row.text(column, side) for column in columns))
        clear = one_meaning(descriptor, found)
        labels[descriptor] = "; ".join(map(str, found)) if clear else None
        labels[f"{descriptor}_points"] = sum(POINTS[descriptor][str(term)] for term in found) if clear else None
        if len(found) > 1 and not clear:
            read = " and ".join(term or "one of a kind that is not said" for term in found)
            note(f"{descriptor} reads as {read}: it gets no points", "nothing, or correct the texts")
    level, system = row.text("tirads", side), row.system(of_the_table)
    labels["tirads_level"] = read_level(level, system) if system and level else None
    labels["tirads_system"] = system if labels["tirads_level"] else None
    if system and level and not labels["tirads_level"]:
        note(f"its TI-RADS level {level[:40]!r} is none of {system}", f"write one of {', '.join(SYSTEMS[system])}")
    labels["blood_flow"] = row.text("blood_flow", side) or None
    for name, word in (("ai_advice", "ai_says"), ("physician_conclusion", "physician_says")):
        labels[name] = values.get(name)
        labels[word] = say(row.text(name, side, of_the_row=True))
    day = values.get("screening_date", "")
    labels["year"] = read_year(day)
    if day and not labels["year"]:
        note("its screening_date is no date", "write year, month and day, as in 2025-09-30")
    if shared := row.shared():
        reason = f"it describes both lobes; of which one {', '.join(shared)} speaks is not said"
        note(f"{reason}: only advice and conclusion count, for both", "name the lobe in the text, or give each a row")
    labels["label_source"] = "radiologist" if {"physician_conclusion", "tirads"} & values.keys() else "none"
    kept = (*FEATURES, "internal_structure", *(() if labels["tirads_level"] else ("tirads",)))
    labels["labels"] = {name: text for name in kept if (text := row.text(name, side, of_the_row=True))}
    return labels, problems
