"""The words of the page: every label has its Chinese, and every table is made by the rule that is named."""

import re
import string
from pathlib import Path

import pytest
from jinja2 import Environment, nodes
from markupsafe import Markup

from workflow_scripts.metrics import nodules, paired, quality_figures, strata, summarise_scores
from workflow_scripts.provenance import ROOT
from workflow_scripts.report import summarise, summarise_grader, write_report
from workflow_scripts.report.summarise_scenarios import UNITS
from workflow_scripts.report.words import HERE, Wording, Words
from workflow_scripts.tirads import train_grader, validate_descriptors

WORDING = Wording()
TEMPLATES = sorted(HERE.glob("*.html"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SAME = {"AI", "Dice, IoU", "Kappa", "AUC", "Alk", "Egfr", "Pdl1"}  # in Chinese as in English, or an abbreviation


def labels(path: Path) -> set[str]:
    """Return what a template says: the first argument of each `_(...)`, which is a text and no expression."""
    calls = Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call)
    said = [call.args[0] for call in calls if isinstance(call.node, nodes.Name) and call.node.name == "_"]
    assert all(isinstance(each, nodes.Const) for each in said)
    return {each.value for each in said if isinstance(each, nodes.Const)}


def test_every_label_has_its_chinese_and_every_entry_is_said() -> None:
    said = set[str]().union(*map(labels, TEMPLATES))
    assert said == WORDING.labels.keys() - {"from {0}, made by {1}"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_besides(path: Path) -> None:
    tree = Environment().parse(path.read_text(encoding="utf-8"))
    text = "".join(each.data for each in tree.find_all(nodes.TemplateData))
    text = re.sub(r"<!doctype.*?>|<style>.*?</style>|<[^<>]*>|[\w-]+=\"[^\"<>]*\"?", " ", text, flags=re.DOTALL)
    spoken = set(re.findall(r"[A-Za-z]{3,}", text)) - {"DOI", "class", "span", "href", "circle", "path", "svg"}
    assert not spoken


def test_the_chinese_is_chinese_and_holds_the_same_values() -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, form, _ in string.Formatter().parse(text) if name is not None and form != "s"}

    for english, chinese in (WORDING.labels | WORDING.values).items():
        assert fields(english) == fields(chinese), english
        assert re.findall("<[^>]*>", english) == re.findall("<[^>]*>", chinese), english
        only_values = not re.search("[A-Za-z]", re.sub(r"\{[^}]*\}", "", english))
        assert CHINESE.search(chinese) or english in SAME or only_values or english == "{0} on {1}", english


def test_what_the_tables_say_of_methods_and_labels_is_translated() -> None:
    sentences = {
        *(summarise_scores.EMPTY_POLICY, summarise_scores.INTERVAL, summarise_scores.FAMILIES),
        *(summarise_scores.GATE_RULE, nodules.MATCHING, paired.INTERVAL, quality_figures.INTERVAL),
        *(text for text in train_grader.METHOD.values() if isinstance(text, str)),
        validate_descriptors.METHOD,
    }
    parts = {word for stratum in strata.STRATA for word in (stratum.meaning, *stratum.parts)}
    grader = {*summarise_grader.ARMS.values(), *summarise_grader.FIGURES.values()}
    columns = {name.replace("_", " ").capitalize() for name in UNITS}
    origins = {origin["holds"] for origin in WORDING.origins.values()}
    assert sentences | parts | grader | columns | origins <= WORDING.values.keys()


def test_numbers_are_grouped_plurals_told_and_values_escaped_in_both_languages() -> None:
    said = WORDING.label("{0} case{0:s}", 1234)
    assert (said.english, said.chinese) == ("1,234 cases", "1,234 个病例")
    assert WORDING.label("{0} case{0:s}", 1).english == "1 case"
    within = WORDING.label("{0}, computed", WORDING.label("not known"))
    assert (within.english, within.chinese) == ("not known, computed", "未知（计算）")
    hostile = WORDING.label("Nothing was learnt: {0}.", '<b title="x">')
    assert '<b title="x">' not in str(Markup("{}").format(hostile)) + str(hostile.attribute("alt"))
    assert isinstance(WORDING.told("benign"), Words)
    assert WORDING.told("something else") == "something else"
    with pytest.raises(KeyError):
        WORDING.label("of which there is no Chinese")


@pytest.mark.parametrize("name", WORDING.origins)
def test_a_table_is_made_by_the_rule_that_is_named(name: str) -> None:
    origin = WORDING.origins[name]
    rules = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    for rule in origin["rules"]:
        (body,) = re.findall(rf"^(?:rule|checkpoint) {rule}:\n(.*?)(?=^\S|\Z)", rules, re.DOTALL | re.MULTILINE)
        output = re.search(r"^    output:\n(.*?)(?=^    \w)", body, re.DOTALL | re.MULTILINE)
        assert output
        given = re.sub(r"/given/", "/{fold}/", output[1])
        assert f"<results>/{origin['path']}" in given, rule


def test_a_list_has_an_end_that_says_where_the_rest_is() -> None:
    row = {"case_id": "1", "file": "a", "reason": "torn", "mend": "mend it"}
    group = {"status": "partial", "stage": "extract_frames", "reason": "torn", "cases": 1, "more": 95}
    rows = [row] * (summarise.LISTED + 5)
    summary = {"datasets": {"clips": {"quarantine": [group | {"rows": rows}]}}}
    page = write_report.page_templates().get_template("quarantine.html").render(summary=summary)
    assert page.count("<td>torn</td>") == summarise.LISTED
    assert "The first 200 of 300; all are in" in page
    assert 'href="../datasets/clips/quarantine/"' in page
