"""Tables as LaTeX (booktabs) and CSV, and each of their cells as a number that a sentence can quote."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.figures.plate import Estimate, Row, write_csv

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "−": "$-$",
    "–": "--",
}  # fmt: skip
UNKNOWN = "–"
QUOTE = (
    r"\newcommand{\casebook}[1]{\ifcsname casebook@#1\endcsname\csname casebook@#1\endcsname\else"
    r"\errmessage{the run has no number #1}\fi}"
)


@dataclass(frozen=True)
class Table:
    """One table; `keys` are the columns that name a row when a number of it is quoted."""

    caption: str
    source: str  # the tables of the run that it is made of
    columns: dict[str, str]  # name in the rows, and heading
    rows: Sequence[Row]
    keys: tuple[str, ...]
    note: str  # stands under it


def shown(cell: object) -> str:
    """Return a cell as people read it."""
    if isinstance(cell, Estimate):
        return cell.shown()
    return UNKNOWN if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)


def escape(text: str) -> str:
    """Return a text that LaTeX prints as it stands."""
    return "".join(SPECIAL.get(character, character) for character in text)


def as_latex(table: Table) -> str:
    """Return a tabular with the rules of booktabs; the manuscript gives it caption and label."""
    texts = [name for name in table.columns if any(isinstance(row.get(name), str) for row in table.rows)]
    form = "".join("l" if name in texts else "r" for name in table.columns)
    cells = [list(table.columns.values()), *([shown(row.get(name)) for name in table.columns] for row in table.rows)]
    head, *body = [" & ".join(map(escape, line)) + r" \\" for line in cells]
    ruled = [rf"\begin{{tabular}}{{@{{}}{form}@{{}}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    note = rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {escape(table.note)}}}"
    return "\n".join([*ruled, r"\end{tabular}", note, ""])


def write_table(name: str, table: Table, folder: Path) -> None:
    """Write a table as LaTeX and CSV."""
    (folder / f"{name}.tex").write_text(as_latex(table), encoding="utf-8")
    write_csv([{column: row.get(column) for column in table.columns} for row in table.rows], folder / f"{name}.csv")


def quotable(name: str, table: Table) -> list[tuple[str, str]]:
    """Return each known cell under a key: the table, what names the row, and the column, with strokes between."""
    return [
        (re.sub(r"[^\w./ -]", "", "/".join([name, *(row[key] for key in table.keys), column])), shown(row[column]))
        for row in table.rows
        for column in table.columns
        if column not in table.keys and row.get(column) is not None
    ]


def as_numbers(cells: Sequence[tuple[str, str]]) -> str:
    r"""Return the definitions behind `\casebook{key}`, which stops LaTeX where the run has no such number."""
    about = r"% \casebook{table/row/column} is a cell of a table beside this file; index.md lists the tables."
    defined = [rf"\expandafter\def\csname casebook@{key}\endcsname{{{escape(text)}}}" for key, text in cells]
    return "\n".join([about, QUOTE, *defined, ""])
