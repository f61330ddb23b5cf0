"""Pictures in files: exact pixels, or a reason why not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fixtures import scan
from workflow_scripts.imaging.stills import UnreadablePicture, read_still

ENCODINGS = {
    "plain": [],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "4:4:4": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
}


def cmyk() -> bytes:
    """Return an 8 x 8 JPEG of four components: a grey one's tables, and four flat blocks."""
    data = cv2.imencode(".jpg", np.full((8, 8), 128, np.uint8))[1].tobytes()
    frame, scans = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    four = b"\xff\xc0\x00\x14\x08\x00\x08\x00\x08\x04" + b"".join(bytes((k, 0x11, 0)) for k in (1, 2, 3, 4))
    header = b"\xff\xda\x00\x0e\x04" + b"".join(bytes((k, 0)) for k in (1, 2, 3, 4)) + b"\x00\x3f\x00"
    return data[:frame] + four + data[frame + 13 : scans] + header + b"\x28\xa2\x8a\xff\xd9"


@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("colour", [False, True])
def test_a_jpeg_is_whole_or_refused(tmp_path: Path, options: list[int], colour: bool) -> None:
    picture = scan(3, (157, 203))[0]
    coded = cv2.imencode(".jpg", np.dstack([picture] * 3) if colour else picture, options)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(coded + b"\r\n")  # a few bytes behind its end do no harm
    pixels = read_still(tmp_path / "a.jpg")
    assert (pixels == cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)).all()  # its colours are equal
    third, middle = len(coded) // 3, len(coded) // 2
    for broken in (coded[:middle], coded[:third] + b"\xff\xd9", b"\xff\xd8\xff\xd9"):
        (tmp_path / "a.jpg").write_bytes(broken)
        with pytest.raises(UnreadablePicture, match=r"the JPEG (is damaged|breaks off)"):
            read_still(tmp_path / "a.jpg")


def test_zeros_in_the_middle_of_a_jpeg_are_found(tmp_path: Path) -> None:
    """Not all can be: where the code falls into step again, nothing in the data tells."""
    for seed in range(8):
        smooth = cv2.GaussianBlur(scan(seed, (180, 280))[0], (0, 0), 2)
        data = cv2.imencode(".jpg", np.dstack([smooth] * 3))[1].tobytes()
        middle = len(data) // 2
        (tmp_path / "a.jpg").write_bytes(data[:middle] + bytes(400) + data[middle + 400 :])
        with pytest.raises(UnreadablePicture, match="the JPEG is damaged"):
            read_still(tmp_path / "a.jpg")


def test_other_kinds_of_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(cmyk())
    with pytest.raises(UnreadablePicture, match="CMYK"):
        read_still(tmp_path / "a.jpg")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(UnreadablePicture, match="uint16: expected 8 bits"):
        read_still(tmp_path / "a.png")


def test_every_real_jpeg_is_whole(samples: Path) -> None:
    pictures = sorted((samples / "ddti").glob("*.jpg"))
    assert len(pictures) == 412
    for path in pictures:
        assert read_still(path).dtype == np.uint8
