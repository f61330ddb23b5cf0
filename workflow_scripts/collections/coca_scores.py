"""scores.xlsx of COCA: the Agatston scores of the patients without gating, as their readers gave them."""

import re
import zipfile
from collections import defaultdict
from math import isfinite
from pathlib import Path
from typing import Any

import openpyxl

from workflow_scripts.collections.collection import TABLE, Indexed, Unusable, WrongLayout
from workflow_scripts.tables.cases import ARTERIES

MOST_BYTES = 2**26  # of all its parts, unpacked: the published one is a fraction of it
MOST_ROWS, MOST_COLUMNS = 100_000, 100
ROUNDING = 0.5  # by which a total may differ from its sum
Row = dict[str, Any]  # column -> cell


def read_scores(path: Path) -> tuple[dict[str, list[Row]], list[Indexed]]:
    """Return the rows by patient, several where the table repeats one, and remarks on rows of nobody.

    The first column names the patient, whatever its header: `12A` is the folder `12`.

    Raises
    ------
    WrongLayout
        When the file is no workbook, or lacks a column.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_BYTES} bytes")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what it claims of its size may be absurd
        every = sheet.iter_rows(max_row=MOST_ROWS, max_col=MOST_COLUMNS, values_only=True)
        lines = [line for line in every if any(cell is not None for cell in line)]
        book.close()
    except Exception as error:  # the parser of a broken workbook raises anything
        raise WrongLayout(f"{path}: no workbook that can be read ({type(error).__name__}: {error})") from None
    header, *rows = lines or [()]
    names = [str(cell).strip().casefold() if cell is not None else "" for cell in header]
    if missing := [name for name in (*ARTERIES, "total") if name not in names[1:]]:
        raise WrongLayout(
            f"{path}: no column {', '.join(missing)}; expected the patient, then LCA, LAD, LCX, RCA and total,"
            f" found {', '.join(filter(None, names)) or 'nothing'}"
        )
    found: dict[str, list[Row]] = defaultdict(list)
    nobody = []
    for line in rows:
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:\.0)?\s*[aA]?\s*", str(line[0]))
        if match:
            found[match[1]].append({name: line[names.index(name, 1)] for name in (*ARTERIES, "total")})
        else:
            nobody.append(str(line[0])[:40])
    if not nobody:
        return found, []
    reason = f"{len(nobody)} rows name no patient: {', '.join(nobody[:5])}{', …' if len(nobody) > 5 else ''}"
    return found, [Indexed(TABLE, None, [Unusable(path.name, reason, "a number, or a number and A")])]


def read_row(rows: list[Row], patient: str, file: str) -> tuple[dict[str, float | None], list[Unusable]]:
    """Return the columns `agatston_given` and by artery of one patient, and what is strange about them.

    Raises
    ------
    Unusable
        When the patient has several rows.
    """
    if len(rows) > 1:
        raise Unusable(file, f"patient {patient} stands in {len(rows)} rows", "one row a patient")
    scores: dict[str, float | None] = {}
    strange = []
    for name, cell in rows[0].items():
        number = isinstance(cell, int | float) and not isinstance(cell, bool) and isfinite(cell) and cell >= 0
        scores[name] = float(cell) if number else None
        if not number and cell is not None:
            reason = f"{name} of patient {patient} is {str(cell)[:40]!r}"
            strange.append(Unusable(file, reason, "a number of 0 or more, or blank"))
    total, parts = scores.pop("total"), list(scores.values())
    if total is not None and None not in parts:
        summed = sum(part for part in parts if part is not None)
        if abs(total - summed) > ROUNDING:
            reason = (
                f"the total of patient {patient} is {total:g}, its arteries add up to {summed:g}; it is kept as given"
            )
            strange.append(Unusable(file, reason, "nothing: this is known of the published set"))
    return {"agatston_given": total, **{f"agatston_{name}_given": scores[name] for name in ARTERIES}}, strange
