"""Frames: exact, chosen by rule, and void when their case breaks."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import extract_spec, index_rows, index_spec, row, scan, write_ddti_case, write_guide, write_stack
from workflow_scripts.collections.collection import Source, Unusable
from workflow_scripts.frames.extract_frames import choose_frames, extract_frames, read_case
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.tables import cases, frames
from workflow_scripts.tables.table import read_rows, write_rows


class Outlined:
    """A clip of which only the outlined areas are known."""

    def __init__(self, areas: list[int]) -> None:
        self.areas, self.problems = areas, []  # type: ignore[var-annotated]

    def count(self) -> int:
        return len(self.areas)

    def mask_areas(self) -> list[int]:
        return self.areas

    def read(self, indices: object = None) -> object:
        raise NotImplementedError


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 50))
def test_frame_rules(areas: list[int], n: int) -> None:
    clip = Outlined(areas)
    assert choose_frames("all", clip) is None  # type: ignore[arg-type]
    (largest,) = choose_frames("largest_mask", clip) or []  # type: ignore[arg-type]
    assert areas[largest] == max(areas)
    middle = (len(areas) - 1) / 2
    assert all(abs(largest - middle) <= abs(k - middle) for k, area in enumerate(areas) if area == max(areas))
    taken = choose_frames({"evenly": n}, clip) or []  # type: ignore[arg-type]
    assert taken == sorted(set(taken))
    assert len(taken) == min(n, len(areas))
    assert n == 1 or len(areas) == 1 or (taken[0], taken[-1]) == (0, len(areas) - 1)
    steps = np.diff(taken)
    assert len(taken) < 3 or steps.max() - steps.min() <= 1
    assert choose_frames("middle", clip) == [(len(areas) - 1) // 2]  # type: ignore[arg-type]


def extract(root: Path, tmp_path: Path, rule: object = "all") -> tuple[list[dict], list[dict]]:
    found, _ = index_rows(root, "d", index_spec("thyroid-cineclip"), tmp_path / "cache")
    write_rows(tmp_path / "chunk.parquet", found, cases.SCHEMA)
    spec = extract_spec("thyroid-cineclip", rule)
    lost = extract_frames(tmp_path / "chunk.parquet", Source(root, root), spec, tmp_path / "frames.parquet")
    return read_rows(tmp_path / "frames.parquet", frames.SCHEMA), lost


def test_frames_are_the_pixels_of_the_file(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"2_": 12, "1_": 7}, [row("1_"), row("2_")])
    rows, lost = extract(tmp_path / "set", tmp_path)
    assert not lost
    assert [(frame["case_id"], frame["frame_index"]) for frame in rows] == [("1", k) for k in range(7)] + [
        ("2", k) for k in range(12)
    ]
    for frame, position in zip(rows, [*range(12, 19), *range(12)], strict=True):
        picture, mask = scan(position, (40, 56))
        assert (decode_picture(frame["image"]["bytes"]) == picture).all()
        assert (decode_picture(frame["mask"]["bytes"]) == mask).all()
        assert frame["pixel_sha256"] == pixel_sha256(picture)
        assert (frame["height"], frame["width"], frame["spacing_mm"], frame["time_s"]) == (40, 56, None, None)


@pytest.mark.parametrize(("rule", "taken"), [("middle", [5]), ({"evenly": 3}, [0, 6, 11])])
def test_a_rule_takes_the_same_pixels_as_all(tmp_path: Path, rule: object, taken: list[int]) -> None:
    write_stack(tmp_path / "set", {"2_": 12}, [row("2_")])
    everything, _ = extract(tmp_path / "set", tmp_path)
    some, _ = extract(tmp_path / "set", tmp_path, rule)
    assert some == [everything[k] for k in taken]


def test_a_case_that_breaks_leaves_no_frame_and_the_rest_stays(tmp_path: Path) -> None:
    write_guide(tmp_path / "set", {"a": 40, "b": 4, "c": 5})
    path = tmp_path / "set" / "images" / "a_clip.mp4"
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    rows, lost = extract(tmp_path / "set", tmp_path)
    assert [frame["case_id"] for frame in rows] == ["b"] * 4 + ["c"] * 5
    assert [(problem["case_id"], problem["status"], problem["file"]) for problem in lost] == [
        ("a", "quarantined", "images/a_clip.mp4")
    ]


def test_a_case_that_changes_while_it_is_read_is_not_used(tmp_path: Path) -> None:
    write_guide(tmp_path / "set", {"a": 4})
    found, _ = index_rows(tmp_path / "set", "d", index_spec("thyroid-cineclip"), tmp_path / "cache")
    spec = extract_spec("thyroid-cineclip", "all")
    source = Source(tmp_path / "set", tmp_path / "cache")
    (case,) = found
    assert len(list(read_case(source, spec, case, []))) == 4
    reading = read_case(source, spec, case, [])
    next(reading)
    os.utime(tmp_path / "set" / "images" / "a_clip.mp4", ns=(0, 1))
    with pytest.raises(Unusable, match=r"images/a_clip.mp4: it changed while it was read"):
        list(reading)


def test_the_same_cases_give_the_same_bytes(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"1_": 9}, [row("1_")])
    extract(tmp_path / "set", tmp_path)
    first = (tmp_path / "frames.parquet").read_bytes()
    extract(tmp_path / "set", tmp_path)
    assert (tmp_path / "frames.parquet").read_bytes() == first


def test_what_the_index_said_of_a_picture_is_not_said_again(tmp_path: Path) -> None:
    write_ddti_case(tmp_path / "set", 1, {1: '[{"points": [{"x": 1', 2: None})
    write_ddti_case(tmp_path / "set", 2, {1: "[{"})
    found, noted = index_rows(tmp_path / "set", "d", index_spec("ddti"), tmp_path / "cache")
    assert [(problem["case_id"], problem["status"]) for problem in noted] == [("1", "partial"), ("2", "quarantined")]
    write_rows(tmp_path / "chunk.parquet", found, cases.SCHEMA)
    source = Source(tmp_path / "set", tmp_path / "cache")
    lost = extract_frames(tmp_path / "chunk.parquet", source, extract_spec("ddti"), tmp_path / "frames.parquet")
    assert not lost
    (frame,) = read_rows(tmp_path / "frames.parquet", frames.SCHEMA)
    assert frame["position"] == "1_2.jpg"
