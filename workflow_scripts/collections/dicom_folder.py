"""Any folder of DICOM files, nested and named anyhow: a case is one series, or one file of several frames.

What a header says of a person stays out of every table, but for what `dicom_folder_headers` lets through. Patients,
studies and series are pseudonyms. Source: DICOM PS3.3.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import (
    PHANTOM_MARK,
    TABLE,
    Clip,
    Indexed,
    Source,
    Unusable,
    not_understood,
)
from workflow_scripts.collections.dicom_folder_clip import DicomClip
from workflow_scripts.collections.dicom_folder_headers import Picture, Told, class_name, picture_of
from workflow_scripts.collections.films import file_names
from workflow_scripts.files import natural
from workflow_scripts.imaging.dicom import (
    NO_PICTURES,
    NotDicom,
    UnreadableDicom,
    is_picture,
    read_header,
)
from workflow_scripts.imaging.dicom_series import SliceStack, sort_series
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

ENDINGS = (".dcm", ".dicom", ".ima")  # a file of such a name claims to be DICOM
SLICED = ("CT", "MR", "PT", "NM")  # what lies in space; elsewhere a series is just pictures one after another
VIEWS = {"AP": "frontal", "PA": "frontal", "LL": "lateral", "RL": "lateral", "LATERAL": "lateral", "LAT": "lateral"}
NOTES = ("is a duplicate", "with other pixels", "a slice is missing", "have no position")


@dataclass
class Found:
    """A case before its row is made: its files in order, and what was wrong with them."""

    case_id: str
    files: list[str]
    told: Told | None = None
    n_frames: int = 0
    clip: bool = False
    problems: list[Unusable] = field(default_factory=list)


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every series and every clip, and every file that cannot be read; of each file the header is read once."""
    pictures, cases, others = [], [], []
    objects: Counter[str] = Counter()
    for name in sorted(file_names(source.root), key=natural):
        last = name.rpartition("/")[2]
        if last.upper() == "DICOMDIR" or name == PHANTOM_MARK:
            continue
        try:
            header = read_header(source.root / name)
            if is_picture(header):
                pictures.append(picture_of(source.root, name, header))
            elif header.SOPClassUID not in NO_PICTURES and class_name(header).endswith("Image Storage"):
                raise UnreadableDicom("its header lacks Rows or PhotometricInterpretation: copy the file again")
            else:
                objects[class_name(header)] += 1
        except UnreadableDicom as error:
            if isinstance(error, NotDicom) and not last.lower().endswith(ENDINGS):
                others.append(name)
            else:
                problem = Unusable(name, str(error), "take the file from another copy, or move it elsewhere")
                cases.append(Found(f"file-{source.pseudonym(name)}", [name], problems=[problem]))
    yield from not_understood(".", others, "DICOM files")
    if objects:
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(objects.items()))
        yield Indexed(
            TABLE, None, [Unusable(".", f"files that hold no picture: {kinds}", "nothing: they are not read")]
        )
    kept, copies = first_of_each(pictures)
    by_series: dict[str, list[Picture]] = defaultdict(list)
    for picture in kept:
        by_series[picture.told.series].append(picture)
    for members in by_series.values():
        cases += _cases_of(source, members)
    for found in sorted(cases, key=lambda found: natural(found.files[0]))[: source.limit]:
        if again := [copy for name in found.files for copy in copies.get(name, [])]:
            count = "a copy of 1 file" if len(again) == 1 else f"copies of {len(again)} files"
            reason = f"{count} of this case (of the same SOPInstanceUID and size): left out"
            found.problems.append(Unusable(again[0], reason, "leave one copy in the folder"))
        yield Indexed(found.case_id, _row(source, found, hashes), found.problems)


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one series or clip."""
    return DicomClip(source.root, case["sources"], case["n_frames"], case["source_kind"] == "dicom-clip")


def first_of_each(pictures: list[Picture]) -> tuple[list[Picture], dict[str, list[str]]]:
    """Return the pictures without copies, and the names of copies by the name of the first.

    A copy has the series, the SOPInstanceUID and the size of an earlier one: those who cut pictures keep the UID.
    """
    first: dict[tuple[object, ...], Picture] = {}
    kept, copies = [], defaultdict(list)
    for picture in pictures:
        size = picture.place.get("Rows"), picture.place.get("Columns"), picture.n_frames
        owner = first.setdefault((picture.told.series, picture.sop, size), picture) if picture.sop else picture
        if owner is picture:
            kept.append(picture)
        else:
            copies[owner.name].append(picture.name)
    return kept, copies


def _cases_of(source: Source, members: list[Picture]) -> Iterator[Found]:
    """Yield the cases of one series: its clips, and its stacks of one size and plane, of which the same is told."""
    stills: dict[Told, list[Picture]] = defaultdict(list)
    for picture in members:
        if picture.n_frames == 1:
            stills[picture.told].append(picture)
        else:
            case_id = _name_of(source, picture.told, picture.sop or picture.name)
            yield Found(case_id, [picture.name], picture.told, picture.n_frames, clip=True)
    number = 0
    for told, alike in stills.items():
        for stack in _stacks(source, alike):
            number += 1
            case_id = _name_of(source, told, told.series if number == 1 else f"{told.series} {number}")
            if isinstance(stack, Unusable):
                yield Found(case_id, [stack.file], problems=[stack])
                continue
            files = [Path(str(header.filename)).relative_to(source.root).as_posix() for header in stack.headers]
            yield Found(case_id, files, told, len(files), problems=remarks(stack, files[0], told.modality))


def _stacks(source: Source, alike: list[Picture]) -> list[SliceStack] | list[Unusable]:
    try:
        return sort_series([picture.place for picture in alike])
    except UnreadableDicom as error:
        reason = f"two slices lie at one place, and one cannot be read to tell whether they are the same: {error}"
        return [Unusable(alike[0].name, reason, "take the series from another copy")]


def remarks(stack: SliceStack, file: str, modality: str) -> list[Unusable]:
    """Return what is to know of a stack: of each kind of remark the first, and how many there are."""
    found = []
    for words in NOTES:
        notes = [note for note in stack.notes if words in note]
        if not notes or (words == NOTES[-1] and modality not in SLICED):
            continue
        more = f" (and {len(notes) - 1} more remarks of this kind)" if len(notes) > 1 else ""
        found.append(Unusable(file, notes[0] + more, "nothing, or take the series from another copy"))
    return found


def _row(source: Source, found: Found, hashes: ContentHashes) -> dict[str, Any] | None:
    """Return the row of a case; None, with the reason among its problems, where it is not to be used."""
    told = found.told
    if told is None:
        return None
    if told.doubtful:
        mend = "look at it" if not told.withheld else "if none does, set its BurnedInAnnotation to NO"
        found.problems.append(Unusable(found.files[0], told.doubtful, mend))
    if told.withheld:
        return None
    try:
        content = [hashes.of(source.root / name) for name in found.files]
    except OSError as error:
        found.problems.append(Unusable(found.files[0], f"it cannot be read ({error.strerror})", "copy it again"))
        return None
    known = source.groups.get(found.case_id)
    stand_in, kind = (
        (told.patient, "patient")
        if told.patient
        else (told.study, "study: no patient is named")
        if told.study
        else (told.series, "series: no patient is named")
    )
    return {
        "modality": told.modality,
        "body_part": told.body_part,
        "group_id": known or source.pseudonym(stand_in),
        "group_kind": "patient" if known else kind,
        "study_id": source.pseudonym(told.study) if told.study else None,
        "view": VIEWS.get(told.view or "", told.view),
        "projection": told.view if told.view in ("AP", "PA", "LL", "RL") else None,
        "laterality": told.laterality,
        "age": told.age,
        "sex": told.sex,
        "year": told.year,
        "sources": found.files,
        "source_kind": "dicom-clip" if found.clip else "dicom-series",
        "content_sha256": sha256(canonical_json(content)),
        "n_frames": found.n_frames,
        "label_source": "none",
    }


def _name_of(source: Source, told: Told, identifier: str) -> str:
    return f"{told.modality.lower()}-{source.pseudonym(identifier)}"
