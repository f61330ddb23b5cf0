"""Masks without a reference: what is implausible is said, a low bound means review, unknown is an answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.quality_tables import predictions
from tests.unit.score_tables import NODULE, NOTHING, ellipse, png
from workflow_scripts.imaging.quality_signals import SIGNALS
from workflow_scripts.metrics import estimate_quality as command
from workflow_scripts.metrics.estimator import Quality, write_quality
from workflow_scripts.metrics.fit_quality import fit_quality
from workflow_scripts.metrics.plausibility import describe_shape, find_jumps
from workflow_scripts.tables import folds, frames, masks, quality
from workflow_scripts.tables.table import read_rows, write_rows

AREA = (0.005, 0.3)
FITTED = replace(fit_quality(predictions(60), 0.9), area=AREA)
GOOD, POOR = (dict(zip(SIGNALS, values, strict=True)) for values in ([0.99, 3.0, 0.0, 0.0], [0.8, -2.0, 0.0, 0.0]))


def bent() -> np.ndarray:
    """Return a sickle: a disc with another taken out of its side."""
    mask = ellipse(50, 60, 30, 30)
    cv2.circle(mask, (80, 50), 24, 0, -1)
    return mask


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (NODULE, []),
        (NOTHING, ["nothing was found"]),
        (ellipse(20, 20, 8, 8) | ellipse(20, 60, 8, 8) | ellipse(20, 100, 8, 8), ["3 parts"]),
        (ellipse(20, 20, 8, 8) | ellipse(80, 100, 8, 8), []),
        (bent(), ["ragged or bent"]),
        (ellipse(50, 60, 3, 3), ["too small"]),
        (ellipse(50, 60, 45, 58), ["too large"]),
    ],
)
def test_what_is_implausible_is_said(mask: np.ndarray, words: list[str]) -> None:
    told = describe_shape(mask, AREA)
    assert len(told) == len(words)
    assert all(own.startswith(expected) for own, expected in zip(told, words, strict=True))


def test_without_experts_outlines_no_size_is_implausible() -> None:
    assert describe_shape(ellipse(50, 60, 3, 3), None) == []


def test_a_frame_jumps_that_agrees_with_neither_neighbour() -> None:
    away = np.roll(NODULE, 45, axis=1)
    assert list(find_jumps({0: NODULE, 1: NODULE, 2: away, 3: NODULE, 4: NODULE})) == [2]
    assert find_jumps({0: NODULE, 1: NODULE, 2: away, 3: away}) == {}  # another view
    assert find_jumps({0: NODULE, 20: away}) == {}  # not beside each other
    assert find_jumps({0: NODULE, 1: NOTHING, 2: NOTHING}) == {0: "it jumps: Dice 0.00 with the frames beside it"}


def row(frame_id: str, mask: np.ndarray, signals: dict[str, Any], fold: str = "given") -> dict[str, Any]:
    about = {"frame_id": frame_id, "case_id": frame_id.split("/")[0], "model": "m", "fold": fold, "mask": png(mask)}
    return about | signals | {"grey": 90.0, "detail": 38.0}


def run(folder: Path, rows: list[dict[str, Any]], known: Quality | None = None, **more: Any) -> list[dict[str, Any]]:
    """Run the command; `time_s` makes the frames a clip's, `group_of` is the table of folds."""
    write_rows(folder / "masks.parquet", rows, masks.SCHEMA)
    stills = [{"frame_id": one["frame_id"], "time_s": more.get("time_s"), "position": "a.jpg"} for one in rows]
    write_rows(folder / "frames.parquet", stills, frames.SCHEMA)
    arguments = ["--masks", str(folder / "masks.parquet"), "--frames", str(folder / "frames.parquet"), "--estimator"]
    if known:
        write_quality(folder / "quality.json", known)
        arguments.append(str(folder / "quality.json"))
    arguments.append("--folds")
    if group_of := more.get("group_of"):
        held_out = [{"dataset": "d", "case_id": case, "group_id": group, "fold": 0} for case, group in group_of.items()]
        write_rows(folder / "folds.parquet", held_out, folds.SCHEMA)
        arguments.append(str(folder / "folds.parquet"))
    command.main([*arguments, "--dataset", "d", "--spec", '{"gate": 0.8}', "--quality", str(folder / "out.parquet")])
    return read_rows(folder / "out.parquet", quality.SCHEMA)


def test_a_case_under_the_gate_goes_to_review_with_words(tmp_path: Path) -> None:
    good, poor = run(tmp_path, [row("1/0", NODULE, GOOD), row("2/0", NODULE, POOR)], FITTED)
    assert (good["review"], good["reason"]) == (False, None)
    assert good["estimate"] > good["lower_bound"] > 0.8
    assert poor["review"]
    assert poor["reason"] == f"the lower bound is {poor['lower_bound']:.2f}, the gate 0.80"


def test_the_mean_bound_of_a_case_decides_and_all_its_frames_say_so(tmp_path: Path) -> None:
    rows = run(tmp_path, [row("1/0", NODULE, GOOD), row("1/1", NODULE, POOR), row("1/2", NODULE, GOOD)], FITTED)
    assert {one["review"] for one in rows} == {True}
    assert {str(one["reason"]).split(" is ")[0] for one in rows} == {"the mean lower bound of 3 frames"}


def test_without_an_estimator_only_the_rules_speak(tmp_path: Path) -> None:
    rows = run(tmp_path, [row("1/0", NODULE, POOR), row("2/0", NOTHING, dict.fromkeys(SIGNALS))])
    assert [(one["estimate"], one["lower_bound"]) for one in rows] == [(None, None)] * 2
    assert [(one["review"], one["reason"]) for one in rows] == [(False, None), (True, "nothing was found")]


def test_an_empty_mask_has_no_estimate_but_goes_to_review(tmp_path: Path) -> None:
    (one,) = run(tmp_path, [row("1/0", NOTHING, dict.fromkeys(SIGNALS))], FITTED)
    assert (one["estimate"], one["review"], one["reason"]) == (None, True, "nothing was found")


def test_stills_of_one_case_do_not_jump_frames_of_a_clip_do(tmp_path: Path) -> None:
    rows = [row("1/0", NODULE, GOOD), row("1/1", np.roll(NODULE, 45, axis=1), GOOD)]
    assert not any(one["review"] for one in run(tmp_path, rows, FITTED))
    told = [one["reason"] for one in run(tmp_path, rows, FITTED, time_s=0.1)]
    assert all("it jumps" in reason for reason in told)


def test_whom_the_estimate_was_fitted_on_is_estimated_without_them(tmp_path: Path) -> None:
    fitted_on = predictions(60)[0]["group_id"]
    rows = [row("1/0", NODULE, POOR, fold="0"), row("2/0", NODULE, POOR, fold="0")]
    with_, later = run(tmp_path, rows, FITTED, group_of={"1": fitted_on})
    own = FITTED.of("0", fitted_on)
    assert own
    assert FITTED.whole
    assert (with_["estimate"], with_["lower_bound"]) == own.estimate(POOR)
    assert (later["estimate"], later["lower_bound"]) == FITTED.whole.estimate(POOR)
    assert with_["estimate"] != later["estimate"]
