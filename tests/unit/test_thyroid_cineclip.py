"""The thyroid cine-clips in both layouts, with the traps that their files hold."""

from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from tests.fixtures import GUIDE_HEADER, STACK_HEADER, row, scan, write_guide, write_mp4, write_stack
from workflow_scripts.collections import thyroid_cineclip as collection
from workflow_scripts.collections.collection import TABLE, Indexed, Source, Unusable, WrongLayout
from workflow_scripts.provenance import ContentHashes


def index(root: Path, limit: int | None = None, groups: dict[str, str] | None = None) -> dict[str, Indexed]:
    hashes = ContentHashes(root, root.parent / "hashes.json")
    found = {case.case_id: case for case in collection.index(Source(root, root, limit, groups or {}), hashes)}
    hashes.save()
    return found


def usable(case: Indexed) -> dict:
    assert case.row, case.problems
    return case.row


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    write_stack(root, {"130_": 12, "9_": 3, "66_": 4}, [row("9_"), row("66_", age="61"), row("130_", age="61")])
    return root


def test_clips_in_any_order_keep_their_own_rows(shipped: Path) -> None:
    cases = index(shipped)
    assert list(cases) == ["9", "66", "130"]
    assert [usable(case)["source_key"] for case in cases.values()] == ["9_", "66_", "130_"]
    stills = list(collection.open_case(Source(shipped, shipped), usable(cases["66"])).read())
    assert [still.index for still in stills] == [0, 1, 2, 3]
    for position, still in enumerate(stills, 15):  # 12 + 3 rows stand before it
        picture, mask = scan(position, (40, 56))
        assert (still.image == picture).all()
        assert still.mask is not None
        assert (still.mask == mask).all()  # 0/255 in the file is 0/1 here
        assert still.time_s is None  # the file knows no frame rate


def test_twelve_frames_are_numbered_not_spelt(shipped: Path) -> None:
    assert usable(index(shipped)["130"])["n_frames"] == 12  # b'10' < b'2'


def test_labels_are_points_centimetres_and_histology(shipped: Path) -> None:
    label = usable(index(shipped)["9"])
    assert label["size_mm"] == [12.0, 9.0, 10.0]
    assert label["largest_mm"] == 12.0
    assert [label[f"{name}_points"] for name in ("composition", "echogenicity", "foci")] == [2, 1, 0]
    assert (label["tirads_system"], label["tirads_level"]) == ("ACR 2017", "TR3")
    assert (label["pathology"], label["label_source"]) == ("benign", "histology")


def test_a_blank_axis_leaves_the_largest_diameter_unknown(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"1_": 1}, [row("1_", size_z="")])
    label = usable(index(tmp_path / "set")["1"])
    assert label["size_mm"] == [12.0, 9.0, None]
    assert label["largest_mm"] is None


def test_underscored_header_reads_the_same(tmp_path: Path) -> None:
    for spelling in (STACK_HEADER, STACK_HEADER.replace("-", "_")):
        write_stack(tmp_path / "set", {"1_": 2}, [row("1_")], header=spelling)
        assert usable(index(tmp_path / "set")["1"])["tirads_level"] == "TR3"


def test_neighbours_of_one_age_and_sex_are_one_group(shipped: Path) -> None:
    cases = index(shipped)
    assert [usable(case)["group_id"] for case in cases.values()] == ["9", "66", "66"]
    assert "derived" in usable(cases["9"])["group_kind"]
    told = index(shipped, groups={"130": "patient-7"})
    assert (usable(told["130"])["group_id"], usable(told["130"])["group_kind"]) == ("patient-7", "patient")


def test_a_case_in_one_table_only_is_quarantined(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"1_": 2, "3_": 2}, [row("1_"), row("2_")])
    cases = index(tmp_path / "set")
    assert cases["1"].row
    assert "lists" in cases["2"].problems[0].reason
    assert "no row" in cases["3"].problems[0].reason


def test_empty_masks(tmp_path: Path) -> None:
    empty = [("1_", 1), ("2_", 0), ("2_", 1)]
    write_stack(tmp_path / "set", {"1_": 3, "2_": 2}, [row("1_"), row("2_")], empty=empty)
    cases = index(tmp_path / "set")
    clip = collection.open_case(Source(tmp_path / "set", tmp_path / "set"), usable(cases["1"]))
    assert [still.mask is None for still in clip.read()] == [False, True, False]
    assert "frame 2" in clip.problems[0].reason
    with pytest.raises(Unusable, match="no nodule is outlined"):
        list(collection.open_case(Source(tmp_path / "set", tmp_path / "set"), usable(cases["2"])).read())


def test_content_hash_follows_the_rows_of_the_case_alone(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_stack(root, {"1_": 2, "2_": 2}, [row("1_"), row("2_")])
    before = {key: usable(case)["content_sha256"] for key, case in index(root).items()}
    write_stack(root, {"1_": 2, "2_": 2, "7_": 2}, [row("1_"), row("2_", age="51"), row("7_")])
    after = {key: usable(case)["content_sha256"] for key, case in index(root).items()}
    assert after["1"] == before["1"]
    assert after["2"] != before["2"]


def test_one_clip_in_two_places_and_gaps_in_frame_numbers(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_stack(root, {"1_": 2, "2_": 2, "3_": 2}, [row("1_"), row("2_"), row("3_")])
    with h5py.File(root / "dataset.hdf5", "r+") as file:
        file["annot_id"][5] = b"1_"
        file["frame_num"][3] = b"5"
    cases = index(root)
    assert "2 places" in cases["1"].problems[0].reason
    assert "not 1 to 2" in cases["2"].problems[0].reason


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("ti-rads_level", "6", "1 to 5"),
        ("ti-rads_shape", "x", "0 to 3"),
        ("size_x", "-1", "from 0"),
        ("size_x", "nan", "from 0"),
        ("size_x", "0", "up to 15 in centimetres"),
        ("size_x", "160", "up to 15 in centimetres"),
        ("age", "99999", "0 to 120"),
        ("age", "\u0665\u0660", "0 to 120"),
        ("age", "5\u00b2", "0 to 120"),
        ("location", "neck", "isthmus, left, right"),
        ("histopath_diagnosis", "2", "0, 1"),
    ],
)
def test_a_wrong_value_costs_its_case_and_says_what_was_expected(
    tmp_path: Path, column: str, value: str, expected: str
) -> None:
    write_stack(tmp_path / "set", {"1_": 1, "2_": 1}, [row("1_", **{column: value}), row("2_")])
    cases = index(tmp_path / "set")
    assert cases["2"].row
    assert cases["1"].row is None
    assert column.replace("-", "_") in cases["1"].problems[0].reason
    assert expected in cases["1"].problems[0].mend


def test_missing_column_stops_and_unknown_column_warns(tmp_path: Path) -> None:
    write_stack(tmp_path / "a", {"1_": 1}, [row("1_")], header=STACK_HEADER.replace(",age", ""))
    with pytest.raises(WrongLayout, match="column age is missing"):
        index(tmp_path / "a")
    write_stack(tmp_path / "b", {"1_": 1}, [row("1_", probe="L12")], header=STACK_HEADER + ",probe")
    cases = index(tmp_path / "b")
    assert cases["1"].row
    assert cases[TABLE].problems[0].reason == "unknown columns are left out: probe"


def test_a_row_of_another_length_costs_its_case(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_stack(root, {f"{n}_": 1 for n in (1, 2, 3, 4)}, [row("1_"), row("2_"), row("3_"), row("4_")])
    lines = (root / "metadata.csv").read_text().splitlines()
    lines[1], lines[2] = lines[1].rpartition(",")[0], lines[2] + ",0"
    lines[3] = "," * lines[3].count(",")
    (root / "metadata.csv").write_text("\n".join(lines))
    cases = index(root)
    assert [case.case_id for case in cases.values() if case.row] == ["4"]
    assert cases["1"].problems[0].reason == "line 2 has 13 fields, the header 14"
    assert cases["2"].problems[0].reason == "line 3 has 15 fields, the header 14"
    assert cases["line 4"].problems[0].reason == "line 4 has no annot_id"


def test_a_csv_with_semicolons_is_named(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"1_": 1}, [row("1_")])
    path = tmp_path / "set" / "metadata.csv"
    path.write_text(path.read_text().replace(",", ";"))
    with pytest.raises(WrongLayout, match="its separator is ';'; save it with commas"):
        index(tmp_path / "set")


def test_who_says_nothing_is_no_radiologist(tmp_path: Path) -> None:
    blank = {"ti-rads_level": "", "histopath_diagnosis": ""}
    write_stack(tmp_path / "set", {"1_": 1, "2_": 1}, [row("1_", **blank), row("2_", histopath_diagnosis="")])
    cases = index(tmp_path / "set")
    assert [usable(case)["label_source"] for case in cases.values()] == ["none", "radiologist"]


@pytest.mark.parametrize(
    ("key", "values", "reason"),
    [
        ("annot_id", np.array([1, 1]), "annot_id is of type int64; expected bytes"),
        ("frame_num", np.array([1, 2]), "frame_num is of type int64; expected bytes"),
        ("image", np.zeros((2, 40, 56), np.uint16), "image is of type uint16; expected uint8"),
        ("mask", np.zeros((2, 40, 56), bool), "mask is of type bool; expected uint8"),
        ("mask", np.zeros((2, 40, 55), np.uint8), "expected the same"),
    ],
)
def test_a_stack_of_other_types_is_refused(tmp_path: Path, key: str, values: np.ndarray, reason: str) -> None:
    write_stack(tmp_path, {"1_": 2}, [row("1_")])
    with h5py.File(tmp_path / "dataset.hdf5", "r+") as file:
        del file[key]
        file[key] = values
    with pytest.raises(WrongLayout, match=reason):
        index(tmp_path)


@pytest.mark.parametrize("way", ["link", "external", "virtual", "bomb"])
def test_a_stack_that_leads_elsewhere_or_swells_is_refused(tmp_path: Path, way: str) -> None:
    root = tmp_path / "set"
    write_stack(root, {"1_": 2}, [row("1_")])
    with h5py.File(root / "dataset.hdf5", "r+") as file, h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["image"] = file["image"][:]
        (tmp_path / "other.raw").write_bytes(file["image"][:].tobytes())
        del file["image"]
        if way == "link":
            file["image"] = h5py.ExternalLink(tmp_path / "other.hdf5", "image")
        elif way == "external":
            file.create_dataset("image", (2, 40, 56), np.uint8, external=[(str(tmp_path / "other.raw"), 0, 4480)])
        elif way == "virtual":
            layout = h5py.VirtualLayout((2, 40, 56), np.uint8)
            layout[:] = h5py.VirtualSource(other["image"])
            file.create_virtual_dataset("image", layout)
        else:
            file.create_dataset("image", (2, 2**16, 2**16), np.uint8, chunks=(1, 2**15, 2**15 + 1), compression="gzip")
    reason = "blocks of more than 1 GiB" if way == "bomb" else "image lies in another file"
    with pytest.raises(WrongLayout, match=reason):
        index(root)


def test_a_damaged_chunk_costs_its_clip(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_stack(root, {"1_": 5, "2_": 5}, [row("1_"), row("2_")])
    with h5py.File(root / "dataset.hdf5", "r+") as file:
        pixels = file["image"][:]
        del file["image"]
        stack = file.create_dataset("image", data=pixels, chunks=(5, 40, 56), compression="gzip")
        chunk = stack.id.get_chunk_info(1)
    whole = usable(index(root)["2"])
    data = bytearray((root / "dataset.hdf5").read_bytes())
    data[chunk.byte_offset + 50 : chunk.byte_offset + 90] = bytes(40)
    (root / "dataset.hdf5").write_bytes(data)
    cases = index(root)
    assert cases["1"].row
    assert "clip 2_ cannot be read" in cases["2"].problems[0].reason
    clip = collection.open_case(Source(root, root), whole)  # damaged since it was indexed
    with pytest.raises(Unusable, match="clip 2_ cannot be read"):
        list(clip.read())


def test_a_mask_of_other_values_is_not_guessed(tmp_path: Path) -> None:
    write_stack(tmp_path, {"1_": 2}, [row("1_")])
    with h5py.File(tmp_path / "dataset.hdf5", "r+") as file:
        file["mask"][1] = np.minimum(file["mask"][1], 2)
    clip = collection.open_case(Source(tmp_path, tmp_path), usable(index(tmp_path)["1"]))
    with pytest.raises(Unusable, match="the mask of frame 2 of 1_ has the values 0, 2"):
        list(clip.read())


def test_wrong_layouts_say_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongLayout, match=r"no metadata.csv found; expected dataset.hdf5"):
        index(tmp_path / "empty")
    write_stack(tmp_path / "cut", {"1_": 9}, [row("1_")])
    data = (tmp_path / "cut" / "dataset.hdf5").read_bytes()
    (tmp_path / "cut" / "dataset.hdf5").write_bytes(data[: len(data) // 2])
    with pytest.raises(WrongLayout, match="not a whole HDF5"):
        index(tmp_path / "cut")
    write_stack(tmp_path / "twice", {"1_": 1}, [row("1_"), row("1_")])
    with pytest.raises(WrongLayout, match="more than one row"):
        index(tmp_path / "twice")


def test_nested_root_and_limit(tmp_path: Path) -> None:
    write_stack(tmp_path / "set" / "thyroidultrasoundcineclip", {"1_": 1, "2_": 1}, [row("1_"), row("2_")])
    cases = index(tmp_path / "set", limit=1)
    assert list(cases) == ["1"]
    assert usable(cases["1"])["sources"] == ["thyroidultrasoundcineclip/dataset.hdf5"]
    assert len(list(collection.open_case(Source(tmp_path / "set", tmp_path / "set"), usable(cases["1"])).read())) == 1


# --- the guide's layout -----------------------------------------------------------------------------------------------


def test_guide_layout(tmp_path: Path) -> None:
    write_guide(tmp_path, {"patient001": 5, "patient002": 3})
    cases = index(tmp_path)
    assert list(cases) == ["patient001", "patient002"]
    label = usable(cases["patient001"])
    assert (label["group_id"], label["group_kind"]) == ("patient001", "patient")
    assert (label["largest_mm"], label["composition"]) == (12.0, "solid or almost completely solid")
    stills = list(collection.open_case(Source(tmp_path, tmp_path), label).read())
    assert [still.time_s for still in stills] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for k, still in enumerate(stills):
        assert still.mask is not None
        assert (still.mask == scan(k)[1]).all()
        assert np.abs(still.image.astype(int) - scan(k)[0]).mean() < 12  # the codec is lossy


def test_guide_frames_are_the_decoders_own_in_order(tmp_path: Path) -> None:
    write_guide(tmp_path, {"patient001": 9})
    taken = list(collection.open_case(Source(tmp_path, tmp_path), usable(index(tmp_path)["patient001"])).read([2, 7]))
    with av.open(str(tmp_path / "images" / "patient001_clip.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [still.index for still in taken] == [2, 7]
    import cv2

    for still in taken:
        assert (still.image == cv2.cvtColor(decoded[still.index], cv2.COLOR_RGB2GRAY)).all()


def test_guide_truncated_video_and_mask_of_another_size(tmp_path: Path) -> None:
    write_guide(tmp_path, {"a": 30, "b": 5, "c": 5})
    path = tmp_path / "images" / "a_clip.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    write_mp4(tmp_path / "images" / "b_clip.mp4", [scan(k, (64, 96))[0] for k in range(5)])
    write_mp4(tmp_path / "images" / "c_clip.mp4", [scan(k)[0] for k in range(4)])
    cases = index(tmp_path)
    for name, reason in (("a", "a_clip.mp4"), ("b", "has shape"), ("c", "5 frames, the video has 4")):
        with pytest.raises(Unusable, match=reason):
            list(collection.open_case(Source(tmp_path, tmp_path), usable(cases[name])).read())


def test_guide_files_that_are_missing_or_not_listed(tmp_path: Path) -> None:
    write_guide(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "images" / "a_clip.mp4").rename(tmp_path / "images" / "z_clip.mp4")
    (tmp_path / "segmentations" / "b_seg.nii.gz").unlink()
    cases = index(tmp_path)
    assert {name: case.problems[0].file for name, case in cases.items()} == {
        "a": "images/a_clip.mp4",
        "b": "segmentations/b_seg.nii.gz",
        "z": "images/z_clip.mp4",
    }


def test_guide_missing_column(tmp_path: Path) -> None:
    write_guide(tmp_path, {"a": 2})
    text = (tmp_path / "metadata.csv").read_text().replace("histopathology", "histology")
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(WrongLayout, match=f"histopathology is missing; expected the header {GUIDE_HEADER[:20]}"):
        index(tmp_path)


def test_guide_words_sizes_and_files(tmp_path: Path) -> None:
    write_guide(tmp_path, {"a": 2}, composition="Solid Or Almost", nodule_size_mm="150")
    (tmp_path / "images" / "b.avi").write_bytes(b"x")
    (tmp_path / "images" / "._a_clip.mp4").write_bytes(b"x")
    (tmp_path / "images" / "c_clip.mp4").symlink_to(tmp_path / "gone.mp4")
    cases = index(tmp_path)
    assert usable(cases["a"])["composition"] == "solid or almost"
    assert cases[TABLE].problems[0].reason == "2 files are not understood: b.avi, c_clip.mp4"
    write_guide(tmp_path, {"a": 2}, nodule_size_mm="151")
    assert index(tmp_path)["a"].problems[0].reason == "nodule_size_mm is 151: expected millimetres"


def test_no_reason_holds_an_absolute_path(tmp_path: Path) -> None:
    write_guide(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "images" / "a_clip.mp4").write_bytes(b"no video")
    (tmp_path / "segmentations" / "b_seg.nii.gz").write_bytes(b"no volume")
    for case in index(tmp_path).values():
        with pytest.raises(Unusable) as caught:
            list(collection.open_case(Source(tmp_path, tmp_path), usable(case)).read())
        assert str(tmp_path) not in str(caught.value)
