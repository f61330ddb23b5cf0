"""A release described in Croissant 1.1, with what responsible use asks to know (RAI 1.0)."""

import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import Card
from workflow_scripts.provenance import ROOT, file_sha256, sha256
from workflow_scripts.scenarios.export_croissant import CONTEXT

NAME = "casebook-release"
DESCRIPTION = (
    "Benchmark scenarios from clinical imaging data sets: the recipe, and hashes by which another holder of the data"
    " proves to have rebuilt the same. Of sets that may not be passed on it holds no picture, row or identifier."
)
FORMATS = {
    ".md": "text/markdown",
    ".bib": "application/x-bibtex",
    ".yaml": "application/yaml",
    ".safetensors": "application/octet-stream",
}


def files_of(release: Path) -> list[str]:
    """Return the files of a release, relative to it."""
    return sorted(path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file())


def format_of(name: str) -> str:
    """Return the media type of a file."""
    suffix = Path(name).suffix
    return FORMATS.get(suffix) or mimetypes.types_map.get(suffix, "text/plain")


def year() -> str:
    """Return the year of this version of Casebook, as its licence says.

    A release holds no time of its own: the same results give the same bytes. Who publishes it puts the day.
    """
    found = re.search(r"Copyright \(c\) (\d{4})", (ROOT / "LICENSE").read_text(encoding="utf-8"))
    assert found
    return found[1]


def licences(cards: Sequence[Card]) -> list[str]:
    """Return under which terms each data set stands, one line each."""
    return [f"{about.title}: passing it on is {about.redistribution}; see TERMS.md" for about in cards]


def describe_release(release: Path, cards: Sequence[Card]) -> dict[str, Any]:
    """Return the description of all files that a release has so far, and of the scenarios in its lock."""
    names = files_of(release)
    hashes = {name: file_sha256(release / name) for name in names}
    sources = "; ".join(f"{about.title} ({about.doi or 'no DOI'})" for about in cards)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": NAME,
        "description": DESCRIPTION,
        "version": f"1.0.0+{sha256(''.join(hashes.values()))[:16]}",
        "datePublished": year(),
        "license": licences(cards),
        "citeAs": " | ".join(dict.fromkeys(about.citation for about in cards)),
        "creator": {"@type": "sc:Organization", "name": "Casebook"},
        "inLanguage": "en",
        "keywords": ["medical imaging", "benchmark", "clinical decision", "reproducibility"],
        **_responsible_use(sources, cards),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": format_of(name),
                "sha256": hashes[name],
            }
            for name in names
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "scenarios",
                "name": "scenarios",
                "description": "One record is one scenario that was asked for: of which template, filled or refused.",
                "field": [_field("template"), _field("status")],
            }
        ],
    }


def _field(name: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"scenarios/{name}",
        "name": name,
        "dataType": "sc:Text",
        "source": {
            "fileObject": {"@id": "casebook.lock.json"},
            "extract": {"jsonPath": f"$.scenarios.*.{name}"},
        },
    }


def _responsible_use(sources: str, cards: Sequence[Card]) -> dict[str, Any]:
    return {
        "rai:dataCollection": (
            "Nothing was collected for this release. Casebook chose cases of existing data sets by their labels, and a"
            f" frame of each by a fixed rule; no model took part in the choice. Data sets: {sources}."
        ),
        "rai:dataCollectionType": ["Secondary Data Analysis"],
        "rai:dataPreprocessingProtocol": ["As options and code versions in casebook.lock.json say."],
        "rai:dataAnnotationProtocol": [
            f"{about.title}: labels as its publishers give them. {about.truths.strip()}" for about in cards
        ],
        "rai:dataBiases": [
            "The cases are those of few institutions, chosen so that each kind of scenario is filled: how often a"
            " finding, an age or a sex occurs says nothing of any population.",
        ],
        "rai:dataLimitations": [
            "The decisions in the scenarios are made up: no patient was treated as they say.",
            "Without the data sets themselves, the scenarios of restricted sets cannot be seen, only verified.",
        ],
        "rai:personalSensitiveInformation": [
            "None of the restricted sets: every file was searched for their pictures, identifiers, dates and values."
            " docs/releasing.md of Casebook says what such a search cannot find.",
        ],
        "rai:dataUseCases": [
            "Rebuilding a benchmark from data that one holds, and proving that it is the same.",
            "Not for training, for diagnosis, or for judging any clinician or patient.",
        ],
        "rai:dataSocialImpact": "A benchmark of clinical decisions can be checked without passing patients' data on.",
        "rai:dataReleaseMaintenancePlan": "A release is not changed: new results are a new release with its own lock.",
    }
