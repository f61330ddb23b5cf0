"""Compare what a machine advised with what the physician concluded, case by case; who disagrees is to be reviewed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.files import natural
from workflow_scripts.tables import advice, cases, grades
from workflow_scripts.tables.table import read_many, read_rows, write_rows

# What a word leads to: tissue, or none for now. Within a course two words are no disagreement.
COURSE = {"malignant": "tissue", "biopsy": "tissue", "benign": "no tissue", "follow-up": "no tissue"}
SAYING = {
    "malignant": "malignant",
    "benign": "benign",
    "biopsy": "to be biopsied",
    "follow-up": "to be followed up",
}
GUIDELINE = {"fna": "FNA", "follow-up": "follow-up", "none": "neither FNA nor follow-up"}
CONTRADICTION, DISAGREEMENT = 1, 2  # in this order they are reviewed


def compare_advice(case: Mapping[str, Any], grade: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the row of `advice` of one case.

    Parameters
    ----------
    case
        Its row of `cases`.
    grade
        Its row of `grades`, where it has one. What the guideline advises is told beside, and takes no part in `agree`.
    """
    ai, physician = case["ai_says"], case["physician_says"]
    agree = COURSE[ai] == COURSE[physician] if ai and physician else None
    review = None
    if agree is False:
        review = CONTRADICTION if {ai, physician} == {"benign", "malignant"} else DISAGREEMENT
    if agree is None:
        sides = (("the AI", "ai_advice", ai), ("the physician", "physician_conclusion", physician))
        silent = " and ".join(f"what {who} says is {_lack(case[text])}" for who, text, said in sides if not said)
        reason = f"not compared: {silent}"
    elif ai == physician:
        reason = f"AI and physician: {SAYING[ai]}"
    else:
        both = f"AI: {SAYING[ai]}; physician: {SAYING[physician]}"
        reason = f"{both}; both lead to {COURSE[ai]}" if agree else both
    if grade and (guideline := GUIDELINE.get(grade["advice"])):
        reason += f"; {grade['system']} by its descriptors: {guideline}"
    return {
        **{name: case[name] for name in ("case_id", "dataset", "ai_advice", "physician_conclusion")},
        "ai_says": ai,
        "physician_says": physician,
        "system": grade["system"] if grade else None,
        "guideline_advice": grade["advice"] if grade else None,
        "agree": agree,
        "review": review,
        "reason": reason,
    }


def compare_all(rows: Iterable[Mapping[str, Any]], graded: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of `advice` of all cases that carry advice or a conclusion, those to be reviewed first."""
    grade_of = grades.by_main(graded)
    compared = [
        compare_advice(case, grade_of.get(case["case_id"]))
        for case in rows
        if case["ai_advice"] or case["physician_conclusion"]
    ]
    return sorted(compared, key=lambda row: (row["review"] or DISAGREEMENT + 1, natural(row["case_id"])))


def _lack(text: str | None) -> str:
    return "not clear" if text else "not there"


def main(argv: list[str] | None = None) -> None:
    """Compare the advice of one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--chunks", type=command.existing, required=True, help="folder of tables of cases")
    arguments.add_argument("--grades", type=command.existing, required=True, help="table of grades")
    arguments.add_argument("--advice", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("compare_advice")
    rows = read_many(args.chunks.glob("*.parquet"), cases.SCHEMA)
    compared = compare_all(rows, read_rows(args.grades, grades.SCHEMA))
    write_rows(args.advice, compared, advice.SCHEMA)
    log.info(
        "%d cases with advice, %d to be reviewed", len(compared), sum(row["review"] is not None for row in compared)
    )


if __name__ == "__main__":
    main()
