"""Values of one case that stand together: in a line, in an object of JSON or YAML, in a row of a table."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import yaml

from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.release.known import Known, digits, number
from workflow_scripts.release.phrases import WORD, plain, squeeze

FIGURE = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\d)")
COUNTED = re.compile(r"n|n_.*|.*count.*|folds?|seed|epochs?|version|.*frame_index")  # what counts names no case
TABLE_ROW = re.compile(r"<tr\b.*?</tr>", re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<[^>]*>")
TOGETHER = 3  # so many values of one case, two of them numbers
EXACT = 5  # a number of so many digits is known by itself
NEAR = 40  # characters before a number in which its column may be named
LARGE = 1 << 20  # characters: a longer text is not read as YAML

Record = Mapping[str, str]  # what is written: a number, or a squeezed text; and under which name, "" where none is


def structured(text: str, name: str) -> Any:
    """Return what a text holds as JSON, JSON lines or YAML; None where it is none."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] in {"{", "["}:
        try:
            return json.loads(stripped)
        except ValueError:
            pass
        try:
            return [json.loads(line) for line in stripped.splitlines() if line.strip()]
        except ValueError:
            return None
    if name.endswith((".yaml", ".yml")) and len(text) < LARGE:
        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            return None
    return None


def without_free(value: Any, known: Known) -> Any:
    """Return a structure without the scenarios that may pass: their values are those of cases that may."""
    if isinstance(value, dict):
        if "id" in value and "metadata" in value and sha256(canonical_json(value)) in known.entries:
            return None
        return {key: without_free(each, known) for key, each in value.items()}
    return [without_free(each, known) for each in value] if isinstance(value, list) else value


def records_of(value: Any, name: str = "") -> Iterator[Record]:
    """Yield the values of each object and of each list of values in a structure."""
    if isinstance(value, dict):
        own = {str(key): each for key, each in value.items() if not isinstance(each, dict | list)}
        short = {  # a list of few values, such as three diameters, is one value of its object
            str(key): each for key, each in value.items() if isinstance(each, list) and len(each) <= 4
        }
        yield _record([*own.items(), *((key, one) for key, each in short.items() for one in each)])
        for key, each in value.items():
            yield from records_of(each, str(key))
    elif isinstance(value, list):
        yield _record([(name, each) for each in value if not isinstance(each, dict | list)])
        for each in value:
            yield from records_of(each, name)
        if value and all(isinstance(row, list) for row in value):  # a table with its header as its first row
            header = [str(each) for each in value[0]]
            yield from (_record(zip(header, row, strict=False)) for row in value[1:])
        for row in value:
            if isinstance(row, dict) and set(row) >= {"key", "value"}:
                yield _record([(str(row["key"]), row["value"])])


def lines_of(text: str) -> Iterator[Record]:
    """Yield the values of each line, of each two that follow, of each row of a table."""
    lines = text.splitlines()
    if lines and (mark := next((mark for mark in "\t;,|" if lines[0].count(mark) >= 1), "")):
        table = list(csv.reader(lines, delimiter=mark))
        for row in table[1:]:
            yield _record(zip([cell.strip() for cell in table[0]], [cell.strip() for cell in row], strict=False))
    told = [_spoken(line) for line in lines]
    yield from told
    for first, second in pairwise(told):
        yield {**first, **second}
    for match in TABLE_ROW.finditer(text):
        yield _spoken(TAG.sub(" ", match[0]))


def _record(pairs: Iterable[tuple[str, Any]]) -> Record:
    found: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, bool) or value is None or COUNTED.fullmatch(plain(name)):
            continue
        if isinstance(value, int | float):
            found[number(abs(value))] = name
        elif isinstance(value, str):
            figure = FIGURE.fullmatch(value.strip())
            found[number(value.strip().lstrip("-")) if figure else squeeze(value)] = name
    return found


def _spoken(line: str) -> Record:
    found = {number(match[0].lstrip("-")): "" for match in FIGURE.finditer(line)}
    return found | {word: "" for word in WORD.findall(plain(line)) if not word.isdigit()}


def values_together(record: Record, known: Known, texts: set[str]) -> str | None:
    """Return, in words, of which data set a record tells one case's values; None where it does not.

    Parameters
    ----------
    record
        What stands together.
    known
        What must not appear.
    texts
        `known.texts`: only what is some case's label counts as a value of the record.
    """
    figures = {value for value in record if len(value) > 1 and value.replace(".", "").isdigit()}
    shared = Counter(row for figure in figures for row in known.numbers.get(figure, ()))
    if not shared:
        return None
    spoken = texts.intersection(record)
    for index, numbers in shared.items():
        row = known.rows[index]
        common = [value for value in (*figures, *spoken) if value in row.columns]
        named = [value for value in common if squeeze(record[value]) in _names(row.columns[value])]
        together = len(common) >= TOGETHER and numbers >= 2 and 2 * len(common) >= len(figures) + len(spoken)
        if together or len(named) >= 2:
            return f"{len(common)} values of one case of {row.owner}"
    return None


def exact_numbers(text: str, known: Known) -> Iterator[tuple[int, str]]:
    """Yield (place, what) for a number that only one label can be: by its digits, or by its column beside it."""
    for match in FIGURE.finditer(text):
        value = number(match[0].lstrip("-"))
        if digits(value) < 3 or value not in known.numbers:
            continue
        row = known.rows[known.numbers[value][0]]
        before = squeeze(text[max(match.start() - NEAR, 0) : match.start()])
        columns = {known.rows[index].columns[value] for index in known.numbers[value]}
        if digits(value) >= EXACT or any(name in before for column in columns for name in _names(column)):
            yield match.start(), f"a value of {row.columns[value]} of a case of {row.owner}"


def _names(column: str) -> set[str]:
    """Return how a column may be called: by its name, with or without its unit, or by its first long word."""
    words = WORD.findall(plain(column))
    bare = [word for word in words if word not in {"mm", "ml", "given", "points"}]
    return {"".join(words), "".join(bare), *(word for word in bare[:1] if len(word) >= 6)} - {""}
