"""TN3K: thyroid ultrasound stills with nodule masks, saved as JPEG, in a training and a test part.

Layout, and what the numbers in the fold files mean, as read in the authors' own program: they index the listing of the
pictures sorted by number. Source: Gong et al., ISBI 2021, doi:10.1109/ISBI48211.2021.9434087.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import (
    TABLE,
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.collections.masked_stills import MaskedStill, one, pictures_in, read_rows
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

PARTS = {"trainval": "train", "test": "test"}
CLASSES = {"0": "benign", "1": "malignant"}
EXPECTED = "trainval-image/, trainval-mask/, test-image/ and test-mask/ with <number>.jpg, as TN3K ships them"


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every still, and every mask and line of a table that has none."""
    folder = root_of(source.root, "trainval-image", "test-image")
    if not any((folder / f"{part}-image").is_dir() for part in PARTS):
        raise WrongLayout(f"{source.root}: neither trainval-image/ nor test-image/ found; expected {EXPECTED}")
    known = {f"label4{part}.csv" for part in PARTS} | {f"tn3k-trainval-fold{k}.json" for k in range(5)}
    others = [path.name for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."]
    yield from not_understood(folder.relative_to(source.root).as_posix(), sorted({*others} - known), EXPECTED)
    found: list[Indexed] = []
    for part, split in PARTS.items():
        pictures, masks = pictures_in(folder / f"{part}-image"), pictures_in(folder / f"{part}-mask")
        classes, remarks = _classes(folder / f"label4{part}.csv")
        yield from remarks
        folds: dict[str, int] = {}
        if part == "trainval":
            folds, remarks = _folds(folder, sorted(pictures, key=natural))
            yield from remarks
        for stem in sorted(pictures.keys() | masks.keys() | classes.keys(), key=natural):
            case = Indexed(f"{part}-{stem}", None)
            try:
                labels = {"class": classes.get(stem), "fold": folds.get(stem)}
                files = [one(each[stem]) for each in (pictures, masks) if stem in each]
                if stem not in pictures:
                    name = files[0].name if files else f"label4{part}.csv"
                    raise Unusable(name, f"no picture {part}-image/{stem}.jpg with it", "add the picture")
                if stem not in masks:
                    reason = "it has no mask: it stays without one, and is not taken to be healthy"
                    case.problems.append(Unusable(files[0].name, reason, f"add {part}-mask/{stem}.jpg"))
                case.row = _row(source, case.case_id, files, labels, hashes) | {"split_given": split}
            except Unusable as problem:
                case.problems.append(problem)
            found.append(case)
    yield from found[: source.limit]


def _row(
    source: Source, case_id: str, files: list[Path], labels: Mapping[str, object], hashes: ContentHashes
) -> dict[str, Any]:
    """Return the row of a still; `files` are its picture and its mask."""
    given = {name: str(value) for name, value in labels.items() if value is not None}
    patient = source.groups.get(case_id)
    return {
        "body_part": "thyroid",
        "group_id": patient or case_id,
        "group_kind": "patient" if patient else "picture: no patient is named",
        "sources": [path.relative_to(source.root).as_posix() for path in files],
        "source_kind": "still-mask",
        "content_sha256": sha256(canonical_json([given, *(hashes.of(path) for path in files)])),
        "n_frames": 1,
        "label_source": "registry" if "class" in given else "none",
        "labels": given,
    }


def _classes(path: Path) -> tuple[dict[str, str], list[Indexed]]:
    """Return benign or malignant by picture, from a table without header, and what is strange about it."""
    if not path.is_file():
        reason = "it is not there: nothing is known of benign and malignant"
        return {}, [Indexed(TABLE, None, [Unusable(path.name, reason, "add it")])]
    found: dict[str, str] = {}
    odd: list[str] = []
    for fields in read_rows(path):
        stem = Path(fields[0].strip()).stem
        if len(fields) != 2 or fields[1].strip() not in CLASSES or not stem or stem in found:
            odd.append(",".join(fields)[:40])
        else:
            found[stem] = CLASSES[fields[1].strip()]
    if odd and not found:
        raise WrongLayout(f"{path}: no line is <name>.jpg,0 or <name>.jpg,1; the first is {odd[0]!r}")
    reason = f"{len(odd)} lines are not understood, or name a picture twice: {'; '.join(odd[:3])}"
    remark = Indexed(TABLE, None, [Unusable(path.name, reason, "write <name>.jpg,0 or 1, one line a picture")])
    return found, [remark] if odd else []


def _folds(folder: Path, stems: list[str]) -> tuple[dict[str, int], list[Indexed]]:
    """Return in which of the authors' five folds each picture is validated, and what is strange about the files."""
    found: dict[str, int] = {}
    remarks = []
    for k in range(5):
        path = folder / f"tn3k-trainval-fold{k}.json"
        if not path.is_file():
            continue
        try:
            fold = json.loads(path.read_text(encoding="utf-8"))
            train, val = ([int(number) for number in fold[side]] for side in ("train", "val"))
            fits = sorted(train + val) == list(range(len(stems)))
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = False
        if fits:
            found |= {stems[number]: k for number in val}
        else:
            reason = f"it does not deal the {len(stems)} pictures into train and val: left out"
            remarks.append(
                Indexed(TABLE, None, [Unusable(path.name, reason, "take it and the pictures from one copy")])
            )
    return found, remarks


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one still."""
    return MaskedStill(source.root, case)
