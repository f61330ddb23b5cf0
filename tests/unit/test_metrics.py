"""Overlap and surface distances by hand and by property, scores by the command, and what is made of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.score_tables import GATES, NEARBY, NODULE, NOTHING, House, Pairs, png, score_row
from workflow_scripts.command import Refusal
from workflow_scripts.metrics import score_masks, summarise_scores
from workflow_scripts.metrics.overlap import Counts, count_pixels, iou_of_dice
from workflow_scripts.metrics.score_masks import score_frame
from workflow_scripts.metrics.summarise_scores import bootstrap_interval, gate_verdict, sentence, summarise
from workflow_scripts.metrics.surfaces import outline, surface_distances
from workflow_scripts.provenance import canonical_json
from workflow_scripts.tables import masks, scores
from workflow_scripts.tables.table import read_rows, write_rows

MASKS = arrays(np.uint8, (9, 11), elements=st.integers(0, 2))


def grid(*rows: str) -> np.ndarray:
    return np.array([[int(pixel) for pixel in row] for row in rows], np.uint8)


def square(half: int) -> np.ndarray:
    mask = np.zeros((7, 7), np.uint8)
    mask[3 - half : 4 + half, 3 - half : 4 + half] = 1
    return mask


ROOT = 2**0.5
TABLE: list[tuple[Any, ...]] = [
    # prediction, reference, (tp, fp, fn, tn), Dice, IoU, HD95, mean surface distance
    ("equal", grid("0110"), grid("0110"), (2, 0, 0, 2), 1.0, 1.0, 0.0, 0.0),
    ("half", grid("111100"), grid("001111"), (2, 2, 2, 0), 0.5, 1 / 3, 2.0, 6 / 8),
    ("apart, by 3 and 4", grid("10000", *["00000"] * 3), grid(*["00000"] * 3, "00001"), (0, 1, 1, 18), 0, 0, 5.0, 5.0),
    ("around", square(2), square(1), (9, 16, 0, 24), 9 / 17, 9 / 25, ROOT, (20 + 4 * ROOT) / 24),
    ("labels do not matter", grid("0220"), grid("0010"), (1, 1, 0, 2), 2 / 3, 0.5, 0.9, 1 / 3),
    ("missed", grid("0000"), grid("0110"), (0, 0, 2, 2), 0.0, 0.0, None, None),
    ("found where nothing is", grid("0110"), grid("0000"), (0, 2, 0, 2), 0.0, 0.0, None, None),
    ("both empty", grid("0000"), grid("0000"), (0, 0, 0, 4), None, None, None, None),
]


@pytest.mark.parametrize(
    ("prediction", "reference", "counts", "dice", "iou", "hd95", "mean"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_figures_by_hand(
    prediction: np.ndarray,
    reference: np.ndarray,
    counts: tuple[int, int, int, int],
    dice: float | None,
    iou: float | None,
    hd95: float | None,
    mean: float | None,
) -> None:
    assert count_pixels(prediction, reference) == Counts(*counts)
    row = score_frame(prediction, reference)
    for name, expected in {"dice": dice, "iou": iou, "hd95": hd95, "surface_distance": mean}.items():
        assert row[name] == (None if expected is None else pytest.approx(expected, abs=1e-5)), name
    assert (row["empty_reference"], row["empty_prediction"]) == (not reference.any(), not prediction.any())
    tp, fp, fn, _ = counts
    assert row["sensitivity"] == (tp / (tp + fn) if reference.any() else None)
    assert row["precision"] == (tp / (tp + fp) if prediction.any() else None)
    assert row["hd95_mm"] is row["surface_distance_mm"] is row["longest_mm"] is None  # nobody states a spacing


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS)
def test_symmetric_bounded_and_of_one_kind(one: np.ndarray, other: np.ndarray) -> None:
    row, turned = score_frame(one, other), score_frame(other, one)
    assert (row["dice"], row["iou"], row["fp"]) == (turned["dice"], turned["iou"], turned["fn"])
    if row["dice"] is not None:
        assert 0 <= row["iou"] <= row["dice"] <= 1
        assert row["iou"] == pytest.approx(iou_of_dice(row["dice"]))
    if row["hd95"] is not None:
        assert row["hd95"] == pytest.approx(turned["hd95"])
        assert 0 <= row["surface_distance"] <= np.hypot(8, 10)
        assert (row["surface_distance"] == 0) == np.array_equal(outline(one), outline(other))


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS, st.integers(0, 6), st.integers(0, 6))
def test_moving_both_changes_nothing_but_the_background(one: np.ndarray, other: np.ndarray, down: int, by: int) -> None:
    moved, followed = (np.pad(mask, ((down, 6 - down), (by, 6 - by))) for mask in (one, other))
    row, away = score_frame(one, other), score_frame(moved, followed)
    assert {**row, "tn": None} == pytest.approx({**away, "tn": None}, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS)
def test_distances_are_those_of_every_pair_of_pixels(one: np.ndarray, other: np.ndarray) -> None:
    a, b = np.argwhere(outline(one)), np.argwhere(outline(other))
    found = surface_distances(one, other)
    if not (len(a) and len(b)):
        assert found.size == 0
        return
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    assert np.sort(found) == pytest.approx(np.sort([*pairs.min(axis=1), *pairs.min(axis=0)]), abs=1e-5)


def test_a_mask_that_reaches_the_edge_has_an_outline_there() -> None:
    assert np.array_equal(outline(np.ones((4, 4))), np.pad(np.zeros((2, 2), bool), 1, constant_values=True))


def test_frames_without_reference_or_prediction_are_not_scored(tmp_path: Path) -> None:
    pairs: Pairs = {"1": [(NODULE, NODULE), (NODULE, None), (None, NODULE)], "2": [(NOTHING, NOTHING)]}
    rows = House(tmp_path).score(pairs, joined={"2": "d/patient-9"})
    assert [row["frame_id"] for row in rows] == ["1/0", "2/0"]
    assert [row["group_id"] for row in rows] == ["d/patient-1", "d/patient-9"]
    assert [row["dice"] for row in rows] == [1.0, None]
    assert (rows[0]["model"], rows[0]["fold"], rows[0]["dataset"]) == ("m", "0", "d")


def test_a_mask_of_another_size_is_one_line_with_both_sizes_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        House(tmp_path).score({"1": [(np.ones((50, 60), np.uint8), NODULE)]})
    line = str(refused.value)
    for part in ("d, frame 1/0", "50 × 60", "100 × 120", "neither cropped nor resized"):
        assert part in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"frame_id": "7/0"}, "1 masks are of no frame of this chunk, the first of 7/0"), ({}, "two masks of it")],
)
def test_a_mask_that_belongs_to_no_frame_is_refused(tmp_path: Path, changes: dict[str, str], line: str) -> None:
    arguments = House(tmp_path).add({"1": [(NODULE, NODULE)]})
    table = Path(arguments[arguments.index("--masks") + 1])
    row = {"frame_id": "1/0", "case_id": "1", "model": "m", "fold": "0", "mask": png(NODULE)}
    write_rows(table, [row, row | changes], masks.SCHEMA)
    with pytest.raises(Refusal, match=line):
        score_masks.main(arguments)


def test_one_empty_mask_counts_as_zero_and_two_are_counted_apart() -> None:
    rows = [
        score_row(0, 0.9),
        score_row(1, 0.0, empty_reference=True),
        score_row(2, 0.0, empty_prediction=True),
        score_row(3, None),
    ]
    figures = summarise(rows, GATES, seed=0)
    assert figures["n_frames"] == 3
    assert figures["n_empty"] == {"reference_alone": 1, "prediction_alone": 1, "both": 1}
    assert figures["dice"]["mean"] == pytest.approx(0.3)
    assert (figures["dice"]["median"], figures["dice"]["q3"]) == (0.0, pytest.approx(0.45))
    assert "counted apart and enters no mean" in summarise_scores.EMPTY_POLICY


def test_groups_are_drawn_whole() -> None:
    values = np.repeat([0.9, 0.8, 0.5, 0.6], 25)
    groups = [str(index // 25) for index in range(100)]
    whole, single = (bootstrap_interval(values, names, seed=0) for names in (groups, [str(i) for i in range(100)]))
    assert whole is not None
    assert single is not None
    assert whole[1] - whole[0] > 3 * (single[1] - single[0])
    assert whole[0] < 0.7 < whole[1]


def test_an_interval_depends_on_the_seed_and_not_on_the_order() -> None:
    rows = [score_row(index, 0.5 + 0.04 * (index % 11), group=str(index % 5)) for index in range(30)]
    figures = summarise(rows, GATES, seed=3)
    assert figures == summarise(rows[::-1], GATES, seed=3)
    assert figures["dice"]["interval"] != summarise(rows, GATES, seed=4)["dice"]["interval"]


def test_groups_of_unequal_size_weigh_by_their_frames() -> None:
    # Nine groups of one frame each and one of nine: the mean over frames is 0.5, that of the groups' means 0.9.
    interval = bootstrap_interval(np.repeat([1.0, 0.0], 9), [*"abcdefghi", *"j" * 9], seed=0)
    assert interval is not None
    assert interval[0] < 0.5


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ([0.81, 0.9], "pass"),
        ([0.8, 0.9], "pass"),
        ([0.8 - 1e-15, 0.9], "pass"),
        ([0.79, 0.9], "undecided"),
        ([0.7, 0.8], "undecided"),
        ([0.7, 0.79], "fail"),
        (None, "undecided"),
    ],
)
def test_verdicts(interval: list[float] | None, verdict: str) -> None:
    assert gate_verdict(interval, 0.8) == verdict


def test_of_few_groups_no_verdict_is_given() -> None:
    for groups, verdict in ((9, "undecided"), (10, "pass")):
        rows = [score_row(k, 0.85 + 0.01 * (k % 3), f"g{k}") for k in range(groups)]
        assert summarise(rows, GATES, seed=0)["dice"]["verdict"] == verdict


def test_without_frames_there_is_nothing_to_say() -> None:
    figures = summarise([], GATES, seed=0)
    nothing = dict.fromkeys(["mean", "sd", "q1", "median", "q3", "interval"]) | {"n": 0}
    assert figures["dice"] == nothing | {"gate": 0.8, "verdict": "undecided"}
    assert figures["hd95"] == nothing
    assert figures["pooled"]["iou"] == figures["nodules"]["sensitivity"] == {"value": None, "interval": None}
    assert (figures["n_frames"], figures["n_cases"], figures["n_groups"]) == (0, 0, 0)
    assert sentence(figures) == "no scored frame"


def test_one_group_has_no_interval() -> None:
    figures = summarise([score_row(0, 0.9), score_row(1, 0.95)], GATES, seed=0)
    assert (figures["dice"]["interval"], figures["dice"]["verdict"]) == (None, "undecided")
    assert "no interval" in sentence(figures)


def test_a_mean_iou_below_what_dice_allows_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="inconsistent"):
        summarise([score_row(0, 0.9, iou=0.5)], GATES, seed=0)


def run_summary(house: House) -> dict[str, Any]:
    out = house.folder / "scores.json"
    arguments = ["--datasets", str(house.folder), "--spec", canonical_json(house.spec), "--summary", str(out)]
    summarise_scores.main(arguments)
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def test_the_summary_covers_every_fold_and_data_set(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.score({"1": [(NODULE, NODULE)]}, dataset="d", fold="0")
    house.score({"1": [(None, NODULE)], "2": [(NEARBY, NODULE)]}, dataset="d", fold="1")
    house.score({"1": [(NODULE, NODULE)]}, dataset="e", fold="0")
    house.score({"1": [(None, NODULE)]}, dataset="e", fold="1")
    write_rows(tmp_path / "d/scores/m/0/000.parquet", [score_row(0, 1.0, case_id="1")], scores.SCHEMA)
    house.spec["models"]["other"] = ["given"]  # no data set is scored with it
    summary = run_summary(house)
    model = summary["models"]["m"]
    assert [model["datasets"][name]["n_frames"] for name in ("d", "e")] == [2, 1]
    assert (model["overall"]["n_frames"], model["overall"]["n_cases"], model["overall"]["n_groups"]) == (3, 3, 3)
    assert summary["models"]["other"] == {"overall": summarise([], GATES, seed=0), "datasets": {}, "strata": []}
    assert "enters no mean" in summary["empty_policy"]


def test_a_frame_that_two_folds_scored_stops_the_summary(tmp_path: Path) -> None:
    house = House(tmp_path)
    for fold in ("0", "1"):
        house.score({"1": [(NODULE, NODULE)]}, fold=fold)
    with pytest.raises(Refusal, match="frame 1/0: scored by the folds 0 and 1 of m"):
        run_summary(house)


def test_what_an_earlier_plan_left_is_not_read(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.score({"1": [(NODULE, NODULE)]}, chunk="000")
    rows = house.score({"2": [(NODULE, NODULE)]}, chunk="001")
    (tmp_path / "d" / "chunks" / "001.parquet").unlink()
    assert len(rows) == len(read_rows(tmp_path / "d/scores/m/0/001.parquet", scores.SCHEMA)) == 1
    assert run_summary(house)["models"]["m"]["overall"]["n_frames"] == 1
