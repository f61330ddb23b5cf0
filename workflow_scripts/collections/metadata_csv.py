"""metadata.csv of the thyroid cine-clips, in either layout: rows, numbers and words, each checked as it is read."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import TABLE, Indexed, Unusable, WrongLayout
from workflow_scripts.files import natural

BROKEN = "(broken)"  # the column that says what is wrong with a row as a whole
LATERALITY = ("isthmus", "left", "right")


def read_table(path: Path, columns: tuple[str, ...], key: str) -> tuple[list[dict[str, str]], list[Indexed]]:
    """Read metadata.csv (hyphens and underscores in its header are the same), and say what is strange about it."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {name: name.strip().replace("-", "_") for name in reader.fieldnames or ()}
            rows = []
            for row in reader:
                rows.append({names[name]: (value or "").strip() for name, value in row.items() if name in names})
                n_fields = sum(value is not None for name, value in row.items() if name) + len(row.get(None) or ())
                if n_fields != len(names):
                    reason = f"line {reader.line_num} has {n_fields} fields, the header {len(names)}"
                    rows[-1][BROKEN] = reason
                if key in rows[-1] and not rows[-1][key]:
                    rows[-1].setdefault(BROKEN, f"line {reader.line_num} has no {key}")
                    rows[-1][key] = f"line {reader.line_num}"
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 ({error}); save it as UTF-8") from None
    if len(names) == 1 and (other := next((mark for mark in ";\t" if mark in next(iter(names))), None)):
        raise WrongLayout(f"{path}: its separator is {other!r}; save it with commas")
    wanted = [name.replace("-", "_") for name in columns]
    if missing := [name for name in wanted if name not in names.values()]:
        raise WrongLayout(f"{path}: column {', '.join(missing)} is missing; expected the header {','.join(columns)}")
    unknown = sorted(set(names.values()) - set(wanted))
    reason = f"unknown columns are left out: {', '.join(unknown)}"
    remarks = (
        [Indexed(TABLE, None, [Unusable(path.name, reason, "nothing, or correct their names")])] if unknown else []
    )
    keys = [row[key] for row in rows]
    if twice := sorted({key for key in keys if keys.count(key) > 1}, key=natural):
        raise WrongLayout(f"{path}: {', '.join(twice)} stands in more than one row; expected one row a nodule")
    return rows, remarks


def whole(row: Mapping[str, str]) -> Mapping[str, str]:
    """Return the row, if it has a value for every column.

    Raises
    ------
    Unusable
        When it has more or fewer: which value is of which column is not known.
    """
    if BROKEN in row:
        raise Unusable("metadata.csv", row[BROKEN], "one value a column; quote a value that holds a comma")
    return row


def diameter(row: Mapping[str, str], name: str, unit: str, largest: int) -> float | None:
    """Read a diameter, None where blank; one that no nodule has was written in another unit."""
    value: float | None = number(row, name, float)
    if value is not None and not 0 < value <= largest:
        raise Unusable(
            "metadata.csv",
            f"{name} is {row[name]}: expected {unit}",
            f"a diameter above 0 and up to {largest} in {unit}, or blank",
        )
    return value


def number(row: Mapping[str, str], name: str, what: type, allowed: range | None = None) -> Any:
    """Read a number, None where blank."""
    text = row[name]
    if not text:
        return None
    try:
        if not text.isascii() or "_" in text:
            raise ValueError
        value = what(float(text)) if what is int and float(text).is_integer() else what(text)
        if value < 0 or not np.isfinite(value) or (allowed is not None and value not in allowed):
            raise ValueError
    except ValueError:
        expected = (
            f"one of {allowed.start} to {allowed.stop - 1}" if allowed else f"a number of type {what.__name__} from 0"
        )
        raise Unusable("metadata.csv", f"{name} is {text!r}", f"{expected}, or blank") from None
    return value


def word(row: Mapping[str, str], name: str, allowed: Mapping[str, str]) -> str | None:
    """Read a word of a fixed vocabulary, in our words, None where blank."""
    text = row[name].lower()
    if text and text not in allowed:
        raise Unusable("metadata.csv", f"{name} is {row[name]!r}", f"one of {', '.join(allowed)}, or blank")
    return allowed.get(text)


def person(row: Mapping[str, str]) -> dict[str, Any]:
    """Return what a row says of the patient."""
    return {
        "body_part": "thyroid",
        "laterality": word(row, "location", {side: side for side in LATERALITY}),
        "age": number(row, "age", int, range(121)),
        "sex": word(row, "sex", {"female": "female", "male": "male", "f": "female", "m": "male"}),
    }


def binary(name: str, key: str, mask: np.ndarray) -> np.ndarray:
    """Return a mask as 0 and 1, whether its file has 0 and 1 or 0 and 255.

    Raises
    ------
    Unusable
        When it has other values: nobody says what they mean.
    """
    top = mask.max()
    outlined: np.ndarray = mask == top if top != 0 else np.zeros(mask.shape, bool)
    if top not in (0, 1, 255) or np.count_nonzero(mask) != np.count_nonzero(outlined):
        values = ", ".join(f"{value:g}" for value in np.unique(mask)[:8])
        raise Unusable(name, f"the mask of {key} has the values {values}", "0 and 1, or 0 and 255")
    return outlined.astype(np.uint8)


def without_outline(name: str, key: str, outlined: int, empty: list[int]) -> list[Unusable]:
    """Return what is wrong with a clip some frames of which nobody outlined."""
    if not outlined:
        raise Unusable(
            name, f"no nodule is outlined in any frame that was taken of {key}", "outline it, or leave the clip out"
        )
    if not empty:
        return []
    numbers = ", ".join(str(number + 1) for number in empty)
    reason = f"the mask of frame {numbers} of {key} is empty: kept without a mask, since nobody says why"
    return [Unusable(name, reason, "outline it, or leave the frame out")]
