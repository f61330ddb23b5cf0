from importlib.metadata import PackageNotFoundError

import cv2
import numpy as np
import pytest

from workflow_scripts.imaging import text

installed = pytest.mark.skipif(not text.available(), reason="rapidocr and onnxruntime are not installed: optional")


def tissue(height: int = 300, width: int = 420) -> np.ndarray:
    noise = np.random.default_rng(0).rayleigh(30, (height, width))
    return np.clip(12 + cv2.GaussianBlur(noise, (3, 3), 0), 12, 120).astype(np.uint8)


def write(picture: np.ndarray, words: str, x: int, y: int) -> np.ndarray:
    return cv2.putText(picture, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 230, 1, cv2.LINE_AA)


@installed
@pytest.mark.parametrize("words", ["GARCIA MARIA", "12/03/2014", "TI-RADS 4"])
def test_words_over_tissue_are_found_where_they_stand(words: str) -> None:
    picture = write(tissue(), words, 130, 160)
    (box,) = text.find_text(picture, np.ones(picture.shape, bool))
    assert abs(box.x - 130) < 10
    assert box.y < 152 < box.y + box.height
    assert box.score >= 0.8
    assert [box] == text.find_text(np.dstack([picture] * 3), np.ones(picture.shape, bool))


@installed
def test_tissue_calipers_and_single_characters_are_no_text() -> None:
    picture = tissue()
    for x, y in ((120, 90), (260, 190)):
        cv2.drawMarker(picture, (x, y), 255, cv2.MARKER_CROSS, 11)
        write(picture, "1", x + 12, y + 5)
    assert text.find_text(picture, np.ones(picture.shape, bool)) == []


@installed
def test_only_the_field_is_searched() -> None:
    picture = write(write(tissue(), "GARCIA MARIA", 30, 40), "TI-RADS 4", 200, 200)
    field = np.zeros(picture.shape, bool)
    field[120:280, 100:400] = True
    (box,) = text.find_text(picture, field)
    assert box.x >= 100
    assert box.y >= 120
    assert text.find_text(picture, np.zeros(picture.shape, bool)) == []


@installed
def test_a_word_at_the_edge_stays_within_the_picture() -> None:
    picture = write(tissue(), "IDENTITY", 360, 296)
    (box,) = text.find_text(picture, np.ones(picture.shape, bool))
    assert box.x + box.width <= picture.shape[1]
    assert box.y + box.height <= picture.shape[0]


def test_without_the_detector_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(text, "version", missing)
    assert text.available() is None


def test_a_field_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="mask"):
        text.find_text(np.zeros((40, 40), np.uint8), np.ones((40, 41), bool))
