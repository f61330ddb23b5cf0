"""The scenarios as the report shows them: what was asked, what the data carry, what each says and rests on."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.files import natural
from workflow_scripts.report.follow_cases import Tables
from workflow_scripts.tables import cases, matches, scenarios
from workflow_scripts.tables.table import read_rows

SHOWN = 5
"""Filled scenarios of a template that the page shows with their picture; all are in the summary."""
GRADE = ("system", "points", "level", "advice", "reason", "findings", "advice_en", "advice_zh")
# Columns of `cases` that say what was found, with their unit: not what the case is called, nor where it lies.
FIRST = cases.SCHEMA.get_field_index("laterality")
HIDDEN = ("sources", "source_kind", "source_key", "content_sha256", "n_frames", "label_source", "labels", "split_given")
UNITS = {
    column.name: column.metadata.get(b"unit", b"").decode()
    for column in list(cases.SCHEMA)[FIRST:]
    if column.name not in HIDDEN
}


def summarise_scenarios(table: Path, datasets: Mapping[str, Tables]) -> dict[str, Any]:
    """Return every scenario and every template, as the page shows them.

    Parameters
    ----------
    table
        The table of scenarios; scenarios.json and the table of matches are beside it.
    """
    rows = sorted(read_rows(table, scenarios.SCHEMA), key=lambda row: natural(row["scenario_id"]))
    listed = json.loads(table.with_name("scenarios.json").read_text(encoding="utf-8-sig"))
    texts = {text["id"]: text for text in listed}
    taken: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["status"] == "filled":
            taken[row["dataset"]].add(row["case_id"])
    known = {name: datasets[name].rows(ids) for name, ids in taken.items()}
    entries, shown = [], Counter[str]()
    for row in rows:
        filled = row["status"] == "filled"
        shown[row["template"]] += filled
        text = texts[row["scenario_id"]] if filled else {}
        entries.append(summarise_scenario(row, text, known, datasets) | {"shown": shown[row["template"]] <= SHOWN})
    return {
        "asked": len(rows),
        **{status: sum(row["status"] == status for row in rows) for status in ("filled", "refused")},
        "entries": entries,
        "templates": [
            summarise_template(match, [row for row in rows if row["template"] == match["template"]])
            for match in read_rows(table.with_name("matches.parquet"), matches.SCHEMA)
        ],
    }


def summarise_template(match: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one line of the match: asked, eligible, taken, why not."""
    refused = [row for row in rows if row["status"] == "refused"]
    return {
        **match,
        "filled": len(rows) - len(refused),
        "scenarios": [row["scenario_id"] for row in rows],
        "why": refused[0]["reason"] if refused else None,
        "could": refused[0]["could"] if refused else None,
    }


def summarise_scenario(
    row: Mapping[str, Any],
    text: Mapping[str, Any],
    known: Mapping[str, Mapping[str, dict[str, Any]]],
    datasets: Mapping[str, Tables],
) -> dict:
    """Return one scenario: what it says, and the labels it rests on.

    Parameters
    ----------
    row
        Its row of `scenarios`.
    text
        Its entry in scenarios.json; empty for a refused one.
    known
        The rows of `cases` of what was taken, by data set and case.
    """
    entry = {key: value for key, value in row.items() if key not in ("image", "overlay", "tile_sha256")}
    if row["status"] == "filled":
        error = "erroneous_action" in text
        entry["action"] = text["erroneous_action" if error else "appropriate_action"]
        entry["expected"] = text["expected_action" if error else "clinical_decision"]
        entry |= {key: text[key] for key in ("title", "description")}
        case = known[row["dataset"]][row["case_id"]]
        entry["label_source"] = case["label_source"]
        entry["labels"] = {name: [case[name], unit] for name, unit in UNITS.items() if case[name] is not None}
        grade = datasets[row["dataset"]].grades.get(row["case_id"])
        entry["grade"] = grade and {key: grade[key] for key in GRADE}
    return entry
