"""Signals of a prediction: certain and smooth masks score high, blurred and ragged ones low, whatever their size."""

import cv2
import numpy as np
import pytest

from workflow_scripts.imaging.quality_signals import (
    LOOKS,
    SIGNALS,
    measure_agreement,
    measure_looks,
    measure_signals,
)


def disc(radius: float, blur: float = 1, shape: tuple[int, int] = (192, 256)) -> np.ndarray:
    """Return the probabilities of a disc whose outline is as unsure as the blur is wide."""
    drawn = cv2.circle(np.zeros(shape, np.float32), (128, 96), round(radius), 1, -1)
    return cv2.GaussianBlur(drawn, (0, 0), blur)


def scan(radius: int, blur: float = 1, shape: tuple[int, int] = (192, 256)) -> np.ndarray:
    """Return a picture of a dark disc in a grey field with black around it."""
    drawn = np.zeros(shape, np.uint8)
    drawn[5:-5, 20:-20] = 120
    return cv2.GaussianBlur(cv2.circle(drawn, (128, 96), radius, 40, -1), (0, 0), blur)


def measured(probability: np.ndarray, picture: np.ndarray | None = None) -> dict[str, float]:
    found = measure_signals(probability, scan(30) if picture is None else picture)
    return {name: value for name, value in found.items() if value is not None}


def test_what_is_unsure_has_a_lower_expected_dice_and_a_softer_outline() -> None:
    sure, unsure = measured(disc(30, 1)), measured(disc(30, 8))
    assert sure["expected_dice"] == pytest.approx(0.98, abs=0.01)
    assert all(unsure[name] < sure[name] - 0.1 for name in ("expected_dice", "sharpness"))


def test_a_larger_mask_of_the_same_kind_says_the_same() -> None:
    small, large = measured(disc(20, 3)), measured(disc(60, 9))
    for name in ("expected_dice", "sharpness", "solidity"):
        assert small[name] == pytest.approx(large[name], rel=0.03), name


def test_a_bent_outline_fills_less_of_its_hull_than_a_round_one() -> None:
    bent = disc(30, 1)
    bent[90:102, 128:] = 0
    assert measured(disc(30))["solidity"] == pytest.approx(0.97, abs=0.02)
    assert measured(bent)["solidity"] < 0.92


def test_an_outline_on_an_edge_of_the_picture_is_told_from_one_beside_it() -> None:
    on, beside = measured(disc(30), scan(30)), measured(disc(30), scan(50))
    assert on["edge"] > 3 * beside["edge"]
    assert measured(disc(30), np.zeros((192, 256), np.uint8))["edge"] == 0


def test_of_an_empty_mask_nothing_is_known() -> None:
    faint = np.full((192, 256), 0.4, np.float32)
    assert measure_signals(faint, scan(30)) == dict.fromkeys(SIGNALS)
    assert measure_agreement(faint, faint) is None


@pytest.mark.parametrize("place", [(0, 0), (191, 255)])
def test_a_single_pixel_in_a_corner_is_measured(place: tuple[int, int]) -> None:
    one = np.zeros((192, 256), np.float32)
    one[place] = 1
    assert measured(one)["expected_dice"] == 1
    assert measured(one)["solidity"] == 0


def test_agreement_is_one_with_itself_and_none_with_what_lies_elsewhere() -> None:
    here = disc(20)
    assert measure_agreement(here, here) == pytest.approx(1)
    assert measure_agreement(here, np.roll(here, 100, axis=1)) == pytest.approx(0, abs=0.01)


def test_looks_are_those_of_the_field_alone() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((96, 128), np.uint8)
    picture[:, 20:100] = rng.integers(90, 110, (96, 80))
    picture[:, :10] = 255  # burned-in text, were it still there
    affine, field = np.array([2.0, 0, 40, 0, 2.0, 20]), np.zeros((300, 400), bool)
    field[22:200, 84:236] = True  # columns 22 to 98 of the picture
    looks = measure_looks(picture, affine, field)
    assert tuple(looks) == LOOKS
    assert looks["grey"] == pytest.approx(100, abs=1)
    soft = measure_looks(cv2.GaussianBlur(picture, (0, 0), 2), affine, field)
    assert soft["detail"] < looks["detail"] / 3
    assert soft["grey"] == pytest.approx(looks["grey"], abs=3)
