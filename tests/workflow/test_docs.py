"""The pages for people: their links lead somewhere, their examples are valid, and they name what there is."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from snakemake.cli import parse_args

from tests.workflow.test_rules import TARGETS
from workflow_scripts.configuration import first_fault
from workflow_scripts.provenance import ROOT
from workflow_scripts.read_rules import read_rules
from workflow_scripts.write_datasets_page import page
from workflow_scripts.write_reference import PAGES as REFERENCE

PAGES = [
    ROOT / "README.md",
    ROOT / "config" / "README.md",
    ROOT / "results" / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
RULES = re.compile(r"^(?:rule|checkpoint) (\w+):", re.MULTILINE)
SVG = "{http://www.w3.org/2000/svg}"
COMPUTED = {
    ("fetch_source", "index_cases"),
    ("import_masks", "score_masks"),
    ("plan_chunks", "write_citations"),
    ("read_reviews", "score_masks"),
    ("compare", "write_report"),
    ("fit_quality", "write_report"),
    ("monitor_batches", "write_report"),
    ("train_grader", "write_report"),
    ("validate_descriptors", "write_report"),
}
"""Arrows whose paths the rules compute, so that their text does not name them."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def examples(page: Path) -> list[dict[str, Any]]:
    """Return the YAML blocks of a page."""
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)]


def test_the_picture_shows_every_rule_and_no_other() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "rulegraph.svg")
    shown = [group.findtext(f"{SVG}title") for group in picture.iter(f"{SVG}g") if group.get("class") == "node"]
    rules = {rule for path in (ROOT / "rules").glob("*.smk") for rule in RULES.findall(path.read_text("utf-8"))}
    assert sorted(map(str, shown)) == sorted(rules - TARGETS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        target, _, anchor = "".join(link).partition("#")
        if target.startswith("https:"):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), (target, anchor)


@pytest.mark.parametrize("page", PAGES[:2], ids=name_of)
def test_every_example_is_valid(page: Path) -> None:
    assert examples(page)
    for example in examples(page):
        schema = "templates.schema.json" if "templates" in example else "config.schema.json"
        assert first_fault(schema, example) is None, example


def test_the_schema_that_a_file_points_to_is_there() -> None:
    for path in [ROOT / "config" / "demo.yaml", *(ROOT / "config" / "scenarios").glob("*.yaml")]:
        pointer = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
        assert pointer, path
        assert (path.parent / pointer[1]).is_file()


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert project
    assert citation["version"] == project[1]
    assert f"## [{project[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def arrows() -> set[tuple[str, str]]:
    """Return every pair of rules of which the second reads what the first writes."""
    rules = [rule for rule in read_rules() if rule.output]
    written = {rule.name: {path for _, path in rule.output} for rule in rules}
    read = {
        (first.name, second.name)
        for first in rules
        for second in rules
        if first is not second and any({path, path.rpartition("/")[0]} & written[first.name] for path in second.input)
    }
    return read | COMPUTED


def needed(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows that do not follow from others."""
    after: dict[str, set[str]] = {}
    for first, second in pairs:
        after.setdefault(first, set()).add(second)

    def reached(rule: str, without: str = "") -> set[str]:
        return set().union(*({other} | reached(other) for other in after.get(rule, set()) - {without}))

    return {(first, second) for first, second in pairs if second not in reached(first, second)}


def drawn(picture: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the arrows of the graph that a picture begins with, and those that it shows."""
    graph = picture[picture.index("digraph") : picture.index("-->\n")]
    chains = [re.findall(r"\w+", chain) for chain in re.findall(r"\w+(?: -> \w+)+", graph)]
    said = {pair for chain in chains for pair in pairwise(chain)}
    return said, set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", picture))


def test_the_arrows_of_the_picture_are_those_of_the_workflow() -> None:
    """Arrows are added to the graph that the file begins with; `make docs` draws it anew."""
    said, shown = drawn((ROOT / "docs" / "rulegraph.svg").read_text(encoding="utf-8"))
    assert said == shown, "the graph in the file was changed, and the picture not drawn anew"
    there = arrows()
    assert sorted(needed(there) - shown) == [], "arrows that are missing"
    assert sorted(shown - there) == [], "arrows along which nothing is read"


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_says_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == REFERENCE[name](), "run `make docs`"


def test_the_rules_are_read_as_the_workflow_has_them() -> None:
    """The page of rules rests on their text: nothing may be lost in reading it."""
    rules = {rule.name: rule for rule in read_rules()}
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk")]
    assert set(rules) == {name for text in texts for name in RULES.findall(text)}
    assert all(rule.about for rule in rules.values())
    made = [rule for rule in rules.values() if rule.name not in TARGETS]
    assert all(rule.output and rule.threads and rule.memory for rule in made)
    assert "split.given" in rules["split_cases"].input
    assert "<results>/model/{model}/fold-{fold}.safetensors" in rules["export_onnx"].input


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^)\s]+)\)", index)}
    pages = {path.resolve() for path in (ROOT / "docs").rglob("*.md")} - {(ROOT / "docs" / "README.md").resolve()}
    assert not pages - linked


def test_the_catalogue_is_told_how_it_is_used() -> None:
    """The keys that Snakemake's catalogue of workflows reads; a flag that it prints must be one of Snakemake's."""
    told = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert set(told) == {"usage"}
    assert set(told["usage"]) == {"mandatory-flags", "software-stack-deployment", "report"}
    flags = told["usage"]["mandatory-flags"]["flags"]
    assert parse_args(flags.replace("<", "").replace(">", "").split())[1].configfile


def test_the_page_of_data_sets_says_what_the_cards_say() -> None:
    assert (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8") == page(), "run `make docs`"
