"""MURA: radiographs of the upper limb as PNG, a folder a study, whose name says whether it was read as abnormal.

Abnormal is not fractured: hardware, degenerative disease and lesions count as well. The four tables have no header;
where they are not there, the folders say the same. Source: Rajpurkar et al., arXiv:1712.06957.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from workflow_scripts.collections.collection import (
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
)
from workflow_scripts.collections.films import DATA, FilmClip, file_names, one_of, open_table, without_pictures
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

SPLITS = ("train", "valid")
PARTS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
STUDY = (
    rf"(?:.*/)?(({'|'.join(SPLITS)})/XR_({'|'.join(PARTS).upper()})/(patient[0-9]+)/study[0-9]+)_(positive|negative)/"
)
PICTURE = re.compile(STUDY + r"(image[0-9]+\.png)", re.DOTALL)
FORMS = {  # of a line: <split>_<table>.csv -> what its fields are
    "labeled_studies": (re.compile(STUDY + "?"), "MURA-v1.1/train/XR_WRIST/patientNNNNN/studyK_positive/,1"),
    "image_paths": (PICTURE, "MURA-v1.1/train/XR_WRIST/patientNNNNN/studyK_positive/image1.png"),
}
EXPECTED = "train and valid with XR_<PART>/patientNNNNN/studyK_positive or _negative/imageJ.png, as MURA ships them"

Pictures = dict[str, dict[str, list[str]]]  # folder of a study -> file name -> where it lies


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every study of the folders and of the tables.

    Rows of patients of whom nothing is there are counted in one remark. Nobody says whether a number means one patient
    in both splits: it is taken to.
    """
    pictures: Pictures = defaultdict(lambda: defaultdict(list))
    tables: dict[str, list[str]] = defaultdict(list)
    others = []
    wanted = [f"{split}_{table}.csv" for split in SPLITS for table in FORMS]
    for name in file_names(source.root):
        last = name.rpartition("/")[2]
        if match := PICTURE.fullmatch(name):
            pictures[f"{match[1]}_{match[5]}"][match[6]].append(name)
        elif last in wanted:
            tables[last].append(name)
        elif last.lower().endswith(DATA):
            others.append(name)
    if not pictures:
        raise WrongLayout(f"{source.root}: no picture of a study found; expected {EXPECTED}")
    yield from not_understood(".", others, EXPECTED)
    patients = {_patient(folder) for folder in pictures}
    listed: dict[str, set[str]] = defaultdict(set)  # folder of a study -> its pictures by the tables
    said: dict[str, list[str]] = {}  # folder of a study -> the labels that the tables give it
    for last in (last for last in wanted if tables[last]):
        absent = set()
        for folder, value in _read_table(last, tables[last], source, hashes):
            if _patient(folder) not in patients:
                absent.add(_patient(folder))
            elif last.endswith("image_paths.csv"):
                listed[folder].add(value)
            else:
                said.setdefault(folder, []).append(value)
        yield from without_pictures(tables[last][0], absent)
    folders = defaultdict(list)  # a study -> its folders: one, unless it is given out under both labels
    for folder in sorted(pictures.keys() | listed.keys() | said.keys()):
        folders[folder.rpartition("_")[0]].append(folder)
    complete = {split: bool(tables[f"{split}_labeled_studies.csv"]) for split in SPLITS}
    for study in sorted(folders, key=natural)[: source.limit]:
        case = Indexed(study.replace("/", "-"), None)
        try:
            if len(folders[study]) > 1:
                raise Unusable(folders[study][0], f"{folders[study][1]} is the same study", "keep one of them")
            (folder,) = folders[study]
            if complete[study.partition("/")[0]] or folder in said:
                _check_label(folder, said.get(folder, []))
            kept = _choose(case, folder, pictures.get(folder, {}), listed.get(folder), source, hashes)
            case.row = _row(case.case_id, folder, kept, source)
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open the pictures of one study."""
    return FilmClip(source.root, case)


def _patient(folder: str) -> str:
    return folder.split("/")[2]


def _read_table(last: str, names: list[str], source: Source, hashes: ContentHashes) -> Iterator[tuple[str, str]]:
    """Yield the folder of a study, and what a line says of it: the label, or a picture's name.

    Raises
    ------
    WrongLayout
        When a line has another form: it names no study to which the fault could be put down.
    """
    split, _, table = last.removesuffix(".csv").partition("_")
    form, example = FORMS[table]
    for line, fields in open_table(names, source.root, hashes):
        match = form.fullmatch(fields[0])
        if not match or match[2] != split or len(fields) != 1 + (table == "labeled_studies"):
            expected = f"expected {example.replace('train', split)}, and no header line"
            raise WrongLayout(f"{source.root / names[0]}, line {line}: {','.join(fields)[:80]!r}; {expected}")
        yield f"{match[1]}_{match[5]}", fields[1] if table == "labeled_studies" else match[6]


def _check_label(folder: str, said: list[str]) -> None:
    """Check that the tables say of a study what the name of its folder says."""
    table = f"{folder.partition('/')[0]}_labeled_studies.csv"
    if not said:
        raise Unusable(folder, f"no row in {table}", "add its row, or leave the study out")
    if len(said) > 1:
        raise Unusable(table, f"{folder} stands in {len(said)} rows", "one row a study")
    if said[0] not in ("0", "1"):
        raise Unusable(table, f"the label of {folder} is {said[0]!r}", "1 (abnormal) or 0")
    if (said[0] == "1") != folder.endswith("_positive"):
        raise Unusable(table, f"it says {said[0]} of {folder}", "the label that the folder's name says")


def _choose(
    case: Indexed,
    folder: str,
    pictures: Mapping[str, list[str]],
    listed: set[str] | None,
    source: Source,
    hashes: ContentHashes,
) -> list[tuple[str, str]]:
    """Return where a study's pictures lie, and their hashes, in numeric order; what is lost goes to its problems."""
    kept = []
    for name in sorted(pictures.keys() | (listed or ()), key=natural):
        try:
            if name not in pictures:
                raise Unusable(f"{folder}/{name}", "a table lists it, but it is not there", "download it again")
            if listed is not None and name not in listed:
                raise Unusable(pictures[name][0], "no table lists it", "add it to the table, or move it elsewhere")
            kept.append(one_of(pictures[name], source.root, hashes))
        except Unusable as problem:
            case.problems.append(problem)
    if not kept:
        raise case.problems.pop() if case.problems else Unusable(folder, "no picture is there", "download it again")
    return kept


def _row(case_id: str, folder: str, kept: list[tuple[str, str]], source: Source) -> dict[str, Any]:
    """Return the row of one study."""
    split, part, patient, study = folder.split("/")
    abnormal = study.endswith("_positive")
    contents = [[name.rpartition("/")[2], content] for name, content in kept]
    return {
        "body_part": part.removeprefix("XR_").lower(),
        "group_id": source.groups.get(case_id) or patient,
        "group_kind": "patient",
        "sources": [name for name, _ in kept],
        "source_kind": "png",
        "content_sha256": sha256(canonical_json([abnormal, contents])),
        "n_frames": len(kept),
        "label_source": "radiologist",
        "abnormal": abnormal,
        "split_given": split,
    }
