"""Grade every case by ACR TI-RADS 2017, and by further systems on demand, with advice by size and the reason."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.files import natural
from workflow_scripts.tables import cases, grades, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import read_many, write_rows
from workflow_scripts.tirads.advise_in_words import LANGUAGES, advise_in_words
from workflow_scripts.tirads.engine import Grade, grade_nodule, grade_points
from workflow_scripts.tirads.findings import SEPARATOR, possible_findings
from workflow_scripts.tirads.systems import (
    SYSTEMS,
    System,
    describe_choices,
    describe_points,
    level_agrees,
    load_system,
    points_of,
)

Case = Mapping[str, Any]
Graded = tuple[Case, Grade, dict[str, Any]]  # a case, its grade by one system, and the row of it


def known_points(system: System, case: Case) -> tuple[dict[str, int | None], bool | None]:
    """Return the points of each descriptor, and whether the nodule is spongiform; None where only points are known.

    Points of the table are taken as they are; words count where they are the system's own.
    """
    points: dict[str, int | None] = {}
    for name in cases.DESCRIPTORS:
        points[name] = case[f"{name}_points"]
        if points[name] is None and case[name] and case["tirads_system"] == system.name:
            words = [word.strip() for word in case[name].split(SEPARATOR)] if name == "foci" else case[name]
            points[name] = points_of(system, name, words)
    counts = case["composition"] is not None and points["composition"] is not None  # a word in the system's meaning
    return points, case["composition"] == "spongiform" if counts else None


def grade_known_points(
    system: System, case: Case, sizes: Any, stated: str | None
) -> tuple[dict[str, int | None], Grade]:
    """Return the points of each descriptor and the grade; where points leave open whether the nodule is spongiform, the
    level that is stated in the system tells.
    """
    points, spongiform = known_points(system, case)
    grade = grade_points(system, points, sizes, spongiform)
    if stated and len(grade.sums) > 1:
        readings = [grade_points(system, points, sizes, reading) for reading in (False, True)]
        grade = next((one for one in readings if level_agrees(system, one.sums[0], stated)), readings[0])
    return points, grade


def grade_case(system: System, case: Case) -> tuple[Grade, dict[str, Any]]:
    """Return the grade of one case by one system, and its row of `grades`, without the advice in words.

    Raises
    ------
    Unusable
        When its sizes or ACR points are impossible, or it states an ACR level that its points do not add up to, or
        words that ACR does not have. Levels of other systems are not held to that: what differs is told.
    """
    source = case["sources"][0] if case["source_kind"] in ("xml-jpeg", "table") else "metadata.csv"
    # Where the largest diameter is stated as such, the other axes decide nothing.
    sizes = case["size_mm"] if case["largest_mm"] is None else [case["largest_mm"]] * 3
    own = case["tirads_system"] == system.name
    stated = case["tirads_level"] if own else None
    findings = []
    try:
        if system.name == grades.MAIN:
            points, grade = grade_known_points(system, case, sizes, stated)
            for name, value in points.items():
                if own and case[name]:  # its words are the system's, and say more than points do
                    findings.append(case[name].replace(SEPARATOR, " and"))
                elif value is not None:
                    findings.append(describe_points(system, name, value))
        else:
            seen = possible_findings(system, case)
            grade = grade_nodule(system, seen, sizes)
            findings = [describe_choices(system, name, choices) for name, choices in seen.items()]
    except ValueError as error:
        raise Unusable(source, str(error), f"write what {system.name} has") from None
    reason = grade.reason
    if system.name == grades.MAIN and stated and grade.points is not None:
        if not level_agrees(system, grade.points, stated):
            differs = f"the stated level {stated} is not that of its {grade.points} points, {grade.level}"
            raise Unusable(source, differs, "correct the level or the descriptors")
    elif system.name != grades.MAIN and stated and stated != grade.level:
        reason += f"; the radiologist states {stated}"
    return grade, {
        "case_id": case["case_id"],
        "dataset": case["dataset"],
        "system": system.name,
        "points": grade.points,
        "level": grade.level,
        "advice": grade.advice,
        "reason": reason,
        "findings": "; ".join(findings) or None,
        "source": "radiologist descriptors",
    }


def take_turns(system: System, graded: Iterable[Graded]) -> dict[str, tuple[int, int]]:
    """Return by case its place among the nodules of its patient for which the same is advised, and how many they are.

    Those with most points come first, as the guideline says; of equal ones the larger, which it does not say. A patient
    that is not known, a single nodule and a system without a rule give no place.
    """
    alike: dict[tuple[str, str], list[tuple[Case, Grade]]] = defaultdict(list)
    for case, grade, _ in graded:
        if case["group_kind"] == "patient" and grade.advice in system.several:
            alike[case["group_id"], grade.advice].append((case, grade))
    turns: dict[str, tuple[int, int]] = {}
    for nodules in alike.values():
        nodules.sort(key=lambda one: (-(one[1].points or 0), -(one[1].largest_mm or 0), natural(one[0]["case_id"])))
        if len(nodules) > 1:
            turns |= {case["case_id"]: (k, len(nodules)) for k, (case, _) in enumerate(nodules, 1)}
    return turns


def grade_all(systems: list[System], rows: Iterable[Case]) -> tuple[list[dict[str, Any]], list[tuple[Case, Unusable]]]:
    """Return the rows of `grades`, by case and system, and the cases that cannot be graded with what is wrong."""
    graded: list[list[Graded]] = []
    lost = []
    for case in rows:
        try:
            graded.append([(case, *grade_case(system, case)) for system in systems])
        except Unusable as problem:
            lost.append((case, problem))
    for position, system in enumerate(systems):
        turns = take_turns(system, (of_case[position] for of_case in graded))
        for case, grade, row in (of_case[position] for of_case in graded):
            turn = turns.get(case["case_id"])
            row["turn"] = turn and turn[0]
            row |= {f"advice_{name}": advise_in_words(system, grade, name, turn) for name in LANGUAGES}
    return [row for of_case in graded for _, _, row in of_case], lost


def main(argv: list[str] | None = None) -> None:
    """Grade one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--chunks", type=command.existing, required=True, help="folder of tables of cases")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="parameters as JSON")
    arguments.add_argument("--grades", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("grade_nodules")
    systems = [load_system(SYSTEMS[name]) for name in (grades.MAIN, *args.spec["also"])]
    graded, lost = grade_all(systems, read_many(args.chunks.glob("*.parquet"), cases.SCHEMA))
    for case, problem in lost:
        log.warning("%s: %s", case["case_id"], problem)
    write_rows(args.grades, graded, grades.SCHEMA)
    problems = [problem_row("grade_nodules", dict(case), "quarantined", problem) for case, problem in lost]
    write_rows(args.quarantine, problems, quarantine.SCHEMA)


if __name__ == "__main__":
    main()
