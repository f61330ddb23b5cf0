"""CheXpert: chest radiographs as JPEG, and tables with the view, the person and 14 findings of every one.

A picture is found by `patientNNNNN/studyK/viewJ_*.jpg`, whatever folders lie above: the two sizes and the batches of
the full one differ in them. Source: Irvin et al., AAAI 2019.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from workflow_scripts.collections.collection import (
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
)
from workflow_scripts.collections.films import DATA, FilmClip, file_names, one_of, open_table, remark, without_pictures
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256
from workflow_scripts.tables.cases import FINDINGS

# The labels of train.csv are what a program read out of the reports; those of the other two are radiologists'.
TABLES = {
    "train.csv": ("train", "report"),
    "valid.csv": ("valid", "radiologist"),
    "test_labels.csv": ("test", "radiologist"),
}
ALTERNATIVES = ("train_cheXbert.csv", "train_visualCheXbert.csv", "val_labels.csv")  # other labels of the same pictures
LABELS = {name.replace("_", " ").title(): name for name in FINDINGS}  # column -> ours
PERSON = ("Sex", "Age", "Frontal/Lateral", "AP/PA")  # not in the table of the test set
HEADER = ("Path", *PERSON, *LABELS)
LABEL = {"1.0": 1, "0.0": 0, "-1.0": -1, "1": 1, "0": 0, "-1": -1, "": None}
VALUES: dict[str, Mapping[str, Any]] = {
    **dict.fromkeys(LABELS, LABEL),
    "Sex": {"Female": "female", "Male": "male", "Unknown": None, "": None},
    "Frontal/Lateral": {"Frontal": "frontal", "Lateral": "lateral", "": None},
    "AP/PA": {name: name or None for name in ("AP", "PA", "LL", "RL", "")},
}
PICTURE = re.compile(r"(?:.*/)?(patient[0-9]+/study[0-9]+/view[0-9]+_(?:frontal|lateral)\.jpg)", re.DOTALL)
EXPECTED = "train.csv or valid.csv, and pictures patientNNNNN/studyK/viewJ_frontal.jpg, as CheXpert ships them"

Row = tuple[str, int, list[str], str]  # the table, the line, the header, and the fields in one text; none: no row
SEPARATOR = "\x1f"  # of fields: a million lists of them would take half a gigabyte more than the texts


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every picture of the tables, and every picture that no table knows.

    Rows of patients of whom nothing is there are counted in one remark: whoever holds one batch holds the whole table.
    """
    pictures: dict[str, list[str]] = defaultdict(list)
    tables: dict[str, list[str]] = defaultdict(list)
    others = []
    for name in file_names(source.root):
        last = name.rpartition("/")[2]
        if match := PICTURE.fullmatch(name):
            pictures[match[1]].append(name)
        elif last in TABLES or last in ALTERNATIVES:
            tables[last].append(name)
        elif last.lower().endswith(DATA):
            others.append(name)
    if not tables.keys() & TABLES.keys():
        raise WrongLayout(f"{source.root}: no train.csv and no valid.csv; expected {EXPECTED}")
    yield from not_understood(".", others, EXPECTED)
    for name in (name for last in ALTERNATIVES for name in tables[last]):
        yield remark(name, "other labels of the same pictures: they are not read", "nothing")
    patients = {key.partition("/")[0] for key in pictures}
    rows: dict[str, list[Row]] = defaultdict(list)
    for last in (last for last in TABLES if tables[last]):
        absent: set[str] = set()
        name = tables[last][0]
        lines = open_table(tables[last], source.root, hashes)
        _, header = next(lines, (0, []))
        wanted = [column for column in HEADER if last != "test_labels.csv" or column not in PERSON]
        if missing := [column for column in wanted if column not in header]:
            expected = f"expected the header {','.join(wanted)}"
            raise WrongLayout(f"{source.root / name}: column {', '.join(missing)} is missing; {expected}")
        if unknown := sorted(set(header) - set(HEADER)):
            yield remark(name, f"unknown columns are not read: {', '.join(unknown)}", "nothing, or correct their names")
        place = header.index("Path")
        for line, fields in lines:
            text = SEPARATOR.join(fields)
            match = PICTURE.fullmatch(fields[place]) if text.count(SEPARATOR) == len(header) - 1 else None
            if match is None:
                rows[f"{last}-line-{line}"].append((name, line, header, ""))
            elif (patient := match[1].partition("/")[0]) in patients:
                rows[match[1]].append((name, line, header, text))
            else:
                absent.add(patient)
        yield from without_pictures(name, absent)
    of_patient: dict[str, list[str]] = defaultdict(list)  # sorted apart: the keys of a natural order take a gigabyte
    for key in rows.keys() | pictures.keys():
        of_patient[key.partition("/")[0]].append(key)
    in_order = (
        key for patient in sorted(of_patient, key=natural) for key in sorted(of_patient.pop(patient), key=natural)
    )
    for key in islice(in_order, source.limit):
        case = Indexed(key.removesuffix(".jpg").replace("/", "-"), None)
        try:
            case.row = _row(case, key, pictures.pop(key, []), rows.pop(key, []), source, hashes)
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one picture."""
    return FilmClip(source.root, case)


def _row(
    case: Indexed, key: str, names: list[str], found: list[Row], source: Source, hashes: ContentHashes
) -> dict[str, Any]:
    """Return the row of one picture, `key` its patient, study and name."""
    if not found:
        raise Unusable(names[0], f"no row in {' or '.join(TABLES)}", "add its row, or leave the picture out")
    table, line, header, text = found[0]
    if len(found) > 1:
        places = " and ".join(f"line {line} of {table}" for table, line, *_ in found)
        raise Unusable(table, f"{key} stands in {places}", "one row a picture")
    if not text:
        reason = (
            f"line {line} is not a row: expected {len(header)} fields, Path …/patientNNNNN/studyK/viewJ_frontal.jpg"
        )
        raise Unusable(table, reason, "take the table from another copy")
    values = dict(zip(header, text.split(SEPARATOR), strict=True))
    if not names:
        raise Unusable(key, f"line {line} of {table} lists it, but it is not there", "download it again")
    name, content = one_of(names, source.root, hashes)
    read = {column: _word(values, column, table, line) for column in VALUES if column in values}
    view = "frontal" if key.endswith("_frontal.jpg") else "lateral"
    if read.get("Frontal/Lateral") not in (None, view):
        raise Unusable(table, f"line {line} says that {key} is {values['Frontal/Lateral']}", "the view of its name")
    patient, study, _ = key.split("/")
    split, label_source = TABLES[table.rpartition("/")[2]]
    known = source.groups.get(case.case_id)
    return {
        "body_part": "chest",
        "group_id": known or patient,
        "group_kind": "patient",
        "study_id": f"{patient}-{study}",
        "view": view,
        "projection": read.get("AP/PA"),
        "age": _age(case, values.get("Age", ""), table, line),
        "sex": read.get("Sex"),
        "sources": [name],
        "source_kind": "jpeg",
        "content_sha256": sha256(canonical_json([values, content])),
        "n_frames": 1,
        "label_source": label_source,
        **{ours: read[column] for column, ours in LABELS.items()},
        "split_given": split,
    }


def _word(values: Mapping[str, str], column: str, table: str, line: int) -> Any:
    allowed = VALUES[column]
    if values[column] not in allowed:
        expected = f"one of {', '.join(filter(None, allowed))}, or blank"
        raise Unusable(table, f"line {line}: {column} is {values[column]!r}", expected)
    return allowed[values[column]]


def _age(case: Indexed, text: str, table: str, line: int) -> int | None:
    """Read an age in years, None where blank; the 0 of a few rows is not taken for a newborn."""
    if text == "0":
        case.problems.append(Unusable(table, f"line {line}: Age is 0: taken as not known", "nothing, or the age"))
        return None
    if text and not (re.fullmatch("[0-9]{1,3}", text) and int(text) <= 120):
        raise Unusable(table, f"line {line}: Age is {text!r}", "whole years up to 120, or blank")
    return int(text) if text else None
