"""A list of recipes: refused before anything runs where it is wrong, run one by one, and put into one table."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures import write_ddti_case
from workflow_scripts.command import Refusal
from workflow_scripts.metrics.compare_recipes import absolute, main, merged, read_recipes, read_yaml
from workflow_scripts.metrics.recipe_table import as_markdown, in_words
from workflow_scripts.provenance import ROOT

BASE: dict[str, Any] = {
    "datasets": {"clinic": {"kind": "ddti", "root": "data/clinic", "n_chunks": 1}},
    "preprocess": {"size": [64, 96]},
    "split": {"folds": 2},
    "model": {"encoder": "tu-lcnet_050", "epochs": 2, "batch_size": 4, "threads": 1},
}


def write(path: Path, value: Any) -> Path:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return path


def test_what_differs_is_laid_over_the_base_and_all_else_stays(tmp_path: Path) -> None:
    recipes = {"base": {}, "fpn": {"model": {"architecture": "FPN"}}, "large": {"preprocess": {"size": [256, 320]}}}
    found = read_recipes(write(tmp_path / "r.yaml", {"recipes": recipes}), BASE)
    assert list(found) == ["base", "fpn", "large"]
    config = found["fpn"][1]
    assert config["model"] == BASE["model"] | {"architecture": "FPN", "weights": None}
    assert config["learn"] is True
    assert found["large"][1]["preprocess"]["size"] == [256, 320]  # a list is replaced
    assert "architecture" not in BASE["model"]


@pytest.mark.parametrize(
    ("recipes", "said"),
    [
        ({"recipes": {"a": {"model": {"encodr": "x"}}}}, "recipe a: configuration: model.encodr is not an option"),
        ({"recipes": {"a": {"preprocess": {"size": 3}}}}, "recipe a: configuration: preprocess.size"),
        ({"recipes": {"../a": {}}}, "../a: write a name of letters"),
        ({"recipes": {"a": None}}, "a: write a name of letters, digits and hyphens, and its options"),
        ({"recipes": {}}, "expected `recipes:`"),
        (["a"], "expected options"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(tmp_path: Path, recipes: Any, said: str) -> None:
    path, base = write(tmp_path / "r.yaml", recipes), write(tmp_path / "base.yaml", BASE)
    with pytest.raises(Refusal) as refusal:
        main(["--recipes", str(path), "--base", str(base), "--out", str(tmp_path / "out")])
    assert f"casebook: {path}: " in str(refusal.value)
    assert said in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_relative_paths_start_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").touch()
    own = {"root": "a", "masks": {"nnunet": "nn"}, "groups": None}
    config = {"datasets": {"a": own, "b": {"root": "s3://bucket/b", "masks": "m"}}, "split": {"given": "s.csv"}}
    found = absolute(config | {"scenarios": {"templates": ["config/scenarios/thyroid.yaml", "own.yaml"]}})
    here = str(tmp_path)
    assert found["datasets"] == {
        "a": {"root": f"{here}/a", "masks": {"nnunet": f"{here}/nn"}, "groups": None},
        "b": {"root": "s3://bucket/b", "masks": f"{here}/m"},
    }
    assert found["split"]["given"] == f"{here}/s.csv"
    assert found["scenarios"]["templates"] == ["config/scenarios/thyroid.yaml", f"{here}/own.yaml"]


def test_the_recipes_that_ship_are_options_that_exist() -> None:
    found = read_recipes(ROOT / "config" / "recipes.yaml", BASE)
    (first, *_) = found.values()
    assert first[0] == {}  # all others are held against the defaults
    assert {config["model"]["architecture"] for _, config in found.values() if "architecture" in config["model"]} >= {
        "UnetPlusPlus",
        "DeepLabV3Plus",
        "FPN",
    }
    defaults = read_yaml(ROOT / "config" / "config.yaml")
    same = [name for name, (changes, _) in found.items() if changes and merged(defaults, changes) == defaults]
    assert not same, "a recipe that changes nothing"


def test_words_and_table() -> None:
    assert in_words({"model": {"encoder": "resnet34"}, "preprocess": {"size": [64, 96], "overlays": False}}) == (
        "model.encoder: resnet34; preprocess.size: [64, 96]; preprocess.overlays: false"
    )
    row = {"recipe": "a", "differs": "b", "failed": "no | such"}
    assert as_markdown([row]).splitlines()[2].count("|") == 11


def test_two_recipes_are_run_and_compared_and_a_third_that_fails_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="a lean environment has no torch")
    monkeypatch.chdir(tmp_path)
    for number in range(1, 9):
        write_ddti_case(tmp_path / "data" / "clinic", number, {1: None}, tirads="2" if number % 2 else "5")
    write(tmp_path / "base.yaml", BASE)
    gone = {"datasets": {"clinic": {"root": "gone"}}}
    write(tmp_path / "r.yaml", {"recipes": {"plain": {}, "gone": gone, "raw": {"preprocess": {"speckle": "none"}}}})
    arguments = ["--recipes", "r.yaml", "--base", "base.yaml", "--out", "out", "--cores", "2"]
    with pytest.raises(Refusal, match="compare_recipes: gone failed"):
        main(arguments)
    with (tmp_path / "out" / "recipes.csv").open(newline="") as file:
        rows = {row["recipe"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["plain", "gone", "raw"]
    assert "gone is not a folder" in rows["gone"]["failed"]
    assert rows["plain"]["dice_change"] == ""
    assert (rows["plain"]["n_frames"], rows["raw"]["n_compared"]) == ("4", "4")
    change = float(rows["raw"]["dice"]) - float(rows["plain"]["dice"])  # one frame a patient
    assert float(rows["raw"]["dice_change"]) == pytest.approx(change)
    assert float(rows["raw"]["dice_change_low"]) <= change <= float(rows["raw"]["dice_change_high"])
    assert float(rows["raw"]["training_minutes"]) > 0
    assert int(rows["raw"]["parameters"]) > 100_000
    assert "| raw | preprocess.speckle: none | 4 (4) |" in capfd.readouterr().out
    folds = [tmp_path / "out" / name / "results" / "model" / "folds.parquet" for name in ("plain", "raw")]
    assert folds[0].read_bytes() == folds[1].read_bytes()

    weights = sorted((tmp_path / "out").glob("*/results/model/*/*.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    with pytest.raises(Refusal):
        main(arguments)
    assert [path.stat().st_mtime_ns for path in weights] == before  # nothing is trained twice

    write(tmp_path / "r.yaml", {"recipes": {"gone": gone, "plain": {}}})
    with pytest.raises(Refusal, match="gone, which the others are held against, failed: .*gone is not a folder"):
        main(arguments)
