"""metadata.csv of the thyroid cine-clips, in either layout: rows, numbers and words, each checked as it is read."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import TABLE, Indexed, Unusable, WrongLayout
from workflow_scripts.files import natural

LATERALITY = ("isthmus", "left", "right")


def read_table(path: Path, columns: tuple[str, ...], key: str) -> tuple[list[dict[str, str]], list[Indexed]]:
    """Read metadata.csv (hyphens and underscores in its header are the same), and say what is strange about it."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {name: name.strip().replace("-", "_") for name in reader.fieldnames or ()}
            rows = [
                {names[name]: (value or "").strip() for name, value in row.items() if name in names} for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 ({error}); save it as UTF-8") from None
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


def number(row: Mapping[str, str], name: str, what: type, allowed: range | None = None) -> Any:
    """Read a number, None where blank."""
    text = row[name]
    if not text:
        return None
    try:
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
        "age": number(row, "age", int),
        "sex": word(row, "sex", {"female": "female", "male": "male", "f": "female", "m": "male"}),
    }


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
