"""Any folder of stills, clips, volumes or slides, with masks of the same name and a table: its user says what they are.

    images/<name>.png       masks/<name>.png (and <name>__2.png … for further outlines)       one table, CSV
    images/<name>.nii.gz    masks/<name>.nii.gz, labels on the same voxels
    images/<name>.avi, .mp4, .svs, and with modality SM pyramids in .tif: without masks

Options: `modality` (needed), `body_part`, `outlines`, `table`, and `columns`, which maps Casebook's names of columns to
the table's. `file` names the picture, `patient` whose it is, `spacing_mm` the width of a pixel; all others are columns
of the table of cases.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.collections.collection import (
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.collections.image_folder_kinds import (
    CLIP,
    NAMES,
    READABLE,
    SLIDE,
    STILL,
    VOLUME,
    VOLUMES,
    fitting_masks,
    kind_of,
    tell_apart,
)
from workflow_scripts.collections.masked_stills import PICTURES, MaskedStill, ending, one, pictures_in, read_rows
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256
from workflow_scripts.tables import cases

EXPECTED = (
    "images/<name>.png (.jpg, .bmp, .tif; .avi, .mp4; .nii, .nii.gz; .svs) and, if there are, masks/<name>.png"
    " or .nii.gz; or the pictures themselves"
)
OWN = ("file", "patient", "spacing_mm")
BOOLEANS = {"0": False, "1": True, "no": False, "yes": True, "false": False, "true": True}
WORDS = {
    "pathology": ("benign", "malignant"),
    "sex": ("female", "male"),
    "laterality": ("left", "right", "isthmus"),
    "label_source": ("histology", "radiologist", "registry", "none"),
}
READ: dict[Any, Callable[[str], Any]] = {
    pa.string(): str,
    pa.bool_(): lambda text: BOOLEANS[text.lower()],
    pa.float64(): float,
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32()), int),
}
TYPES = {field.name: field.type for field in cases.SCHEMA if field.type in READ}
KEPT = ("case_id", "dataset", "group_id", "group_kind", "source_kind", "source_key", "content_sha256", "n_frames")


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every file with pictures, and every mask and line of the table that has none."""
    if "modality" not in source.options:
        raise WrongLayout(
            f"{source.root}: plain pictures do not say what they are; add a DICOM modality code to the data set,"
            " for example modality: US"
        )
    folder = root_of(source.root, "images")
    inside = (folder / "images").is_dir()
    pictures = tell_apart(pictures_in(folder / "images" if inside else folder, READABLE))
    if not pictures:
        raise WrongLayout(f"{source.root}: no picture found; expected {EXPECTED}")
    masks = _masks(pictures_in(folder / "masks", (*PICTURES, *VOLUMES)), pictures)
    table, names = _table(source, folder)
    columns = _columns(source.options.get("columns", {}), table, names)
    lines = _lines(table, names, columns, pictures) if table else {}
    for place, readable in {folder: () if inside else READABLE, folder / "images": READABLE}.items():
        files = [path for path in place.iterdir() if path.is_file() and path != table] if place.is_dir() else []
        others = sorted(path.name for path in files if path.name[0] != "." and not ending(path.name, readable))
        yield from not_understood(place.relative_to(source.root).as_posix(), others, EXPECTED)
    for stem in sorted(pictures.keys() | masks.keys() | lines.keys(), key=natural)[: source.limit]:
        case = Indexed(stem, None)
        try:
            if stem not in pictures:
                name = masks[stem][0].name if stem in masks else table.name if table else ""
                raise Unusable(name, f"no picture is called {stem}", "add it to images/")
            if table and stem not in lines:
                case.problems.append(Unusable(table.name, f"no line for {stem}: nothing is known of it", "add one"))
            kind = kind_of(pictures[stem][0], source.options["modality"])
            if masks and stem not in masks and kind in (STILL, VOLUME):
                reason = "it has no mask: it stays without one, and is not taken to be healthy"
                mend = f"add masks/{stem}{'.png' if kind == STILL else '.nii.gz'}"
                case.problems.append(Unusable(pictures[stem][0].name, reason, mend))
            fitting, unfit = fitting_masks(kind, masks.get(stem, []))
            case.problems += unfit
            files = [one(pictures[stem]), *fitting]
            for path in files[1:]:
                one([other for other in files[1:] if other.stem == path.stem])
            line = lines.get(stem, {})
            case.row = _row(source, stem, kind, files, line, hashes, table)
            if table and line.get("spacing_mm") and kind in (VOLUME, SLIDE):
                reason = f"the spacing of {stem} is taken from its file alone"
                case.problems.append(Unusable(table.name, reason, "nothing, or leave spacing_mm blank"))
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def _masks(found: dict[str, list[Path]], pictures: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the masks of each picture: of its name, of its name and `_mask`, and `__2` … of either."""
    masks: dict[str, list[Path]] = {}
    for stem, paths in sorted(found.items(), key=lambda item: natural(item[0])):
        names = [stem, re.sub(r"__\d+$", "", stem)]
        names += [name.removesuffix("_mask") for name in names]
        owner = next((name for name in names if name in pictures), names[-1])
        masks.setdefault(owner, []).extend(paths)
    return masks


def _table(source: Source, folder: Path) -> tuple[Path | None, list[str]]:
    """Return the table of labels and its header: the one that is named, else the only CSV there is."""
    named = source.options.get("table")
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".csv" and path.name[0] != "."]
    path = source.root / named if named else found[0] if len(found) == 1 else None
    if path is None:
        if found:
            raise WrongLayout(f"{folder}: {len(found)} tables; name the one with the labels (option table)")
        return None, []
    if not path.resolve().is_relative_to(source.root.resolve()) or not path.is_file():
        raise WrongLayout(f"{path}: the table is not there; give its name relative to the data set's root")
    header = next(iter(read_rows(path)), [])
    return path, [name.strip() for name in header]


def _columns(wanted: Mapping[str, Any], table: Path | None, names: list[str]) -> dict[str, str]:
    """Return the user's map, checked; without one, `file` is looked for by its usual names."""
    columns = {str(name): str(theirs) for name, theirs in wanted.items()}
    known = [*OWN, *(name for name in TYPES if name not in KEPT)]
    if unknown := next((name for name in columns if name not in known), None):
        near = difflib.get_close_matches(unknown, known, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise WrongLayout(f"columns.{unknown}: Casebook has no such column; {meant}")
    if table is None:
        return {}
    usual = next((name for name in names if name.lower() in ("file", "filename", "file_name", "image", "name")), None)
    columns = ({"file": usual} if usual else {}) | columns
    if missing := next((name for name in ("file", *columns) if columns.get(name) not in names), None):
        what = repr(columns[missing]) if missing in columns else "one with the pictures' names"
        raise WrongLayout(
            f"{table}: it has no column {what}; it has {', '.join(names)}. Write under columns: {missing}: <its name>"
        )
    return columns


def _lines(
    table: Path, names: list[str], columns: Mapping[str, str], pictures: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Return the mapped values of each picture; a picture that stands in two lines is refused."""
    found: dict[str, dict[str, str]] = {}
    for number, fields in enumerate(read_rows(table)[1:], 2):
        if len(fields) != len(names):
            raise WrongLayout(f"{table}, line {number}: {len(fields)} fields, the header has {len(names)}")
        line = dict(zip(names, (field.strip() for field in fields), strict=True))
        stem = Path(line[columns["file"]].replace("\\", "/")).name
        stem = stem if stem in pictures else stem.removesuffix(ending(stem, READABLE))
        if not stem or stem in found:
            raise WrongLayout(f"{table}, line {number}: {stem or 'no file'}: expected one line a picture")
        found[stem] = {ours: line[theirs] for ours, theirs in columns.items() if ours != "file"}
    return found


def _row(
    source: Source,
    case_id: str,
    kind: str,
    files: list[Path],
    line: Mapping[str, str],
    hashes: ContentHashes,
    table: Path | None,
) -> dict[str, Any]:
    """Return the row of a case; `files` are its picture, clip, volume or slide, and its masks."""
    labels = {name: value_of(name, text, table) for name, text in line.items() if text and name in TYPES}
    spacing = {"spacing_mm": line["spacing_mm"]} if line.get("spacing_mm") else {}
    if spacing and not (re.fullmatch(r"\d+(\.\d+)?", spacing["spacing_mm"]) and 0 < float(spacing["spacing_mm"]) < 10):
        where = table.name if table else ""
        raise Unusable(
            where, f"spacing_mm is {spacing['spacing_mm']!r}", "write the width of a pixel in mm, or nothing"
        )
    sources = [path.relative_to(source.root).as_posix() for path in files]
    n_frames: int | None = 1
    if kind != STILL:  # what reads them takes half a second to load
        from workflow_scripts.collections.image_folder_media import count_frames

        n_frames = count_frames(source.root, sources[0], kind)
    patient = source.groups.get(case_id) or (source.pseudonym(line["patient"]) if line.get("patient") else None)
    return {
        "body_part": source.options.get("body_part"),
        "modality": source.options["modality"],
        "group_id": patient or (files[0].stem if kind == CLIP else case_id),
        "group_kind": "patient" if patient else f"{NAMES[kind]}: no patient is named",
        "sources": sources,
        "source_kind": kind,
        "content_sha256": sha256(canonical_json([line, *(hashes.of(path) for path in files)])),
        "n_frames": n_frames,
        "label_source": "registry" if labels else "none",
        "labels": spacing,
    } | labels


def value_of(name: str, text: str, table: Path | None) -> Any:
    """Return a label as its column has it.

    Raises
    ------
    Unusable
        When the column does not take it.
    """
    try:
        value = text.lower() if name in WORDS else pa.scalar(READ[TYPES[name]](text), TYPES[name]).as_py()
    except (ValueError, KeyError, OverflowError):
        value = None
    if value in WORDS.get(name, (value,)) and value is not None and (type(value) is not float or math.isfinite(value)):
        return value
    wanted = ", ".join(WORDS.get(name, (str(TYPES[name]),)))
    reason = f"{name} is {text!r}: expected {wanted}"
    raise Unusable(table.name if table else "", reason, "correct it, or leave it blank")


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one still, clip, volume or slide."""
    spacing = dict(case["labels"] or {}).get("spacing_mm")
    spacing_mm = float(spacing) if spacing else None
    if case["source_kind"] == STILL:
        return MaskedStill(source.root, case, spacing_mm)
    from workflow_scripts.collections.image_folder_media import open_media

    return open_media(source.root, case, spacing_mm)
