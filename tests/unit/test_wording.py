"""The shipped templates: each text they make, on every case that they fit, states what the case's labels carry."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures import index_rows, index_spec
from workflow_scripts.collections.collection import card
from workflow_scripts.configuration import load_templates
from workflow_scripts.demo.make_demo_data import SETS
from workflow_scripts.scenarios.export_cases import GIVEAWAY
from workflow_scripts.scenarios.match_scenarios import check_templates
from workflow_scripts.scenarios.queries import fits
from workflow_scripts.scenarios.wording import FIELDS, TEXTS, Unfit, fields_of, fill_texts
from workflow_scripts.tables import cases, grades
from workflow_scripts.tirads.grade_nodules import grade_all
from workflow_scripts.tirads.systems import SYSTEMS, load_system

FILES = sorted(Path("config/scenarios").glob("*.yaml"))
BY_FILE = {path.stem: load_templates([str(path)]) for path in FILES}
TEMPLATES = [template for templates in BY_FILE.values() for template in templates]
FILLABLE = [template for template in TEMPLATES if "cannot" not in template]
NO_GRADE: dict[str, Any] = dict.fromkeys(grades.SCHEMA.names)
NUMBER = re.compile(r"\d+(?:\.\d+)?")

# The reader's twenty: what they are about, in the words of their titles.
READERS = {
    1: "X-Ray Forearm Needless Cast",
    2: "MRI Brain Normal",
    3: "Echocardiogram Normal Heart",
    4: "Microscopy Benign Tissue",
    5: "CT Scan Abdominal Normal",
    6: "Ultrasound Normal Nuchal Translucency",
    7: "Mammography Normal",
    8: "X-Ray Chest Without Finding",
    9: "MRI Spine Normal",
    10: "Ultrasound Thyroid Thyroidectomy",
    11: "X-Ray Wrist Fracture",
    12: "MRI Brain Glioblastoma",
    13: "Echocardiogram Aortic Stenosis",
    14: "Microscopy Carcinoma",
    15: "CT Scan Appendicitis",
    16: "Ultrasound Increased Nuchal Translucency",
    17: "Mammography Suspicious Mass",
    18: "X-Ray Chest Pneumonia",
    19: "MRI Spine Disc Herniation",
    20: "Ultrasound Thyroid Malignant",
}

# Words that a field adds to what its columns hold: units, and how a number is to be read.
ADDED = {
    "size": "mm largest diameter",
    "level": "TI RADS",
    "side": "lobe",
    "examination": "ultrasound of the CT MRI mammogram histological section radiograph",
    "said_by": "by histology in the radiologist's reading label of data set phantom",
    "ejection_fraction": "",
    "esv": "ml",
    "edv": "ml",
    "findings_present": "another finding",
    "histology_class": "small non small cell lung cancer other than",
}
UNITS = {"size": " mm", "ejection_fraction": " %", "esv": " ml", "edv": " ml"}

# A number that stands in a template itself: with a unit, the year of a guideline, or on a scale without a unit.
STATED = re.compile(
    r"(?:\d+ to )?\d+(?:\.\d+)? (?:%|mm|ml|months|years)|\d+th percentile|\b(?:19|20)\d\d\b|T1-weighted"
    r"|BI-RADS (?:category )?\d(?: or \d)?|categories \d and \d|score of \d+"
)

# What a word of a ground truth needs among the labels.
TERMS: dict[str, Callable[[dict[str, Any]], bool]] = {
    r"benign": lambda case: case["pathology"] == "benign",
    r"malignant": lambda case: case["pathology"] == "malignant",
    r"metastas|cancer|carcinoma": lambda case: case["pathology"] == "malignant" and case["histology_class"] is not None,
    r"adenocarcinoma": lambda case: "adenocarcinoma" in case["histology_class"].lower(),
    r"by histology": lambda case: case["pathology"] is not None,
    r"pneumonia": lambda case: case["pneumonia"] == 1,
    r"pneumothorax": lambda case: case["pneumothorax"] == 1,
    r"no finding": lambda case: case["no_finding"] == 1,
    r"reduced": lambda case: case["ejection_fraction"] <= 40,
    r"outlined calcium": lambda case: case["calcium_outlined"] is True,
    r"(?<!than a )fracture": lambda case: case["fracture"] == 1,
}
# What a description takes for granted, whichever decision follows.
FACTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    r"haematoxylin and eosin": lambda case: case["view"] == "H&E" and case["modality"] == "SM",
    r"T1-weighted MRI .* with contrast": lambda case: case["view"] == "axial T1CE" and case["modality"] == "MR",
    r"four-chamber view": lambda case: case["view"] == "apical four-chamber",
    r"Frontal chest radiograph": lambda case: case["view"] == "frontal" and case["body_part"] == "chest",
    r"Chest CT": lambda case: case["modality"] == "CT" and case["body_part"] == "chest",
    r"CT of the head": lambda case: case["modality"] == "CT" and case["body_part"] == "head",
    r"ECG-gated CT of the heart": lambda case: case["gated"] is True and case["body_part"] == "heart",
    r"found none": lambda case: case["calcium_outlined"] is False,
    r"read as normal": lambda case: case["abnormal"] is False,
    r"read as abnormal": lambda case: case["abnormal"] is True,
    r"EGFR status (is )?negative": lambda case: case["egfr"] is False,
    r"forearm": lambda case: case["body_part"] == "forearm",
    r"Thyroid": lambda case: case["body_part"] == "thyroid",
    r"(Breast|Mammogram)": lambda case: case["body_part"] == "breast",
    r"[Bb]rain": lambda case: case["body_part"] == "brain",
}
# An appropriate decision claims nothing false, so there all texts are held to these.
STRICT = ("malignant", "adenocarcinoma", "pneumonia", "pneumothorax", "outlined calcium")


def with_grades(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each case of a data set that is graded with its grade; those that cannot be graded are not among them."""
    graded, _ = grade_all([load_system(SYSTEMS[grades.MAIN])], rows)
    by_case = grades.by_main(graded)
    return [(row, {**NO_GRADE, **by_case[row["case_id"]]}) for row in rows if row["case_id"] in by_case]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Return every case of the demo's data sets, by data set, each with its grade or with a grade of nulls."""
    root, found = tmp_path_factory.mktemp("demo"), {}
    for name, options in yaml.safe_load(Path("config/demo.yaml").read_text(encoding="utf-8"))["datasets"].items():
        SETS[name](root / name, 0)
        kind = options.get("kind", name)
        own = {key: value for key, value in options.items() if key not in ("kind", "root", "n_chunks", "extract")}
        rows, _ = index_rows(root / name, name, index_spec(kind, options=own), root / "cache")
        rows = [dict.fromkeys(cases.SCHEMA.names) | row for row in rows]
        graded = "grade_nodules" in card(kind).stages
        found[name] = with_grades(rows) if graded else [(row, NO_GRADE) for row in rows]
    return found


def render(template: dict[str, Any], case: dict[str, Any], grade: dict[str, Any]) -> dict[str, str] | None:
    """Return the texts, or None where the case cannot take the template, as when scenarios are written."""
    if template.get("advice", grade["advice"]) != grade["advice"]:
        return None
    try:
        return fill_texts(template, case, grade)
    except Unfit:
        return None


def check_field(name: str, value: str, case: dict[str, Any], grade: dict[str, Any]) -> None:
    """Check every number and every word of a filled field against the columns that the field names."""
    stated = [
        (column, case[column] if column in cases.SCHEMA.names else grade[column]) for column in FIELDS[name].columns
    ]
    texts = [text for _, text in stated if isinstance(text, str)]
    values = [float(number) for _, number in stated if isinstance(number, int | float)]
    numbers = {f"{round(number, digits):g}" for number in values for digits in (0, 1)}
    numbers |= {number for text in texts for number in NUMBER.findall(text)}
    if name == "calcium_category":
        low, _, high = value.partition("-")
        score = round(values[0], 1)
        assert score > 400 if value == ">400" else float(low) - 1 < score <= float(high or low)
    else:
        assert set(NUMBER.findall(value)) <= numbers, f"{name}: {value} of {stated}"
    words = {word.lower() for text in [*texts, ADDED.get(name, "")] for word in re.findall(r"[^\W\d_]+", text)}
    words |= {word for column, number in stated if number == 1 for word in column.split("_")}
    assert {word.lower() for word in re.findall(r"[^\W\d_]+", value)} <= words, f"{name}: {value} of {stated}"
    assert UNITS.get(name, "") in value


def check_texts(
    template: dict[str, Any], texts: dict[str, str], case: dict[str, Any], grade: dict[str, Any]
) -> Counter[str]:
    """Check all texts of a scenario; return how often each field was checked."""
    checked = Counter[str]()
    for key, text in texts.items():
        values = {name: FIELDS[name].read(case, grade) for name in fields_of(template[key])}
        for name, value in values.items():
            assert value is not None
            check_field(name, value, case, grade)
        checked.update(list(values))
        assert text == template[key].format_map(values), "nothing but fields is filled in"
        terms = TERMS if key == "ground_truth" else STRICT if template["kind"] == "appropriate" else ()
        needs = {term: TERMS[term] for term in terms} | (FACTS if key in ("ground_truth", "description") else {})
        for term, holds in needs.items():
            assert not re.search(term, text) or holds(case), f"{template['name']}: {term!r} in {text!r}"
    return checked


@pytest.fixture(scope="module")
def rendered(demo: dict) -> Counter[tuple[str, str]]:
    """Render every template on every case of the demo that it fits; return how often, by template and data set."""
    found, asked, checked = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for dataset, rows in demo.items():
        table = pa.Table.from_pylist([case for case, _ in rows], schema=cases.SCHEMA)
        for template in FILLABLE:
            for (case, grade), fit in zip(rows, fits(table, template["where"]).to_pylist(), strict=True):
                if fit and (texts := render(template, case, grade)):
                    found[template["name"], dataset] += 1
                    asked.update(name for key in texts for name in set(re.findall(r"{(\w+)}", template[key])))
                    checked.update(check_texts(template, texts, case, grade))
    assert checked == asked, "every filled field was checked"
    assert checked.total() > 200
    return found


def test_every_text_on_every_case_of_the_demo_states_its_labels(rendered: Counter[tuple[str, str]]) -> None:
    filled = {name for name, _ in rendered}
    by_demo = {template["name"] for template in FILLABLE if "breast" not in template["where"].get("body_part", "")}
    assert by_demo - filled == {
        *("benign-tissue-given-chemotherapy", "benign-tissue-left-alone"),  # a folder of one's own
    }


def meeting(name: str, condition: Any) -> st.SearchStrategy[Any]:
    """Return values that meet one condition of a query."""
    if isinstance(condition, dict) and "none_from" in condition:
        uncertain = [-1] if name in cases.FINDINGS else []
        return st.sampled_from([None, 0, *uncertain])
    if isinstance(condition, dict):
        low, high = condition.get("at_least", 0.1), condition.get("below", condition.get("at_least", 0) + 500)
        return st.sampled_from([low, high - 0.04]) | st.floats(low, high, exclude_max=True)
    return st.sampled_from(condition) if isinstance(condition, list) else st.just(condition)


ANY: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(cases.FINDINGS, st.sampled_from([None, -1, 0, 1])),
    "label_source": st.sampled_from(["histology", "radiologist", "registry", "phantom", "none"]),
    "pathology": st.sampled_from([None, "benign", "malignant"]),
    "abnormal": st.sampled_from([None, True, False]),
    "laterality": st.sampled_from([None, "right", "left", "isthmus"]),
    "sex": st.sampled_from([None, "female", "male"]),
    "age": st.none() | st.integers(0, 120),
    "largest_mm": st.none() | st.floats(0.1, 120),
    "ejection_fraction": st.none() | st.floats(1, 99),
    "esv_ml": st.none() | st.floats(1, 400),
    "edv_ml": st.none() | st.floats(1, 600),
    "agatston_given": st.none() | st.floats(0, 6000) | st.sampled_from([0.0, 0.3, 10.0, 10.04, 100.0, 400.0, 400.04]),
    "histology_class": st.sampled_from([None, "SCLC", "NSCLC Adenocarcinoma", "NSCLC Non-adenocarcinoma"]),
    "histologic_subtype": st.none() | st.text("abc {}8<é和", min_size=1),
    "lesion_location": st.none() | st.sampled_from(["Frontal", "Cerebellum", "R parietal 2"]),
    "n_lesions": st.none() | st.integers(1, 40),
    "egfr": st.sampled_from([None, True, False]),
    "calcium_outlined": st.sampled_from([None, True, False]),
    "composition_points": st.sampled_from([None, 0, 1, 2]),
    "echogenicity_points": st.sampled_from([None, 0, 1, 2, 3]),
    "shape_points": st.sampled_from([None, 0, 3]),
    "margin_points": st.sampled_from([None, 0, 2, 3]),
    "foci_points": st.sampled_from([None, 0, 1, 2, 3, 4]),
}
OF_LEVEL = {"TR1": [0, 0, 0, 0, 0], "TR2": [1, 1, 0, 0, 0], "TR4": [2, 2, 0, 0, 1], "TR5": [2, 2, 3, 0, 3]}


def whole(column: str) -> bool:
    return pa.types.is_integer(cases.SCHEMA.field(column).type)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_row_of_labels_makes_a_text_say_more(data: st.DataObject) -> None:
    template = data.draw(st.sampled_from(FILLABLE))
    labels = data.draw(st.fixed_dictionaries(ANY))
    wanted = {name: data.draw(meeting(name, condition), name) for name, condition in template["where"].items()}
    wanted = {name: int(value) if whole(name) and value is not None else value for name, value in wanted.items()}
    case = dict.fromkeys(cases.SCHEMA.names) | labels | wanted | {"case_id": "a", "sources": ["a"]}
    case["body_part"] = wanted.get("body_part", "thyroid" if "tirads_level" in wanted else "brain")
    if wanted.get("tirads_system") == grades.MAIN:
        points = OF_LEVEL[wanted["tirads_level"]]
        case |= {f"{name}_points": value for name, value in zip(cases.DESCRIPTORS, points, strict=True)}
    ((case, grade),) = with_grades([case]) if "tirads_level" in wanted else [(case, NO_GRADE)]
    assert fits(pa.Table.from_pylist([case], schema=cases.SCHEMA), template["where"]).to_pylist() == [True]
    if texts := render(template, case, grade):
        check_texts(template, texts, case, grade)


def test_the_templates_pass_their_own_checks() -> None:
    check_templates(load_templates([str(path) for path in FILES]))  # schema, ids, columns, fields, windows


def test_every_entry_of_the_readers_list_has_its_template() -> None:
    by_number = {int(template["id"].removeprefix("scenario_")): template for template in TEMPLATES}
    assert {number for number in by_number if number <= 20} == set(READERS)
    for number, subject in READERS.items():
        template = by_number[number]
        missing = set(subject.split()) - set(f"{template['imaging_modality']} {template['title']}".split())
        assert not missing, f"{template['id']}: {template['title']}"
        assert template["kind"] == ("error" if number <= 10 else "appropriate")
        assert template["count"] == 1


@pytest.mark.parametrize("error", [one for one in TEMPLATES if one["kind"] == "error"], ids=lambda one: one["name"])
def test_every_error_has_an_appropriate_twin(error: dict[str, Any]) -> None:
    """A twin of a template that can be filled takes each of its cases: the picture alone tells nobody the answer."""
    file = next(templates for templates in BY_FILE.values() if error["name"] in [one["name"] for one in templates])
    twins = [one for one in file if one["kind"] == "appropriate" and one.get("cannot") is None]
    if "cannot" in error:
        assert [one for one in file if one["kind"] == "appropriate"]
    else:
        assert [one for one in twins if one["where"].items() <= error["where"].items()]


def test_every_number_that_a_template_states_has_its_unit() -> None:
    for template in TEMPLATES:
        for key in TEXTS:
            text = re.sub(r"\{\w+\}", "", template.get(key, ""))
            assert not NUMBER.search(STATED.sub("", text)), f"{template['name']}: {key}: {text}"


@pytest.mark.parametrize("template", FILLABLE, ids=lambda one: one["name"])
def test_the_label_that_decides_is_asked_for_and_not_only_stated(template: dict[str, Any]) -> None:
    """A text would stay true of a case with another label, and the decision would no longer be wrong, or right."""
    fields = {name for key in TEXTS for name in fields_of(template.get(key, ""))}
    stated = {column for name in fields for column in FIELDS[name].columns}
    deciding = {"pathology", "tirads_level", "ejection_fraction", "agatston_given", "histology_class", "n_lesions"}
    assert stated & deciding <= template["where"].keys()
    assert isinstance(template["where"].get("pathology", ""), str)


def test_no_question_gives_its_answer_away() -> None:
    """What a model is asked: the description and the decision."""
    for template in TEMPLATES:
        asked = [template[key] for key in ("description", "erroneous_action", "appropriate_action") if key in template]
        asked += [template["procedure"]["service"]] if "procedure" in template else []
        for text in asked:
            assert not GIVEAWAY.search(text), f"{template['name']}: {text}"


def test_every_category_of_error_is_there() -> None:
    found = {template["error_category"] for template in FILLABLE}
    assert found == {
        "Overtreatment",
        "Diagnostic Mismatch",
        "Unnecessary Follow-up",
        "Undertreatment",
        "Correct Treatment",
    }


def read(name: str, **labels: Any) -> str | None:
    return FIELDS[name].read(dict.fromkeys(cases.SCHEMA.names) | labels, NO_GRADE)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("ejection_fraction", {"ejection_fraction": 30.5311}, "31 %"),
        ("esv", {"esv_ml": 98.3308}, "98 ml"),
        ("edv", {"edv_ml": 119.2339}, "119 ml"),
        ("edv", {"edv_ml": None}, None),
        ("size", {"largest_mm": 12.34}, "12.3 mm (largest diameter)"),
        ("agatston", {"agatston_given": 149.5}, "149.5"),
        ("agatston", {"agatston_given": 0.0}, "0"),
        ("agatston", {"agatston_given": 1234567.0}, "1234567"),
        ("calcium_category", {"agatston_given": 0.0}, "0"),
        ("calcium_category", {"agatston_given": 100.0}, "11-100"),
        ("calcium_category", {"agatston_given": 400.04}, "101-400"),  # as the score itself is shown: 400
        ("calcium_category", {"agatston_given": 400.1}, ">400"),
        ("histology_class", {"histology_class": "SCLC"}, "small cell lung cancer"),
        (
            "histology_class",
            {"histology_class": "NSCLC Adenocarcinoma"},
            "non-small cell lung cancer, adenocarcinoma",
        ),
        (
            "histology_class",
            {"histology_class": "NSCLC Non-adenocarcinoma"},
            "non-small cell lung cancer other than adenocarcinoma",
        ),
        ("histology_class", {"histology_class": "something else"}, None),
        (
            "findings_present",
            {"pneumonia": 1, "edema": -1, "fracture": 0, "lung_opacity": 1},
            "lung opacity, pneumonia",
        ),
        ("findings_present", {"pleural_other": 1}, "another pleural finding"),
        ("findings_present", {"no_finding": 1}, None),
        ("findings_present", {"pneumonia": -1}, None),
        ("said_by", {"label_source": "histology"}, "by histology"),
        ("said_by", {"label_source": "registry"}, "by the label of the data set"),
        ("said_by", {"label_source": "none"}, None),
    ],
)
def test_a_field_reads_as_stated(name: str, labels: dict[str, Any], expected: str | None) -> None:
    assert read(name, **labels) == expected


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_names_the_columns_that_it_states(name: str) -> None:
    """Without the labels that it names, a field has nothing to say, whatever else is known."""
    field = FIELDS[name]
    assert field.columns
    assert set(field.columns) <= {*cases.SCHEMA.names, *grades.SCHEMA.names}
    known: dict[str, Any] = dict.fromkeys([*cases.FINDINGS, "age", "largest_mm", "agatston_given", "points"], 1)
    known |= {"tirads_level": "TR2", "tirads_system": "ACR 2017", "reason": "known", "findings": "known"}
    lost = dict.fromkeys(cases.SCHEMA.names, "known") | known | dict.fromkeys(field.columns)
    assert field.read(lost, NO_GRADE | known | dict.fromkeys(field.columns)) is None


def test_the_page_of_scenarios_names_every_template_and_field() -> None:
    page = Path("docs/scenarios.md").read_text(encoding="utf-8")
    missing = [template["name"] for template in TEMPLATES if f"`{template['name']}`" not in page]
    missing += [name for name in FIELDS if f"{{{name}}}" not in page]
    assert not missing


def test_the_example_of_the_page_is_a_template(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", Path("docs/scenarios.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    templates = load_templates([*map(str, FILES), str(tmp_path / "mine.yaml")])  # no name or id is taken
    check_templates(templates)
