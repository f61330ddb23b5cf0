"""The estimate of quality: right where the truth is known, fitted on nobody it is asked about, silent on too few."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.quality_tables import predictions, write_predictions
from workflow_scripts.command import Refusal
from workflow_scripts.imaging.quality_signals import SIGNALS
from workflow_scripts.metrics import fit_quality as command
from workflow_scripts.metrics.estimator import PARTS, Quality, find_estimator, part_of, read_quality, write_quality
from workflow_scripts.metrics.fit_quality import conformal_quantile, fit_quality
from workflow_scripts.metrics.quality_figures import auroc, coverage, evaluate, flagged, out_of_fold
from workflow_scripts.provenance import canonical_json

GATE, LEVEL = 0.8, 0.9


def estimated(quality: Quality, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return new frames with the estimates of the estimator that is kept for later."""
    assert quality.whole
    pairs = [quality.whole.estimate(row) for row in rows]
    return [row | {"estimate": pair[0], "lower_bound": pair[1]} for row, pair in zip(rows, pairs, strict=True) if pair]


def test_the_bound_covers_new_patients_at_its_level_and_a_shifted_model_is_found_out() -> None:
    covered, shifted = [], []
    for seed in range(12):
        quality = fit_quality(predictions(120, seed), LEVEL)
        covered.append(coverage(estimated(quality, predictions(200, 1000 + seed))))
        shifted.append(coverage(estimated(quality, predictions(200, 1000 + seed, shift=1.0))))
    assert np.mean([value for value in covered if value]) == pytest.approx(LEVEL, abs=0.02)
    assert np.mean([value for value in shifted if value]) < 0.6


def test_a_patient_with_many_frames_weighs_one() -> None:
    assert conformal_quantile(np.arange(9.0), np.ones(9), 0.9) == 8  # 9 of 10, the tenth is who comes
    assert conformal_quantile(np.arange(8.0), np.ones(8), 0.9) is None  # 8 patients cannot promise 0.9
    many = conformal_quantile(np.array([*range(19), *[100.0] * 50]), np.array([*np.ones(19), *[1 / 50] * 50]), 0.9)
    assert many == 18


def test_figures_are_of_patients_that_were_not_fitted_on() -> None:
    rows = predictions(100, folds=5)
    quality = fit_quality(rows, LEVEL)
    figures = evaluate(rows, quality, GATE, 0)
    assert quality.by_fold
    assert (figures["n_frames"], figures["n_groups"]) == (len(rows), 100)
    assert figures["auroc"]["value"] > 0.85
    low, high = figures["auroc"]["interval"]
    assert low < figures["auroc"]["value"] < high
    assert figures["mae"] < figures["mae_of_the_mean"]
    assert [point["share"] for point in figures["risk_coverage"]] == pytest.approx(np.arange(1, 21) / 20)
    assert figures["risk_coverage"][0]["dice"] > figures["risk_coverage"][-1]["dice"]
    # A patient's own Dice has no part in the estimate for them.
    spoilt = [row | {"dice": 0.01} if row["fold"] == "3" else row for row in rows]
    other = fit_quality(spoilt, LEVEL)
    assert other.without["3"] == quality.without["3"]
    assert all(other.without[fold] != quality.without[fold] for fold in "0124")


def test_of_one_fold_patients_are_held_out_by_their_group() -> None:
    rows = predictions(60)
    quality = fit_quality(rows, LEVEL)
    assert not quality.by_fold
    assert set(quality.without) == {str(k) for k in range(PARTS)}
    part = part_of("0", rows[0]["group_id"], by_fold=False)
    spoilt = [row | {"dice": 0.01} if row["group_id"] == rows[0]["group_id"] else row for row in rows]
    assert fit_quality(spoilt, LEVEL).without[part] == quality.without[part]
    assert quality.of("0", rows[0]["group_id"]) is quality.without[part]
    assert quality.of("given", rows[0]["group_id"]) is quality.of("0", None) is quality.whole
    assert len(out_of_fold(rows, quality)) == len(rows)


def test_a_group_in_two_folds_stops_the_run() -> None:
    rows = predictions(60, folds=5)
    rows[0]["fold"] = "4"
    with pytest.raises(ValueError, match="is held out from more than one fold"):
        fit_quality([*rows, rows[0] | {"fold": "2"}], LEVEL)


@pytest.mark.parametrize(("n", "level", "least"), [(39, 0.9, "40"), (100, 0.99, "250")])
def test_too_few_patients_give_no_estimate_but_the_reason(n: int, level: float, least: str) -> None:
    rows = predictions(n)
    quality = fit_quality(rows, level)
    assert quality.whole is None
    assert f"{n} groups of patients" in str(quality.why_not)
    assert str(quality.why_not).endswith(f"at least {least}")
    figures = evaluate(rows, quality, GATE, 0)
    assert (figures["n_frames"], figures["auroc"]["value"], figures["coverage"]["value"]) == (0, None, None)


def test_masks_without_signals_give_no_estimate() -> None:
    rows = [row | dict.fromkeys(SIGNALS) for row in predictions(60)]
    assert "carry no signals" in str(fit_quality(rows, LEVEL).why_not)


def test_an_empty_mask_is_not_fitted_on_and_goes_to_review() -> None:
    rows = predictions(60)
    empty = rows[0] | dict.fromkeys(SIGNALS) | {"empty_prediction": True}
    empty |= {"case_id": "empty", "frame_id": "empty/0", "dice": 0.0}
    quality = fit_quality([*rows, empty], LEVEL)
    assert quality.whole == fit_quality(rows, LEVEL).whole
    found = out_of_fold([*rows, empty], quality)
    assert len(found) == len(rows)
    more, before = flagged([*rows, empty], found, GATE), flagged(rows, found, GATE)
    assert (more["n_flagged"], more["n_bad_missed"]) == (before["n_flagged"] + 1, before["n_bad_missed"])


def test_the_mirrored_picture_is_used_where_it_was_asked_for() -> None:
    rows = [row | {"agreement": row["expected_dice"]} for row in predictions(60)]
    quality = fit_quality(rows, LEVEL)
    assert quality.whole
    assert quality.whole.signals == (*SIGNALS, "agreement")
    assert quality.whole.estimate(rows[0] | {"agreement": None}) is None


def test_where_no_mask_is_bad_there_is_no_curve() -> None:
    rows = [row | {"dice": 0.95, "estimate": 0.9} for row in predictions(5)]
    assert auroc(rows, GATE) is None


def test_json_holds_the_same_numbers(tmp_path: Path) -> None:
    for rows in (predictions(60), predictions(5)):
        quality = fit_quality(rows, LEVEL)
        write_quality(tmp_path / "quality.json", quality)
        assert read_quality(tmp_path / "quality.json") == quality
    (tmp_path / "quality.json").write_text('{"level": 0.9}')
    with pytest.raises(Refusal, match="is not the quality.json that fit_quality writes") as refused:
        find_estimator(tmp_path / "m.safetensors")
    assert "\n" not in str(refused.value)


def test_the_command_writes_both_the_same_each_time(tmp_path: Path) -> None:
    rows = predictions(60, folds=5)
    spec = write_predictions(tmp_path / "datasets", rows) | {"level": LEVEL, "gate": GATE, "seed": 0}
    written = []
    for order in ("one", "two"):
        out = tmp_path / order
        arguments = ["--datasets", str(tmp_path / "datasets"), "--spec", canonical_json(spec)]
        command.main([*arguments, "--estimator", str(out / "quality.json"), "--summary", str(out / "summary.json")])
        written.append([(out / name).read_bytes() for name in ("quality.json", "summary.json")])
    assert written[0] == written[1]
    summary = json.loads(written[0][1])
    assert summary["n_frames"] == len(rows)
    assert set(summary["signals"]) == set(SIGNALS)  # agreement was not asked for
    # The signal that the truth rests on is missed most.
    without = {name: figures["auroc_without"] for name, figures in summary["signals"].items()}
    assert min(without, key=lambda name: without[name]) == "expected_dice"
    assert read_quality(tmp_path / "one" / "quality.json").area
