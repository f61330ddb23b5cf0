"""The workbook of clinical data of Brain-Mets-Lung-MRI-Path-Segs: one row an accession, in either of its versions.

The names of its columns are known as a reader normalised them: capitals, blanks and signs in them do not count, and a
column that is not there costs its label alone.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl

from workflow_scripts.collections.collection import TABLE, Indexed, Unusable, WrongLayout
from workflow_scripts.files import natural

SHEET = "Clinical_Data"
KEYS = ("accession", "patient_id")
MOST_BYTES, MOST_ROWS, MOST_COLUMNS = 2**27, 10_000, 300  # the shipped one has 111 rows; what claims more is not read
UNKNOWN = {"", "na", "n/a", "#n/a", "nan", "unknown"}
CLASSES = ("SCLC", "NSCLC Adenocarcinoma", "NSCLC Non-adenocarcinoma")
YES_NO = {"1": True, "0": False, "yes": True, "no": False}


@dataclass
class Clinical:
    """A row: whose it is, its labels by their column of the table `cases`, and what in it was not understood.

    `others` holds the labels that have no column there.
    """

    accession: str
    patient: str
    labels: dict[str, Any] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    problems: list[Unusable] = field(default_factory=list)


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if "_" in text or not low <= value <= high:
            raise ValueError
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = _number(low, high)(text)
        if not value.is_integer():
            raise ValueError
        return int(value)

    return read


def _one_of(words: dict[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text.lower() not in words:
            raise ValueError
        return words[text.lower()]

    return read


def _pack_years(text: str) -> float:
    return 0.0 if text.lower() == "never" else _number(0, 500)(text)


def _millimetres(text: str) -> float:
    return round(10 * _number(0.01, 15)(text), 3)


# The column of the workbook -> the column of `cases`, how it is read, and what is expected.
COLUMNS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "age_at_bm_dx": ("age", lambda text: int(_number(0, 120)(text)), "years from 0 to 120"),
    "sex": ("sex", _one_of({"f": "female", "female": "female", "m": "male", "male": "male"}), "Female or Male"),
    "packyear_smoking_hx": ("pack_years", _pack_years, "a number from 0, or Never"),
    "kps_at_bm_dx": ("karnofsky", _whole(0, 100), "a whole number from 0 to 100"),
    "size_of_dominant_lesion(cm)": ("largest_mm", _millimetres, "centimetres above 0 and up to 15"),
    "number_of_bm_lesions_at_dx": ("n_lesions", _whole(1, 999), "a whole number from 1"),
    "location_of_lesion": ("lesion_location", str, "text"),
    "histologic_subtype": ("histologic_subtype", str, "text"),
    "gpa_histology_class": (
        "histology_class",
        _one_of({name.lower(): name for name in CLASSES}),
        f"one of {', '.join(CLASSES)}",
    ),
    "presence_of_extracranial_mets_at_dx": ("extracranial", _one_of(YES_NO), "1 or 0"),
    "egfr_status": ("egfr", _one_of(YES_NO), "1 or 0"),
    "alk_status": ("alk", _one_of(YES_NO), "1 or 0"),
    "pdl1_status": ("pdl1", _one_of(YES_NO), "1 or 0: it is no percentage"),
    "sperduto_gpa": ("prognostic_score", _number(0, 4), "a number from 0 to 4"),
}
OTHERS = ("nih_racial_category", "age_at_resection")


def read_workbook(path: Path, name: str) -> tuple[list[Clinical], list[Indexed]]:
    """Return the rows of the workbook `name` (as it is called in remarks), and what is strange about it.

    Raises
    ------
    WrongLayout
        When it is no workbook, has no sheet `SHEET`, lacks a column of `KEYS`, has a column twice, or has an accession
        in more than one row: it could not be told whose labels are whose.
    """
    header, *lines = _lines(path)
    wanted = {_plain(column): column for column in (*KEYS, *COLUMNS, *OTHERS)}
    places = {wanted[_plain(text)]: place for place, text in enumerate(header) if _plain(text) in wanted}
    if missing := [column for column in KEYS if column not in places]:
        said = ", ".join(filter(None, header))[:200]
        raise WrongLayout(f"{path}: sheet {SHEET} has no column {' and no '.join(missing)}; its header is {said}")
    plain = [_plain(text) for text in header]
    if twice := sorted(wanted[text] for text in wanted if plain.count(text) > 1):
        raise WrongLayout(f"{path}: sheet {SHEET} has the column {twice[0]} twice; expected each once")
    remarks = []
    if absent := [column for column in wanted.values() if column not in places]:
        reason = f"it has no column {', '.join(absent)}: these labels stay unknown"
        remarks.append(_remark(name, reason, "take the workbook as it is shipped"))
    if foreign := sorted(text for text in header if text and _plain(text) not in wanted):
        remarks.append(_remark(name, f"unknown columns are left out: {', '.join(foreign)[:200]}", "nothing"))
    rows = [_row({column: line[place] for column, place in places.items()}, name) for line in lines]
    if nameless := sum(not row.patient for row in rows):
        remarks.append(_remark(name, f"{nameless} rows have no patient_id and are left out", "fill it in"))
    rows = [row for row in rows if row.patient]
    accessions = [row.accession for row in rows if row.accession]
    if again := sorted({text for text in accessions if accessions.count(text) > 1}, key=natural):
        raise WrongLayout(f"{path}: accession {again[0]} stands in more than one row; expected one row an accession")
    return rows, remarks


def _lines(path: Path) -> Iterator[list[str]]:
    """Yield the lines of the sheet that are not blank, as texts.

    Raises
    ------
    WrongLayout
        When there is none, or the workbook claims to be much larger than the one that is shipped.
    """
    found = False
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise WrongLayout(f"{path}: it claims more than {MOST_BYTES >> 20} MiB; download it again")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            titles = {_plain(title): title for title in book.sheetnames}
            if _plain(SHEET) not in titles:
                raise WrongLayout(f"{path}: no sheet {SHEET}; it has {', '.join(book.sheetnames)}")
            sheet = book[titles[_plain(SHEET)]]
            sheet.reset_dimensions()  # some programs state that there is one cell
            for cells in sheet.iter_rows(max_row=MOST_ROWS, max_col=MOST_COLUMNS, values_only=True):
                line = [_text(cell) for cell in cells]
                if any(line):
                    found = True
                    yield line
        finally:
            book.close()
    except WrongLayout:
        raise
    except Exception as error:  # of a damaged workbook, openpyxl raises whatever its parsers do
        said = " ".join(str(error).split())[:200]
        raise WrongLayout(f"{path}: not a workbook that can be read ({said}); download it again") from None
    if not found:
        raise WrongLayout(f"{path}: sheet {SHEET} is empty; download it again")


def _row(cells: dict[str, str], name: str) -> Clinical:
    """Return a row; a value that is not understood stays unknown, and is noted."""
    row = Clinical(cells["accession"], cells["patient_id"])
    row.others = {column: cells[column] for column in OTHERS if cells.get(column, "").lower() not in UNKNOWN}
    for column, (label, read, expected) in COLUMNS.items():
        text = cells.get(column, "")
        row.labels[label] = None
        if text.lower() in UNKNOWN:
            continue
        try:
            row.labels[label] = read(text)
        except ValueError:
            reason = f"{column} of accession {row.accession} is {text[:50]!r}: it stays unknown"
            row.problems.append(Unusable(name, reason, f"{expected}, or blank"))
    row.labels["pathology"] = "malignant" if row.labels["histologic_subtype"] else None  # a metastasis, seen as tissue
    return row


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else " ".join(str(cell).split())


def _plain(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def _remark(name: str, reason: str, mend: str) -> Indexed:
    return Indexed(TABLE, None, [Unusable(name, reason, mend)])
