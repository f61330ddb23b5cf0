"""Which stratum a scored frame belongs to: its level, histology, size, place in the field, how many nodules."""

from collections.abc import Callable
from typing import Any, NamedTuple

from workflow_scripts.files import natural

Row = dict[str, Any]
LABELS = ("tirads_system", "tirads_level", "label_source", "pathology", "largest_mm")  # of the case
UNKNOWN = "not known"
TWO_VIEWS = "two views side by side"
# Near the thirds of DDTI's 394 outlined pictures (0.039 and 0.109).
SHARES = (0.04, 0.11)
SIZES = ("under 4 %", "4 to under 11 %", "11 % and more")
# Below 10 mm ACR 2017 and EU 2017 advise no biopsy; T1 ends at 20 mm (AJCC, 8th edition).
MILLIMETRES = (10, 20)
DIAMETERS = ("under 10 mm", "10 to under 20 mm", "20 mm and more")


class Stratum(NamedTuple):
    """One way to part the frames."""

    name: str
    meaning: str
    parts: tuple[str, ...]  # in this order; none: in the natural order of what is found
    part_of: Callable[[Row], str | None]  # None: not known


def level_of(row: Row) -> str | None:
    """Return system and level: levels of two systems are different things."""
    return f"{row['tirads_system']}: {row['tirads_level']}" if row["tirads_level"] else None


def histology_of(row: Row) -> str | None:
    """Return the pathology where histology says so."""
    return row["pathology"] if row["label_source"] == "histology" else None


def share_of(row: Row) -> str | None:
    """Return the class of the share of the picture that is outlined."""
    outlined = row["tp"] + row["fn"]
    share = outlined / (outlined + row["fp"] + row["tn"])
    return SIZES[sum(share >= cut for cut in SHARES)] if outlined else None


def millimetres_of(row: Row) -> str | None:
    """Return the class of the largest diameter: as the data set states it, else as measured on the frame."""
    largest = row["longest_mm"] if row["largest_mm"] is None else row["largest_mm"]
    return None if largest is None else DIAMETERS[sum(largest >= cut for cut in MILLIMETRES)]


def arrangement_of(row: Row) -> str | None:
    """Return whether one nodule is outlined, or several; two views of one nodule are not two nodules."""
    if row["views"] == 2:
        return TWO_VIEWS
    return {0: None, 1: "one nodule"}.get(row["n_outlined"], "several nodules")


def edge_of(row: Row) -> str | None:
    """Return whether the outline reaches the edge of the field."""
    return None if row["touches_edge"] is None else "at the edge" if row["touches_edge"] else "inside"


STRATA = (
    Stratum("level", "The level that the data set states, with its system", (), level_of),
    Stratum("histology", "Pathology, where histology says so", ("benign", "malignant"), histology_of),
    Stratum("size", "Share of the picture that the expert outlined", SIZES, share_of),
    Stratum("diameter", "Largest diameter, as the data set states it, else as measured", DIAMETERS, millimetres_of),
    Stratum(
        "nodules",
        "What is outlined; views are told by the seam between them",
        ("one nodule", "several nodules", TWO_VIEWS),
        arrangement_of,
    ),
    Stratum("edge", "Whether the outline reaches the edge of the ultrasound field", ("inside", "at the edge"), edge_of),
)


def part_rows(stratum: Stratum, rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of each part of a stratum, those of no known part last; empty where nothing is known of any."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(stratum.part_of(row) or UNKNOWN, []).append(row)
    order = [*(stratum.parts or sorted(found.keys() - {UNKNOWN}, key=natural)), UNKNOWN]
    return {part: found[part] for part in order if part in found} if found.keys() - {UNKNOWN} else {}
