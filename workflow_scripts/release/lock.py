"""The lock: what another holder of the data needs to prove that they have rebuilt the same scenarios, and none of the
data. Every hash in it is over pixels, or has pixels as its key: who does not hold them can try out nothing.
"""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import module_name
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import card_version, first_fault
from workflow_scripts.files import natural
from workflow_scripts.imaging.stills import UnreadablePicture, decode_picture
from workflow_scripts.provenance import ROOT, canonical_json, code_version, file_sha256, pixel_sha256
from workflow_scripts.report.record_provenance import git_state, record_versions
from workflow_scripts.scenarios.pictures import tile_hashes
from workflow_scripts.scenarios.reader_format import texts_sha256
from workflow_scripts.tables import scenarios
from workflow_scripts.tables.table import read_rows

NAME = "casebook.lock.json"
REBUILD = "delete the folder and run again"
# Of the configuration, what leaves the building: no data set, and nothing that names a folder, a file or a host.
CONFIGURATION = ("frames", "gates", "grades", "learn", "limit", "model", "preprocess", "quality", "scenarios", "split")
PATHS = ("encoder_weights", "given", "templates", "update", "weights")
OWN_OPTIONS = ("modality", "body_part")  # of a data set's own: neither its table's name nor those of its columns


def lock_scenario(row: Mapping[str, Any], kind: str, entry: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
    """Return what the lock says of a filled scenario.

    Parameters
    ----------
    row
        Of the table of scenarios.
    kind
        What kind of data set it is from.
    entry, picture
        Of scenarios.json and of images/, as they are now: whatever the table says of them.
    """
    return {
        "template": row["template"],
        "status": "filled",
        "dataset_kind": kind,
        "source_sha256": row["source_sha256"],
        "frame_index": row["frame_index"],
        "image_sha256": pixel_sha256(picture),
        "tile_sha256": tile_hashes(picture),
        # A template has few possible texts: a hash of them alone would tell its labels to whoever tries them all.
        "text_sha256": hmac.new(picture.tobytes(), texts_sha256(entry).encode(), "sha256").hexdigest(),
    }


def lock_scenarios(folder: Path, kinds: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the lock says of the scenarios in `folder`, and of those that were changed since, the changed file.

    `kinds` has the kind of every data set by its name.

    Raises
    ------
    Refusal
        When a picture or an entry is missing, or a picture does not decode.
    """
    entries = {entry["id"]: entry for entry in json.loads((folder / "scenarios.json").read_text(encoding="utf-8-sig"))}
    rows = read_rows(folder / "scenarios.parquet", scenarios.SCHEMA)
    locked, changed = {}, {}
    for row in sorted(rows, key=lambda row: natural(row["scenario_id"])):
        name = row["scenario_id"]
        if row["status"] == "refused":
            locked[name] = {"template": row["template"], "status": "refused"}
            continue
        path = folder / row["image"]["path"]
        try:
            entry, picture = entries[name], decode_picture(path.read_bytes())
        except (KeyError, OSError, UnreadablePicture):
            raise Refusal(f"{folder}: the entry or the picture of {name} is missing or broken; {REBUILD}") from None
        locked[name] = lock_scenario(row, kinds[row["dataset"]], entry, picture)
        if locked[name]["image_sha256"] != row["image_sha256"]:
            changed[name] = row["image"]["path"]
        elif texts_sha256(entry) != row["text_sha256"]:
            changed[name] = "scenarios.json"
    return locked, changed


def describe_run(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the scenarios of a run rest on beside the data.

    `spec` has `config`, the merged configuration; `datasets`, of each its kind and options; `code`, the version of each
    command.
    """
    state = git_state(ROOT)
    datasets = [
        {name: value for name, value in own.items() if name != "options"}
        | {name: own["options"][name] for name in OWN_OPTIONS if name in own["options"]}
        | {"card": card_version(own["kind"]), "code": code_version(module_name(own["kind"]))}
        for own in spec["datasets"].values()
    ]
    kept = {name: spec["config"][name] for name in CONFIGURATION}
    return {
        "configuration": {
            name: {key: each for key, each in value.items() if key not in PATHS} if isinstance(value, dict) else value
            for name, value in kept.items()
        },
        "datasets": sorted(datasets, key=canonical_json),
        "code": spec["code"],
        "commit": state["commit"] if state and not state["dirty"] else None,
        "versions": record_versions(),
        "lock_sha256": file_sha256(ROOT / "envs" / "requirements.lock"),
    }


def read_lock(path: Path) -> dict[str, Any]:
    """Return a lock, given as the file or as the release that it lies in.

    Raises
    ------
    Refusal
        When there is none, or it is not one.
    """
    path = path / NAME if path.is_dir() else path
    try:
        lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: no lock can be read ({error}); give a release's folder, or its {NAME}") from None
    if fault := first_fault("lock.schema.json", lock):
        raise Refusal(f"{path}: {fault}; is it a lock that Casebook wrote?")
    return lock
