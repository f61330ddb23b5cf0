"""Models side by side: the same frames, differences by patient, and every frame that is left out said."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.score_tables import score_row
from workflow_scripts.command import Refusal
from workflow_scripts.metrics.compare import as_text, compare_models, main
from workflow_scripts.report.summarise_comparison import draw_differences, summarise_comparison
from workflow_scripts.report.write_report import page_templates
from workflow_scripts.tables import cases, scores
from workflow_scripts.tables.table import write_rows

PATIENTS = {"c1": "p1", "c2": "p2", "c3": "p3"}  # of the cases
Scored = Sequence[tuple[str, int, float | None]]  # case, frame, Dice


class Run:
    """The folder <results>/datasets with scores of several models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = {"models": {}, "datasets": {}, "seed": 0}

    def add(self, model: str, scored: Scored, *, dataset: str = "d", fold: str = "0", **changes: Any) -> "Run":
        """Write the scores of one model; `joined` names the group that folds made of all cases."""
        joined = changes.pop("joined", None)
        rows = []
        for case, frame, dice in scored:
            about: dict[str, Any] = {"frame_id": f"{case}/{frame}", "case_id": case, "dataset": dataset}
            about |= {"model": model, "fold": fold}
            about |= {"group_id": joined or f"{dataset}/{PATIENTS[case]}", "hd95": 10 - 10 * dice if dice else None}
            rows.append(score_row(frame, dice) | about | changes)
        own = self.folder / dataset
        write_rows(own / "scores" / model / fold / "000.parquet", rows, scores.SCHEMA)
        write_rows(
            own / "chunks" / "000.parquet",
            [{"case_id": case, "group_id": patient} for case, patient in PATIENTS.items()],
            cases.SCHEMA,
        )
        self.spec["models"].setdefault(model, []).append(fold)
        self.spec["datasets"].setdefault(dataset, []).append(model)
        return self

    def compare(self) -> dict[str, Any]:
        """Return the one comparison."""
        (found,) = compare_models(self.folder, self.spec)["comparisons"]
        return found


def test_all_models_are_held_to_the_frames_that_all_of_them_scored(tmp_path: Path) -> None:
    run = Run(tmp_path).add("a", [("c1", 0, 0.8), ("c1", 1, 0.2), ("c2", 0, 0.6), ("c3", 0, None)])
    run.add("b", [("c1", 0, 0.9), ("c2", 0, 0.5), ("c3", 0, 0.7)], fold="given")
    found = run.compare()
    assert (found["n_frames"], found["n_patients"], found["n_groups"]) == (2, 2, 2)
    means = {about["model"]: about["dice"]["mean"] for about in found["models"]}
    assert means == {"a": pytest.approx(0.7), "b": pytest.approx(0.7)}  # not those of all its own frames
    said = as_text(found).splitlines()[0]
    assert said == (
        "d: 2 frames of 2 patients in 2 groups; 2 left out (1 with both masks empty with a, 1 not scored by b)"
    )


def test_a_patient_counts_once_however_many_frames_he_has(tmp_path: Path) -> None:
    many = [("c1", frame, 0.9) for frame in range(8)]
    run = Run(tmp_path).add("a", [*many, ("c2", 0, 0.5), ("c3", 0, 0.5)])
    run.add("b", [*[(case, frame, 0.6) for case, frame, _ in many], ("c2", 0, 0.6), ("c3", 0, 0.5)])
    (pair,) = run.compare()["pairs"]
    assert (pair["model"], pair["minus"]) == ("a", "b")
    assert pair["dice"]["difference"] == pytest.approx((0.3 - 0.1 + 0) / 3)
    assert [pair["dice"][key] for key in ("better", "worse", "equal")] == [1, 1, 1]
    assert pair["dice"]["interval"] == [pytest.approx(-0.1), pytest.approx(0.3)]  # three groups: all or nothing


def test_a_smaller_distance_is_better(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9) for case in PATIENTS]
    run = Run(tmp_path).add("a", scored).add("b", [(case, 0, 0.5) for case in PATIENTS])
    (pair,) = run.compare()["pairs"]
    assert pair["hd95"]["difference"] == pytest.approx(-4)
    assert (pair["hd95"]["better"], pair["hd95"]["worse"]) == (3, 0)


def test_groups_that_folds_joined_are_joined_for_masks_from_elsewhere_too(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9) for case in PATIENTS]
    run = Run(tmp_path).add("trained", scored, joined="d/p1").add("given", scored, fold="given")
    found = run.compare()
    assert (found["n_patients"], found["n_groups"]) == (3, 1)
    assert found["models"][0]["dice"]["interval"] is None  # one group cannot say how groups differ


def test_what_was_trained_here_comes_first(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9) for case in PATIENTS]
    run = Run(tmp_path).add("colleague", scored, fold="given").add("unet", scored)
    assert [about["model"] for about in run.compare()["models"]] == ["unet", "colleague"]


def test_data_sets_with_other_models_are_compared_apart(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9) for case in PATIENTS]
    run = Run(tmp_path).add("unet", scored).add("nnunet", scored, fold="given")
    run.add("unet", scored, dataset="e").add("shipped", scored, dataset="e", fold="given")
    run.spec["models"]["unet"] = ["0"]
    found = compare_models(tmp_path, run.spec)["comparisons"]
    assert [(each["datasets"], each["n_frames"]) for each in found] == [(["d"], 3), (["e"], 3)]


def test_a_frame_where_a_model_found_nothing_has_dice_zero_and_no_distance(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9) for case in PATIENTS]
    run = Run(tmp_path).add("a", scored).add("b", [("c1", 0, 0.0), *scored[1:]])
    (pair,) = run.compare()["pairs"]
    assert (pair["dice"]["n_frames"], pair["hd95"]["n_frames"]) == (3, 2)
    assert pair["dice"]["difference"] == pytest.approx(0.3)


def arguments(run: Run, tmp_path: Path) -> list[str]:
    out = ["--json", str(tmp_path / "comparison.json"), "--csv", str(tmp_path / "comparison.csv")]
    return ["--datasets", str(run.folder), "--spec", json.dumps(run.spec), *out]


def test_the_command_writes_figures_and_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    scored = [(case, frame, float(rng.uniform(0.5, 1))) for case in PATIENTS for frame in range(3)]
    run = Run(tmp_path).add("a", scored).add("b", [(case, frame, 0.7) for case, frame, _ in scored])
    main(arguments(run, tmp_path))
    (found,) = json.loads((tmp_path / "comparison.json").read_text())["comparisons"]
    with (tmp_path / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["minus"], row["metric"]) for row in rows] == [
        (model, minus, metric)
        for model, minus in (("a", ""), ("b", ""), ("a", "b"))
        for metric in ("dice", "iou", "hd95")
    ]
    assert float(rows[6]["value"]) == found["pairs"][0]["dice"]["difference"]
    assert f"a - b: Dice {found['pairs'][0]['dice']['difference']:+.3f}" in capsys.readouterr().out


def test_nothing_in_common_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path).add("a", [("c1", 0, 0.9)]).add("b", [("c2", 0, 0.9), ("c3", 0, 0.9)], fold="given")
    main(arguments(run, tmp_path))
    said = capsys.readouterr().out
    assert "0 frames of 0 patients" in said
    assert "nothing in common: predict the same fold" in said


def test_one_model_alone_is_one_line(tmp_path: Path) -> None:
    run = Run(tmp_path).add("a", [("c1", 0, 0.9)])
    with pytest.raises(Refusal, match="compare: a is scored, and no data set with two models; name masks under"):
        main(arguments(run, tmp_path))


def test_the_section_of_the_report_shows_every_pair_and_where_zero_lies(tmp_path: Path) -> None:
    scored = [(case, 0, 0.9 - 0.1 * number) for number, case in enumerate(PATIENTS)]
    run = Run(tmp_path).add("a", scored).add("b", [(case, 0, 0.5) for case in PATIENTS])
    run.add("c", [*scored[:2], ("c3", 0, 0.0)])
    main(arguments(run, tmp_path))
    summary = summarise_comparison(tmp_path)
    drawn = [draw_differences(each["pairs"]) for each in summary["comparisons"]]
    (places,) = drawn
    assert [place is not None and place["at"] > 100 for place in places] == [True, True, False]  # b is worse than c
    text = page_templates().get_template("comparison.html").render(summary=summary, drawn=drawn)
    assert all(f'<th scope="row">{pair}</th>' in text for pair in ("a − b", "a − c", "b − c"))
    assert "+0.300" in text  # of a and b


def test_one_group_draws_nothing() -> None:
    figure = {"difference": 0.1, "interval": None}
    assert draw_differences([{"dice": figure}]) == [None]
