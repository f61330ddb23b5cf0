"""Calcium: scores of phantoms computed by hand, what must hold of any score, and what is not scored and why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.fixtures import extract_spec, index_rows, index_spec
from workflow_scripts.collections.coca_outlines import MASK_NAMES
from workflow_scripts.collections.collection import Source, Still
from workflow_scripts.demo.coca import write_coca
from workflow_scripts.frames.extract_frames import extract_frames, frame_row
from workflow_scripts.imaging.agatston import Lesion, category, find_lesions
from workflow_scripts.metrics.score_calcium import main, score_case
from workflow_scripts.tables import calcium, cases
from workflow_scripts.tables.table import read_rows, write_rows

SPEC = {"window": None, "outlines": "calcium"}
LM, LAD, LCX, RCA = 1, 2, 3, 4


def slices(*lesions: tuple[int, int, slice, slice, int], n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return values and masks (n, 20, 20): 40 HU, and lesions of (slice, label, rows, columns, HU)."""
    values, masks = np.full((n, 20, 20), 40, np.int16), np.zeros((n, 20, 20), np.uint8)
    for k, label, rows, columns, hu in lesions:
        values[k, rows, columns] = hu
        masks[k, rows, columns] = label
    return values, masks


def score(
    values: np.ndarray, masks: np.ndarray | None, case: dict[str, Any] | None = None, **other: Any
) -> dict[str, Any]:
    """Return the row of a case with these slices, of 1 x 1 mm and 3 mm unless told otherwise."""
    about = {"case_id": "a", "dataset": "d", "modality": "CT", "n_frames": len(values), "agatston_given": None}
    known: dict[str, Any] = {"spacing_mm": (1.0, 1.0), "thickness_mm": 3.0, "unit": "HU", "mask_names": MASK_NAMES}
    rows = [
        frame_row(about, SPEC, Still(k, picture, None if masks is None else masks[k], **(known | other)))
        for k, picture in enumerate(values)
    ]
    empty = dict.fromkeys(calcium.SCHEMA.names)
    return empty | score_case(about | (case or {}), rows)


def test_a_phantom_computed_by_hand() -> None:
    box = np.s_[2:4]  # 2 x 2 pixels, 4 mm2
    row = score(
        *slices(
            (0, LM, box, box, 130),  # 4 mm2 x 1
            (0, LAD, np.s_[8:11], np.s_[8:10], 299),  # 6 mm2 x 2
            (1, LAD, box, box, 300),  # 4 mm2 x 3
            (2, RCA, np.s_[5:6], np.s_[5:10], 900),  # 5 mm2 x 4
            (3, LCX, box, box, 129),  # not dense enough
        )
    )
    assert [row[f"agatston_{name}"] for name in cases.ARTERIES] == [4, 24, 0, 20]
    assert (row["agatston"], row["category"], row["n_lesions"]) == (48, "11-100", 4)
    assert (row["volume_mm3"], row["slice_mm"], row["agatston_3mm"]) == (19 * 3, 3, 48)
    assert (row["complete"], row["n_slices"], row["reason"]) == (True, 4, None)


@pytest.mark.parametrize(
    ("hu", "factor"), [(129, 0), (130, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (3000, 4)]
)
def test_the_factor_follows_the_densest_pixel(hu: int, factor: int) -> None:
    values = np.full((8, 8), 150.0)
    values[4, 4] = hu
    inside = np.zeros((8, 8), bool)
    inside[4, 4] = True
    assert sum(lesion.score for lesion in find_lesions(values, inside, (1, 1))) == factor
    inside[4, 5] = True  # one lesion with its neighbour of 150 HU, if it is dense itself
    (lesion,) = find_lesions(values, inside, (1, 1))
    assert lesion.score == (2 * factor if factor else 1)


def test_each_lesion_has_its_own_factor_and_corners_join() -> None:
    values = np.full((9, 9), 0.0)
    values[1:3, 1:3], values[5:7, 5:7] = 450, 150
    everywhere = np.ones((9, 9), bool)
    assert [lesion.score for lesion in find_lesions(values, everywhere, (1, 1))] == [16, 4]
    values[3, 3] = values[4, 4] = 130
    assert find_lesions(values, everywhere, (1, 1)) == [Lesion(10, 450)]


def test_less_than_a_square_millimetre_is_no_lesion() -> None:
    values = np.full((20, 20), 0.0)
    values[:10, :10] = 200
    everywhere = np.ones((20, 20), bool)
    (lesion,) = find_lesions(values, everywhere, (0.1, 0.1))
    assert lesion.area_mm2 == pytest.approx(1.0)
    values[0, 0] = 0
    assert find_lesions(values, everywhere, (0.1, 0.1)) == []


def test_calcium_outside_the_outline_is_not_counted() -> None:
    values, masks = slices((0, LAD, np.s_[2:6], np.s_[2:6], 250))
    masks[0, 2:4] = 0  # the outline holds the lower half
    assert score(values, masks)["agatston"] == 8 * 2
    assert score(values, np.zeros_like(masks))["agatston"] == 0  # a spine, say
    assert score(values, np.zeros_like(masks))["category"] == "0"


@settings(max_examples=60, deadline=None)
@given(arrays(np.int16, (12, 9), elements=st.integers(0, 500)), arrays(np.bool_, (12, 9)), st.integers(0, 3))
def test_turning_keeps_the_score_and_spacing_scales_it(values: np.ndarray, inside: np.ndarray, turns: int) -> None:
    def total(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
        return sum(lesion.score for lesion in find_lesions(a, b, spacing))

    whole = total(values, inside)
    assert total(np.rot90(values, turns), np.rot90(inside, turns)) == whole
    assert total(values[:, ::-1], inside[:, ::-1]) == whole
    assert total(values, inside, (2.0, 2.0)) == 4 * whole
    assert total(np.minimum(values, 129), inside) == 0
    assert total(values, np.zeros_like(inside)) == 0
    assert 0 <= whole <= 4 * inside.sum()


def test_categories_end_where_they_say() -> None:
    scores = (0, 0.5, 1, 10, 10.5, 11, 100, 100.5, 101, 400, 400.5, 401)
    expected = ("0", "1-10", "1-10", "1-10", "11-100", "11-100", "11-100", *["101-400"] * 3, ">400", ">400")
    assert tuple(map(category, scores)) == expected


def test_slices_of_another_distance_are_scored_as_they_are_and_scaled_beside() -> None:
    values, masks = slices((1, LAD, np.s_[2:6], np.s_[2:6], 250))
    row = score(values, masks, thickness_mm=1.5)
    assert (row["agatston"], row["agatston_3mm"], row["volume_mm3"]) == (32, 16, 24)
    row = score(values, masks, thickness_mm=None)
    assert (row["agatston"], row["agatston_3mm"], row["volume_mm3"]) == (32, None, None)
    assert row["reason"] == "the distance between slices is not known: neither volume nor agatston_3mm"


@pytest.mark.parametrize(
    ("case", "other", "reason"),
    [
        ({}, {"spacing_mm": None}, "its pixel spacing is not known"),
        ({}, {"unit": None}, "its values are not in Hounsfield units"),
        ({}, {"mask_names": (*MASK_NAMES[:1], "aorta")}, "an outline is of 'aorta', no artery that is known"),
        ({}, {"mask_names": None}, "an outline is of 'label 2', no artery that is known"),
        ({"n_frames": 9}, {}, "4 of 9 slices were taken: the score needs `frames: all`, and every slice to decode"),
        ({"n_frames": None}, {}, "the series is not whole"),
    ],
)
def test_what_is_not_known_is_null_with_the_reason(case: dict[str, Any], other: dict[str, Any], reason: str) -> None:
    row = score(*slices((1, LAD, np.s_[2:6], np.s_[2:6], 250)), case, **other)
    assert row["reason"] == reason
    assert [row[name] for name in ("agatston", "agatston_lad", "volume_mm3", "category", "n_lesions")] == [None] * 5
    assert row["complete"] is (case == {})


def test_the_given_score_stands_beside_and_takes_no_part() -> None:
    values, _ = slices()
    row = score(values, None, {"agatston_given": 432.5})
    assert (row["agatston_given"], row["category_given"], row["agatston"]) == (432.5, ">400", None)
    assert row["reason"] == "nobody outlined its calcium"


def test_a_chunk_of_the_twin(tmp_path: Path) -> None:
    root, chunk, frames, out = (tmp_path / name for name in ("coca", "chunk", "frames", "out"))
    write_coca(root)
    found, _ = index_rows(root, "coca", index_spec("coca"), tmp_path)
    write_rows(chunk, found, cases.SCHEMA)
    scored = {}
    for rule in ("all", "outlined"):
        spec = extract_spec("coca", rule, outlines="calcium", window="calcium")
        extract_frames(chunk, Source(root, tmp_path), spec, frames)
        main(["--frames", str(frames), "--chunk", str(chunk), "--calcium", str(out)])
        scored[rule] = {row["case_id"]: row for row in read_rows(out, calcium.SCHEMA)}
    every, outlined = scored["all"], scored["outlined"]
    assert every["gated-2"]["agatston"] == 0  # nobody outlined calcium, for there is none
    assert every["nongated-3"]["agatston"] is None
    assert every["nongated-3"]["category_given"] == ">400"
    lad = 13 * 1.875**2 * 4  # the pixels of a circle of radius 2.2, in 420 HU
    assert every["gated-0"]["agatston_lad"] == pytest.approx(3 * lad, rel=0.05)
    assert outlined["gated-0"]["agatston"] is None
    assert "5 of 9 slices were taken" in outlined["gated-0"]["reason"]
