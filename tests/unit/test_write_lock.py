"""The lock: the same of the same data, whatever they are called, and nothing in it that may not leave the building."""

import hmac
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.unit.scenario_tables import House, benign, disc, speckle
from tests.unit.test_write_scenarios import SURGERY
from workflow_scripts.command import Refusal
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT, canonical_json, pixel_sha256
from workflow_scripts.release.write_lock import main

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def one_case(size: int, **changes: Any) -> dict[str, Any]:
    """Return a template that only a case of that size in mm can take."""
    where = {"pathology": "benign", "largest_mm": {"at_least": size, "below": size + 1}}
    return SURGERY | {"name": f"of-{size}-mm", "id": f"scenario_{100 + size}", "where": where} | changes


def spec_of(**config: Any) -> dict[str, Any]:
    """Return the parameters of the two commands, as the rules hand them over."""
    options = {"columns": {"file": "secret_column"}, "table": "secret.csv", "fetch": {}, "body_part": "thyroid"}
    own = {"kind": "ddti", "frames": "all", "outlines": "nodule", "window": None, "options": options}
    code = {"scenarios.write_scenarios": "0" * 16}
    return {"config": CONFIG | config, "datasets": {"clinic": own}, "code": code}


def write_lock(house: House, **config: Any) -> Path:
    """Lock the scenarios that a house ran last, and return the file."""
    lock = house.folder / "scenarios" / "casebook.lock.json"
    spec = canonical_json(spec_of(**config))
    asked = house.folder / "templates.yaml"
    main(["--scenarios", str(lock.parent), "--spec", spec, "--templates", str(asked), "--lock", str(lock)])
    return lock


def built(folder: Path, *sizes: int, name: str = "case") -> House:
    """Return a house with a case of each size, the picture of each its own."""
    folder.mkdir()
    house = House(folder)
    for size in sizes:
        house.add(benign(f"{name}{size}", largest_mm=size + 0.5), [(speckle(size), disc(9))])
    return house


def test_the_lock_says_of_each_scenario_what_a_rebuild_must_give(tmp_path: Path) -> None:
    house, templates = built(tmp_path / "a", 10), [one_case(10), one_case(11)]
    _, rows = house.run(*templates)
    text = write_lock(house).read_text()
    lock = json.loads(text)
    assert text == json.dumps(lock, indent=2, sort_keys=True) + "\n"
    picture = house.picture("scenario_110")
    assert lock["scenarios"] == {
        "scenario_110": {
            "template": "of-10-mm",
            "status": "filled",
            "dataset_kind": "ddti",
            "source_sha256": pixel_sha256(speckle(10)),
            "frame_index": 0,
            "image_sha256": pixel_sha256(picture),
            "tile_sha256": rows[0]["tile_sha256"],
            "text_sha256": hmac.new(picture.tobytes(), rows[0]["text_sha256"].encode(), "sha256").hexdigest(),
        },
        "scenario_111": {"template": "of-11-mm", "status": "refused"},
    }
    assert lock["templates"] == templates
    assert lock["run"]["configuration"]["scenarios"]["seed"] == 0
    assert lock["run"]["versions"]["numpy"] == np.__version__


def test_two_holders_who_call_their_cases_otherwise_get_the_same_lock(tmp_path: Path) -> None:
    templates, locks = [one_case(10), one_case(20)], []
    for name, sizes in {"a": (10, 20), "mine": (20, 10)}.items():
        house = built(tmp_path / name, *sizes, name=name)
        house.run(*templates)
        locks.append(write_lock(house).read_bytes())
    assert locks[0] == locks[1]


def test_nothing_that_names_a_case_a_file_a_host_or_a_place_is_in_the_lock(tmp_path: Path) -> None:
    house, templates = built(tmp_path / "a", 10), [one_case(10), one_case(11)]
    _, rows = house.run(*templates)
    secret = {
        "fetch": CONFIG["fetch"] | {"hosts": ["secret.example.org"]},
        "model": CONFIG["model"] | {"weights": "/secret/w.safetensors", "encoder_weights": "/secret/e.safetensors"},
        "split": CONFIG["split"] | {"given": "/secret/folds.csv"},
        "scenarios": CONFIG["scenarios"] | {"templates": ["/secret/t.yaml"], "update": "/secret/scenarios.json"},
        "verify": "/secret/release",
    }
    text = write_lock(house, **secret).read_text()
    for word in ("secret", "clinic", "case10", str(tmp_path), rows[1]["reason"], rows[0]["ground_truth"], "12.5"):
        assert word not in text
    assert rows[0]["text_sha256"] not in text, "a hash of a text with few possible labels tells them to who tries all"


@pytest.mark.parametrize("edited", ["images/scenario_110.png", "scenarios.json"])
def test_what_was_changed_by_hand_is_not_locked(tmp_path: Path, edited: str) -> None:
    house, templates = built(tmp_path / "a", 10), [one_case(10)]
    house.run(*templates)
    path = house.folder / "scenarios" / edited
    if edited.endswith(".png"):
        picture = house.picture("scenario_110")
        picture[0, 0] ^= 1
        path.write_bytes(encode_png(picture))
    else:
        path.write_text(path.read_text().replace("10.5 mm", "10.6 mm"))
    with pytest.raises(Refusal, match=f"{edited}: scenario_110 was changed since it was written"):
        write_lock(house)


def test_a_missing_picture_is_said(tmp_path: Path) -> None:
    house, templates = built(tmp_path / "a", 10), [one_case(10)]
    house.run(*templates)
    (house.folder / "scenarios" / "images" / "scenario_110.png").unlink()
    with pytest.raises(Refusal, match="the picture of scenario_110 is missing"):
        write_lock(house)
