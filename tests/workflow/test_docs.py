"""The pages for people: their links lead somewhere, their examples are valid, and they name what there is."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.workflow.test_rules import TARGETS
from workflow_scripts.configuration import first_fault
from workflow_scripts.provenance import ROOT
from workflow_scripts.write_datasets_page import page

NAMES = (
    "README.md",
    "config/README.md",
    "results/README.md",
    "CONTRIBUTING.md",
    "docs/datasets.md",
    "docs/de-identification.md",
    "docs/cluster.md",
    "docs/comparing.md",
    "docs/environments.md",
    "docs/exports.md",
    "docs/figures.md",
    "docs/paper/README.md",
    "docs/rebuilding.md",
    "docs/releasing.md",
    "docs/scenarios.md",
    "docs/masks.md",
    "docs/grading.md",
    "docs/nodules.md",
    "docs/quality-control.md",
)
PAGES = [ROOT / name for name in NAMES]
RULES = re.compile(r"^(?:rule|checkpoint) (\w+):", re.MULTILINE)
SVG = "{http://www.w3.org/2000/svg}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def examples(page: Path) -> list[dict[str, Any]]:
    """Return the YAML blocks of a page."""
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)]


def flat(options: dict[str, Any], parent: str = "") -> dict[str, Any]:
    """Return options by their dotted names; `datasets` has no options of its own."""
    found: dict[str, Any] = {}
    for key, value in options.items():
        found |= flat(value, f"{parent}{key}.") if isinstance(value, dict) and value else {f"{parent}{key}": value}
    return found


def tables(page: Path) -> list[dict[str, str]]:
    """Return the tables of a page that begin with an option: its second column by its first."""
    blocks = re.findall(r"^\| option .*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", block, re.MULTILINE)) for block in blocks]


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


def test_the_tables_of_options_are_in_step_with_the_defaults_and_the_schema() -> None:
    whole, of_a_data_set = tables(ROOT / "config" / "README.md")
    defaults = flat(yaml.safe_load((ROOT / "config" / "config.yaml").read_text("utf-8")))
    assert {name: yaml.safe_load(text.strip("`")) for name, text in whole.items()} == defaults
    schema = json.loads((ROOT / "config" / "schemas" / "config.schema.json").read_text("utf-8"))
    assert set(of_a_data_set) == set(schema["properties"]["datasets"]["additionalProperties"]["properties"])


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


def test_the_page_of_data_sets_says_what_the_cards_say() -> None:
    assert (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8") == page(), "run `make docs`"
