"""SinoCT: head CT with a label normal or abnormal. Its layout is documented nowhere: its user says it.

Options: `table`, a CSV relative to the root with one line a scan, and `columns`, which maps Casebook's names of columns
to the table's. `file` names the scan: a DICOM file, a folder that holds one DICOM series, or a NIfTI. `group_id` names
the patient, `case_id` the scan; all others are columns of the table of cases.
Source: Hooper et al., Radiology: Artificial Intelligence 2021.
"""

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from workflow_scripts.collections.collection import (
    PHANTOM_MARK,
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
)
from workflow_scripts.collections.dicom_folder import remarks
from workflow_scripts.collections.dicom_folder_clip import DicomClip
from workflow_scripts.collections.films import file_names, read_csv
from workflow_scripts.collections.image_folder import KEPT, TYPES, value_of
from workflow_scripts.collections.sinoct_nifti import NiftiClip, count_slices
from workflow_scripts.files import natural
from workflow_scripts.imaging.dicom import NotDicom, UnreadableDicom, count_frames, is_picture, read_header
from workflow_scripts.imaging.dicom_series import sort_series
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

OWN = ("file", "case_id", "group_id")
GIVEN = ("modality", "body_part", "sources")  # a head CT, whatever the table says
NAMES = (*OWN, *(name for name in TYPES if name not in (*KEPT, *GIVEN)))
ABNORMAL = {"0": False, "1": True, "normal": False, "abnormal": True}
NIFTI = (".nii", ".nii.gz")
BLOCK = "table: labels.csv, columns: {file: <theirs>, group_id: <theirs>, abnormal: <theirs>}"


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every scan that the user's table names; files that it does not name are counted in one remark."""
    table, lines = _read_table(source)
    present = [name for name in file_names(source.root) if source.root / name != table and name != PHANTOM_MARK]
    below: dict[str, list[str]] = defaultdict(list)  # a file, or a folder -> the files it stands for
    for name in sorted(present, key=natural):
        for above in (name, *map(str, PurePosixPath(name).parents)):
            below[above].append(name)
    naming: dict[str, list[int]] = defaultdict(list)  # a scan -> the lines that name it
    for number, line in lines:
        naming[str(_inside(line["file"]))].append(number)
    unnamed = set(present).difference(*(below.get(scan, []) for scan in naming))
    yield from not_understood(".", sorted(unnamed, key=natural), f"scans that a line of {table.name} names")
    lines.sort(key=lambda line: (natural(line[1].get("case_id") or line[1]["file"]), line[0]))
    for number, line in lines[: source.limit]:
        case = Indexed(_name_of(source, line) or f"line-{number}", None)
        try:
            place = _inside(line["file"])
            if place is None:
                reason = f"line {number}: file is {line['file']!r}: expected a path relative to the root"
                raise Unusable(table.name, reason, "correct it")
            if len(same := naming[str(place)]) > 1:
                reason = f"lines {', '.join(map(str, same))} of {table.name} name one scan"
                raise Unusable(str(place), reason, "keep one line a scan")
            if str(place) not in below:
                reason = f"line {number} of {table.name} names it, but it is not there"
                raise Unusable(str(place), reason, "add it, or correct its name")
            case.row = _row(source, case, number, line, table, str(place), below[str(place)], hashes)
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one scan."""
    if case["source_kind"] == "nifti":
        return NiftiClip(source.root, case["sources"][0], case["n_frames"])
    return DicomClip(source.root, case["sources"], case["n_frames"], case["source_kind"] == "dicom-clip")


def _read_table(source: Source) -> tuple[Path, list[tuple[int, dict[str, str]]]]:
    """Return the user's table, and the mapped values of each line with its number.

    Raises
    ------
    WrongLayout
        When there is no map, or it does not fit Casebook's columns or the table.
    """
    root, columns = source.root, {str(ours): str(theirs) for ours, theirs in source.options.get("columns", {}).items()}
    if "table" not in source.options or "file" not in columns:
        raise WrongLayout(
            f"{root}: how SinoCT's files lie is documented nowhere, and Casebook does not guess; name, beside root, a"
            f" table of yours and its columns, Casebook's name first: {BLOCK}"
        )
    if unknown := next((name for name in columns if name not in NAMES), None):
        near = difflib.get_close_matches(unknown, NAMES, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        raise WrongLayout(f"columns.{unknown}: Casebook has no such column; {meant}")
    place = _inside(str(source.options["table"]))
    table = root / (place or "")
    if place is None or not table.is_file():
        raise WrongLayout(f"{root}: there is no table {source.options['table']}; write its path relative to the root")
    rows = read_csv(table)
    _, header = next(rows, (0, []))
    if missing := next((name for name, theirs in columns.items() if theirs not in header), None):
        there = ", ".join(header)
        raise WrongLayout(f"{table}: columns.{missing} is {columns[missing]!r}, no column of the table; it has {there}")
    lines = []
    for number, fields in rows:
        if len(fields) != len(header):
            raise WrongLayout(f"{table}, line {number}: {len(fields)} fields, the header has {len(header)}")
        values = dict(zip(header, fields, strict=True))
        lines.append((number, {ours: values[theirs] for ours, theirs in columns.items()}))
    return table, lines


def _inside(text: str) -> PurePosixPath | None:
    """Return a path of the table relative to the root; None where it is blank or leads out of it."""
    path = PurePosixPath(text.replace("\\", "/"))
    return None if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text else path


def _name_of(source: Source, line: Mapping[str, str]) -> str:
    """Return what the case is called: as the table does, else a pseudonym of its file; nothing without either."""
    if line.get("case_id"):
        return line["case_id"].replace("/", "-")
    return f"ct-{source.pseudonym(line['file'])}" if line["file"] else ""


def _row(
    source: Source,
    case: Indexed,
    number: int,
    line: Mapping[str, str],
    table: Path,
    name: str,
    files: list[str],
    hashes: ContentHashes,
) -> dict[str, Any]:
    """Return the row of one scan: `name` in the table, and the files that it stands for."""
    labels = {ours: _label(ours, text, table, number) for ours, text in line.items() if text and ours not in OWN}
    kind, files, n_frames = _scan(source.root, name, files, case)
    patient = source.groups.get(case.case_id) or (source.pseudonym(line["group_id"]) if line.get("group_id") else None)
    told = {ours: text for ours, text in line.items() if ours != "group_id"}
    try:
        content = [hashes.of(source.root / file) for file in files]
    except OSError as error:
        raise Unusable(name, f"it cannot be read ({error.strerror})", "copy it again") from None
    return {
        "body_part": "head",
        "group_id": patient or case.case_id,
        "group_kind": "patient" if patient else "scan: no patient is named",
        "sources": files,
        "source_kind": kind,
        "content_sha256": sha256(canonical_json([told, content])),
        "n_frames": n_frames,
        "label_source": "registry" if labels else "none",
    } | labels


def _label(name: str, text: str, table: Path, number: int) -> Any:
    """Return a label as its column has it."""
    if name == "abnormal" and text.lower() in ABNORMAL:
        return ABNORMAL[text.lower()]
    try:
        return value_of(name, text, table)
    except Unusable as problem:
        reason = f"line {number}: {problem.reason}{' (0 or 1, normal or abnormal)' if name == 'abnormal' else ''}"
        raise Unusable(table.name, reason, problem.mend) from None


def _scan(root: Path, name: str, files: list[str], case: Indexed) -> tuple[str, list[str], int]:
    """Return how a scan is laid out, its files in the order of its slices, and how many slices it has."""
    if name.lower().endswith(NIFTI):
        return "nifti", files, count_slices(root, name)
    headers = []
    for file in files:
        try:
            header = read_header(root / file)
        except NotDicom:
            case.problems.append(Unusable(file, "it is neither DICOM nor NIfTI: left out", "move it elsewhere"))
        except UnreadableDicom as error:
            case.problems.append(Unusable(file, str(error), "take the file from another copy"))
        else:
            if is_picture(header):
                headers.append(header)
            else:
                case.problems.append(Unusable(file, "it holds no picture: left out", "nothing"))
    if not headers:
        first = case.problems.pop(0) if case.problems else Unusable(name, "it holds nothing", "add the scan")
        raise Unusable(first.file, f"no slice of the scan can be used: {first.reason}", first.mend)
    if odd := next((header for header in headers if header.get("Modality") != "CT"), None):
        file = Path(str(odd.filename)).relative_to(root).as_posix()
        raise Unusable(file, "its Modality is not CT", "name a folder, or a file, that holds a head CT alone")
    if len(headers) == 1 and count_frames(headers[0]) > 1:
        return "dicom-clip", [Path(str(headers[0].filename)).relative_to(root).as_posix()], count_frames(headers[0])
    series = {header.get("SeriesInstanceUID") for header in headers}
    if len(series) > 1 or any(count_frames(header) > 1 for header in headers):
        raise Unusable(
            name, f"it holds {len(series)} series: which is meant is not known", "name the folder of one series"
        )
    try:
        stacks = sort_series(headers)
    except UnreadableDicom as error:
        raise Unusable(name, f"two slices lie at one place, and one cannot be read: {error}", "copy it again") from None
    case.problems += remarks(stacks[0], name, "CT")
    if more := sum(len(stack.headers) for stack in stacks[1:]):
        reason = f"{more} of its slices are of another size or plane (a localiser): left out"
        case.problems.append(Unusable(name, reason, "nothing"))
    ordered = [Path(str(header.filename)).relative_to(root).as_posix() for header in stacks[0].headers]
    return "dicom-series", ordered, len(ordered)
