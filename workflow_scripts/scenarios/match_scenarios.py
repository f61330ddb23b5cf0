"""Say which cases each scenario could take, by their labels alone: no pixel is read, and none is preferred."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.scenarios.queries import check_query, fits
from workflow_scripts.scenarios.wording import check_wording
from workflow_scripts.tables import candidates, cases
from workflow_scripts.tables.table import read_rows, write_rows


def match_scenarios(rows: Sequence[dict[str, Any]], templates: Sequence[dict[str, Any]], seed: int) -> list[dict]:
    """Return the rows of `candidates`: for each template the cases that fit, one a group, in an order drawn by `seed`.

    The order of a case depends on nothing but the seed, the template's name and the case's own, so a case that is added
    leaves the order of the others as it is. A case may be a candidate of several templates.

    Raises
    ------
    Refusal
        When a template asks for a column or a field that does not exist.
    """
    found = []
    for template in templates:
        check_query(template["where"], template["name"])
        check_wording(template)
        order = {
            sha256(canonical_json([seed, template["name"], case["dataset"], case["case_id"]])): case
            for case in rows
            if fits(case, template["where"])
        }
        groups: dict[tuple[str, str], dict[str, Any]] = {}
        for _, case in sorted(order.items()):
            groups.setdefault((case["dataset"], case["group_id"]), case)
        found += [
            {
                "template": template["name"],
                "rank": rank,
                **{key: case[key] for key in ("dataset", "case_id", "group_id")},
            }
            for rank, case in enumerate(groups.values())
        ]
    return found


def main(argv: list[str] | None = None) -> None:
    """Match every data set's cases."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--cases", type=command.existing, nargs="+", required=True, help="tables of cases")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="templates, seed as JSON")
    arguments.add_argument("--candidates", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("match_scenarios")
    rows = [row for path in args.cases for row in read_rows(path, cases.SCHEMA)]
    found = match_scenarios(rows, args.spec["templates"], args.spec["seed"])
    write_rows(args.candidates, found, candidates.SCHEMA)
    for template in args.spec["templates"]:
        number = sum(row["template"] == template["name"] for row in found)
        log.info("%s: %d candidates of %d cases, %d asked for", template["name"], number, len(rows), template["count"])


if __name__ == "__main__":
    main()
