"""What a scenario's text may say: fields in braces, each filled from the case's labels and from nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from workflow_scripts.command import Refusal
from workflow_scripts.imaging.agatston import category
from workflow_scripts.tables.cases import FINDINGS

Row = Mapping[str, Any]
Read = Callable[[Row, Row], str | None]

# The texts of a template that may hold fields; those that its kind does not have are absent.
TEXTS = (
    *("title", "description", "ground_truth", "erroneous_action", "appropriate_action"),
    *("malpractice_risk", "expected_action", "clinical_decision", "expected_detection"),
)
SIDES = {"right": "right lobe", "left": "left lobe", "isthmus": "isthmus"}
SAID_BY = {
    "histology": "by histology",
    "radiologist": "in the radiologist's reading",
    "registry": "by the label of the data set",
    "phantom": "by the label of the phantom",
}
HISTOLOGY_CLASSES = {
    "SCLC": "small cell lung cancer",
    "NSCLC Adenocarcinoma": "non-small cell lung cancer, adenocarcinoma",
    "NSCLC Non-adenocarcinoma": "non-small cell lung cancer other than adenocarcinoma",
}


EXAMINATIONS = {
    "US": "ultrasound",
    "CT": "CT",
    "MR": "MRI",
    "MG": "mammogram",
    "SM": "histological section",
    **dict.fromkeys(("RG", "CR", "DX"), "radiograph"),
}


class Unfit(Exception):
    """A candidate cannot take the scenario; the message, in words, is the same for every case of its sort."""


@dataclass(frozen=True)
class Field:
    """One field: what it is called in a reason, the columns that it states, and how it reads from a case.

    `columns` are of the table `cases`, or of `grades` where `cases` has none of that name; `read` takes a row of each.
    """

    label: str
    columns: tuple[str, ...]
    read: Read


def _stated(label: str, column: str, words: Mapping[str, str] | None = None) -> Field:
    """Return the field of a column of `cases`, as it stands there or in the words for it; no word is not known."""
    return Field(label, (column,), lambda case, grade: words.get(case[column]) if words else case[column])


def _measured(label: str, column: str, form: str, digits: int = 0) -> Field:
    """Return the field of a number of `cases`, rounded to so many digits."""

    def read(case: Row, grade: Row) -> str | None:
        value = case[column]
        return None if value is None else form.format(f"{round(value, digits):.15g}")

    return Field(label, (column,), read)


def _level(case: Row, grade: Row) -> str | None:
    """Return the radiologist's level, never without its system."""
    if not (case["tirads_level"] and case["tirads_system"]):
        return None
    return f"TI-RADS {case['tirads_level'].removeprefix('TR')} ({case['tirads_system']})"


def _points(case: Row, grade: Row) -> str | None:
    """Return the sum of points, only where it is of the system that the level is of."""
    same = grade["points"] is not None and grade["system"] == case["tirads_system"]
    return str(grade["points"]) if same else None


def _calcium_category(case: Row, grade: Row) -> str | None:
    return None if case["agatston_given"] is None else category(round(case["agatston_given"], 1))


def _findings_present(case: Row, grade: Row) -> str | None:
    """Return the findings of a chest film that are present for certain: neither uncertain nor unmentioned ones."""
    words = {"pleural_other": "another pleural finding"}
    present = [words.get(name, name.replace("_", " ")) for name in FINDINGS if case[name] == 1 and name != "no_finding"]
    return ", ".join(present) or None


def _examination(case: Row, grade: Row) -> str | None:
    """Return how the picture was taken, and of what where that is known."""
    kind = EXAMINATIONS.get(case["modality"])
    return kind and (f"{kind} of the {case['body_part']}" if case["body_part"] else kind)


FIELDS = {
    "size": _measured("largest diameter", "largest_mm", "{} mm (largest diameter)", 1),
    "findings": Field("descriptors", ("findings",), lambda case, grade: grade["findings"]),
    "level": Field("TI-RADS level", ("tirads_level", "tirads_system"), _level),
    "system": _stated("TI-RADS system", "tirads_system"),
    "points": Field("sum of points in the level's own system", ("points",), _points),
    "pathology": _stated("pathology", "pathology"),
    "said_by": _stated("who says so", "label_source", SAID_BY),
    "side": _stated("side", "laterality", SIDES),
    "sex": _stated("sex", "sex"),
    "age": _measured("age", "age", "{}"),
    "advice_reason": Field("reason of the advice", ("reason",), lambda case, grade: grade["reason"]),
    "examination": Field("examination", ("modality", "body_part"), _examination),
    "body_part": _stated("body part", "body_part"),
    "findings_present": Field("finding that is present", FINDINGS[1:], _findings_present),
    "ejection_fraction": _measured("ejection fraction", "ejection_fraction", "{} %"),
    "esv": _measured("end-systolic volume", "esv_ml", "{} ml"),
    "edv": _measured("end-diastolic volume", "edv_ml", "{} ml"),
    "agatston": _measured("Agatston score", "agatston_given", "{}", 1),
    "calcium_category": Field("Agatston score", ("agatston_given",), _calcium_category),
    "histology_class": _stated("class by histology", "histology_class", HISTOLOGY_CLASSES),
    "subtype": _stated("subtype by histology", "histologic_subtype"),
    "n_lesions": _measured("number of lesions", "n_lesions", "{}"),
    "lesion_location": _stated("place of the dominant lesion", "lesion_location"),
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


def fields_of(text: str) -> list[str]:
    """Return the fields that a text asks for, in its order."""
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


def fill_texts(template: Row, case: Row, grade: Row) -> dict[str, str]:
    """Return the texts of a template with the labels of a case.

    Raises
    ------
    Unfit
        When a label that a text needs is not known.
    """
    texts = {name: template[name] for name in TEXTS if name in template}
    values = {name: FIELDS[name].read(case, grade) for text in texts.values() for name in fields_of(text)}
    for name, value in values.items():
        if value is None:
            raise Unfit(f"{FIELDS[name].label} not known")
    return {name: text.format_map(values) for name, text in texts.items()}
