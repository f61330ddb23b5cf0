"""What a data set's module and card promise, and how they are found by the name of its kind.

A kind `thyroid-cineclip` is the module `thyroid_cineclip.py` beside this file and the card `thyroid_cineclip.yaml`.
The module has two functions::

    index(source, hashes) -> Iterator[Indexed]   every case of the folder, no pixel decoded
    open_case(source, case) -> Clip              the pixels of one of them

A case that cannot be used is an `Unusable`, raised or yielded: it goes to quarantine and the rest goes on. A folder or
a table that is not what the kind ships is a `WrongLayout`: the run stops with its one line.
"""

import hmac
import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from workflow_scripts.command import enough_memory
from workflow_scripts.files import listing
from workflow_scripts.provenance import canonical_json, salt, sha256

HERE = Path(__file__).parent
PHANTOM = "phantom"  # the label source of synthetic data
PHANTOM_MARK = "SYNTHETIC.txt"


@dataclass(frozen=True)
class Card:
    """What is known of a data set before its files are seen; read from the YAML file beside its module."""

    name: str
    title: str
    version: str
    doi: str | None
    homepage: str
    references: tuple[Mapping[str, Any], ...]  # what to cite: type, key, author, title, year, and where it appeared
    acknowledgement: str | None
    terms: str
    redistribution: str  # forbidden, allowed or unclear; what is unclear is treated as forbidden
    obtain: str  # how one gets it, step by step
    size_bytes: int | None
    counts: Mapping[str, int]
    layout: str
    modality: str | None  # DICOM modality code; None: the user says, or the files
    outlines: str | None  # what its masks outline: nodule, gland, ventricle, calcium, tumour; None: it has none
    stages: tuple[str, ...]  # of the stages that not every data set gets, those that it gets
    n_chunks: int
    extract: str  # all, or candidates: only the cases that scenarios may take
    frames: Any  # which frames are taken, as the option `frames`
    window: str | None  # by which values are shown: a preset's name; None: the file's own
    truths: str  # what its labels can carry, and what they cannot

    @property
    def citation(self) -> str:
        """Return what to cite, in one text."""
        return " ".join(map(cited, self.references)) or "Nothing is known to cite: cite whoever gave you the files."


def cited(reference: Mapping[str, Any]) -> str:
    """Return a reference of a card as text."""
    where = reference.get("journal") or reference.get("booktitle") or reference.get("publisher") or ""
    number = f"({reference['number']})" if "number" in reference else ""
    volume = f";{reference['volume']}{number}" if "volume" in reference else ""
    pages = f":{reference['pages']}" if "pages" in reference else ""
    doi = f" doi:{reference['doi']}." if "doi" in reference else f" {reference['url']}." if "url" in reference else ""
    published = f"{where} {reference['year']}{volume}{pages}".strip()
    return f"{reference['author'].rstrip('.')}. {reference['title'].rstrip('.')}. {published}.{doi}"


@dataclass(frozen=True)
class Source:
    """A user's copy of a data set: where it lies, and what its user says of it.

    `options` holds the options that only some kinds read: table, columns, outlines, modality, body_part, and fetch (the
    rules under which URLs may be fetched).
    """

    root: Path
    cache: Path  # the run's own folder for what is kept from run to run: the salt, fetched files
    limit: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)  # case -> patient, by the user's own table
    options: Mapping[str, Any] = field(default_factory=dict)

    def pseudonym(self, identifier: str) -> str:
        """Return what stands for an identifier of a patient or a study: a keyed hash whose key stays in the cache."""
        key = salt(self.cache).encode()
        return hmac.new(key, identifier.encode(), "sha256").hexdigest()[:16]


class Unusable(Exception):
    """Something of a case cannot be used: raised, it costs the case; noted, only what it names."""

    def __init__(self, file: str, reason: str, mend: str) -> None:
        """Say which file (relative to the root), what is wrong, and what would mend it.

        Raises
        ------
        MemoryError
            Where memory is short: then a good file fails too, and no case may be given up for it.
        """
        if not enough_memory():
            raise MemoryError
        super().__init__(f"{file}: {reason}")
        self.file, self.reason, self.mend = file, reason, mend


TABLE = "(table)"  # stands in for the case where something is said of a whole table


class WrongLayout(Exception):
    """The folder or one of its tables is not what this kind of data set ships."""


@dataclass
class Indexed:
    """One case as its data set's files tell it: its row of the table, and what is wrong with it.

    With `TABLE` for its name it is no case, but something to know of a whole table.
    """

    case_id: str
    row: dict[str, Any] | None
    problems: list[Unusable] = field(default_factory=list)


def not_understood(folder: str, names: list[str], expected: str) -> list[Indexed]:
    """Return the remark that a folder holds files that nothing is made of; none where there are no such files."""
    if not names:
        return []
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    reason = f"{count} not understood: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
    return [Indexed(TABLE, None, [Unusable(folder, reason, f"{expected}, or move them elsewhere")])]


@dataclass(frozen=True)
class Still:
    """One decoded frame.

    `image` is (H, W) or (H, W, 3) RGB uint8, ready to look at; or (H, W) int16, uint16 or float32: values in `unit`,
    shown through `window` (centre and width). `mask` is (H, W) uint8 with labels 1..n, or None.
    """

    index: int
    image: np.ndarray
    mask: np.ndarray | None
    position: str | None = None
    time_s: float | None = None
    path: str | None = None  # where the still already is a file that can be looked at as it is
    spacing_mm: tuple[float, float] | None = None  # between rows, between columns
    thickness_mm: float | None = None  # of a slice
    unit: str | None = None  # HU, or None where the values have none
    window: tuple[float, float] | None = None  # the file's own
    inverted: bool = False  # low values are white (MONOCHROME1)
    mask_names: tuple[str, ...] | None = None  # what labels 1..n are, where they are not just one thing after another
    given_mask: np.ndarray | None = None  # (H, W) labels that a model predicted, where the data set ships them


class Clip(Protocol):
    """The pixels of one case. Reading is in order, a bounded number of frames at a time."""

    problems: list[Unusable]  # filled while reading: what the case has lost

    def count(self) -> int:
        """Return how many frames decode."""

    def mask_areas(self) -> list[int]:
        """Return the outlined area of every frame in pixels, 0 where there is none.

        Of what nobody outlines, such as a slide, it is the area that makes a frame worth taking.
        """

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield the frames with these 0-based indices (all by default), ascending.

        Raises
        ------
        Unusable
            When the file is broken; what was yielded before is void.
        """


def module_name(kind: str) -> str:
    """Return the module of a kind of data set."""
    return f"{__package__}.{kind.replace('-', '_')}"


def find(kind: str) -> Any:
    """Import the module of a kind of data set."""
    return importlib.import_module(module_name(kind))


@cache
def card(kind: str, phantom: bool = False) -> Card:
    """Read the card of a kind of data set; of phantoms in its layout, which are nobody's data, the layout is all."""
    values = yaml.safe_load((HERE / f"{kind.replace('-', '_')}.yaml").read_text(encoding="utf-8"))
    about = Card(**{**values, "stages": tuple(values["stages"]), "references": tuple(values["references"])})
    if not phantom:
        return about
    return replace(
        about,
        title=f"Synthetic phantoms in the layout of {about.name}",
        doi=None,
        homepage="",
        references=(),
        acknowledgement=None,
        terms="Drawn by Casebook's demo; nothing in them is of a patient, and they may be passed on.",
        redistribution="allowed",
        counts={},
        truths="Nothing: labels and pictures are made up.",
    )


def card_of(kind: str, cases: Iterable[Mapping[str, Any]]) -> Card:
    """Return the card of indexed cases of one kind."""
    return card(kind, any(case["label_source"] == PHANTOM for case in cases))


def phantom_mark(root: Path) -> str:
    """Return what the mark of a folder of phantoms says: that it is one, and of which files."""
    files = [[name, size] for name, size, _ in listing(root) if name != PHANTOM_MARK]
    return f"Drawn by Casebook's demo: nothing here is of a patient.\n{sha256(canonical_json(files))}\n"


def is_phantom(root: Path) -> bool:
    """Tell whether a data set was drawn by the demo, and is whole: a mark put into another folder does not count."""
    mark = root / PHANTOM_MARK
    return mark.is_file() and mark.read_text(encoding="utf-8") == phantom_mark(root)


def root_of(root: Path, *marks: str) -> Path:
    """Return the folder that holds one of the `marks` (glob patterns): `root`, or the one folder in it that does.

    Archives are often unpacked into a folder of their own name.
    """
    for candidate in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        if any(next(candidate.glob(mark), None) for mark in marks):
            return candidate
    return root
