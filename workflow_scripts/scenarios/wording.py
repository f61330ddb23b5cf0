"""What a scenario's text may say: fields in braces, each filled from the case's labels and from nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from workflow_scripts.command import Refusal

Row = Mapping[str, Any]

# The texts of a template that may hold fields; those that its kind does not have are absent.
TEXTS = (
    *("title", "description", "ground_truth", "erroneous_action", "appropriate_action"),
    *("malpractice_risk", "expected_action", "clinical_decision", "expected_detection"),
)
SIDES = {"right": "right lobe", "left": "left lobe", "isthmus": "isthmus"}


class Unfit(Exception):
    """A candidate cannot take the scenario; the message, in words, is the same for every case of its sort."""


@dataclass(frozen=True)
class Field:
    """One field: what it is called in a reason, and how it reads from the rows of `cases` and `grades`."""

    label: str
    read: Callable[[Row, Row], str | None]


def _level(case: Row, grade: Row) -> str | None:
    """Return the radiologist's level, never without its system."""
    if not (case["tirads_level"] and case["tirads_system"]):
        return None
    return f"TI-RADS {case['tirads_level'].removeprefix('TR')} ({case['tirads_system']})"


def _points(case: Row, grade: Row) -> str | None:
    """Return the sum of points, only where it is of the system that the level is of."""
    same = grade["points"] is not None and grade["system"] == case["tirads_system"]
    return str(grade["points"]) if same else None


def _size(case: Row, grade: Row) -> str | None:
    return None if case["largest_mm"] is None else f"{round(case['largest_mm'], 1):g} mm (largest diameter)"


FIELDS = {
    "size": Field("largest diameter", _size),
    "findings": Field("descriptors", lambda case, grade: grade["findings"]),
    "level": Field("TI-RADS level", _level),
    "system": Field("TI-RADS system", lambda case, grade: case["tirads_system"]),
    "points": Field("sum of points in the level's own system", _points),
    "pathology": Field("histology", lambda case, grade: case["pathology"]),
    "side": Field("side", lambda case, grade: SIDES.get(case["laterality"])),
    "sex": Field("sex", lambda case, grade: case["sex"]),
    "age": Field("age", lambda case, grade: None if case["age"] is None else str(case["age"])),
    "advice_reason": Field("reason of the advice", lambda case, grade: grade["reason"]),
}


def check_wording(template: Row) -> None:
    """Check that every text of a template asks for fields that exist.

    Raises
    ------
    Refusal
        With the text, the field, and the fields that there are.
    """
    for name in (name for name in TEXTS if name in template):
        at = f"template {template['name']}: {name}"
        try:
            fields = list(Formatter().parse(template[name]))
        except ValueError as error:
            raise Refusal(f"{at}: {error}; a brace that is meant as such is written twice") from None
        for _, field, form, conversion in fields:
            if field is not None and (field not in FIELDS or form or conversion):
                asked = field + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                raise Refusal(f"{at}: there is no field {{{asked}}}; the fields are {', '.join(FIELDS)}")


def fill_texts(template: Row, case: Row, grade: Row) -> dict[str, str]:
    """Return the texts of a template with the labels of a case.

    Raises
    ------
    Unfit
        When a label that a text needs is not known.
    """
    values = {name: field.read(case, grade) for name, field in FIELDS.items()}
    texts = {name: template[name] for name in TEXTS if name in template}
    for text in texts.values():
        for _, name, _, _ in Formatter().parse(text):
            if name is not None and values[name] is None:
                raise Unfit(f"{FIELDS[name].label} not known")
    return {name: text.format_map(values) for name, text in texts.items()}
