"""DDTI: `<n>.xml` is a case, `<n>_<k>.jpg` are its pictures, and the outlines are JSON text inside the XML.

Layout and defects as described by its readers and found in the files: outline text cut off in the middle, pictures
without an outline (nobody says that they are healthy), the same picture in several cases, descriptors left blank.
Source: Pedraza et al., Proc. SPIE 9287 (2015), doi:10.1117/12.2073532.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import (
    Clip,
    Indexed,
    Source,
    Still,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.collections.ddti_outlines import area, draw, outside, parse, read_outlines
from workflow_scripts.files import natural
from workflow_scripts.imaging.stills import UnreadablePicture, read_still
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

# The level is graded by how many suspicious features are seen, 4 split into a, b, c: Kwak 2011, never ACR.
SYSTEM = "Kwak 2011"
LEVELS = ("2", "3", "4a", "4b", "4c", "5")

# Only words that mean the same in ACR's lexicon get points. "dense" and "well defined" (smooth? lobulated?) do not;
# taller-than-wide is never recorded, nor is the plane.
POINTS = {
    "composition": {"solid": 2, "predominantly solid": 1, "predominantly cystic": 1, "spongiform": 0, "cystic": 0},
    "echogenicity": {
        "hyperechogenicity": 1,
        "isoechogenicity": 1,
        "hypoechogenicity": 2,
        "marked hypoechogenicity": 3,
    },
    "margin": {
        "well defined smooth": 0,
        "ill defined": 0,
        "ill- defined": 0,
        "spiculated": 2,
        "microlobulated": 2,
        "macrolobulated": 2,
    },
    "foci": {
        "non": 0,
        "macrocalcification": 1,
        "macrocalcifications": 1,
        "microcalcification": 3,
        "microcalcifications": 3,
    },
}
TAGS = {"composition": "composition", "echogenicity": "echogenicity", "margin": "margins", "foci": "calcifications"}
LOOKS = {".xml", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff"}  # the endings of data
EXPECTED = "a folder with <n>.xml and <n>_<k>.jpg, as DDTI ships it"


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every case: an XML with its pictures, or pictures whose XML is missing.

    A picture that occurs byte for byte in several cases stays with the first in numeric order, and the cases become one
    group: it can be of one patient only.
    """
    root = source.root
    folder = root_of(root, "[0-9]*.[xX][mM][lL]")
    tables, pictures, others = _files(folder)
    if not tables:
        raise WrongLayout(f"{root}: no <n>.xml found; expected {EXPECTED}")
    yield from not_understood(folder.relative_to(root).as_posix(), others, "<n>.xml and <n>_<k>.jpg")
    first_seen: dict[str, str] = {}  # hash of a picture -> its case
    group: dict[str, str] = {}  # case -> the first case of its group
    found = []
    for case_id in sorted(tables.keys() | pictures.keys(), key=natural)[: source.limit]:
        case = Indexed(case_id, None)
        kept: list[Path] = []
        group[case_id] = case_id
        for _, path in sorted(pictures[case_id].items()):
            content = hashes.of(path)
            owner = first_seen.setdefault(content, case_id)
            if owner == case_id and not _twin(path, kept, hashes):
                kept.append(path)
                continue
            where = "of this case" if owner == case_id else f"of case {owner}"
            case.problems.append(
                Unusable(path.name, f"the same picture as one {where}", "keep it in the case it belongs to")
            )
            _join(group, case_id, owner)
        found.append((case, kept))
    for case, kept in found:
        patient = source.groups.get(case.case_id)
        try:
            if case.case_id not in tables:
                raise Unusable(
                    kept[0].name if kept else case.problems[0].file, "no XML with its case", f"add {case.case_id}.xml"
                )
            table = tables[case.case_id]
            row, kept = _row(table, kept, pictures[case.case_id].keys(), hashes, case)
            joined = sum(first == group[case.case_id] for first in group.values()) > 1
            row["group_id"] = patient or group[case.case_id]
            row["group_kind"] = "patient" if patient else "case, joined by identical pictures" if joined else "case"
            row["sources"] = [path.relative_to(root).as_posix() for path in (table, *kept)]
            case.row = row
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open the pictures of one case."""
    return PictureClip(source.root, case)


def _files(folder: Path) -> tuple[dict[str, Path], dict[str, dict[int, Path]], list[str]]:
    """Return the tables and the numbered pictures by case, and the names of files that look like either and are not."""
    tables: dict[str, Path] = {}
    pictures: dict[str, dict[int, Path]] = defaultdict(dict)
    others = []
    for path in sorted(folder.iterdir(), key=lambda path: (path.suffix not in {".xml", ".jpg"}, path.name)):
        if path.name.startswith(".") or path.is_dir() or path.suffix.lower() not in LOOKS:
            continue
        if match := path.is_file() and re.fullmatch(r"([0-9]+)\.xml", path.name, re.IGNORECASE):
            known = tables.setdefault(match[1], path)
        elif match := path.is_file() and re.fullmatch(r"([0-9]+)_([0-9]{1,9})\.jpe?g", path.name, re.IGNORECASE):
            known = pictures[match[1]].setdefault(int(match[2]), path)
        else:
            known = None
        if known != path:  # neither, or a second spelling of the same name
            others.append(path.name)
    return tables, pictures, sorted(others, key=natural)


def _twin(path: Path, kept: list[Path], hashes: ContentHashes) -> bool:
    return any(hashes.of(path) == hashes.of(other) for other in kept)


def _join(group: dict[str, str], case_id: str, owner: str) -> None:
    """Make one group of two, named by its first case."""
    old, new = sorted((group[case_id], group[owner]), key=natural, reverse=True)
    for member, first in group.items():
        if first == old:
            group[member] = new


def _row(
    table: Path, kept: list[Path], numbers: Collection[int], hashes: ContentHashes, case: Indexed
) -> tuple[dict[str, Any], list[Path]]:
    """Return the labels of one XML, and those of the pictures that it keeps whose outlines can be read, or are blank.

    `numbers` are those of all its pictures, kept or not.
    """
    tree = parse(table)
    if not kept:
        reason = "all its pictures belong to other cases" if case.problems else "no picture with its case"
        raise Unusable(table.name, reason, f"add {table.stem}_1.jpg, or leave the XML out")
    outlines, problems = read_outlines(table)
    for number in sorted(outlines.keys() - numbers):
        reason = f"it has a <mark> for picture {number}, which is not there"
        problems.append(Unusable(table.name, reason, f"add {table.stem}_{number}.jpg, or leave the mark out"))
    broken = {path: outline for path in kept if isinstance(outline := outlines.get(_number(path.name)), Unusable)}
    lost = [Unusable(path.name, outline.reason, outline.mend) for path, outline in broken.items()]
    if len(lost) == len(kept):
        raise Unusable(lost[0].file, f"no picture of the case can be used: {lost[0].reason}", lost[0].mend)
    kept = [path for path in kept if path not in broken]
    texts = {name: " ".join((tree.findtext(tag) or "").split()) or None for name, tag in TAGS.items()}
    level = (tree.findtext("tirads") or "").strip().lower() or None
    if level and level not in LEVELS:
        raise Unusable(table.name, f"<tirads> is {level!r}", f"one of {', '.join(LEVELS)}, or blank")
    case.problems += [*problems, *lost]
    sex = (tree.findtext("sex") or "").strip().upper()
    age = (tree.findtext("age") or "").strip()
    row = {
        "body_part": "thyroid",
        "age": int(age) if re.fullmatch("[0-9]{1,3}", age) and 0 < int(age) <= 120 else None,
        "sex": {"F": "female", "M": "male"}.get(sex),
        "source_kind": "xml-jpeg",
        "content_sha256": sha256(canonical_json([[path.name, hashes.of(path)] for path in (table, *kept)])),
        "n_frames": len(kept),
        "label_source": "radiologist" if level else "none",
        "tirads_system": SYSTEM if level else None,
        "tirads_level": level,
        **texts,
        **{f"{name}_points": words.get(texts[name] or "") for name, words in POINTS.items()},
    }
    return row, kept


class PictureClip:
    """The pictures of one case, in numeric order, with masks drawn from the polygons."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Read the outlines; no pixel yet."""
        table, *pictures = case["sources"]
        self._root, self._pictures = root, pictures
        self._outlines, _ = read_outlines(root / table)
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    def mask_areas(self) -> list[int]:
        """Return the area of the outlines of each picture in pixels, 0 where there are none that can be read."""
        areas = []
        for picture in self._pictures:
            polygons = self._outlines.get(_number(picture))
            areas.append(int(sum(map(area, polygons))) if isinstance(polygons, list) else 0)
        return areas

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the pictures; one that is broken, or misses its outline, is noted in `problems` and left out."""
        for position, picture in enumerate(self._pictures):
            if indices is not None and position not in indices:
                continue
            outline = self._outlines.get(_number(picture))
            name = Path(picture).name
            if isinstance(outline, Unusable):  # the index leaves such pictures out of the sources, and says so
                continue
            if outline is None:
                self.problems.append(
                    Unusable(
                        name,
                        "nobody outlined it: it stays without a mask, and is not taken to be healthy",
                        "outline it",
                    )
                )
            try:
                image = read_still(self._root / picture)
            except UnreadablePicture as error:
                self.problems.append(Unusable(name, str(error), "take the picture from another copy"))
                continue
            height, width = image.shape[:2]
            if any(outside(polygon, width, height) for polygon in outline or []):
                reason = f"its outline lies outside the picture of {width} x {height} pixels"
                self.problems.append(Unusable(name, reason, "take picture and XML from one copy of the set"))
                continue
            mask = None if outline is None else draw(outline, (height, width))
            yield Still(position, image, mask, position=name, path=picture)


def _number(picture: str) -> int:
    return int(Path(picture).stem.split("_")[1])
