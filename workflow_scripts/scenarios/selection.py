"""The order in which the cases that fit a template are tried: drawn by content, a patient once, spread over strata."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.provenance import canonical_json, sha256

SIZE = "size"
"""A stratum that is no column: the largest diameter, between the thresholds of the TI-RADS guidelines."""
SIZES_MM = (10, 15, 25, 40)
STRATA = ("tirads_level", "pathology", "abnormal", "sex", "body_part", "laterality", SIZE)
"""What the taken cases are spread over where the template says nothing: level, label, sex, site and size."""
PATIENT = ("dataset", "group_id")
NAMES = ("case_id", *PATIENT)
"""What two holders of the same data may call otherwise: it decides nothing but which of two equal cases comes first."""


def select(rows: pa.Table, template: Mapping[str, Any], seed: int, count: int) -> tuple[pa.Table, int]:
    """Return the first `count` of the cases that fit a template, in the order in which they are tried.

    The order rests on the content of the sources and on labels alone, so who holds the same data gets the same; no
    model takes part in it.

    Parameters
    ----------
    rows
        The cases that fit: `NAMES`, `content_sha256`, and the columns that the template and its strata read.
    template
        Its name and seed draw the order, beside `seed`. `per_patient` is how many cases of a patient it may take.

    Returns
    -------
    tuple of pa.Table and int
        The cases, and how many patients all that fit are of.
    """
    patients = codes_of(rows, PATIENT)
    order = drawn(rows, canonical_json([seed, template.get("seed", 0), template["name"]]))
    order = order[first_of_each(patients[order], template.get("per_patient", 1))]
    values = np.zeros((order.size, 1), np.int64)  # one stratum that all are of, where the template asks for none
    chosen = spread(np.column_stack([values, *(codes_of(rows, [name])[order] for name in strata_of(template))]), count)
    return rows.take(order[chosen]), int(np.unique(patients).size)


def strata_of(template: Mapping[str, Any]) -> Sequence[str]:
    """Return what the taken cases of a template are spread over."""
    return template.get("stratify", STRATA)


def drawn(rows: pa.Table, start: str) -> np.ndarray:
    """Return the places of the rows in the order that the text `start` draws."""
    contents = [content or "" for content in rows.column("content_sha256").to_pylist()]
    twice = {content for content, number in Counter(contents).items() if number > 1}  # two labels on one picture
    keys = []
    for place, content in enumerate(contents):
        same: tuple[str, ...] = ()
        if content in twice:
            case = rows.slice(place, 1).to_pylist()[0]
            labels = {name: value for name, value in case.items() if name not in NAMES}
            same = (canonical_json(labels), *(case[name] for name in NAMES))
        keys.append((sha256(start + content), same, place))
    return np.array([place for *_, place in sorted(keys)], dtype=np.int64)


def first_of_each(codes: np.ndarray, count: int) -> np.ndarray:
    """Return, in ascending order, the places of the first `count` of each code."""
    grouped = np.argsort(codes, kind="stable")
    _, starts, sizes = np.unique(codes[grouped], return_index=True, return_counts=True)
    number = np.arange(codes.size) - np.repeat(starts, sizes)  # of each within its own
    return np.sort(grouped[number < count])


def spread(values: np.ndarray, count: int) -> list[int]:
    """Return `count` places of (n, strata) codes so that the values of every stratum come up as evenly as they can.

    Each step takes, of the combinations of values that are left, the one whose values have been taken least so far, and
    of that the first.
    """
    combinations, codes = np.unique(values, axis=0, return_inverse=True)
    grouped = np.argsort(codes.ravel(), kind="stable")
    waiting = np.split(grouped, np.cumsum(np.bincount(codes.ravel(), minlength=len(combinations)))[:-1])
    left, taken = {number: 0 for number in range(len(combinations)) if len(waiting[number])}, Counter[tuple[int, int]]()
    chosen: list[int] = []
    while left and len(chosen) < count:
        number = min(
            left,
            key=lambda each: (sum(taken[value] for value in enumerate(combinations[each])), waiting[each][left[each]]),
        )
        chosen.append(int(waiting[number][left[number]]))
        taken.update(enumerate(combinations[number]))
        left[number] += 1
        if left[number] == len(waiting[number]):
            del left[number]
    return chosen


def codes_of(rows: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Return a whole number for every row: equal where the columns are equal, not known being a value of its own."""
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    for name in names:
        column = rows.column("largest_mm" if name == SIZE else name)
        if name == SIZE:
            known = column.to_numpy(zero_copy_only=False).astype(float)
            own = np.where(np.isnan(known), -1, np.searchsorted(SIZES_MM, known, side="right"))
        else:
            own = pc.fill_null(pc.dictionary_encode(column.combine_chunks()).indices, -1).to_numpy()
        codes = np.unique(codes * (rows.num_rows + 2) + own + 1, return_inverse=True)[1].ravel()
    return codes
