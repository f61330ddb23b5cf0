"""Queries over the table of cases, written as data: `column: value`, `column: [one of]`, `column: {at_least:, below:}`,
or `column: {none_from:}`.

All conditions of a query must hold. A label that is not known meets none but `none_from`, which only excludes what is
stated.
"""

import difflib
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import pyarrow as pa

from workflow_scripts.command import Refusal
from workflow_scripts.tables import cases

Condition = str | float | Sequence[str | float] | Mapping[str, float]
Query = Mapping[str, Condition]


def check_query(where: Query, template: str) -> None:
    """Check that a template asks for columns that exist, with values of their type.

    Raises
    ------
    Refusal
        With the close matches and the list of columns where there is no such column; with the expected type otherwise.
    """
    columns = {column.name: column.type for column in cases.SCHEMA if not pa.types.is_list(column.type)}
    for name, condition in where.items():
        at = f"template {template}: where.{name}"
        if name not in columns:
            near = difflib.get_close_matches(name, columns)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise Refusal(f"{at}: no such column; {meant}those of the table of cases are {', '.join(columns)}")
        text = pa.types.is_string(columns[name])
        if text and isinstance(condition, Mapping):
            raise Refusal(f"{at}: the column holds texts, which have no range; write one text or a list of texts")
        for value in _values(condition):
            if isinstance(value, str) != text:
                what = f'texts; write "{value}" in quotes' if text else f"numbers; {value!r} is a text"
                raise Refusal(f"{at}: the column holds {what}")


def fits(case: Mapping[str, Any], where: Query) -> bool:
    """Tell whether a case meets every condition."""
    return all(_meets(case[column], condition) for column, condition in where.items())


def explain_no_fit(rows: Sequence[Mapping[str, Any]], where: Query) -> str:
    """Say why no case meets a query: labels that none carries, or how many are left after each condition."""
    unknown = [column for column in where if all(case[column] is None for case in rows)]
    if unknown:
        return f"{' and '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} known in none of {len(rows)} cases"
    steps, left = [f"{len(rows)} cases in all"], list(rows)
    for column, condition in where.items():
        left = [case for case in left if _meets(case[column], condition)]
        steps.append(f"{len(left)} with {column} {_describe(condition)}")
        if not left:
            break
    return ", of these ".join(steps)


def _values(condition: Condition) -> list[str | float]:
    if isinstance(condition, Mapping):
        return list(condition.values())
    return [condition] if isinstance(condition, str | float | int) else list(condition)


def _meets(value: Any, condition: Condition) -> bool:
    if isinstance(condition, Mapping) and "none_from" in condition:
        return bool(value is None or value < condition["none_from"])
    if value is None:
        return False
    if isinstance(condition, Mapping):
        return bool(condition.get("at_least", -inf) <= value < condition.get("below", inf))
    return value in _values(condition)


def _describe(condition: Condition) -> str:
    if isinstance(condition, Mapping):
        return " and ".join(f"{bound.replace('_', ' ')} {value:g}" for bound, value in sorted(condition.items()))
    return " or ".join(map(str, _values(condition)))
