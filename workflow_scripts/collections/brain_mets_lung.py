"""Brain-Mets-Lung-MRI-Path-Segs (TCIA): MR series and slides of brain metastases of lung cancer, and their workbook.

A folder bears the name of a patient; the workbook has one row an accession, and some patients have two. A case is one
series or one slide. The names of the files were not seen by us: what stands before `_t1ce_img.nii.gz` counts as an
accession where the workbook knows it, and no more is made of it.
Source: Chadha et al., Sci Data 2026;13, doi:10.1038/s41597-025-06353-2; data doi:10.7937/k0sm-y874.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from workflow_scripts.collections.brain_mets_lung_clips import SeriesClip, SlideClip
from workflow_scripts.collections.brain_mets_lung_workbook import COLUMNS, Clinical, read_workbook
from workflow_scripts.collections.collection import TABLE, Clip, Indexed, Source, Unusable, WrongLayout, not_understood
from workflow_scripts.collections.films import file_names, one_of
from workflow_scripts.files import natural
from workflow_scripts.imaging.volumes import UnreadableVolume, Volume, open_volume
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

VOLUME = re.compile(r"(.+)_((?:t1ce|flair)_img|(?:core|whole)_seg)\.nii(?:\.gz)?", re.IGNORECASE | re.DOTALL)
WORKBOOK = re.compile(r"(?!~\$).*clinical_data.*\.xlsx", re.IGNORECASE | re.DOTALL)
SERIES = {
    "t1ce": ("core_seg", "axial T1CE"),
    "flair": ("whole_seg", "axial FLAIR"),
}  # the outline on its grid; its view
DATA = (".nii", ".nii.gz", ".svs", ".xlsx", ".csv", ".dcm", ".zip")  # the endings of files that must mean something
MOST_VOXELS = 2**28  # the largest that is known has 8.7 million
EXPECTED = (
    "<patient_id>/<name>_t1ce_img.nii.gz, _flair_img, _core_seg, _whole_seg; <accession or patient_id>.svs; "
    "…_Clinical_Data….xlsx"
)

Files = dict[str, list[str]]  # what a file is -> where it lies; several are copies


@dataclass(frozen=True)
class Found:
    """One case as its files' names tell it: `kind` is t1ce, flair, slide, or outline (of a series that is not there).

    `name` is what may begin with an accession; `patient` is None where nothing says whose it is.
    """

    kind: str
    patient: str | None
    name: str
    files: Files

    @property
    def case_id(self) -> str:
        """Return the patient, the file's own name where it is another one, and what the case is."""
        parts = (self.patient, None if self.name == self.patient else self.name, self.kind)
        return "-".join(filter(None, parts))


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every series and every slide. Without the workbook they come without labels, which is said once."""
    volumes: dict[tuple[str, str], Files] = defaultdict(lambda: defaultdict(list))  # patient, what the names begin with
    slides: dict[tuple[str, str], list[str]] = defaultdict(list)  # folder, name
    books, others = [], []
    for name in file_names(source.root):
        path = PurePosixPath(name)
        if (match := VOLUME.fullmatch(path.name)) and path.parent.name:
            volumes[path.parent.name, match[1]][match[2].lower()].append(name)
        elif path.suffix.lower() == ".svs":
            slides[path.parent.name, path.stem].append(name)
        elif WORKBOOK.fullmatch(path.name):
            books.append(name)
        elif path.name.lower().endswith(DATA):
            others.append(name)
    if not volumes and not slides:
        raise WrongLayout(f"{source.root}: no series and no slide found; expected {EXPECTED}")
    yield from not_understood(".", others, EXPECTED)
    clinical, remarks = _read_newest(books, source.root)
    yield from remarks
    patients = {patient for patient, _ in volumes}
    if absent := {row.patient for row in clinical} - patients:
        reason = f"patients without a series here: {len(absent)}, the first of them {min(absent, key=natural)}"
        yield Indexed(TABLE, None, [Unusable(books[-1], reason, "nothing, or unpack what holds them")])
    found = [
        Found(kind, patient, name, files)
        for (patient, name), files in volumes.items()
        for kind in [kind for kind in SERIES if f"{kind}_img" in files] or ["outline"]
    ]
    owners = {row.accession: row.patient for row in clinical if row.accession}
    owners |= {patient: patient for patient in (*patients, *(row.patient for row in clinical))}
    for (folder, name), names in slides.items():
        whose = {owners[text] for text in (_known(name, owners), folder) if text in owners}
        found.append(Found("slide", whose.pop() if len(whose) == 1 else None, name, {"svs": names}))
    for one in sorted(found, key=lambda one: natural(one.case_id))[: source.limit]:
        case = Indexed(one.case_id, None)
        try:
            case.row = _row(case, one, clinical, source, hashes)
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one series or one slide."""
    return SlideClip(source.root, case) if case["source_kind"] == "svs" else SeriesClip(source.root, case)


def _read_newest(books: list[str], root: Path) -> tuple[list[Clinical], list[Indexed]]:
    """Read the newest workbook, which has a date in its name; sorts `books`, that one last."""
    if not books:
        reason = "there is no …_Clinical_Data….xlsx: nothing is known of the cases but their pictures"
        return [], [Indexed(TABLE, None, [Unusable(".", reason, "put the workbook beside the patients' folders")])]
    books.sort(key=lambda name: (natural(PurePosixPath(name).stem), name))
    rows, remarks = read_workbook(root / books[-1], books[-1])
    if len(books) > 1:
        reason = f"there are {len(books)} workbooks: {books[-1]} is read, and no other"
        remarks.append(Indexed(TABLE, None, [Unusable(books[-2], reason, "keep the one that is meant")]))
    return rows, remarks


def _row(case: Indexed, one: Found, clinical: list[Clinical], source: Source, hashes: ContentHashes) -> dict[str, Any]:
    """Return the row of a case; what it has lost goes to its problems."""
    patient = one.patient or source.groups.get(case.case_id)
    if not patient:
        reason = "whose slide it is cannot be told by its name and its folder"
        raise Unusable(one.files["svs"][0], reason, "let its name begin with its accession or patient_id")
    if one.kind == "outline":
        name = min(names[0] for names in one.files.values())
        raise Unusable(name, "an outline without its series", "add …_t1ce_img.nii.gz or …_flair_img.nii.gz")
    if one.kind == "slide":
        kept, n_frames, view = [one_of(one.files["svs"], source.root, hashes)], None, "H&E"
    else:
        kept, n_frames, view = _series(case, one, source.root, hashes)
    labels, study = _labels(case, one, patient, clinical, kept[0][0])
    known = any(value is not None for name, value in labels.items() if name != "labels")
    return {
        **labels,
        "modality": "SM" if one.kind == "slide" else "MR",
        "body_part": "brain",
        "view": view,
        "study_id": study,
        "group_id": source.groups.get(case.case_id, patient),
        "group_kind": "patient",
        "sources": [name for name, _ in kept],
        "source_kind": "svs" if one.kind == "slide" else "nifti",
        "content_sha256": sha256(canonical_json([labels, study, [[PurePosixPath(n).name, h] for n, h in kept]])),
        "n_frames": n_frames,
        "label_source": "histology" if labels["pathology"] else "registry" if known else "none",
    }


def _series(case: Indexed, one: Found, root: Path, hashes: ContentHashes) -> tuple[list[tuple[str, str]], int, str]:
    """Return where a series and its outlines lie, with their hashes, the series first; its slices, and its view."""
    own, view = SERIES[one.kind]
    kept = [one_of(one.files[f"{one.kind}_img"], root, hashes)]
    image = _open(root, kept[0][0])
    for seg in ("core_seg", "whole_seg"):
        if seg not in one.files:
            reason = f"there is no …_{seg}.nii.gz with it, which does not say that there is no tumour"
            case.problems.append(Unusable(kept[0][0], reason, "nothing, or add it where it exists"))
            continue
        try:
            outline = one_of(one.files[seg], root, hashes)
            aligned = _same_grid(_open(root, outline[0]), image)
        except Unusable as problem:
            case.problems.append(problem)
            continue
        kept.append(outline)
        if seg == own and not aligned:
            reason = f"its grid is not that of {PurePosixPath(kept[0][0]).name}: it is carried over by the coordinates"
            case.problems.append(Unusable(outline[0], reason, "look whether it lies right"))
    return kept, image.shape[image.view("axial").axes[2]], view


def _open(root: Path, name: str) -> Volume:
    """Read the header of a volume whose orientation is known."""
    try:
        volume = open_volume(root / name)
        volume.view("axial")
        if math.prod(volume.shape) > MOST_VOXELS:
            raise UnreadableVolume(f"its header claims {volume.shape} voxels: expected some 512 x 512 x 30")
    except UnreadableVolume as error:
        raise Unusable(name, str(error), "download it again") from None
    return volume


def _same_grid(one: Volume, other: Volume) -> bool:
    """Tell whether the corners of two volumes are the same, to half a voxel: headers are rounded."""
    if one.shape != other.shape:
        return False
    corners = np.vstack([np.zeros(3), np.diag(one.shape)])
    return bool(np.abs(apply_affine(np.linalg.inv(other.affine) @ one.affine, corners) - corners).max() < 0.5)


def _known(name: str, identifiers: Iterable[str]) -> str:
    """Return the longest identifier that a name begins with; empty where there is none."""
    fitting = (text for text in identifiers if re.match(rf"{re.escape(text)}(?![A-Za-z0-9])", name))
    return max(fitting, key=len, default="")


def _labels(
    case: Indexed, one: Found, patient: str, clinical: list[Clinical], file: str
) -> tuple[dict[str, Any], str | None]:
    """Return the labels of a case, and its accession where it is known.

    Of a patient with two accessions, a file that names neither has the labels that both rows agree on.
    """
    by_accession = {row.accession: row for row in clinical if row.accession}
    accession = _known(one.name, by_accession)
    rows = [by_accession[accession]] if accession else [row for row in clinical if row.patient == patient]
    if accession and rows[0].patient != patient:
        reason = f"its accession {accession} is of patient {rows[0].patient} by the workbook"
        raise Unusable(file, f"{reason}, its folder of {patient}", "move it to the folder of its patient")
    if clinical and not rows:
        reason = f"the workbook has no row of patient {patient}: its labels stay unknown"
        case.problems.append(Unusable(file, reason, "add its row, or leave it without labels"))
    labels: dict[str, Any] = {"pathology": None} | {label: None for label, _, _ in COLUMNS.values()}
    others: dict[str, str] = {}
    given = [row.labels | row.others for row in rows]
    names = sorted({name for values in given for name in values})
    differ = [name for name in names if any(values.get(name) != given[0].get(name) for values in given)]
    for name in (name for name in names if name not in differ):
        (labels if name in labels else others)[name] = given[0][name]
    if differ:
        accessions = " and ".join(row.accession for row in rows)
        reason = f"it may be of accession {accessions}: {', '.join(differ)} differ and stay unknown"
        case.problems.append(Unusable(file, reason, "let its name begin with its accession"))
    case.problems += [problem for row in rows for problem in row.problems]
    return {**labels, "labels": others}, rows[0].accession or None if len(rows) == 1 else None
