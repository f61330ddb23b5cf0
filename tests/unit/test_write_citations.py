"""What to cite: of the sets that were used and no others, in text and in BibTeX."""

from pathlib import Path

import pytest
import yaml

from workflow_scripts.collections.collection import card
from workflow_scripts.configuration import CARDS
from workflow_scripts.report.write_citations import as_bibtex, authors, main
from workflow_scripts.tables import cases
from workflow_scripts.tables.table import write_rows

KINDS = sorted(path.stem.replace("_", "-") for path in CARDS.glob("*.yaml"))


def write(tmp_path: Path, spec: str, **label_sources: str | None) -> tuple[str, str]:
    for name, source in label_sources.items():
        rows = [{"case_id": "1", "dataset": name, "label_source": source}] if source else []
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "cases.parquet", rows, cases.SCHEMA)
    text, bibtex = tmp_path / "CITATIONS.md", tmp_path / "CITATIONS.bib"
    main(["--datasets", str(tmp_path), "--spec", spec, "--text", str(text), "--bibtex", str(bibtex)])
    return text.read_text(), bibtex.read_text()


def test_two_data_sets_of_a_kind_are_cited_once_and_an_unused_kind_is_not(tmp_path: Path) -> None:
    spec = '{"a": "ddti", "b": "ddti", "c": "thyroid-cineclip"}'
    text, bibtex = write(tmp_path, spec, a="radiologist", b="none", c=None)
    assert "Here as a, b." in text
    assert text.count("doi:10.1117/12.2073532") == 1
    assert bibtex.count("@inproceedings{pedraza2015ddti,") == 1
    assert "Yamashita" not in text + bibtex


def test_the_acknowledgement_that_the_terms_ask_for_is_there(tmp_path: Path) -> None:
    text, bibtex = write(tmp_path, '{"a": "thyroid-cineclip"}', a="histology")
    assert "Acknowledgement: This research used data provided by the Stanford Center" in text
    assert "doi = {10.1148/ryai.210174}" in bibtex


def test_phantoms_are_nobodys(tmp_path: Path) -> None:
    text, bibtex = write(tmp_path, '{"a": "ddti"}', a="phantom")
    assert "Nothing to cite" in text
    assert not bibtex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pedraza L, van den Heuvel TLA", "Pedraza, L and van den Heuvel, TLA"),
        ("Yamashita R, Alam MN, et al.", "Yamashita, R and Alam, MN and others"),
        ("Stanford Center for Artificial Intelligence", "{Stanford Center for Artificial Intelligence}"),
    ],
)
def test_names_are_split_as_bibtex_wants_them(text: str, expected: str) -> None:
    assert authors(text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_card_can_be_cited(kind: str) -> None:
    about = card(kind)
    keys = [reference["key"] for reference in about.references]
    assert len(set(keys)) == len(keys)
    for reference in about.references:
        entry = as_bibtex(reference)
        assert entry.count("{") == entry.count("}")
        assert str(reference["year"]) in entry
    assert yaml.safe_load((CARDS / f"{kind.replace('-', '_')}.yaml").read_text())["name"] == kind
