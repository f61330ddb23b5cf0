"""Queries over the table of cases, written as data: `column: value`, `column: [one of]`, `column: {at_least:, below:}`,
or `column: {none_from:}`.

All conditions of a query must hold. A label that is not known meets none but `none_from`, which only excludes what is
stated.
"""

import difflib
import functools
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.command import Refusal
from workflow_scripts.tables import cases

Value = str | float | bool
Condition = Value | Sequence[Value] | Mapping[str, float]
Query = Mapping[str, Condition]

COLUMNS = {column.name: column.type for column in cases.SCHEMA if not pa.types.is_nested(column.type)}


def check_columns(names: Iterable[str], at: str) -> None:
    """Check that a template names columns that exist; `at` says where it does.

    Raises
    ------
    Refusal
        With the close matches and the list of columns.
    """
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise Refusal(f"{at}{name}: no such column; {meant}those of the table of cases are {', '.join(COLUMNS)}")


def check_query(where: Query, template: str) -> None:
    """Check that a template asks for columns that exist, with values of their type.

    Raises
    ------
    Refusal
        With the list of columns where there is no such column; with the expected type otherwise.
    """
    check_columns(where, f"template {template}: where.")
    for name, condition in where.items():
        at, kind = f"template {template}: where.{name}", COLUMNS[name]
        what = "texts" if pa.types.is_string(kind) else "true or false" if pa.types.is_boolean(kind) else "numbers"
        if what != "numbers" and isinstance(condition, Mapping):
            raise Refusal(f"{at}: the column holds {what}, which have no range; write one value or a list")
        for value in _values(condition):
            found = "texts" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "numbers"
            if found != what:
                mend = f'write "{value}" in quotes' if what == "texts" else f"{value!r} is none of them"
                raise Refusal(f"{at}: the column holds {what}; {mend}")
        if not isinstance(condition, Mapping):
            try:
                _among(condition, kind)
            except pa.ArrowInvalid:
                raise Refusal(f"{at}: the column holds {kind}, which {condition} is not") from None


def fits(rows: pa.Table, where: Query) -> pa.Array:
    """Return of every row of `cases` whether it meets every condition: a boolean array without nulls."""
    return functools.reduce(pc.and_, (_meets(rows.column(column), condition) for column, condition in where.items()))


def explain_no_fit(rows: pa.Table, where: Query) -> tuple[str, list[str]]:
    """Say why no case meets a query: labels that none carries, or how many are left after each condition.

    Returns
    -------
    tuple of str and list of str
        The reason, and the data sets that came nearest: those of the cases that the last but one condition left.
    """
    unknown = [
        column
        for column, condition in where.items()
        if rows.column(column).null_count == rows.num_rows
        and not pc.any(_meets(rows.column(column), condition)).as_py()
    ]
    steps, left, nearest = [f"{rows.num_rows} cases in all"], rows, list[str]()
    for column, condition in where.items():
        if column not in unknown:
            met = left.filter(_meets(left.column(column), condition))
            steps.append(f"{met.num_rows} with {column} {_describe(condition)}")
            if not met.num_rows:
                break
            left, nearest = met, sorted(met.column("dataset").unique().to_pylist())
    if not unknown:
        return ", of these ".join(steps), nearest
    are = "is" if len(unknown) == 1 else "are"
    return f"{' and '.join(unknown)} {are} known in none of {rows.num_rows} cases", nearest


def _values(condition: Condition) -> list[Value]:
    if isinstance(condition, Mapping):
        return list(condition.values())
    return [condition] if isinstance(condition, str | float | int) else list(condition)


def _among(condition: Condition, kind: pa.DataType) -> pa.Array:
    """Return the values of a condition as a column of their type has them."""
    return pa.array(_values(condition)).cast(kind)


def _meets(column: pa.ChunkedArray, condition: Condition) -> pa.Array:
    if isinstance(condition, Mapping) and "none_from" in condition:
        return pc.fill_null(pc.less(column, condition["none_from"]), True)
    if isinstance(condition, Mapping):
        bounds = {"at_least": pc.greater_equal, "below": pc.less}
        tests = [bounds[name](column, value) for name, value in condition.items()]
        met = tests[0] if len(tests) == 1 else pc.and_(*tests)
    else:
        met = pc.is_in(column, value_set=_among(condition, column.type))
    return pc.fill_null(met, False)


def _describe(condition: Condition) -> str:
    if isinstance(condition, Mapping):
        return " and ".join(f"{bound.replace('_', ' ')} {value:g}" for bound, value in sorted(condition.items()))
    return " or ".join(map(str, _values(condition)))
