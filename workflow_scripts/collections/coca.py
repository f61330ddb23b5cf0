"""COCA: gated heart CTs with outlines of coronary calcium, and chest CTs without gating, with Agatston scores.

Layout and defects as its readers found them: one property list of outlines a gated patient with calcium, empty outlines
in some, slices in several copies, several series a patient, a table of scores whose totals are not always the sums.
Source: Eng et al., npj Digit Med 2021;4:88, doi:10.1038/s41746-021-00460-1.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from workflow_scripts.collections.coca_clip import SeriesClip
from workflow_scripts.collections.coca_outlines import place_outlines, read_outlines
from workflow_scripts.collections.coca_scores import Row, read_row, read_scores
from workflow_scripts.collections.coca_series import Series, read_series
from workflow_scripts.collections.collection import (
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.files import natural
from workflow_scripts.imaging.dicom import attributes
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

GATED, NONGATED = "Gated_release_final", "deidentified_nongated"
EXPECTED = (
    f"{GATED}/patient/<n>/<series>/*.dcm with {GATED}/calcium_xml/<n>.xml,"
    f" and {NONGATED}/<n>/<series>/*.dcm with {NONGATED}/scores.xlsx; one of the two is enough"
)
SLICES = "<n>/<series>/*.dcm, n a number"
APART = "nobody says whether some are in both parts of the set"


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every series, gated ones first, and what lacks one: a table of outlines, a row of scores.

    The headers of all slices are read: only they tell the order in space, copies, and what is missing.
    """
    folder = root_of(source.root, GATED, NONGATED)
    if not any((folder / part).is_dir() for part in (GATED, NONGATED)):
        raise WrongLayout(f"{source.root}: no {GATED} and no {NONGATED} found; expected {EXPECTED}")
    cases = []
    if (folder / GATED).is_dir():
        patients, others = _patients(folder / GATED / "patient")
        tables, strays = _tables(folder / GATED / "calcium_xml")
        yield from not_understood(f"{GATED}/patient", others, SLICES)
        yield from not_understood(f"{GATED}/calcium_xml", strays, "<n>.xml, n a number")
        cases.append(_gated(Part(source, hashes, "gated", patients), tables))
    if (folder / NONGATED).is_dir():
        table = folder / NONGATED / "scores.xlsx"
        if not table.is_file():
            raise WrongLayout(f"{source.root}: no {NONGATED}/scores.xlsx found; expected {EXPECTED}")
        rows, remarks = read_scores(table)
        patients, others = _patients(folder / NONGATED)
        yield from (*remarks, *not_understood(NONGATED, [name for name in others if name != table.name], SLICES))
        cases.append(_nongated(Part(source, hashes, "nongated", patients), rows, f"{NONGATED}/{table.name}"))
    yield from islice(chain.from_iterable(cases), source.limit)


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open a series, and the outlines on it."""
    return SeriesClip(source.root, case)


def _patients(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the patients' folders by number, and what else lies there."""
    if not folder.is_dir():
        raise WrongLayout(f"{folder}: it is not there; expected {EXPECTED}")
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    patients = {path.name: path for path in found if re.fullmatch("[0-9]+", path.name) and path.is_dir()}
    return patients, [path.name for path in found if path.name not in patients]


def _tables(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the tables of outlines by patient, and what else lies there."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    tables: dict[str, Path] = {}
    for path in found:
        if match := path.is_file() and re.fullmatch(r"([0-9]+)\.xml", path.name, re.IGNORECASE):
            tables.setdefault(match[1], path)
    if not tables:
        raise WrongLayout(f"{folder}: no <n>.xml found: without them nobody can be told to be free of calcium")
    return tables, [path.name for path in found if path not in tables.values()]


@dataclass(frozen=True)
class Folder:
    """One folder of slices: the case that it becomes, and its files relative to the root."""

    case_id: str
    name: str
    files: list[str]
    content: str  # the same for copies


@dataclass
class Part:
    """The patients of one part of the set, and whose series came first among copies."""

    source: Source
    hashes: ContentHashes
    name: str
    patients: dict[str, Path]
    first: dict[str, str] = field(default_factory=dict)  # content -> group
    strays: list[str] = field(default_factory=list)

    def folders(self, patient: str) -> tuple[list[Folder], list[Indexed]]:
        """Return the series of a patient, and those that are copies of another of the same patient."""
        slices: dict[str, list[Path]] = {}
        for where, _, names in os.walk(self.patients[patient]) if patient in self.patients else ():
            for name in sorted(names, key=natural):
                path = Path(where, name)
                if name.startswith("."):
                    continue
                if path.suffix.lower() != ".dcm" or not path.is_file():
                    self.strays.append(path.relative_to(self.source.root).as_posix())
                    continue
                slices.setdefault(path.parent.relative_to(self.patients[patient]).as_posix(), []).append(path)
        found: dict[str, Folder] = {}
        copies = []
        for name, paths in sorted(slices.items(), key=lambda item: natural(item[0])):
            # the name of a folder may hold anything: of several series, its hash tells them apart
            case_id = f"{self.name}-{patient}" + (f"-{sha256(name)[:8]}" if len(slices) > 1 else "")
            content = sha256(canonical_json(sorted(map(self.hashes.of, paths))))
            files = [path.relative_to(self.source.root).as_posix() for path in paths]
            folder = Folder(case_id, name, files, content)
            if content in found:
                reason = f"the same slices as in {found[content].name}"
                problem = Unusable(Path(files[0]).parent.as_posix(), reason, "nothing, or leave one of them out")
                copies.append(Indexed(case_id, None, [problem]))
            else:
                found[content] = folder
        return list(found.values()), copies

    def fill(
        self,
        case: Indexed,
        patient: str,
        folder: Folder,
        series: Series,
        labels: Mapping[str, Any],
        table: Path | None = None,
    ) -> None:
        """Give a case its row; `labels` are the columns that only this part has, `table` holds the outlines on it."""
        case.problems += series.problems
        group = f"{self.name}-{patient}"
        owner = self.first.setdefault(folder.content, group)
        if owner != group:
            where = Path(folder.files[0]).parent.as_posix()
            case.problems.append(Unusable(where, f"the same slices as of {owner}: one group", "leave one of them out"))
        told, known = attributes(series.headers[0]), self.source.groups.get(folder.case_id)
        age = told["age_years"]
        slices = [[Path(file).name, self.hashes.of(self.source.root / file)] for file in folder.files]
        case.row = {
            "age": age if isinstance(age, int) and 0 < age <= 120 else None,
            "sex": {"F": "female", "M": "male"}.get(str(told["sex"])),
            "group_id": known or owner,
            "group_kind": "patient" if known else f"patient, and of copies the first ({APART})",
            "sources": [*folder.files, *([table.relative_to(self.source.root).as_posix()] if table else [])],
            "source_key": folder.name,
            "content_sha256": sha256(canonical_json([slices, self.hashes.of(table) if table else None, labels])),
            "n_frames": len(series.slices) if series.whole else None,
            **labels,
        }

    def remarks(self) -> list[Indexed]:
        """Return what is to be said of files that are no slices."""
        return not_understood("the patients' folders", self.strays, "*.dcm")


def _gated(part: Part, tables: Mapping[str, Path]) -> Iterator[Indexed]:
    for patient in sorted(part.patients.keys() | tables.keys(), key=natural):
        folders, copies = part.folders(patient)
        table = tables.get(patient)
        yield from _gated_patient(part, patient, folders, table)
        yield from copies
    yield from part.remarks()


def _gated_patient(part: Part, patient: str, folders: list[Folder], table: Path | None) -> Iterator[Indexed]:
    """Yield the series of one patient; the outlines are of the one series that they fit."""
    file = table.relative_to(part.source.root).as_posix() if table else ""
    if not folders:
        where = part.patients.get(patient)
        lacking = Unusable(
            file if where is None else where.relative_to(part.source.root).as_posix(),
            "no series with it" if where is None else "no *.dcm in it",
            f"add patient/{patient} with its series, or leave it out",
        )
        yield Indexed(f"{part.name}-{patient}", None, [lacking])
        return
    cases = [Indexed(folder.case_id, None) for folder in folders]
    try:
        outlines, strange = read_outlines(table, file) if table else ([], [])
    except Unusable as problem:  # nobody knows what was outlined
        yield from (Indexed(case.case_id, None, [problem]) for case in cases)
        return
    series: dict[str, Series] = {}
    fitting = []
    for folder, case in zip(folders, cases, strict=True):
        try:
            slices = series[folder.case_id] = read_series(part.source.root, folder.files)
            if outlines:
                place_outlines(outlines, slices, file)
                fitting.append(folder)
        except Unusable as problem:
            case.problems.append(problem)
    for folder, case in zip(folders, cases, strict=True):
        labels = {"body_part": "heart", "source_kind": "dicom-plist", "gated": True}
        if outlines and len(fitting) > 1:
            reason = f"its outlines fit {len(fitting)} series alike: {', '.join(one.name for one in fitting)}"
            case.problems.append(Unusable(file, reason, "leave in the series that was outlined, and no other"))
        elif folder.case_id not in series or (outlines and not fitting):
            pass  # what is wrong was said
        elif folder in fitting:
            case.problems += strange
            told = {"label_source": "radiologist", "calcium_outlined": True}
            part.fill(case, patient, folder, series[folder.case_id], labels | told, table)
        elif outlines:
            reason = f"the outlines of its patient are of the series {fitting[0].name}: here nobody outlined calcium"
            case.problems = [Unusable(Path(folder.files[0]).parent.as_posix(), reason, "nothing")]
            part.fill(case, patient, folder, series[folder.case_id], labels | {"label_source": "none"})
        elif table:
            reason = "no outline in it is drawn: it does not say whether there is calcium"
            case.problems.append(Unusable(file, reason, "take the file from another copy of the set"))
            part.fill(case, patient, folder, series[folder.case_id], labels | {"label_source": "none"})
        else:  # tables are there of all with calcium
            told = {"label_source": "radiologist", "calcium_outlined": False}
            part.fill(case, patient, folder, series[folder.case_id], labels | told)
        yield case


def _nongated(part: Part, rows: Mapping[str, list[Row]], file: str) -> Iterator[Indexed]:
    for patient in sorted(part.patients.keys() | rows.keys(), key=natural):
        folders, copies = part.folders(patient)
        if not folders:
            reason = f"patient {patient} has scores, but no *.dcm" if patient in rows else "no *.dcm in it"
            where = file if patient in rows else part.patients[patient].relative_to(part.source.root).as_posix()
            yield Indexed(f"{part.name}-{patient}", None, [Unusable(where, reason, "add its series, or leave it out")])
        for folder in folders:
            case = Indexed(folder.case_id, None)
            try:
                labels: dict[str, Any] = {"body_part": "chest", "source_kind": "dicom-xlsx", "gated": False}
                labels["label_source"] = "none"
                if patient in rows:
                    scores, case.problems = read_row(rows[patient], patient, file)
                    known = any(score is not None for score in scores.values())
                    labels |= scores | {"label_source": "radiologist" if known else "none"}
                part.fill(case, patient, folder, read_series(part.source.root, folder.files), labels)
            except Unusable as problem:
                case.problems.append(problem)
            yield case
        yield from copies
    yield from part.remarks()
