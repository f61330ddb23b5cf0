"""Learning inside the workflow: the same on any number of cores, and every way in that a user may have."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from tests.fixtures import scan
from tests.workflow.conftest import LEARN, Lab, ask
from workflow_scripts.provenance import file_sha256
from workflow_scripts.tables import folds, masks, scores
from workflow_scripts.tables.table import read_many, read_rows

pytest.importorskip("torch", reason="a lean environment has no torch")

LEARNING = {
    "split_cases",
    "train_model",
    "predict_masks",
    "score_masks",
    "summarise_scores",
    "flag_cases",
    "gather_flags",
}
LEARNING |= {"fit_quality", "estimate_quality", "monitor_batches", "measure_nodules", "validate_descriptors"}
LEARNING |= {"embed_nodules", "train_grader", "write_features"}


def test_nobody_is_on_both_sides(learnt: Lab) -> None:
    results = learnt.place / "results"
    dealt = read_rows(results / "model" / "folds.parquet", folds.SCHEMA)
    held_out = {(row["dataset"], row["case_id"]) for row in dealt if row["fold"] == 0}
    assert held_out
    scored = read_many(results.glob("datasets/*/scores/**/*.parquet"), scores.SCHEMA)
    assert {(row["dataset"], row["case_id"]) for row in scored} == held_out
    summary = json.loads((results / "report" / "summary.json").read_text())["segmentation"]
    (model,) = summary["models"].values()
    assert model["overall"]["n_frames"] == len(scored)
    assert model["overall"]["dice"]["verdict"] in {"fail", "undecided", "pass"}
    assert not learnt.ran()


def test_one_core_and_two_cores_give_the_same_weights_masks_and_figures(learnt: Lab, lab: Lab) -> None:
    ask(lab, LEARN).ran(cores=1)
    assert lab.products() == learnt.products()


def test_a_new_option_of_the_model_trains_anew_and_touches_nothing_before(learnt: Lab, tmp_path: Path) -> None:
    shutil.copytree(learnt.folder, tmp_path / "lab")
    lab = Lab(tmp_path / "lab")
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(text.replace("epochs: 2", "epochs: 1"))
    assert set(lab.planned()) == LEARNING - {"split_cases"} | {"write_lock", "write_report", "record_provenance"}


def test_a_model_of_ones_own_predicts_everything_and_trains_nothing(learnt: Lab, lab: Lab) -> None:
    weights = lab.place / "own.safetensors"
    shutil.copy(next((learnt.place / "results" / "model").glob("*/fold-0.safetensors")), weights)
    given = f"model: {{weights: own.safetensors, weights_sha256: {file_sha256(weights)}, threads: 1}}\n"
    ran = ask(lab, "\nlearn: true\npreprocess: {size: [64, 96]}\n" + given).ran()
    assert not set(ran) & {"split_cases", "train_model"}
    found = read_many((lab.place / "results").glob("datasets/*/masks/own/given/*.parquet"), masks.SCHEMA)
    assert len(found) == 8 + 4 * 3  # every frame of both data sets
    ask(lab, "")
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(text.replace(file_sha256(weights), "f" * 64))
    done = lab.run()
    assert done.returncode == 1
    assert f"has the hash {file_sha256(weights)}, expected {'f' * 64}" in done.stdout


def test_masks_of_ones_own_are_scored_without_a_model(lab: Lab) -> None:
    folder = lab.place / "mymasks"
    folder.mkdir()
    for number in range(1, 9):
        mask = scan(number * 100 + 1, (180, 280))[1]
        cv2.imwrite(str(folder / f"{number}_1.png"), mask * 255 if number > 2 else mask[:90] * 255)
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(text.replace("kind: ddti", "kind: ddti\n    masks: mymasks"))
    ran = lab.ran()
    assert "train_model" not in ran
    summary = json.loads((lab.place / "results" / "report" / "summary.json").read_text())["segmentation"]
    overall = summary["models"]["given-masks"]["overall"]
    assert overall["n_frames"] == 6  # two are of another grid, and in quarantine
    assert overall["dice"]["mean"] > 0.99
    page = (lab.place / "results" / "report" / "index.html").read_text()
    assert "280" in page
    assert "1_1.png" in page
