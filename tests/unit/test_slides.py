"""Slides: tiles at the magnification that was asked for, from the level that holds it, and nothing guessed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from workflow_scripts.imaging import slides
from workflow_scripts.imaging.slides import UnreadableSlide, list_tiles, open_slide, read_tile

APERIO = "AppMag = 20|MPP = 0.5"
INKS = np.array([(200, 80, 160), (80, 160, 200), (200, 160, 80)], np.uint8)  # of levels 0, 1, 2: none like another


def tissue(height: int = 1024, width: int = 1536) -> np.ndarray:
    """Return glass (0) with one piece of tissue (1) at the upper left: rows 0 to 512, columns 0 to 768."""
    piece = np.zeros((height, width), np.uint8)
    piece[:512, :768] = 1
    return piece


def write_slide(path: Path, piece: np.ndarray, says: str | None = APERIO, shrink: tuple[int, ...] = (1, 4, 16)) -> Path:
    """Write a pyramid in which each level has tissue of its own colour: as Aperio does, or a plain TIFF."""
    with tifffile.TiffWriter(path) as file:
        for level, by in enumerate(shrink):
            mask = piece[::by, ::by]
            pixels = np.where(mask[..., None] > 0, INKS[level], np.uint8(243)).astype(np.uint8)
            height, width = mask.shape
            text = f"Aperio Image Library v1\r\n{width}x{height} (256x256)|{says}"
            file.write(
                pixels,
                tile=(256, 256),
                compression="zlib",
                photometric="rgb",
                subfiletype=int(level > 0),
                description=text if says is not None else None,
                metadata=None,
                software=False,
            )
    return path


@pytest.mark.parametrize(
    ("magnification", "level", "downsample"), [(20, 0, 1), (10, 0, 2), (5, 1, 4), (2.5, 1, 8), (1.25, 2, 16)]
)
def test_tiles_come_from_the_coarsest_level_that_is_fine_enough(
    tmp_path: Path, magnification: float, level: int, downsample: float
) -> None:
    with open_slide(write_slide(tmp_path / "a.svs", tissue())) as slide:
        tiles = list_tiles(slide, 32, magnification=magnification)
        assert tiles
        assert {(t.level, t.downsample, t.mpp) for t in tiles} == {(level, downsample, downsample * 0.5)}
        pixels = read_tile(slide, tiles[0])
        assert pixels.shape == (32, 32, 3)
        assert (pixels == INKS[level]).all()  # a colour that only this level has
        assert tiles == list_tiles(slide, 32, mpp=0.5 * downsample)


def test_only_tiles_with_enough_tissue_are_listed_the_fullest_first(tmp_path: Path) -> None:
    """Tiles of 200: the piece ends 168 pixels into the fourth column and 112 into the third row."""
    with open_slide(write_slide(tmp_path / "a.svs", tissue())) as slide:
        tiles = list_tiles(slide, 200, magnification=20)
    right, lower = 168 / 200, 112 / 200
    expected = [(1.0, y, x) for y in (0, 200) for x in (0, 200, 400)]
    expected += [(right, 0, 600), (right, 200, 600), *((lower, 400, x) for x in (0, 200, 400))]  # not lower * right
    assert [(t.y, t.x) for t in tiles] == [(y, x) for _, y, x in expected]
    assert [t.tissue for t in tiles] == pytest.approx([share for share, _, _ in expected], abs=0.01)


def test_a_tile_shows_its_place_in_the_slide(tmp_path: Path) -> None:
    """Shrunk by 8 from level 1: a mark at a known place of level 0 comes out where it must."""
    piece = np.ones((2048, 2048), np.uint8)
    piece[1024 + 256 : 1024 + 320, 512 + 64 : 512 + 128] = 0
    with open_slide(write_slide(tmp_path / "a.svs", piece)) as slide:
        tile = next(t for t in list_tiles(slide, 64, magnification=2.5) if (t.x, t.y) == (512, 1024))
        glass = read_tile(slide, tile).min(axis=2) > 200
    rows, columns = np.nonzero(glass)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 39, 8, 15)


def test_levels_whose_size_was_rounded_count_as_what_they_stand_for(tmp_path: Path) -> None:
    """1,025 pixels, level 1 of 256: its downsample is 4.004, and level 0 need not be read for 5x."""
    piece = np.ones((1025, 1537), np.uint8)
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as file:
        for level, mask in enumerate((piece, piece[:1024:4, :1536:4])):
            text = f"Aperio Image Library v1\r\n{mask.shape[1]}x{mask.shape[0]} (256x256)|{APERIO}"
            pixels = np.broadcast_to(INKS[level], (*mask.shape, 3))
            file.write(pixels, tile=(256, 256), photometric="rgb", description=text, metadata=None, software=False)
    with open_slide(path) as slide:
        assert slide.level_downsamples[1] > 4
        tiles = list_tiles(slide, 64, magnification=5)
        assert {(t.level, t.downsample) for t in tiles} == {(1, slide.level_downsamples[1])}
        assert np.abs(read_tile(slide, tiles[0]).astype(int) - INKS[1]).max() <= 1  # OpenSlide places it by a fraction


def test_a_large_part_is_read_in_blocks_as_if_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    piece = cv2.resize(rng.integers(0, 2, (32, 48), np.uint8), (1536, 1024), interpolation=cv2.INTER_NEAREST)
    with open_slide(write_slide(tmp_path / "a.svs", piece, shrink=(1,))) as slide:
        monkeypatch.setattr(slides, "LEAST_TISSUE", 0)
        tile = list_tiles(slide, 128, magnification=2.5)[0]
        whole = read_tile(slide, tile)
        monkeypatch.setattr(slides, "BLOCK", 500)
        assert (read_tile(slide, tile) == whole).all()


@pytest.mark.parametrize(
    ("says", "ask", "said"),
    [
        (None, {"magnification": 20}, "does not say its scale .*objective-power"),
        (None, {"mpp": 0.5}, "does not say its scale .*mpp-x, mpp-y"),
        ("MPP = 0.5", {"magnification": 20}, "objective-power"),
        ("AppMag = 20", {"mpp": 0.5}, "mpp-x"),
        ("AppMag = 0|MPP = nan", {"magnification": 20}, "objective-power"),
        (APERIO, {"magnification": 40}, "scanned 2 times coarser"),
        (APERIO, {"mpp": 0.25}, "scanned 2 times coarser"),
    ],
)
def test_a_scale_is_read_and_never_guessed(tmp_path: Path, says: str | None, ask: dict[str, float], said: str) -> None:
    with (
        open_slide(write_slide(tmp_path / "a.svs", tissue(512, 512), says, (1, 4))) as slide,
        pytest.raises(UnreadableSlide, match=said),
    ):
        list_tiles(slide, 64, **ask)


@pytest.mark.parametrize("colour", [(243, 243, 243), (244, 242, 246), (0, 0, 0), (3, 0, 1)])
def test_glass_and_black_borders_are_no_tissue(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = (np.array(colour) + rng.integers(0, 4, (1024, 1024, 3))).astype(np.uint8)
    text = f"Aperio Image Library v1\r\n1024x1024 (256x256)|{APERIO}"
    tifffile.imwrite(tmp_path / "a.svs", pixels, tile=(256, 256), photometric="rgb", description=text, metadata=None)
    with open_slide(tmp_path / "a.svs") as slide:
        assert list_tiles(slide, 128, magnification=20) == []


def test_a_slide_of_tissue_alone_is_tissue_throughout(tmp_path: Path) -> None:
    """Otsu's threshold alone would call its paler half glass."""
    piece = np.ones((1024, 1024), np.uint8)
    with open_slide(write_slide(tmp_path / "a.svs", piece)) as slide:
        assert [t.tissue for t in list_tiles(slide, 256, magnification=20)] == pytest.approx([1.0] * 16)


def test_without_a_pyramid_a_large_slide_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slides, "MOST_PIXELS", 2**20)
    path = write_slide(tmp_path / "a.svs", tissue(), shrink=(1,))
    with open_slide(path) as slide, pytest.raises(UnreadableSlide, match="1536 x 1024 pixels .* expected a pyramid"):
        list_tiles(slide, 64, magnification=20)


def test_a_slide_smaller_than_a_tile_has_none(tmp_path: Path) -> None:
    with open_slide(write_slide(tmp_path / "a.svs", tissue(512, 512), shrink=(1,))) as slide:
        assert list_tiles(slide, 513, magnification=20) == []


def test_what_is_no_slide_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"II*\0 and nothing")
    for name in ("a.svs", "missing.svs"):
        with pytest.raises(UnreadableSlide, match="does not read as a slide"):
            open_slide(tmp_path / name)


def test_a_damaged_tile_of_a_slide_is_refused(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", tissue(512, 512), shrink=(1,))
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start + 20 : start + 60] = bytes(40)
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(UnreadableSlide, match="does not read as a slide"):
        list_tiles(slide, 64, magnification=20)


def test_a_real_slide_gives_tissue_and_its_damage_is_found(samples: Path, tmp_path: Path) -> None:
    """CMU-1-Small-Region: 2,220 x 2,967 pixels at 20x, one level, JPEG."""
    path = samples / "wsi" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        tiles = list_tiles(slide, 224, magnification=20)
        assert 20 < len(tiles) < 9 * 13
        assert all(t.level == 0 and t.mpp == pytest.approx(0.499) for t in tiles)
        assert read_tile(slide, tiles[0]).std() > 10
        halves = list_tiles(slide, 112, magnification=10)
        assert [(t.x, t.y, t.tissue) for t in halves] == [(t.x, t.y, t.tissue) for t in tiles]
        fine = cv2.resize(read_tile(slide, tiles[0]), (112, 112), interpolation=cv2.INTER_AREA)
        assert np.abs(fine.astype(int) - read_tile(slide, halves[0])).max() <= 1
    data = path.read_bytes()
    (tmp_path / "a.svs").write_bytes(data[:300_000] + bytes(3000) + data[303_000:])
    with open_slide(tmp_path / "a.svs") as slide, pytest.raises(UnreadableSlide, match="Corrupt JPEG"):
        list_tiles(slide, 224, magnification=20)
