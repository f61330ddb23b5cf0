"""What a grader may learn, what it must not, and what it says when there is nothing to learn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from tests.unit.grader_tables import ACR, KWAK, MODEL, N_FOLDS, Clinic, learnt, spec, write_folds
from workflow_scripts.roc import area_under_roc
from workflow_scripts.tables import learned_grades
from workflow_scripts.tables.table import read_rows
from workflow_scripts.tirads import grader_figures, grader_model, train_grader
from workflow_scripts.tirads.grader_figures import Told

LEVELS = ["2", "4a", "5"]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader_figures, "RESAMPLES", 200)
    monkeypatch.setattr(grader_model, "REPEATS", 1)
    monkeypatch.setattr(grader_model, "INNER_FOLDS", 3)


def even(n: int, levels: list[str] = LEVELS) -> list[str | None]:
    """Return levels of which each fold holds as many as any other: folds go by the group's number."""
    return [levels[k // N_FOLDS % len(levels)] for k in range(n)]


def places(levels: list[str | None]) -> np.ndarray:
    return np.array([LEVELS.index(str(level)) for level in levels], float)


def span(found: dict[str, Any], arm: str, name: str) -> tuple[float, float]:
    low, high = found["arms"][arm][name]["interval"]
    return low, high


def test_a_planted_signal_is_found_where_it_lies_and_nowhere_else(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(72))
    clinic.blocks["features"][:, 2] += 2 * places(clinic.levels)
    clinic.by_model = np.random.default_rng(3).normal(size=(72, 6))
    found = learnt(clinic)[0]["tasks"][KWAK]
    assert span(found, "picture", "kappa")[0] > 0.46
    assert span(found, "all", "auc")[0] > 0.8
    assert found["arms"]["all"]["ece"]["value"] < 0.15
    for arm in ("measured", "clinical", "control", "view"):
        assert found["arms"][arm]["kappa"]["value"] < 0.3
    assert found["control_at_chance"] is True
    assert found["arms"]["all"]["above_control"]["kappa"]["interval"][0] > 0
    assert found["arms"]["majority"]["kappa"]["value"] <= 0
    assert {mark["figure"]: mark["verdict"] for mark in found["marks"]}["kappa"] == "pass"
    # Outlined by the model, the picture shows nothing of it.
    again = found["outlined_by_model"]
    assert again["n_cases"] == 72
    assert again["arms"]["model"]["kappa"]["value"] < again["arms"]["expert"]["kappa"]["value"] - 0.2


def test_what_one_training_knows_and_another_does_not_is_left_out(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(72))
    clinic.other = [{"age": 50 if k == 0 else None, "sex": None} for k in range(72)]  # its own fold's training lacks it
    found = learnt(clinic)[0]["tasks"][KWAK]
    assert "clinical" not in found["arms"]
    assert found["arms"]["all"]["kappa"]["interval"] is not None


def test_the_control_raises_the_alarm_where_a_grade_is_still_in_the_picture(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(72))
    for name in ("features", "control"):
        clinic.blocks[name][:, 0] += 2 * places(clinic.levels)
    found = learnt(clinic)[0]["tasks"][KWAK]
    assert found["control_at_chance"] is False
    assert abs(found["arms"]["picture"]["above_control"]["kappa"]["value"]) < 0.25


def test_labels_that_are_noise_give_chance(tmp_path: Path) -> None:
    found = learnt(Clinic(tmp_path, even(72)))[0]["tasks"][KWAK]
    for arm in ("all", "picture", "measured"):
        assert span(found, arm, "kappa")[0] < 0 < span(found, arm, "kappa")[1]
        assert span(found, arm, "auc")[0] < 0.5 < span(found, arm, "auc")[1]


def test_a_feature_that_remembers_the_patient_gives_chance(tmp_path: Path) -> None:
    n, each = 192, 4
    of_group = even(n // each)
    clinic = Clinic(tmp_path, [of_group[k // each] for k in range(n)], cases_a_group=each)
    clinic.blocks["features"] = np.repeat(np.random.default_rng(5).normal(size=(n // each, 40)), each, axis=0)
    clinic.by_model = clinic.blocks["features"]
    figures, _ = learnt(clinic)
    found = figures["tasks"][KWAK]
    assert found["n_groups"] == n // each
    assert span(found, "picture", "kappa")[0] < 0 < span(found, "picture", "kappa")[1]


def test_systems_and_histology_are_never_mixed(tmp_path: Path) -> None:
    one, other = Clinic(tmp_path, even(72)), Clinic(tmp_path, even(72, ["TR2", "TR3", "TR5"]), seed=1)
    other.system = ACR
    one.blocks["features"][:, 0] += 2 * places(one.levels)
    where = np.array([["TR2", "TR3", "TR5"].index(str(level)) for level in other.levels])
    other.blocks["features"][:, 0] -= 2.0 * where  # the other way round: who mixes them learns nothing
    sick = np.random.default_rng(2).random(72) < 0.5
    other.blocks["features"][:, 1] += 3 * sick
    for row, malignant in zip(other.other, sick, strict=True):
        row |= {"pathology": "malignant" if malignant else "benign", "label_source": "histology"}
    one.other[0] |= {"pathology": "malignant"}  # by a radiologist
    one.write("a"), other.write("b")
    figures, rows = train_grader.train_grader(
        tmp_path / "datasets", write_folds(tmp_path, a=one, b=other), spec("a", "b")
    )
    assert set(figures["tasks"]) == {ACR, KWAK, "histology"}
    for task in (ACR, KWAK):
        assert span(figures["tasks"][task], "picture", "kappa")[0] > 0.4
    assert span(figures["tasks"]["histology"], "picture", "auc")[0] > 0.8
    assert "kappa" not in figures["tasks"]["histology"]["arms"]["all"]
    assert {(row["dataset"], row["system"]) for row in rows} == {("a", KWAK), ("b", ACR)}
    assert {row["level"] for row in rows if row["dataset"] == "b"} <= {"TR2", "TR3", "TR5"}
    assert all((row["p_malignant"] is None) == (row["dataset"] == "a") for row in rows)


def test_only_the_fold_that_the_network_never_saw_is_graded(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, [*even(72), None, None, None])
    figures, rows = learnt(clinic, tested=("0",))
    assert {row["fold"] for row in rows} == {"0"}
    assert len(rows) == figures["held_out"] == 38
    assert figures["tasks"][KWAK]["n_cases"] == 36
    alone = next(row for row in rows if row["radiologist"] is None)  # nobody graded it: predicted, and in no figure
    assert alone["level"] in LEVELS
    assert sum(value for _, value in alone["probabilities"]) == pytest.approx(1)
    assert alone["source"] == "picture, measured, clinical"


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        (["4a"] * 60, "one class only"),
        (["2"] * 5 + ["4a"] * 55, "too few to learn from (groups by label: 4a: 55, 2: 5)"),
        ([None] * 60, "nothing to learn"),
        ([None, "2", None, "4a"] * 15, "no labelled case in the folds that are tested"),
    ],
)
def test_it_abstains_with_one_line(tmp_path: Path, levels: list[str | None], told: str) -> None:
    figures, rows = learnt(Clinic(tmp_path, levels), tested=("0",))
    line = figures["abstained"] or figures["tasks"][KWAK]["abstained"]
    assert told in line
    assert "\n" not in line
    assert rows == []


def test_a_level_with_too_few_groups_is_left_out_and_named(tmp_path: Path) -> None:
    figures, rows = learnt(Clinic(tmp_path, [*even(72), "3", "3"]))
    found = figures["tasks"][KWAK]
    assert found["left_out"] == {"3": 2}
    assert found["levels"] == LEVELS
    assert found["n_cases"] == 72
    assert len(rows) == 74


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(60)).write()
    folds = write_folds(tmp_path, clinic=clinic)
    written = []
    for run in ("one", "two"):
        out = tmp_path / run
        arguments = ["--datasets", str(tmp_path / "datasets"), "--folds", str(folds), "--spec", json.dumps(spec())]
        train_grader.main([*arguments, "--figures", str(out / "grader.json"), "--grades", str(out / "g.parquet")])
        written.append([(out / name).read_bytes() for name in ("grader.json", "g.parquet")])
    assert written[0] == written[1]
    assert len(read_rows(tmp_path / "one" / "g.parquet", learned_grades.SCHEMA)) == 60


def test_a_given_network_deals_the_cases_itself_by_patient(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(90), cases_a_group=2)
    clinic.blocks["features"][:, 2] += 2 * places(clinic.levels)
    clinic.write()
    where = tmp_path / "datasets" / "clinic" / "embeddings" / MODEL
    (where / "0").rename(where / "given")
    figures, rows = train_grader.train_grader(tmp_path / "datasets", None, spec(tested=("given",)))
    assert len(rows) == 90
    fold_of: dict[str, set[str]] = {}
    for row in rows:
        fold_of.setdefault(row["group_id"], set()).add(row["fold"])
    assert {len(folds) for folds in fold_of.values()} == {1}
    assert len(set().union(*fold_of.values())) == 5
    assert span(figures["tasks"][KWAK], "picture", "kappa")[0] > 0.4


def test_who_is_sure_of_the_other_side_sends_the_case_to_review(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(60, ["2", "5"]))
    high = np.array([level == "5" for level in clinic.levels])
    clinic.blocks["features"][:, 0] += 8 * high
    wrong = int(np.flatnonzero(~high)[0])
    clinic.blocks["features"][wrong, 0] += 8  # its picture is that of a level 5
    rows = {row["case_id"]: row for row in learnt(clinic)[1]}
    told = rows[str(wrong)]["disagreement"]
    assert told.startswith("the radiologist states Kwak 2011 level 2; learnt from other cases: 5, high (levels 5)")
    assert sum(row["disagreement"] is not None for row in rows.values()) == 1


def test_the_figures_are_those_of_the_field() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
        kappa = cohen_kappa_score(one, other, weights="quadratic")
        assert grader_figures.quadratic_kappa(one, other) == pytest.approx(kappa)
        high, p_high = rng.random(40) < 0.7, rng.random(40).round(1)
        assert area_under_roc(high, p_high, np.ones((1, len(high))))[0] == pytest.approx(roc_auc_score(high, p_high))
    # 10 cases at 0.25 of which 5 are high, 10 at 0.95 of which all are: (0.25 + 0.05) / 2
    told = Told(np.zeros(20, int), np.zeros(20, int), np.arange(20) >= 5, np.repeat([0.25, 0.95], 10))
    assert grader_figures.binary_figures(told)["ece"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("span", "verdict"), [([0.47, 0.6], "pass"), ([0.3, 0.5], "undecided"), ([0.1, 0.4], "fail"), (None, "undecided")]
)
def test_a_mark_is_held_against_the_interval(span: list[float] | None, verdict: str) -> None:
    held = grader_figures.hold_against_marks({"kappa": {"value": 0.5, "interval": span}})
    assert [row["verdict"] for row in held] == [verdict]


def test_of_the_calibration_error_less_is_better() -> None:
    assert [
        grader_figures.hold_against_marks({"ece": {"value": 0.05, "interval": span}})[0]["verdict"]
        for span in ([0.02, 0.07], [0.02, 0.2], [0.1, 0.2])
    ] == ["pass", "undecided", "fail"]


def test_what_is_not_known_of_a_case_is_a_category_and_never_a_number_of_its_own(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(72))
    # Who is of level 5 came without an age, and of none is a side known; a word in test that training lacks.
    for row, level in zip(clinic.other, clinic.levels, strict=True):
        row |= {"age": None if level == "5" else 40, "sex": None}
    clinic.other[0] |= {"laterality": "isthmus", "blood_flow": "血流丰富"}
    found = learnt(clinic)[0]["tasks"][KWAK]
    assert span(found, "clinical", "kappa")[0] > 0.2  # that it is missing tells


def test_levels_that_are_all_low_are_told_apart_all_the_same(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, even(72, ["2", "3"]))
    clinic.blocks["features"][:, 0] += 4 * np.array([level == "3" for level in clinic.levels])
    figures, rows = learnt(clinic)
    found = figures["tasks"][KWAK]
    assert span(found, "all", "kappa")[0] > 0.3
    assert "auc" not in found["arms"]["all"]
    assert {row["p_high"] for row in rows} == {None}
