"""A release described as an RO-Crate: Workflow Run Crate 0.5."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.model import ComputationalWorkflow, ComputerLanguage, ContextEntity, CreativeWork, Dataset, File
from rocrate.rocrate import ROCrate

from workflow_scripts.collections.collection import Card
from workflow_scripts.release.croissant import DESCRIPTION, files_of, format_of, licences, year
from workflow_scripts.release.phrases import WORD

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
WORKFLOW = "workflow/Snakefile"
MIT = "https://spdx.org/licenses/MIT"


def describe_crate(release: Path, cards: Sequence[Card], versions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of all files that a release has so far.

    The run has no time and no name of who ran it: the same results give the same bytes, and neither is known here.

    Parameters
    ----------
    release
        The folder.
    cards
        Of the data sets that went in: named by DOI or homepage, for none of their files is here.
    versions
        Of what computed, by its name; of some, by each of its parts.
    """
    crate = ROCrate(version="1.1")
    root = crate.root_dataset
    terms = crate.add(CreativeWork(crate, "#terms", {"name": "Terms", "description": " | ".join(licences(cards))}))
    root.properties().update({"name": "Scenarios made by Casebook: a release", "description": DESCRIPTION})
    root.properties().update({"datePublished": year(), "keywords": "medical imaging, benchmark, reproducibility"})
    root["license"] = terms
    root["conformsTo"] = [
        crate.add(CreativeWork(crate, link, {"name": name, "version": version}))
        for link, (name, version) in PROFILES.items()
    ]
    files = {name: crate.add(_file(crate, release, name)) for name in files_of(release)}
    workflow = files[WORKFLOW]
    crate.mainEntity = workflow
    snakemake = crate.add(
        ComputerLanguage(
            crate,
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            {"name": "Snakemake", "url": {"@id": "https://snakemake.readthedocs.io"}},
        )
    )
    snakemake["version"] = versions.get("snakemake", "not recorded")
    workflow["programmingLanguage"] = snakemake
    licence = crate.add(ContextEntity(crate, MIT, {"@type": "CreativeWork", "name": "MIT License", "url": MIT}))
    workflow["license"] = licence
    workflow["softwareRequirements"] = [
        crate.add(_software(crate, name, version)) for name, version in sorted(_flat(versions).items())
    ]
    crate.add_action(
        workflow,
        identifier="#run",
        object=[crate.add(_source(crate, about)) for about in cards],
        result=[each for name, each in files.items() if name != WORKFLOW],
        properties={
            "name": "The run of the workflow that made this release",
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        },
    )
    found: dict[str, Any] = crate.metadata.generate()
    found["@graph"] = sorted((_sorted(entity) for entity in found["@graph"]), key=lambda entity: str(entity["@id"]))
    return found


def _file(crate: ROCrate, release: Path, name: str) -> File:
    about = {"encodingFormat": format_of(name), "contentSize": str((release / name).stat().st_size), "name": name}
    if name != WORKFLOW:
        return File(crate, str(release / name), name, properties=about)
    return ComputationalWorkflow(
        crate, str(release / name), name, properties=about | {"name": "Casebook", "encodingFormat": "text/plain"}
    )


def _source(crate: ROCrate, about: Card) -> Dataset | ContextEntity:
    link = f"https://doi.org/{about.doi}" if about.doi else about.homepage
    described = {"name": about.title, "description": about.truths.strip(), "version": about.version}
    if link:
        return Dataset(crate, link, properties=described)
    name = "-".join(WORD.findall(about.title))
    return ContextEntity(crate, f"#{name}", {"@type": "Dataset", **described})


def _flat(versions: Mapping[str, Any]) -> dict[str, str]:
    """Return versions by name; those that are of several parts, by the name of each."""
    flat: dict[str, str] = {}
    for name, version in versions.items():
        if isinstance(version, Mapping):
            flat |= {f"{name} {part}": str(each) for part, each in version.items()}
        else:
            flat[name] = str(version)
    return flat


def _software(crate: ROCrate, name: str, version: str) -> ContextEntity:
    about = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version}
    return ContextEntity(crate, f"#{name.replace(' ', '-')}", about)


def _sorted(entity: dict[str, Any]) -> dict[str, Any]:
    """Return an entity whose lists of others are in order, for the library keeps them as they come."""
    return {
        key: sorted(value, key=str) if key != "@type" and isinstance(value, list) else value
        for key, value in entity.items()
    }
