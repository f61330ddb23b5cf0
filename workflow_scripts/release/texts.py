"""Identifiers, dates and values of restricted sets in a text, however it is written."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from workflow_scripts.release.encoded import COLOUR, long_runs, number_runs, views
from workflow_scripts.release.known import PIXELS, PUBLIC, Known, read_public, windows_of
from workflow_scripts.release.phrases import WORD, Phrases, plain, squeeze
from workflow_scripts.release.records import (
    Record,
    exact_numbers,
    lines_of,
    records_of,
    structured,
    values_together,
    without_free,
)

MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
YEAR, MM, DD = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
DATE = re.compile(
    r"(?<![0-9a-z.])(?:"
    rf"{YEAR}([-/:])\s?{MM}\1\s?{DD}"  # 2019-03-04, 2019/3/4, 2019:03:04
    rf"|{YEAR}\.(?:0[1-9]|1[0-2])\.(?:0[1-9]|[12]\d|3[01])"  # 2019.03.04, and not 2026.3.3, which is a version
    rf"|{DD}([-/.])\s?{MM}\2\s?{YEAR}|{MM}([-/.])\s?{DD}\3\s?{YEAR}"  # 4.3.2019, 03/04/2019
    rf"|{DD}(?:st|nd|rd|th)?[-\s,./]+(?:of\s+)?(?:{MONTH})[a-z]*[-\s,./]+{YEAR}"  # 4 March 2019, 04-Mar-2019
    rf"|(?:{MONTH})[a-z]*[-\s,./]+{DD}(?:st|nd|rd|th)?[-\s,./]+{YEAR}"  # March 4th, 2019
    rf"|{YEAR}[-\s]+(?:{MONTH})[a-z]*[-\s]+{DD}"  # 2019 Mar 4
    rf"|{YEAR}年\s?{MM}月\s?{DD}日"
    rf"|{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-2]\d[0-5]\d(?:[0-5]\d)?(?:\.\d{{1,6}})?z?)?"  # DICOM DA, DT
    rf"|{DD}(?:{MONTH}){YEAR}"  # 04MAR2019
    r")(?![0-9a-z]|\.\d)"
    rf"|(?<![0-9a-z]){YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])t[0-2]\d"  # 2019-03-04T12…
    r"|(?<![\d:.])(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?![\d:])"  # 12:30:00
    rf"|(?:birth|study|series|content|acquisition|exam\w*)[ _-]?(?:date|year)\W{{1,6}}{YEAR}"
)
NAMED = re.compile(
    r"(?:case|patient|subject|group|study|frame|annot|source|nodule|accession|series|clip|file)s?[ _-]?"
    r"(?:id|key|name|number|no|nr)s?[^\w\n]{1,6}([^\s\"',;)\]}]{1,40}(?: \d+)?)"
    r"|\b(?:case|patient|subject|clip|nodule)(?:[ _#-]{1,2}|[\"']?\s?[:=]\s?[\"']?)(\w*\d\w*)"
)
IN_PARTS = re.compile(r"\d+(?:[^\w\s,;]\d+)+")  # a number with marks between its digits, as 12-3456
# A lock's: of its digits, some are a patient's number by chance.
HASH = re.compile(r"(?<![0-9a-z])(?=\d*[a-f])(?:[0-9a-f]{16}|[0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-z])")
FILE = re.compile(r"[\w()%+-][\w()%+ .-]*\.[a-z]\w{1,5}(?:\.gz)?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
COLOURS = 256  # so many coloured parts are a picture
LONG = 64  # so many numbers one after the other are a picture, or a table


class Reader:
    """Looks at texts; what is known of the restricted sets is made ready once."""

    def __init__(self, known: Known) -> None:
        """Take what must not appear."""
        self.known = known
        self._phrases = Phrases(known.phrases)
        self._labels = known.texts
        self._words = {word for word in known.words if word.isascii()}
        self._signs = known.words.keys() - self._words

    @cached_property
    def _public_dates(self) -> set[str]:
        return {match[0] for match in DATE.finditer(plain(read_public(PUBLIC)))}

    def look(self, text: str, name: str) -> Iterator[tuple[str, str]]:
        """Yield (where, what) for all that must not be in a text; `name` is that of its file."""
        for number, view in enumerate(views(text)):
            shown = plain(view)
            for place, what in self._in_view(shown):
                yield f"line {shown.count(chr(10), 0, place) + 1}{' (decoded)' if number else ''}", what
        yield from self._values(text, name)

    def _in_view(self, shown: str) -> Iterator[tuple[int, str]]:
        known = self.known
        for place, phrase in self._phrases.find(shown):
            yield place, known.phrases[phrase]
        if self._words or known.runs:
            for match in WORD.finditer(shown):
                if match[0] in self._words:
                    yield match.start(), known.words[match[0]]
            bare = HASH.sub(lambda match: " " * len(match[0]), shown)
            for match in (*re.finditer(r"\d{6,}", bare), *IN_PARTS.finditer(bare)):
                if (run := squeeze(match[0])) in known.runs:
                    yield match.start(), known.runs[run]
        for sign in self._signs:
            if sign in shown:
                yield shown.index(sign), known.words[sign]
        if known.short:
            for match in NAMED.finditer(shown):
                found = match[1] or match[2]
                for candidate in (found, found.split("/")[0], found.split(" ")[0], found.strip(".")):
                    if candidate in known.short:
                        yield match.start(), known.short[candidate]
                        break
        if known.files:
            for match in FILE.finditer(shown):
                words = match[0].split(" ")
                if any(" ".join(words[start:]) in known.files for start in range(len(words))):
                    yield match.start(), "the name of a file of a restricted set"
        for match in DATE.finditer(shown):
            if match[0] not in self._public_dates:
                yield match.start(), "a date or a time"

    def _values(self, text: str, name: str) -> Iterator[tuple[str, str]]:
        for place, length in long_runs(text):
            yield _line(text, place), f"{length} characters of encoded data"
        if (parts := len(COLOUR.findall(text))) >= COLOURS:
            yield "the text", f"a picture drawn of {parts} coloured parts"
        for place, numbers in number_runs(text, PIXELS):
            if len(numbers) >= LONG and len(np.unique(numbers)) >= 8:
                yield _line(text, place), f"{len(numbers)} numbers in a row: a picture or a table"
            elif self._are_pixels(numbers):
                yield _line(text, place), "a row of pixels of a restricted picture"
        structure = without_free(structured(text, name), self.known)
        told = lines_of(text) if structure is None else records_of(structure)
        yield from self._in_records(told)
        left = text if structure is None else str(structure)
        for place, what in exact_numbers(left, self.known):
            yield _line(left, place), what

    def look_at_structure(self, structure: Any) -> Iterator[tuple[str, str]]:
        """Yield (where, what) for what must not be in the rows of a table."""
        yield from self._in_records(records_of(structure))

    def _in_records(self, records: Iterable[Record]) -> Iterator[tuple[str, str]]:
        for record in records:
            if what := values_together(record, self.known, self._labels):
                yield "one line, row or object", what
            if sum(value.replace(".", "").isdigit() for value in record) >= LONG // 2:
                yield "one line, row or object", f"{len(record)} numbers: a picture or a table"
            for value, column in record.items():
                if value in self.known.short and NAMED.match(f"{plain(column)}: {value}"):
                    yield f"{column}", self.known.short[value]

    def _are_pixels(self, numbers: np.ndarray) -> bool:
        if not len(self.known.pixels):
            return False
        scaled = numbers * 255 if numbers.max() <= 1 else numbers
        if scaled.min() < 0 or scaled.max() > 255:
            return False
        return bool(np.isin(windows_of(np.rint(scaled).astype(np.uint8)[None], 1), self.known.pixels).any())


def _line(text: str, place: int) -> str:
    return f"line {text.count(chr(10), 0, place) + 1}"
