"""Grade every case by ACR TI-RADS 2017 from the radiologist's descriptors, with advice by size and the reason."""

from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.tables import cases, grades, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import read_many, write_rows
from workflow_scripts.tirads.engine import System, describe_points, grade_points, level_agrees, load_system, points_of

FOCI_SEPARATOR = ";"


def known_points(system: System, case: dict[str, Any]) -> tuple[dict[str, int | None], bool]:
    """Return the points of each descriptor, and whether the nodule is said to be spongiform.

    Points of the table are taken as they are; words count where they are the system's own.
    """
    points: dict[str, int | None] = {}
    for name in cases.DESCRIPTORS:
        points[name] = case[f"{name}_points"]
        if points[name] is None and case[name] and case["tirads_system"] == system.name:
            words = [word.strip() for word in case[name].split(FOCI_SEPARATOR)] if name == "foci" else case[name]
            points[name] = points_of(system, name, words)
    return points, case["composition"] == "spongiform" and case["tirads_system"] == system.name


def grade_case(system: System, case: dict[str, Any]) -> dict[str, Any]:
    """Return the row of `grades` of one case.

    Raises
    ------
    Unusable
        When the case states a level of this system that its points do not add up to, or words that it does not have.
    """
    source = case["sources"][0] if case["source_kind"] in ("xml-jpeg", "table") else "metadata.csv"
    try:
        points, spongiform = known_points(system, case)
        # Where the largest diameter is stated as such, the other axes decide nothing.
        sizes = case["size_mm"] if case["largest_mm"] is None else [case["largest_mm"]] * 3
        grade = grade_points(system, points, sizes, spongiform=spongiform)
    except ValueError as error:
        raise Unusable(source, str(error), f"write what {system.name} has") from None
    stated = case["tirads_level"] if case["tirads_system"] == system.name else None
    if stated and grade.points is not None and not level_agrees(system, grade.points, stated):
        reason = f"the stated level {stated} is not that of its {grade.points} points, {grade.level}"
        raise Unusable(source, reason, "correct the level or the descriptors")
    own = case["tirads_system"] == system.name  # then its words are the system's, and say more than points do
    findings = []
    for name, value in points.items():
        if own and case[name]:
            findings.append(case[name].replace(FOCI_SEPARATOR, " and"))
        elif value is not None:
            findings.append(describe_points(system, name, value))
    return {
        "case_id": case["case_id"],
        "dataset": case["dataset"],
        "system": system.name,
        "points": grade.points,
        "level": grade.level,
        "advice": grade.advice,
        "reason": grade.reason,
        "findings": "; ".join(findings) or None,
        "source": "radiologist descriptors",
    }


def main(argv: list[str] | None = None) -> None:
    """Grade one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--chunks", type=command.existing, required=True, help="folder of tables of cases")
    arguments.add_argument("--grades", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("grade_nodules")
    system = load_system("acr_2017")
    graded, lost = [], []
    for case in read_many(args.chunks.glob("*.parquet"), cases.SCHEMA):
        try:
            graded.append(grade_case(system, case))
        except Unusable as problem:
            lost.append(problem_row("grade_nodules", case, "quarantined", problem))
            log.warning("%s: %s", case["case_id"], problem)
    write_rows(args.grades, graded, grades.SCHEMA)
    write_rows(args.quarantine, lost, quarantine.SCHEMA)


if __name__ == "__main__":
    main()
