"""What must not be in a release, read from the tables of the restricted sets; and what of the others may be."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import ROOT, canonical_json, file_sha256, pixel_sha256, sha256
from workflow_scripts.release.phrases import GRAM, WORD, Phrases, plain, squeeze
from workflow_scripts.release.terms import cards_of, free_models, may_pass
from workflow_scripts.scenarios.wording import TEXTS
from workflow_scripts.tables import cases, scenarios
from workflow_scripts.tables.table import read_rows, stream_rows

FEW = 10  # what fewer groups than this have in common may tell who they are
LEAST = 6  # characters of an identifier that is looked for wherever it stands; shorter ones need a word that names them
SURE = 8  # digits of an identifier that is looked for over whatever stands between them
IDENTIFIERS = ("case_id", "group_id", "study_id", "source_key", "sources", "content_sha256")
# Columns that say nothing of one patient.
COMMON = {
    *("dataset", "group_kind", "modality", "body_part", "source_kind", "label_source", "n_frames", "tirads_system"),
    *("split_given", "frame_rate", *cases.FINDINGS, *IDENTIFIERS),
}
PIXELS = 16  # so many pixels of a row, one beside the other, are known again
PUBLIC = ("workflow_scripts/collections/*.yaml", "config/config.yaml", "config/scenarios/*.yaml", "CITATION.cff")
VOCABULARY = ("workflow_scripts/**/*.*", "config/**/*.*", "Snakefile", "rules/*.smk", "LICENSE")


@dataclass(frozen=True)
class Values:
    """The labels of one case: what is written, by column."""

    owner: str  # the data set
    columns: Mapping[str, str]  # what is written (a number, a squeezed text), and of which column it is
    numbers: frozenset[str]


@dataclass
class Known:
    """What is known of the restricted sets; each text with what it is, in words."""

    phrases: dict[str, str] = field(default_factory=dict)  # squeezed: looked for wherever they stand
    words: dict[str, str] = field(default_factory=dict)  # looked for as whole words
    short: dict[str, str] = field(default_factory=dict)  # looked for beside a word that names them
    files: dict[str, str] = field(default_factory=dict)  # names of files
    runs: dict[str, str] = field(default_factory=dict)  # identifiers that are numbers
    rows: list[Values] = field(default_factory=list)
    numbers: dict[str, list[int]] = field(default_factory=dict)  # a number, and the rows that have it
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))  # sorted
    pictures: set[str] = field(default_factory=set)  # hashes of the pictures that may pass
    weights: set[str] = field(default_factory=set)  # hashes of the weights that may pass
    entries: set[str] = field(default_factory=set)  # hashes of the scenarios that may pass

    @property
    def texts(self) -> set[str]:
        """Return every text that some case has for a label."""
        return {value for row in self.rows for value in row.columns.keys() - row.numbers}


def number(value: Any) -> str:
    """Return the one form of a number: 18.0 and 18 are the same."""
    text = f"{value:f}" if isinstance(value, float) and abs(value) >= 1e16 else str(value)
    whole, point, part = text.partition(".")
    part = part.rstrip("0") if point and part.isdigit() else part
    return f"{whole.lstrip('0') or '0'}.{part}" if part else whole.lstrip("0") or "0"


def digits(text: str) -> int:
    """Return how many significant digits a number has."""
    return len(text.replace(".", "").lstrip("-0"))


def what_is_known(results: Path, kinds: Mapping[str, str], lock: Mapping[str, Any]) -> Known:
    """Read the tables of a run.

    Parameters
    ----------
    results
        The run's results folder.
    kinds
        The kind of each data set.
    lock
        The run's: what its templates say is no case's, and what its options name (thyroid) no name that tells a place.
    """
    known, cards = Known(), cards_of(results / "datasets", kinds)
    named = {value for own in lock["run"]["datasets"] for value in own.values() if isinstance(value, str)}
    for name in (name for name, card in cards.items() if not may_pass(card)):
        if name not in {cards[name].name} | named:
            _sort_identifier(known, name, "the name that its user gave to a data set")
        _learn_cases(known, name, results / "datasets" / name)
    _learn_scenarios(
        known, results / "scenarios", {name for name, card in cards.items() if may_pass(card)}, lock["templates"]
    )
    for path in free_models(results / "model", cards):
        known.weights.add(file_sha256(path.with_suffix(".safetensors")))
    _forget_public(known)
    known.rows = list({frozenset(row.columns.items()): row for row in known.rows}.values())
    for index, row in enumerate(known.rows):
        for value in row.numbers:
            known.numbers.setdefault(value, []).append(index)
    return known


def read_public(patterns: Iterable[str]) -> str:
    """Return all that stands in files of the recipe itself."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()})
    return "\n".join(path.read_text(encoding="utf-8", errors="ignore") for path in paths if path.suffix != ".pyc")


def values_of(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (column, value) of every label of a case; several of a column that holds several."""
    for column, value in row.items():
        if column == "labels":
            yield from value or ()
        elif column not in COMMON:
            yield from ((column, each) for each in (value if isinstance(value, list) else [value]))


def _learn_cases(known: Known, name: str, folder: Path) -> None:
    shared: dict[tuple[str, str], set[str]] = {}  # texts and folders, and the groups that have them
    for row in stream_rows(folder / "cases.parquet"):
        for column in IDENTIFIERS:
            for value in row[column] if column == "sources" else [row[column]]:
                if value and column == "sources":
                    parts = value.split("/")
                    known.files[plain(parts[-1])] = f"the name of a file of {name}"
                    _sort_identifier(known, value, f"the path of a file of {name}")
                    for part in [*parts[:-1], parts[-1].split(".")[0]]:
                        shared.setdefault((part, "a part of a path"), set()).add(row["group_id"])
                elif value:
                    _sort_identifier(known, value, f"{column} of a case of {name}")
        columns = {}
        for column, value in values_of(row):
            if isinstance(value, int | float) and not isinstance(value, bool):
                columns[number(value)] = column
            elif isinstance(value, str) and value.strip():
                is_number = re.fullmatch(r"\d+(\.\d+)?", value.strip())
                columns[number(value.strip()) if is_number else squeeze(value)] = column
                shared.setdefault((value, f"{column}, as it is written"), set()).add(row["group_id"])
        _add_row(known, name, columns)
    for (text, what), groups in shared.items():
        if len(groups) < FEW:
            if what == "a part of a path":
                _sort_identifier(known, text, f"{what} of {name}")
            elif len(squeeze(text)) >= (12 if text.isascii() else GRAM) and len(WORD.findall(text)) >= 2 - (
                not text.isascii()
            ):
                known.phrases[squeeze(text)] = f"{what} of a case of {name}"
    for path in sorted((folder / "calcium").glob("*.parquet")):
        for row in stream_rows(path):
            _add_row(known, name, {number(value): column for column, value in row.items() if isinstance(value, float)})
    for path in sorted((folder / "quarantine").rglob("*.parquet")):
        for row in stream_rows(path, ["case_id", "file"]):
            for value in filter(None, (row["case_id"], row["file"])):
                _sort_identifier(known, value, f"a case or file in the quarantine of {name}")


def _add_row(known: Known, name: str, columns: Mapping[str, str]) -> None:
    numbers = frozenset(
        value for value in columns if value.replace(".", "").isdigit() and (len(value) > 1) and value != "100"
    )
    texts = {value: column for value, column in columns.items() if value in numbers or len(value) >= 3}
    if numbers:
        known.rows.append(Values(name, texts, numbers))


def _sort_identifier(known: Known, value: str, what: str) -> None:
    squeezed = squeeze(value)
    if squeezed.isdigit() and len(squeezed) >= LEAST:
        is_long = len(WORD.findall(value)) > 1 and len(squeezed) >= SURE  # as 12-3456-78, or the UID of a study
        (known.phrases if is_long else known.runs).setdefault(squeezed, what)
    elif squeezed.isalpha():
        if len(WORD.findall(plain(value))) > 1 and len(squeezed) >= 8:
            known.phrases.setdefault(squeezed, what)
        elif len(squeezed) >= (4 if squeezed.isascii() else 2):
            known.words.setdefault(squeezed, what)
    elif len(squeezed) >= LEAST and not squeezed.isdigit():
        known.phrases.setdefault(squeezed, what)
    if 0 < len(squeezed) < LEAST:
        for written in {plain(value).strip(), number(squeezed) if squeezed.isdigit() else squeezed}:
            known.short.setdefault(written, what)


def _learn_scenarios(known: Known, folder: Path, free: set[str], templates: Iterable[Mapping[str, Any]]) -> None:
    entries = {entry.get("id"): entry for entry in json.loads((folder / "scenarios.json").read_bytes())}
    restricted, free_texts, windows = [], "", []
    for row in read_rows(folder / "scenarios.parquet", scenarios.SCHEMA):
        if row["status"] != "filled":
            continue
        entry = entries.get(row["scenario_id"], {})
        pictures = [row[name]["path"] for name in ("image", "overlay") if row[name]]
        if row["dataset"] in free:
            known.entries.add(sha256(canonical_json(entry)))
            known.pictures.add(row["image_sha256"])
            for path in pictures[1:]:
                known.pictures.add(pixel_sha256(decode_picture((folder / path).read_bytes())))
            free_texts += "".join(squeeze(str(entry.get(name, ""))) for name in TEXTS)
        else:
            restricted.append((row, entry))
            windows += [windows_of(decode_picture((folder / path).read_bytes())) for path in pictures]
    said = free_texts + "".join(squeeze(str(template.get(name, ""))) for template in templates for name in TEXTS)
    for row, entry in restricted:
        for name in TEXTS:
            for sentence in re.split(r"(?<=[.;])\s+", str(entry.get(name, ""))):
                squeezed = squeeze(sentence)
                if len(squeezed) >= 30 and re.search(r"\d", sentence) and squeezed not in said:
                    known.phrases[squeezed] = f"the text of a scenario of {row['dataset']}"
    if windows:
        known.pixels = np.unique(np.concatenate(windows))


def windows_of(pixels: np.ndarray, step: int = PIXELS) -> np.ndarray:
    """Return a hash (uint64) of every `step`th run of `PIXELS` samples in the rows of a picture, plain runs left out.

    Parameters
    ----------
    pixels
        (H, W) or (H, W, 3), uint8; or (1, N), a list of numbers.
    """
    rows = pixels.reshape(len(pixels), -1)
    if rows.shape[1] < PIXELS:
        return np.empty(0, np.uint64)
    found = np.lib.stride_tricks.sliding_window_view(rows, PIXELS, axis=1)[:, ::step].reshape(-1, PIXELS)
    varied = (np.diff(np.sort(found, axis=1), axis=1) != 0).sum(axis=1) >= 5
    halves = np.ascontiguousarray(found[varied]).view("<u8").reshape(-1, 2)
    with np.errstate(over="ignore"):
        hashed: np.ndarray = halves[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ halves[:, 1]
    return hashed


def _forget_public(known: Known) -> None:
    """Forget what stands in the recipe itself (a set's layout, a column's name): it names no case."""
    public = read_public(PUBLIC)
    spoken = set(WORD.findall(plain(read_public(VOCABULARY))))
    names = set(re.findall(r"[\w.-]+", plain(public)))
    standing = {phrase for _, phrase in Phrases(known.phrases).find(plain(public))}
    forgotten = ((known.phrases, standing), (known.words, spoken), (known.files, names), (known.runs, names))
    for each, said in forgotten:
        for word in said.intersection(each):
            del each[word]
