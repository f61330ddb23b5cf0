"""Say which cases each scenario could take, by their labels alone: no pixel is read, and none is preferred."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts import command
from workflow_scripts.configuration import load_templates
from workflow_scripts.imaging.windows import window_named
from workflow_scripts.scenarios.queries import check_columns, check_query, explain_no_fit, fits
from workflow_scripts.scenarios.selection import NAMES, SIZE, select, strata_of
from workflow_scripts.scenarios.wording import check_wording
from workflow_scripts.tables import candidates, cases, matches
from workflow_scripts.tables.table import write_rows

RESERVE = 10
"""Candidates for each scenario asked for: of those that fit by label, some have no picture that can be shown."""
LEAST = 50


def check_templates(templates: Sequence[dict[str, Any]]) -> None:
    """Check that templates ask for columns and fields that exist.

    Raises
    ------
    Refusal
        With the template, what it asks for, and what there is.
    """
    for template in templates:
        check_query(template.get("where", {}), template["name"])
        strata = [name for name in template.get("stratify", ()) if name != SIZE]
        check_columns(strata, f"template {template['name']}: stratify: ")
        check_wording(template)
        if isinstance(window := template.get("window"), str):
            try:
                window_named(window)
            except ValueError as error:
                raise command.Refusal(f"template {template['name']}: window: {error}") from None


def match_scenarios(
    rows: pa.Table, templates: Sequence[dict[str, Any]], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of `candidates` and of `matches`: for each template the cases that fit, and how many.

    A case may be a candidate of several templates. Of a template that nothing can fill, none is looked for.
    """
    found, counts = [], []
    for template in templates:
        known = {"template": template["name"], "title": template["title"], "kind": template["kind"]}
        if "cannot" in template:
            nothing = {"eligible": 0, "patients": 0, "candidates": 0, "datasets": []}
            counts.append(known | nothing | {"asked": template["count"], "unfit": template["cannot"]["reason"]})
            continue
        fitting = rows.filter(fits(rows, template["where"]))
        reason, nearest = (None, None) if fitting.num_rows else explain_no_fit(rows, template["where"])
        chosen, patients = select(fitting, template, seed, max(LEAST, RESERVE * template["count"]))
        counts.append(
            {
                **known,
                "asked": template["count"],
                "eligible": fitting.num_rows,
                "patients": patients,
                "candidates": chosen.num_rows,
                "unfit": reason,
                "datasets": nearest or sorted(fitting.column("dataset").unique().to_pylist()),
            }
        )
        found += [
            {"template": template["name"], "rank": rank, **case}
            for rank, case in enumerate(chosen.select(NAMES).to_pylist())
        ]
    return found, counts


def columns_read(templates: Sequence[dict[str, Any]]) -> list[str]:
    """Return the columns of the table of cases that templates need, in the order of the table."""
    asked = {name for template in templates for name in (*template.get("where", ()), *strata_of(template))}
    asked = asked - {SIZE} | ({"largest_mm"} if SIZE in asked else set()) | {*NAMES, "content_sha256"}
    return [name for name in cases.SCHEMA.names if name in asked]


def main(argv: list[str] | None = None) -> None:
    """Match every data set's cases."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--cases", type=command.existing, nargs="+", required=True, help="tables of cases")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="seed as JSON")
    arguments.add_argument("--templates", nargs="+", required=True, help="files or folders of templates")
    arguments.add_argument("--candidates", type=Path, required=True, help="table to write")
    arguments.add_argument("--matches", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("match_scenarios")
    templates = load_templates(args.templates)
    check_templates(templates)
    rows = pa.concat_tables([pq.read_table(path, columns=columns_read(templates)) for path in args.cases])
    found, counts = match_scenarios(rows, templates, args.spec["seed"])
    write_rows(args.candidates, found, candidates.SCHEMA)
    write_rows(args.matches, counts, matches.SCHEMA)
    for row in counts:
        log.info(
            "%s: %d of %d cases fit (%d patients), %d asked for",
            *(row["template"], row["eligible"], rows.num_rows, row["patients"], row["asked"]),
        )


if __name__ == "__main__":
    main()
