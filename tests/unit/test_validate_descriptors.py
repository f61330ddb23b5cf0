"""Measured descriptors against what was said: what the phantoms show, and what nobody can learn is not learnt."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

metrics = pytest.importorskip("sklearn.metrics", reason="a lean environment has no scikit-learn")

from tests.nodule_pictures import measured_phantoms  # noqa: E402
from workflow_scripts.demo.nodules import CYSTIC, HYPERECHOIC, NO_FOCI, SMOOTH, SOLID, TALLER  # noqa: E402
from workflow_scripts.report.summarise_descriptors import summarise_descriptors  # noqa: E402
from workflow_scripts.report.write_report import page_templates  # noqa: E402
from workflow_scripts.tables import cases, folds, nodules  # noqa: E402
from workflow_scripts.tables.table import write_rows  # noqa: E402
from workflow_scripts.tirads.agreement import agreement, verdict  # noqa: E402
from workflow_scripts.tirads.validate_descriptors import READ_FROM, main, validate, words_of  # noqa: E402

ROWS = 180  # of the phantoms' field


@pytest.fixture(scope="module")
def phantoms() -> list[Any]:
    return measured_phantoms(100, (ROWS, 230))


def said_of(phantoms: list[Any], name: str) -> dict[str, str]:
    return {row["case_id"]: nodule.descriptors[name] for nodule, row in phantoms}


@pytest.mark.parametrize(
    ("name", "truth", "least"),
    [("composition", "composition", 0.6), ("echogenicity", "echogenicity", 0.5), ("foci", "echogenic_foci", 0.7)],
)
def test_the_phantoms_are_read_as_they_were_drawn(phantoms: list[Any], name: str, truth: str, least: float) -> None:
    said = said_of(phantoms, truth)
    found = validate([row for _, row in phantoms], said, {case: case for case in said}, READ_FROM[name], 0)
    assert found["n"] == 100
    assert found["kappa"]["value"] > least


def test_the_phantoms_measures_are_those_of_their_truth(phantoms: list[Any]) -> None:
    for nodule, row in phantoms:
        if nodule.margin == SMOOTH:
            assert row["longest_px"] == pytest.approx(2 * max(nodule.radii[:2]) * ROWS, rel=0.06)
        if abs(np.log(nodule.radii[0] / nodule.radii[1])) > 0.1:
            assert (row["tall_over_wide"] > 1) == (nodule.shape == TALLER)

    def middle(column: str, **said: str) -> float:
        return float(
            np.median([row[column] for one, row in phantoms if all(one.descriptors[k] == v for k, v in said.items())])
        )

    assert middle("cystic_share", composition=CYSTIC) > 0.6 > 0.1 > middle("cystic_share", composition=SOLID)
    assert middle("echogenicity", echogenicity=HYPERECHOIC, composition=SOLID, echogenic_foci=NO_FOCI) > 0.3
    lobulated = middle("margin_irregularity", margin="lobulated or irregular")
    assert lobulated > 5 * middle("margin_irregularity", margin=SMOOTH)


def test_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth, group = rng.integers(0, 3, 200), rng.integers(0, 60, 200)
    scores = rng.dirichlet(np.ones(3), 200).round(1) + 0.5 * np.eye(3)[truth]
    found = agreement(truth, scores, group, seed=0)
    read = scores.argmax(axis=1)
    assert found["kappa"]["value"] == pytest.approx(metrics.cohen_kappa_score(truth, read))
    assert found["balanced_accuracy"]["value"] == pytest.approx(metrics.balanced_accuracy_score(truth, read))
    for k in range(3):
        assert found["auc"][k]["value"] == pytest.approx(metrics.roc_auc_score(truth == k, scores[:, k]))
        low, high = found["auc"][k]["interval"]
        assert low < found["auc"][k]["value"] < high
    assert sum(map(sum, found["confusion"])) == 200
    assert agreement(truth, scores, group, seed=0) == found


def test_noise_is_not_read_and_a_group_is_never_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    # Ten cases of a group are alike in measure and word: who lets them on both sides reads them by heart.
    rows = [{"case_id": str(k), "tall_over_wide": value} for k, value in enumerate(np.repeat(rng.normal(size=40), 10))]
    said = {str(k): word for k, word in enumerate(np.repeat(rng.choice(["wide", "tall"], 40), 10).tolist())}
    found = validate(rows, said, {str(k): str(k // 10) for k in range(400)}, ("tall_over_wide",), 0)
    assert (found["n"], found["groups"]) == (400, 40)
    assert found["kappa"]["interval"][0] <= 0
    assert found["verdict"] == "not shown to be read from the pixels: the interval reaches chance"
    assert verdict({"value": 0.5, "interval": [0.3, 0.7]}) == "agrees moderately"


def test_rare_words_and_cases_without_outline_are_left_out_and_told() -> None:
    rows = [{"case_id": str(k), "tall_over_wide": float(k)} for k in range(30)]
    rows[4]["tall_over_wide"] = None
    said = {str(k): "wide" if k < 27 else "tall" for k in range(31)}
    found = validate(rows, said, {str(k): str(k) for k in range(31)}, ("tall_over_wide",), 0)
    assert found["left_out"] == {"tall": 3, "(no outline measured)": 2}
    assert "kappa" not in found  # one word is left


def test_words_go_before_points_and_spellings_are_one() -> None:
    rows: list[dict[str, Any]] = [
        {"case_id": "1", "margin": "ill- defined", "margin_points": 0, "shape": None, "shape_points": 3},
        {"case_id": "2", "margin": "ill defined ", "margin_points": 0, "shape": None, "shape_points": 0},
        {"case_id": "3", "margin": None, "margin_points": 2, "shape": None, "shape_points": None},
    ]
    assert words_of(rows, "margin") == {"1": "ill defined", "2": "ill defined"}
    assert words_of(rows, "shape") == {"1": "3 points (ACR)", "2": "0 points (ACR)"}


def test_the_command_and_its_part_of_the_report(tmp_path: Path) -> None:
    said = ["hypoechogenicity", "isoechogenicity "]
    table = [
        {"case_id": str(k), "group_id": f"g{k}", "label_source": "radiologist", "echogenicity": said[k % 2]}
        | {"composition": "solid" if k else "cystic"}
        for k in range(40)
    ]
    looks = {"heterogeneity": 1.0, "cystic_share": 0.0, "relative_grey": 0.5}
    measured = [
        looks | {"case_id": row["case_id"], "outlined_by": who, "echogenicity": sign * (k % 2 - 0.5) + 0.01 * k}
        for k, row in enumerate(table)
        for who, sign in ((nodules.EXPERT, 1), ("net", -1))  # a model's outlines do not count
    ]
    joined = [{"dataset": "mine", "case_id": "1", "group_id": "mine/g0", "fold": 0}]
    write_rows(tmp_path / "datasets/mine/chunks/000.parquet", table, cases.SCHEMA)
    write_rows(tmp_path / "datasets/mine/nodules/000.parquet", measured, nodules.SCHEMA)
    write_rows(tmp_path / "folds.parquet", joined, folds.SCHEMA)
    spec = json.dumps({"datasets": ["mine"], "seed": 0})
    out = tmp_path / "descriptors.json"
    main(
        [
            *("--datasets", str(tmp_path / "datasets"), "--folds", str(tmp_path / "folds.parquet")),
            *("--spec", spec, "--descriptors", str(out)),
        ]
    )
    found = json.loads(out.read_text())["datasets"]["mine"]["descriptors"]
    assert (found["echogenicity"]["n"], found["echogenicity"]["groups"]) == (40, 39)
    assert found["echogenicity"]["kappa"]["value"] > 0.9
    assert set(found) == {"composition", "echogenicity"}

    summary = {"descriptors": summarise_descriptors(out)}
    page = page_templates().get_template("descriptors.html").render(summary=summary)
    assert "n = 40 cases of 39 groups" in page
    assert "Too few to learn from" in page
