"""EchoNet-Dynamic: its two tables and its videos, with the traps that they hold."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.draw

from workflow_scripts.collections import echonet_dynamic as collection
from workflow_scripts.collections.collection import TABLE, Clip, Indexed, Source, Still, Unusable, WrongLayout
from workflow_scripts.demo.echonet_dynamic import write_echonet_dynamic
from workflow_scripts.frames.extract_frames import choose_frames, read_case
from workflow_scripts.imaging.field_of_view import find_field
from workflow_scripts.provenance import ContentHashes

LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
SPEC = {"kind": "echonet-dynamic", "frames": "outlined", "outlines": "ventricle", "window": None}


def listed(name: str, **other: object) -> list[object]:
    values = (name, "60", "40", "100", "112", "112", "50", "6", "TRAIN")
    return [*(dict(zip(LIST, values, strict=True)) | other).values()]


def traced(name: str, frame: int, half: float, centre: float = 60.0, lines: int = 21) -> list[list[object]]:
    """Return a tracing: the axis from 20 to 80 down, then discs as wide as told."""
    axis = [f"{name}.avi", centre, 20.0, centre, 80.0, frame]
    discs = [[f"{name}.avi", centre - half, 22.0 + 2.8 * k, centre + half, 22.0 + 2.8 * k, frame] for k in range(20)]
    return [axis, *discs][:lines]


def write_video(
    path: Path, n_frames: int = 6, shape: tuple[int, int] = (112, 112), fps: int = 25, seed: int = 0
) -> None:
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.height, stream.width, stream.pix_fmt = *shape, "yuvj420p"
        for _ in range(n_frames):
            picture = cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (0, 0), 2)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_table(path: Path, header: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def write_set(
    root: Path, rows: list[list[object]], tracings: list[list[object]], videos: Iterable[str] | None = None
) -> Path:
    (root / "Videos").mkdir(parents=True, exist_ok=True)
    write_table(root / "FileList.csv", LIST, rows)
    write_table(root / "VolumeTracings.csv", TRACINGS, tracings)
    for seed, name in enumerate([str(row[0]) for row in rows] if videos is None else videos):
        write_video(root / "Videos" / f"{name}.avi", seed=seed)
    return root


def both(name: str) -> list[list[object]]:
    return [*traced(name, 1, 10), *traced(name, 4, 16)]


def index(root: Path, limit: int | None = None, groups: dict[str, str] | None = None) -> dict[str, Indexed]:
    hashes = ContentHashes(root, root.parent / "hashes.json")
    return {case.case_id: case for case in collection.index(Source(root, root, limit, groups or {}), hashes)}


def usable(case: Indexed) -> dict[str, Any]:
    assert case.row, case.problems
    return case.row


def reasons(problems: list[Unusable]) -> str:
    return "; ".join(problem.reason for problem in problems)


def take(root: Path, case_id: str, rule: Any = "outlined") -> tuple[Clip, list[Still]]:
    clip = collection.open_case(Source(root, root), usable(index(root)[case_id]))
    return clip, list(clip.read(choose_frames(rule, clip)))


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Path]:
    def write(tracings: list[list[object]] | None = None, **other: object) -> Path:
        return write_set(tmp_path / "set", [listed("A", **other)], both("A") if tracings is None else tracings)

    return write


def test_labels_of_a_video(one: Callable[..., Path]) -> None:
    row = usable(index(one(FPS="29.9", Split="vAL"))["A"])
    assert [row[key] for key in ("ejection_fraction", "esv_ml", "edv_ml")] == [60, 40, 100]
    assert (row["frame_rate"], row["n_frames"], row["split_given"]) == (29.9, 6, "val")
    assert (row["body_part"], row["view"]) == ("heart", "apical four-chamber")
    assert row["group_kind"] == "video (no patient identifier is published)"
    told = usable(index(one(), groups={"A": "patient-7"})["A"])
    assert (told["group_id"], told["group_kind"]) == ("patient-7", "patient")


def test_masks_are_those_of_the_publishers_loader_in_the_frames_that_were_traced(one: Callable[..., Path]) -> None:
    root = one(FPS="25")
    clip, stills = take(root, "A")
    assert [still.index for still in stills] == [1, 4]
    assert [still.time_s for still in stills] == [1 / 25, 4 / 25]
    for still in stills:
        lines = np.array([row[1:5] for row in both("A") if row[5] == still.index], float)
        x = np.concatenate([lines[1:, 0], np.flip(lines[1:, 2])])
        y = np.concatenate([lines[1:, 1], np.flip(lines[1:, 3])])
        expected = np.zeros((112, 112), np.uint8)
        expected[skimage.draw.polygon(np.rint(y).astype(int), np.rint(x).astype(int), (112, 112))] = 1
        assert still.mask is not None
        assert (still.mask == expected).all()
        assert still.image.shape == (112, 112)  # three equal channels are grey
    assert not clip.problems
    assert [bool(area) for area in clip.mask_areas()] == [False, True, False, False, True, False]


@pytest.mark.parametrize("order", [(1, 4), (4, 1)])
def test_phases_go_by_area_whatever_the_order_of_frames_and_of_rows(
    one: Callable[..., Path], order: tuple[int, int]
) -> None:
    small, large = order
    for tracings in (traced("A", small, 10) + traced("A", large, 16), traced("A", large, 16) + traced("A", small, 10)):
        _, stills = take(one(tracings), "A")
        assert {still.position: still.index for still in stills} == {
            "end-systolic frame": small,
            "end-diastolic frame": large,
        }


def test_phases_of_equal_areas_or_of_one_frame_are_not_guessed(one: Callable[..., Path]) -> None:
    for tracings in (traced("A", 1, 10) + traced("A", 4, 10), traced("A", 1, 10)):
        root = one(tracings)
        assert "is not told" in reasons(index(root)["A"].problems)
        assert {still.position for still in take(root, "A")[1]} == {None}


def test_times_follow_the_table_and_not_the_container(one: Callable[..., Path]) -> None:
    assert [still.time_s for still in take(one(FPS="62.5"), "A", "all")[1]] == [n / 62.5 for n in range(6)]
    for rate in ("", "0", "-5"):
        root = one(FPS=rate)
        assert [still.time_s for still in take(root, "A")[1]] == [None, None]
        assert ("its frames get no time" in reasons(index(root)["A"].problems)) == bool(rate)


@pytest.mark.parametrize("times", [2, 3, 7])
def test_of_a_frame_traced_several_times_the_last_tracing_counts(one: Callable[..., Path], times: int) -> None:
    slips = [row for k in range(1, times) for row in traced("A", 4, 16 + k, 60 + 3 * k)]
    root = one([*traced("A", 1, 10), *slips, *traced("A", 4, 16)])
    assert reasons(index(root)["A"].problems) == f"its frame 4 was traced {times} times: the last tracing counts"
    masks = [still.mask for still in take(root, "A")[1]]
    for mask, still in zip(masks, take(one(), "A")[1], strict=True):
        assert mask is not None
        assert (mask == still.mask).all()


@pytest.mark.parametrize("lines", [16, 18, 41])
def test_an_incomplete_tracing_draws_nothing(one: Callable[..., Path], lines: int) -> None:
    rows = (traced("A", 4, 16) * 2)[:lines]
    root = one([*traced("A", 1, 10), *rows])
    assert f"the {lines} lines of its frame 4 are no tracings of 21" in reasons(index(root)["A"].problems)
    assert [still.index for still in take(root, "A")[1]] == [1]


def test_tracings_that_lie_between_each_other_draw_nothing(one: Callable[..., Path]) -> None:
    pairs = zip(traced("A", 4, 16), traced("A", 4, 18), strict=True)
    root = one([*traced("A", 1, 10), *(row for pair in pairs for row in pair)])
    assert "the 42 lines" in reasons(index(root)["A"].problems)


def test_coordinates_beyond_the_frame_are_cut_and_far_beyond_refused(one: Callable[..., Path]) -> None:
    root = one([*traced("A", 1, 10), *traced("A", 4, 16, 97)])
    clip, stills = take(root, "A")
    assert stills[1].mask is not None
    assert stills[1].mask[50, 111] == 1
    assert reasons(clip.problems).startswith("20 coordinates of frame 4 lie outside its 112 x 112 pixels")
    root = one([*traced("A", 1, 10), *traced("A", 4, 300, 500)])  # drawn on the original picture
    clip, stills = take(root, "A")
    assert [still.mask is None for still in stills] == [False, True]
    assert "lies outside the frame" in reasons(clip.problems)


def test_a_video_that_nobody_traced(one: Callable[..., Path]) -> None:
    root = one([])
    case = {"case_id": "A", "modality": "US"} | usable(index(root)["A"])
    lost: list[Unusable] = []
    with pytest.raises(Unusable, match="nobody traced its ventricle") as said:
        list(read_case(Source(root, root), SPEC, case, lost))
    assert "frames: middle" in said.value.mend
    for rule in ("middle", "largest_mask"):
        (row,) = read_case(Source(root, root), SPEC | {"frames": rule}, case, lost)
        assert (row["frame_index"], row["mask"]) == (2, None)
        assert "nobody traced" in lost[-1].reason


def test_a_tracing_of_no_video_is_noticed_and_costs_nothing(one: Callable[..., Path]) -> None:
    cases = index(one([*both("A"), *traced("Z", 3, 9)]))
    assert "lines of Z are of no video" in reasons(cases[TABLE].problems)
    assert [case.case_id for case in cases.values() if case.row] == ["A"]


def test_what_is_in_one_place_only_is_quarantined(tmp_path: Path) -> None:
    names = ["A10", "A9", "B"]
    root = write_set(tmp_path / "set", [listed("A10"), listed("A9.avi"), listed("B")], [], ["A9", "A10", "C"])
    (root / "Videos" / "._A9.avi").write_bytes(b"x")
    (root / "Videos" / "notes 100%.txt").write_text("x")
    cases = index(root)
    assert [*cases] == [TABLE, "A9", "A10", "B", "C"]  # by number, `.avi` or not
    assert "notes 100%.txt" in reasons(cases[TABLE].problems)
    assert [name for name in names if cases[name].row] == ["A10", "A9"]
    assert reasons(cases["B"].problems) == "FileList.csv lists it, but it is not there"
    assert reasons(cases["C"].problems) == "no row in FileList.csv"
    assert [*index(root, limit=1)] == [TABLE, "A9"]


def test_a_name_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_set(tmp_path / "set", [listed("../../B"), listed("A")], [], ["A"])
    write_video(tmp_path / "B.avi")
    assert "not there" in reasons(index(tmp_path / "set")["../../B"].problems)


def test_one_folder_further_down(tmp_path: Path) -> None:
    write_set(tmp_path / "set" / "EchoNet 100%", [listed("A")], both("A"))
    row = usable(index(tmp_path / "set")["A"])
    assert row["sources"] == ["EchoNet 100%/Videos/A.avi", "EchoNet 100%/VolumeTracings.csv"]
    assert len(take(tmp_path / "set", "A")[1]) == 2


def test_ejection_fraction_that_does_not_follow_from_the_volumes(one: Callable[..., Path]) -> None:
    assert not index(one(EF="60.4", ESV="39.6", EDV="100.0"))["A"].problems
    assert not index(one(EF="58", ESV="25", EDV="60"))["A"].problems  # 58.3, rounded
    case = index(one(EF="40", ESV="40", EDV="100"))["A"]
    assert usable(case)["ejection_fraction"] == 40
    assert reasons(case.problems).startswith("EF is 40, but 60.0 follows from its ESV and EDV")


def test_blank_labels_are_not_known(one: Callable[..., Path]) -> None:
    blank = dict.fromkeys(LIST[1:], "")
    root = one(**blank)
    row = usable(index(root)["A"])
    assert {row[key] for key in ("ejection_fraction", "esv_ml", "edv_ml", "frame_rate", "n_frames", "split_given")} == {
        None
    }
    assert row["label_source"] == "none"
    assert len(take(root, "A")[1]) == 2


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("EF", "142", "0 to 100"),
        ("EF", "nan", "0 to 100"),
        ("EF", "\u0665\u0660", "0 to 100"),
        ("ESV", "-1", "0 to 2000"),
        ("EDV", "1_0", "0 to 2000"),
        ("EDV", "1e99999", "0 to 2000"),
        ("FPS", "fast", "a number"),
        ("NumberOfFrames", "12.5", "a whole number"),
        ("NumberOfFrames", "99999999999", "1 to 100000"),
        ("Split", "holdout", "TRAIN, VAL, TEST"),
    ],
)
def test_a_wrong_value_costs_its_case(tmp_path: Path, column: str, value: str, expected: str) -> None:
    cases = index(write_set(tmp_path / "set", [listed("A", **{column: value}), listed("B")], []))
    assert cases["B"].row
    assert cases["A"].row is None
    assert column in reasons(cases["A"].problems)
    assert expected in cases["A"].problems[0].mend


def test_broken_rows_cost_their_case(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [listed(name) for name in "ABCD"], [*both("B"), *both("D")], "ABCD")
    lines = (root / "FileList.csv").read_text().splitlines()
    lines[1] += ",1"
    lines += [lines[3], "," * 8]
    (root / "FileList.csv").write_text("\n".join(lines))
    text = (root / "VolumeTracings.csv").read_text().replace("D.avi,60.0,20.0,", "D.avi,x,20.0,", 1)
    (root / "VolumeTracings.csv").write_text(text)
    cases = index(root)
    assert [name for name in cases if cases[name].row] == ["B"]
    assert "not one value a column" in reasons(cases["A"].problems)
    assert "stands in 2 rows" in reasons(cases["C"].problems)
    assert "line 44 is not a FileName, four coordinates" in reasons(cases["D"].problems)
    assert "has no FileName" in reasons(cases["line 7"].problems)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("FileList.csv", b",EF", b",EjectionFraction"),
        ("FileList.csv", b"TRAIN", b"\xff"),
        ("VolumeTracings.csv", b",", b";"),
        ("VolumeTracings.csv", b"\nA.avi", b'\n"A.avi'),
    ],
)
def test_a_table_that_is_no_such_table_stops_the_run(
    one: Callable[..., Path], name: str, old: bytes, new: bytes
) -> None:
    path = one() / name
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(WrongLayout, match=f"{name}: (its header is|not a CSV)"):
        index(path.parent)


@pytest.mark.parametrize("name", ["FileList.csv", "VolumeTracings.csv"])
def test_a_missing_table_stops_the_run(one: Callable[..., Path], name: str) -> None:
    root = one()
    (root / name).unlink()
    with pytest.raises(WrongLayout, match=f"no {name} found; expected FileList.csv, VolumeTracings.csv and Videos"):
        index(root)


def test_a_bom_is_no_part_of_the_header(one: Callable[..., Path]) -> None:
    root = one()
    path = root / "FileList.csv"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert index(root)["A"].row


def test_two_copies_of_one_video_are_one_group(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [listed("A"), listed("B"), listed("C")], [])
    (root / "Videos" / "B.avi").write_bytes((root / "Videos" / "A.avi").read_bytes())
    cases = index(root)
    assert [usable(case)["group_id"] for case in cases.values()] == ["A", "A", "C"]
    assert "the same video as that of case A" in reasons(cases["B"].problems)


def test_content_hash_follows_video_row_and_tracing_of_the_case_alone(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [listed("A"), listed("B")], both("A") + both("B"))
    before = {key: usable(case)["content_sha256"] for key, case in index(root).items()}
    write_set(root, [listed("B"), listed("C"), listed("A")], traced("C", 1, 4) + both("A") + traced("B", 4, 9), "")
    after = {key: case.row and case.row["content_sha256"] for key, case in index(root).items()}
    assert after["A"] == before["A"]
    assert after["B"] != before["B"]


def test_frames_are_counted_against_the_table(one: Callable[..., Path]) -> None:
    clip, stills = take(one(NumberOfFrames="9"), "A")
    assert len(stills) == 2
    assert reasons(clip.problems) == "6 frames decode, FileList.csv states 9"
    clip, stills = take(one([*traced("A", 1, 10), *traced("A", 40, 16)]), "A")
    assert [still.index for still in stills] == [1]
    assert "frame 40 is traced, but the video has 6 frames" in reasons(clip.problems)


def test_a_video_of_another_size_than_stated_does_not_fit_its_tracing(one: Callable[..., Path]) -> None:
    root = one()
    write_video(root / "Videos" / "A.avi", shape=(224, 224))
    with pytest.raises(Unusable, match="224 x 224 pixels, FileList.csv states 112 x 112"):
        take(root, "A")


def test_a_video_that_is_cut_off_or_none(one: Callable[..., Path]) -> None:
    root = one()
    path = root / "Videos" / "A.avi"
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], b"", b"no video"):
        path.write_bytes(broken)
        with pytest.raises(Unusable, match=r"Videos/A\.avi: it (breaks off|does not decode|holds)"):
            take(root, "A")


def test_twin_says_what_it_draws_and_its_defects_are_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_echonet_dynamic(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files)
    root = tmp_path / "a"
    cases = index(root)
    noted = reasons([problem for case in cases.values() for problem in case.problems])
    assert "of no video" in noted
    assert "traced 2 times" in noted
    assert "EF is" not in noted
    taken, lost = [], []
    for case in cases.values():
        try:
            taken += take(root, case.case_id)[1] if case.row else []
        except Unusable as problem:
            lost.append(problem.reason)
    assert len(taken) == 20
    assert [reason.partition(" after")[0] for reason in lost] == ["it does not decode"]
    for still in taken:
        assert still.mask is not None
        assert find_field(still.image)[still.mask > 0].all()


def test_a_real_echocardiogram(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / "Videos").mkdir(parents=True)
    video = samples / "us-clip" / "clip30.avi"
    (tmp_path / "set" / "Videos" / "A.avi").write_bytes(video.read_bytes())
    row = listed("A", FrameHeight="240", FrameWidth="320", NumberOfFrames="30")
    write_table(tmp_path / "set" / "FileList.csv", LIST, [row])
    write_table(tmp_path / "set" / "VolumeTracings.csv", TRACINGS, traced("A", 3, 10, 160) + traced("A", 9, 16, 160))
    clip, stills = take(tmp_path / "set", "A", "all")
    assert (clip.count(), len(stills)) == (30, 30)
    for still in stills:
        small = cv2.resize(still.image, (112, 112), interpolation=cv2.INTER_CUBIC)
        assert find_field(small)[35:75, 50:65].all()  # the ventricle, and the septum beside it
