"""The configuration: documented, checked, and refused in one line that says what to do."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.command import Refusal
from workflow_scripts.configuration import SCHEMAS, check_config, dataset_options, load_templates
from workflow_scripts.provenance import ROOT


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    return loaded | {"datasets": {"clinic-a": {"kind": "ddti", "root": "/"}}}


def test_defaults_hold_every_option_of_the_schema(config: dict[str, Any]) -> None:
    check_config(config)
    schema = json.loads((SCHEMAS / "config.schema.json").read_text())
    assert set(schema["properties"]) == set(config)
    for section in ("preprocess", "scenarios"):
        assert set(schema["properties"][section]["properties"]) == set(config[section])
    documented = (ROOT / "config" / "config.yaml").read_text()
    entry = schema["properties"]["datasets"]["additionalProperties"]["properties"]
    assert all(f"#   {name} " in documented for name in entry)
    assert entry["kind"]["enum"] == sorted(
        path.stem.replace("_", "-") for path in (ROOT / "workflow_scripts" / "collections").glob("*.yaml")
    )


def test_no_data_set_shows_an_example(config: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="no data set is named") as refusal:
        check_config(config | {"datasets": {}})
    example = yaml.safe_load(str(refusal.value).split("\n\n")[1])
    check_config(config | example)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("limt",), 3, "limt is not an option; did you mean limit?"),
        (("preprocess", "speckel"), "median", "preprocess.speckel is not an option; did you mean speckle?"),
        (("preprocess", "speckle"), "mean", "preprocess.speckle: 'mean' is not one of"),
        (("datasets", "clinic-a", "root"), None, "datasets.clinic-a.root is empty; expected a text"),
        (("datasets", "clinic-a"), None, "datasets.clinic-a is empty; expected options, indented below it"),
        (("datasets", "My Clinic"), {"root": "/"}, "'My Clinic' is no name; write small letters, digits and hyphens"),
        (("datasets", "clinic-a", "kind"), "ddtl", "datasets.clinic-a.kind: 'ddtl' is not one of"),
        (("frames",), "first", 'frames: "first" is none of the forms'),
        (("limit",), 0, "limit: 0 is less than the minimum"),
    ],
)
def test_a_wrong_option_is_one_line(
    config: dict[str, Any], path: tuple[str, ...], value: object, expected: str
) -> None:
    wrong = copy.deepcopy(config)
    place = wrong
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(Refusal) as refusal:
        check_config(wrong)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_own_options_come_before_general_ones_and_the_cards(config: dict[str, Any]) -> None:
    config["datasets"]["thyroid-cineclip"] = {"root": "/", "frames": "middle", "n_chunks": 3}
    options = dataset_options(config)
    assert list(options) == ["clinic-a", "thyroid-cineclip"]
    assert options["thyroid-cineclip"]["kind"] == "thyroid-cineclip"
    assert (options["thyroid-cineclip"]["frames"], options["thyroid-cineclip"]["n_chunks"]) == ("middle", 3)
    assert (options["clinic-a"]["frames"], options["clinic-a"]["n_chunks"]) == ("all", 8)


def test_a_name_that_is_no_kind_asks_for_one(config: dict[str, Any]) -> None:
    with pytest.raises(
        Refusal, match=r"datasets.clinic.kind: clinic is not known; write one of .*ddti, .*thyroid-cineclip"
    ):
        dataset_options(config | {"datasets": {"clinic": {"root": "/"}}})


def test_a_missing_template_file_is_named() -> None:
    with pytest.raises(Refusal, match="scenarios.templates: nothing.yaml is not a file, nor a folder"):
        load_templates(["nothing.yaml"])


def test_a_missing_folder_is_named(config: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="datasets.a.root: /no/where is not a folder"):
        dataset_options(config | {"datasets": {"a": {"kind": "ddti", "root": "/no/where"}}})


def test_case_ids_may_be_written_as_numbers(config: dict[str, Any]) -> None:
    config["datasets"]["clinic-a"]["accept"] = [12, "33"]
    check_config(config)
    assert dataset_options(config)["clinic-a"]["accept"] == ["12", "33"]


@pytest.mark.parametrize(("text", "expected"), [("[{", "cannot be read as JSON"), ("{}", "no list of scenarios")])
def test_a_broken_file_to_update_is_found_before_any_work(
    config: dict[str, Any], tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "s.json").write_text(text)
    config["scenarios"]["update"] = str(tmp_path / "s.json")
    with pytest.raises(Refusal, match=expected):
        check_config(config)
    with pytest.raises(Refusal, match="cannot be read"):
        check_config(config | {"scenarios": config["scenarios"] | {"update": str(tmp_path / "none.json")}})
