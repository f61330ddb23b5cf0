"""Windows: the standard's own function, and presets that hold what they are made to show."""

import numpy as np
import pytest

from workflow_scripts.imaging.windows import WINDOWS, apply_window, window_named


def linear(x: float, c: float, w: float) -> float:
    """Return y as PS3.3 C.11.2.1.2.1 words it, one value at a time."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    if x > c - 0.5 + (w - 1) / 2:
        return 255
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


@pytest.mark.parametrize(("centre", "width"), [(40, 80), (-600, 1500), (2048, 4096), (0.5, 2), (40, 1), (7.25, 33.5)])
def test_a_window_is_the_linear_function_of_the_standard(centre: float, width: float) -> None:
    values = np.arange(-1200, 4100, dtype=np.int16).reshape(-1, 50)
    expected = [round(linear(float(x), centre, width)) for x in values.ravel()]
    levels = apply_window(values, centre, width)
    assert levels.dtype == np.uint8
    assert levels.shape == values.shape
    assert levels.ravel().tolist() == expected


def test_the_ends_are_those_of_the_standard_and_not_centre_plus_minus_half() -> None:
    assert apply_window(np.array([0, 1, 78, 79, 80]), 40, 80).tolist() == [0, 3, 252, 255, 255]


def test_stored_values_do_not_wrap_around() -> None:
    assert apply_window(np.array([0, 255], np.uint8), 400, 100).tolist() == [0, 0]
    assert apply_window(np.array([-32768, 32767], np.int16), -600, 1500).tolist() == [0, 255]
    assert apply_window(np.array([-np.inf, np.inf]), 40, 80).tolist() == [0, 255]


@pytest.mark.parametrize(("centre", "width"), [(40, 0), (40, 0.5), (40, -80), (np.nan, 80), (40, np.inf)])
def test_what_is_no_window_is_refused(centre: float, width: float) -> None:
    with pytest.raises(ValueError, match="the width 1 or more"):
        apply_window(np.zeros((2, 2)), centre, width)


def test_a_value_that_is_no_number_has_no_grey_level() -> None:
    with pytest.raises(ValueError, match="NaN"):
        apply_window(np.array([0.0, np.nan]), 40, 80)


def test_a_misspelt_window_is_named() -> None:
    with pytest.raises(ValueError, match="did you mean mediastinum"):
        window_named("Mediastinal")
    with pytest.raises(ValueError, match="there are abdomen, bone, brain, calcium"):
        window_named("x")


def test_every_window_has_a_source_and_shows_its_tissue() -> None:
    """HU from the field's textbooks: each pair must come out at different greys, neither black nor white."""
    shown = {
        "abdomen": (0, 60),  # fluid, liver
        "bone": (300, 1000),  # spongy, compact
        "brain": (25, 37),  # white, grey matter
        "calcium": (130, 399),  # where Agatston's density factor begins and is at its last step
        "lung": (-850, -600),  # aerated, ground glass
        "mediastinum": (-100, 60),  # fat, muscle
        "stroke": (25, 37),
        "subdural": (37, 70),  # brain, fresh blood
    }
    assert shown.keys() == WINDOWS.keys()
    for name, tissues in shown.items():
        window = window_named(name)
        dark, bright = apply_window(np.array(tissues), window.centre, window.width)
        assert window.source
        assert 0 < dark < bright < 255, name
