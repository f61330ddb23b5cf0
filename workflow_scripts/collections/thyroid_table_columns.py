"""The table of a thyroid screening record: found, decoded, and its headers understood or mapped by the user.

The notice of the Zhejiang record names fields, not headers, so every header below is a likely one: the option `columns`
replaces single entries. A CSV is UTF-8 where it decodes as that without an error, else GB18030.
"""

import csv
import difflib
import io
import json
import os
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import openpyxl

from workflow_scripts.collections.collection import Indexed, Source, WrongLayout
from workflow_scripts.collections.films import remark
from workflow_scripts.collections.thyroid_table_words import SYSTEMS, system_named

Lines = list[tuple[int, list[str]]]  # the number of a line, and its fields

ENDINGS = (".csv", ".xlsx")
MOST_BYTES, MOST_ROWS, MOST_COLUMNS, LONGEST = (
    2**27,
    100_000,
    300,
    5000,
)  # the record has 1,341 rows; what claims more is not read
BLANK = {"", "na", "nan", "null", "none"}

# Our name of a column -> the headers that it may have; capitals, blanks, brackets and full-width forms do not count.
COLUMNS: dict[str, tuple[str, ...]] = {
    "record_id": ("记录编号", "记录ID", "检查编号", "检查号", "编号", "id"),
    "patient_id": ("患者编号", "患者ID", "病人编号", "病人ID", "病历号", "patient"),
    "image_uri": ("甲状腺超声影像图片", "超声影像图片", "影像图片", "影像", "图片", "image", "image_url"),
    "mask_expert_uri": ("真实分割标签", "专家分割标签", "真实标签", "expert_mask"),
    "mask_predicted_uri": ("预测分割标签", "预测标签", "predicted_mask"),
    "location": ("结节位置特征", "结节位置特征(左叶/右叶)"),
    "morphology": ("结节形态特征", "结节形态特征(左叶/右叶)"),
    "echo": ("结节回声特征", "结节回声特征(左叶/右叶)"),
    **{
        f"{side}_{name}": (f"{words}({lobe})", f"{lobe}{words}")
        for side, lobe in (("left", "左叶"), ("right", "右叶"))
        for name, words in (("location", "结节位置特征"), ("morphology", "结节形态特征"), ("echo", "结节回声特征"))
    },
    "internal_structure": ("结节内部结构", "内部结构"),
    "blood_flow": ("血流信号", "结节血流信号"),
    "tirads": ("结节TI-RADS分级", "TI-RADS分级", "TI-RADS", "tirads_level"),
    "tirads_system": ("TI-RADS系统", "TI-RADS版本", "分级系统"),
    "ai_advice": ("AI辅助诊断建议", "AI诊断建议", "AI建议"),
    "physician_conclusion": ("医生诊断结论", "医师诊断结论", "诊断结论"),
    "screening_date": ("筛查日期", "检查日期", "date"),
}
# Not in the notice, or another form of columns that are: nobody misses them.
OPTIONAL = ("record_id", "patient_id", "location", "morphology", "echo", "tirads_system")


@dataclass(frozen=True)
class Record:
    """A row: its line, its key, its values by our names (blank ones are left out), and what is wrong with it."""

    line: int
    key: str  # a pseudonym of its record_id, or its line where the table has no such column
    values: Mapping[str, str]
    broken: str | None


@dataclass(frozen=True)
class Table:
    """A table as it was read, and what is to be known of it; `system` is that of all its levels, where one is named."""

    records: tuple[Record, ...]
    remarks: tuple[Indexed, ...]
    system: str | None


def find_table(source: Source) -> Path:
    """Return the path of the table: the one that is named, else the only one in the root, or in the one folder of it.

    Raises
    ------
    WrongLayout
        When there is none, or which one is meant is not known.
    """
    root = source.root
    if named := source.options.get("table"):
        path = Path(os.path.normpath(root / named))
        if not path.is_relative_to(os.path.normpath(root)) or not os.path.isfile(path):
            raise WrongLayout(f"{root}: the table {named} is not there; write its name relative to the root")
        return root / path.relative_to(os.path.normpath(root))
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    found: list[Path] = []
    for folder in (root, *(folders if len(folders) == 1 else ())):
        found = found or sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in ENDINGS and path.name[0] not in ".~" and path.is_file()
        )
    if not found:
        raise WrongLayout(f"{root}: no table found; expected one CSV or XLSX with a row a record, and its pictures")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise WrongLayout(f"{root}: which table is meant, {names}? Write for example table: {found[0].name}")
    return found[0]


def open_table(path: Path, source: Source) -> Table:
    """Return a table; it is read once, as long as it stays as it is.

    Raises
    ------
    WrongLayout
        When it cannot be read, or a header is missing, twice there, or not in it though the user names it.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WrongLayout(f"{path}: it cannot be read ({error.strerror})") from None
    wanted = json.dumps(source.options.get("columns") or {}, sort_keys=True)
    return _open_table(path, stat.st_size, stat.st_mtime_ns, wanted, source.cache)


@lru_cache(maxsize=4)
def _open_table(path: Path, size: int, time: int, wanted: str, cache: Path) -> Table:
    lines, remarks = _lines_xlsx(path) if path.suffix.lower() == ".xlsx" else _lines_csv(path)
    if not 0 < len(lines) <= MOST_ROWS:
        raise WrongLayout(f"{path}: it has {len(lines)} lines; expected a header and up to {MOST_ROWS} rows")
    _, header = lines[0]
    own = {name: str(theirs) for name, theirs in json.loads(wanted).items()}
    system = None
    if (text := own.get("tirads_system")) and _plain(text) not in map(_plain, header) and system_named(text):
        system = system_named(own.pop("tirads_system"))
    places = _places(path, header, own)
    absent = [name for name in COLUMNS if name not in places and name not in OPTIONAL]
    absent = [name for name in absent if not (name[:5] in ("left_", "right") and name.partition("_")[2] in places)]
    if absent:
        mend = f"if it has them, write under columns: {absent[0]}: <its header>"
        remarks.append(remark(path.name, f"it has no column for {', '.join(absent)}: these stay unknown", mend))
    if others := [text for place, text in enumerate(header) if text and place not in places.values()]:
        remarks.append(remark(path.name, f"columns that are not read: {', '.join(others)[:200]}", "nothing"))
    pseudonym = Source(path.parent, cache).pseudonym
    records = []
    for line, fields in lines[1:]:
        values = {name: fields[place] for name, place in places.items() if place < len(fields)}
        values = {name: text for name, text in values.items() if _plain(text) not in BLANK}
        broken, key = None, f"line-{line}"
        if len(fields) != len(header):
            broken = f"line {line} has {len(fields)} fields, the header {len(header)}"
        elif any(len(text) > LONGEST for text in fields):
            broken = f"line {line} has a text of more than {LONGEST} characters"
        elif "record_id" in places and "record_id" not in values:
            broken = f"line {line} has no record_id"
        elif "record_id" in places:
            key = pseudonym(values["record_id"])
        records.append(Record(line, key, values, broken))
    return Table(tuple(records), tuple(remarks), system)


def _places(path: Path, header: list[str], own: Mapping[str, str]) -> dict[str, int]:
    """Return which of our columns stands where."""
    said = f"it has {', '.join(filter(None, header))[:300]}"
    if len(header) == 1 and (mark := next((mark for mark in ";\t" if mark in header[0]), None)):
        raise WrongLayout(f"{path}: its separator is {mark!r}; save it with commas")
    if unknown := next((name for name in own if name not in COLUMNS), None):
        near = difflib.get_close_matches(unknown, COLUMNS, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(COLUMNS)}"
        raise WrongLayout(f"columns.{unknown}: Casebook has no such column; {meant}")
    plain = [_plain(text) for text in header]
    taken = {_plain(text) for text in own.values()}  # what the user maps is no usual header of anything else
    places = {}
    for name, usual in COLUMNS.items():
        asked = {_plain(own[name])} if name in own else {_plain(text) for text in (name, *usual)} - taken
        found = [place for place, text in enumerate(plain) if text in asked]
        if len(found) > 1:
            both = " and ".join(header[place] for place in found)
            raise WrongLayout(f"{path}: {both} could both be {name}; write under columns: {name}: <its header>")
        if name in own and not found:
            also = f"; or one of the systems {', '.join(SYSTEMS)}" if name == "tirads_system" else ""
            raise WrongLayout(f"{path}: columns.{name}: it has no column {own[name]}; {said}{also}")
        if found:
            places[name] = found[0]
    if "image_uri" not in places:
        raise WrongLayout(
            f"{path}: no column with the pictures (image_uri); {said}. Write under columns, say, image_uri: 影像"
        )
    if twice := next((name for name in places if list(places.values()).count(places[name]) > 1), None):
        raise WrongLayout(f"{path}: column {header[places[twice]]} is mapped to two names, one of them {twice}")
    return places


def _lines_csv(path: Path) -> tuple[Lines, list[Indexed]]:
    """Return the lines that are not blank, and in which encoding they are, where that is not UTF-8."""
    remarks = []
    try:
        if path.stat().st_size > MOST_BYTES:
            raise csv.Error(f"it is larger than {MOST_BYTES >> 20} MiB")
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030")
            remarks.append(remark(path.name, "it is no UTF-8, and was read as GB18030", "nothing, or save it as UTF-8"))
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, [field.strip() for field in fields]) for fields in reader if any(fields)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 or GB18030 ({error}); save it as UTF-8") from None
    return lines, remarks


def _lines_xlsx(path: Path) -> tuple[Lines, list[Indexed]]:
    """Return the lines of the first sheet that are not blank, as wide as its header; further sheets are remarked."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"it claims more than {MOST_BYTES >> 20} MiB")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet, *others = book.worksheets
            sheet.reset_dimensions()  # some programs state that there is one cell
            cells = sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=MOST_COLUMNS, values_only=True)
            rows = ((line, [_text(cell) for cell in row]) for line, row in enumerate(cells, 1))
            lines = [(line, fields) for line, fields in rows if any(fields)]
        finally:
            book.close()
    except Exception as error:  # of a damaged workbook, openpyxl raises whatever its parsers do
        said = " ".join(str(error).split())[:200]
        raise WrongLayout(f"{path}: not a workbook that can be read ({said}); save it as XLSX or CSV") from None
    width = max((place for _, fields in lines[:1] for place, text in enumerate(fields, 1) if text), default=0)
    lines = [(line, fields[:width] + [text for text in fields[width:] if text]) for line, fields in lines]
    names = ", ".join(other.title for other in others)
    return lines, [remark(path.name, f"only its first sheet is read, not {names}", "nothing")] if names else []


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).lower())
