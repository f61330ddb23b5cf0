"""A thyroid screening record: a table, with a picture a row and masks of an expert and of a model, by path or by URL.

The layout is that of the Zhejiang record as its notice names the fields; no file of it is public. A row that describes
both lobes is two cases, one a nodule.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import Clip, Indexed, Source, Unusable, not_understood
from workflow_scripts.collections.films import file_names, remark
from workflow_scripts.collections.masked_stills import PICTURES
from workflow_scripts.collections.thyroid_table_columns import ENDINGS, Record, find_table, open_table
from workflow_scripts.collections.thyroid_table_pictures import IMAGE, MASKS, RecordClip, base_of, locate, uri_of
from workflow_scripts.collections.thyroid_table_rows import Row, read_labels
from workflow_scripts.collections.thyroid_table_words import SYSTEMS
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every row of the table, one that describes both lobes as two cases; no URL is asked.

    Where no column names the patients, rows that show one picture are one group.
    """
    path = find_table(source)
    table = open_table(path, source)
    yield from table.remarks
    name, base = path.relative_to(source.root).as_posix(), base_of(path, source)
    named = {name} | {place for record in table.records for place in _named(record, base, source.root)}
    found = [file for file in file_names(source.root) if file.lower().endswith((*PICTURES, *ENDINGS))]
    yield from not_understood(".", [file for file in found if file not in named], "only files that the table names")
    rows = [Row(record) for record in table.records]
    if nameless := sum("tirads" in row.record.values and not row.system(table.system) for row in rows):
        reason = f"{nameless} TI-RADS levels are of a system that is not named: they are kept as texts, and not used"
        mend = f"write under columns, tirads_system: <a column, or one of {', '.join(SYSTEMS)}>"
        yield remark(name, reason, mend)
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.record.key, []).append(row.record.line)
    rows.sort(key=lambda row: (natural(row.record.values.get("record_id", "")), row.record.line))
    cases = [
        (row, side)
        for row in rows
        if lines[row.record.key][0] == row.record.line
        for side in (row.sides if len(lines[row.record.key]) == 1 and not row.record.broken else ()) or (None,)
    ]
    first: dict[str, Record] = {}  # by picture, the first row that shows it
    for row, side in cases[: source.limit]:
        record = row.record
        case = Indexed(f"{record.key}-{side}" if side else record.key, None)
        try:
            if record.broken:
                raise Unusable(name, record.broken, "write one value a column, and a record_id in each row")
            if len(lines[record.key]) > 1:
                both = " and ".join(map(str, lines[record.key]))
                raise Unusable(name, f"lines {both} have one record_id", "leave one of them")
            content, sources = _content(case, row, base, source.root, hashes, name)
            owner = first.setdefault(content[IMAGE], record)
            if owner.key != record.key:
                reason = f"line {record.line} shows the same picture as line {owner.line}: they are one group"
                case.problems.append(Unusable(name, reason, "nothing, or leave one of them out"))
            labels, problems = read_labels(row, side, table.system, name)
            case.problems += problems
            case.row = {
                "body_part": "thyroid",
                "laterality": side,
                **_group(source, case.case_id, record, owner),
                "sources": [name, *sources],
                "source_kind": "table",
                "source_key": record.key,
                "content_sha256": sha256(canonical_json([dict(record.values), table.system, content])),
                "n_frames": 1,
                **labels,
            }
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open the picture of one case; its row is read again, for a URL may hold a signature and is stored nowhere."""
    return RecordClip(source, case)


def _named(record: Record, base: Path, root: Path) -> Iterator[str]:
    """Yield the files below the root that a row names."""
    for column in (IMAGE, *MASKS):
        try:
            place = locate(uri_of(record, column) or "", base, root)
        except Unusable:
            continue
        if isinstance(place, Path):
            yield place.relative_to(root).as_posix()


def _content(
    case: Indexed, row: Row, base: Path, root: Path, hashes: ContentHashes, table: str
) -> tuple[dict[str, str], list[str]]:
    """Return the hash of each file of a case, a URL as it is, and the files; a mask that it loses is noted.

    Raises
    ------
    Unusable
        When it has no picture.
    """
    content, sources, line = {}, [], f"line {row.record.line}"
    for column in (IMAGE, *MASKS):
        uri = uri_of(row.record, column)
        try:
            if uri is None:
                if column == IMAGE:
                    raise Unusable(table, "it names no picture", f"fill in {IMAGE}")
            elif column in MASKS and len(row.sides) > 1:
                reason = f"it describes both lobes: which of them {column} outlines is not said, and it is left out"
                raise Unusable(table, reason, "give each lobe a row of its own, with its picture and masks")
            else:
                place = locate(uri, base, root)
                content[column] = hashes.of(place) if isinstance(place, Path) else place
                sources += [place.relative_to(root).as_posix()] if isinstance(place, Path) else []
        except (Unusable, OSError) as error:
            known = (
                error if isinstance(error, Unusable) else Unusable(table, f"{column}: {error.strerror}", "see the file")
            )
            problem = Unusable(known.file, f"{line}: {known.reason}", known.mend)
            if column == IMAGE:
                raise problem from None
            case.problems.append(problem)
    return content, sources


def _group(source: Source, case_id: str, record: Record, owner: Record) -> dict[str, str]:
    """Return who must stay together: the patient, else the rows that show the picture of `owner`."""
    for name in (case_id, record.values.get("record_id", "")):
        if name in source.groups:
            return {"group_id": source.groups[name], "group_kind": "patient"}
    if patient := record.values.get("patient_id"):
        return {"group_id": source.pseudonym(patient), "group_kind": "patient"}
    return {"group_id": owner.key, "group_kind": "row, with those that show its picture: no patient is named"}
