"""Masks for other systems: each on the grid of its source, nothing claimed that was not looked at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.seg import segread
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from pydicom import dcmread

from tests.dicom_files import write_dicom, write_series
from tests.fixtures import extract_spec
from workflow_scripts.collections.collection import Source, find
from workflow_scripts.command import Refusal
from workflow_scripts.frames.extract_frames import extract_frames
from workflow_scripts.imaging.nifti_masks import even_step
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.provenance import ContentHashes
from workflow_scripts.segment.export_masks import export_masks, main
from workflow_scripts.segment.import_masks import name_of, read_mask
from workflow_scripts.tables import cases, frames, masks
from workflow_scripts.tables.table import read_rows, write_rows

H, W = 20, 30
FOLDS = {"0": "0123456789abcdef" * 4}
Masks = Mapping[str, Mapping[int, np.ndarray]]  # case -> frame -> labels


def blob(row: int = 5, column: int = 8, label: int = 1) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[row : row + 6, column : column + 9] = label
    return mask


def write_masks(dataset: Path, predicted: Masks, fold: str = "0") -> None:
    rows = [
        {
            "frame_id": f"{case}/{k}",
            "case_id": case,
            "model": "m",
            "fold": fold,
            "mask": {"bytes": encode_png(mask), "path": None},
        }
        for case, found in predicted.items()
        for k, mask in found.items()
    ]
    write_rows(dataset / "masks" / "m" / fold / "000.parquet", rows, masks.SCHEMA)


def made_up(tmp_path: Path, rows: list[dict[str, Any]], predicted: Masks, **frame: Any) -> Path:
    """Write the tables of a data set with these cases, whose frames are those that were predicted."""
    dataset = tmp_path / "results" / "datasets" / "clinic"
    write_rows(dataset / "chunks" / "000.parquet", rows, cases.SCHEMA)
    told = [
        {"frame_id": f"{case}/{k}", "case_id": case, "frame_index": k, "image": {"bytes": b"", "path": None}}
        | {name: value(case, k) if callable(value) else value for name, value in frame.items()}
        for case, found in predicted.items()
        for k in found
    ]
    write_rows(dataset / "frames" / "000.parquet", told, frames.SCHEMA)
    write_masks(dataset, predicted)
    return dataset


def extracted(tmp_path: Path, kind: str, root: Path, outlines: str = "nodule") -> tuple[Path, list[dict[str, Any]]]:
    """Index and extract a folder; return the data set's folder and its frames."""
    dataset = tmp_path / "results" / "datasets" / "clinic"
    source = Source(root, tmp_path / "cache")
    found = find(kind).index(source, ContentHashes(root, tmp_path / "hashes.json"))
    rows = [{"case_id": case.case_id, "dataset": "clinic"} | case.row for case in found if case.row]
    chunk = dataset / "chunks" / "000.parquet"
    write_rows(chunk, rows, cases.SCHEMA)
    extract_frames(chunk, source, extract_spec(kind, outlines=outlines), dataset / "frames" / "000.parquet")
    return dataset, read_rows(dataset / "frames" / "000.parquet", frames.SCHEMA)


def export(dataset: Path, root: Path, outlines: str = "nodule") -> tuple[Path, dict[str, Any]]:
    out = dataset / "export" / "m"
    return out, export_masks(dataset, root, "m", FOLDS, outlines, out)


def test_dicom_goes_the_whole_way_and_says_what_it_could_not(tmp_path: Path) -> None:
    root = tmp_path / "in"
    volume = np.random.default_rng(0).integers(0, 200, (4, H, W)).astype(np.int16)
    write_series(root / "ct", volume, FrameOfReferenceUID="1.2.3")
    write_dicom(root / "us" / "a.dcm", volume.astype(np.uint8), "US", SequenceOfUltrasoundRegions=None)
    write_dicom(root / "empty" / "a.dcm", volume[0].astype(np.uint8), "US")
    dataset, _ = extracted(tmp_path, "dicom-folder", root)
    ids: dict[str, str] = {}
    for row in read_rows(dataset / "chunks" / "000.parquet", cases.SCHEMA):
        ids[row["sources"][0].split("/")[0]] = row["case_id"]
    predicted = {
        ids["ct"]: {k: blob(5 + k) for k in range(3)},  # the fourth slice was not predicted
        ids["us"]: {0: blob(), 1: blob() * 0, 2: blob(), 3: blob(2)},
        ids["empty"]: {0: blob() * 0},
    }
    write_masks(dataset, predicted)
    out, summary = export(dataset, root)
    by_case = {row["case_id"]: row for row in summary["cases"]}
    assert not summary["lost"]
    assert json.loads((out / "export.json").read_text()) == summary
    assert "identify" in (out / "NOTICE.txt").read_text()
    assert all((out / file).is_file() for row in summary["cases"] for file in row["files"])

    ct = by_case[ids["ct"]]
    assert ct["remarks"][0].startswith("3 of 4 pictures were looked at")
    seg = segread(out / ct["files"][0])
    assert len(seg.SegmentSequence) == 1  # three slices, one nodule
    uids = [dcmread(root / "ct" / f"{k + 1}.dcm").SOPInstanceUID for k in range(3)]
    pixels = seg.get_pixels_by_source_instance(uids, combine_segments=True)
    assert np.array_equal(pixels, np.stack([predicted[ids["ct"]][k] for k in range(3)]))

    us = by_case[ids["us"]]
    assert len(us["remarks"]) == 2
    assert "no frame of reference" in us["remarks"][0]
    assert "no measurement" in us["remarks"][1]
    assert len(segread(out / us["files"][0]).SegmentSequence) == 2  # an empty frame parts them

    assert by_case[ids["empty"]]["files"] == []
    assert "nothing was found" in by_case[ids["empty"]]["remarks"][0]


def test_the_masks_of_coca_follow_space_and_not_the_names_of_files(tmp_path: Path) -> None:
    root = tmp_path / "in"
    paths = write_series(root / "p" / "0", np.zeros((3, H, W), np.int16), FrameOfReferenceUID="1.2.3")
    places = {str(dcmread(path).SOPInstanceUID): dcmread(path).ImagePositionPatient[2] for path in paths}
    for path, name in zip(paths, "cba", strict=True):
        path.rename(path.with_name(f"{name}.dcm"))
    row = {
        "case_id": "0",
        "source_kind": "dicom-plist",
        "sources": ["p/0/a.dcm", "p/0/b.dcm", "p/0/c.dcm", "calcium/0.xml"],
        "body_part": "heart",
    }
    dataset = made_up(tmp_path, [row], {"0": {2: blob()}}, spacing_mm=[0.5, 0.5])
    out, summary = export(dataset, root, "calcium")
    assert not summary["lost"]
    made = dcmread(out / "dicom" / "0.seg.dcm")
    image = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert places[image.ReferencedSOPInstanceUID] == 6
    assert made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Calcium"


def test_a_file_that_changed_costs_its_case_and_no_other(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name, size in (("a", H), ("b", H + 1), ("d", H)):
        write_dicom(root / name / "1.dcm", np.zeros((size, W), np.uint8), "US")
    Nifti1Image(np.zeros((W, H + 1, 2), np.int16), np.eye(4)).to_filename(root / "e.nii.gz")
    rows: list[dict[str, Any]] = [
        {"case_id": n, "source_kind": "dicom-series", "sources": [f"{n}/1.dcm"]} for n in ("a", "b", "c", "d")
    ]
    rows.append({"case_id": "e", "source_kind": "nifti", "sources": ["e.nii.gz"]})
    dataset = made_up(tmp_path, rows, {n: {1 if n == "d" else 0: blob()} for n in "abcde"})
    out, summary = export(dataset, root)
    assert [row["case_id"] for row in summary["cases"]] == ["a"]
    lost = {row["case_id"]: f"{row['file']}: {row['reason']}" for row in summary["lost"]}
    assert lost == {
        "b": "b/1.dcm: it has 21 x 30 pixels, its masks 20 x 30",
        "c": "c/1.dcm: its header does not read (No such file or directory)",
        "d": "d/1.dcm: it has fewer pictures than were outlined",
        "e": "e.nii.gz: its slices are of (30, 21) voxels, their masks of (30, 20)",
    }
    assert not list(out.rglob("*.nii.gz"))
    assert sorted(path.name for path in (out / "dicom").iterdir()) == ["a.seg.dcm", "a.sr.dcm"]


def turn(image: Any, codes: str) -> Any:
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))


def exported_like_the_expert(tmp_path: Path, image: Any, expert: Any) -> None:
    """Take an expert's outline of a volume the whole way, and look whether it lies where it lay."""
    root = tmp_path / "in"
    (root / "p1").mkdir(parents=True)
    image.to_filename(root / "p1" / "p1_flair_img.nii.gz")
    expert.to_filename(root / "p1" / "p1_whole_seg.nii.gz")
    dataset, told = extracted(tmp_path, "brain-mets-lung", root, "tumour")
    blank = np.zeros((told[0]["height"], told[0]["width"]), np.uint8)
    found = {r["frame_index"]: decode_picture(r["mask"]["bytes"]) > 0 if r["mask"] else blank for r in told}
    write_masks(dataset, {told[0]["case_id"]: {k: mask.astype(np.uint8) for k, mask in found.items()}})
    out, summary = export(dataset, root, "tumour")
    (row,) = summary["cases"]
    assert row["remarks"] == []
    written, source = (
        Nifti1Image.from_filename(out / row["files"][0]),
        Nifti1Image.from_filename(root / "p1" / "p1_flair_img.nii.gz"),
    )
    assert np.array_equal(np.asarray(written.dataobj) > 0, np.asarray(expert.dataobj) > 0)
    assert np.array_equal(written.affine, source.affine)
    for name in ("qform_code", "sform_code", "xyzt_units"):
        assert written.header[name] == source.header[name]
    assert written.header.get_intent()[0] == "label"


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "SRA", "IPL"])
def test_a_volume_gets_its_labels_back_on_its_own_voxels(tmp_path: Path, codes: str) -> None:
    values = np.random.default_rng(0).integers(1, 900, (9, 11, 7)).astype(np.int16)
    labels = np.zeros(values.shape, np.uint8)
    labels[1:4, 2:9, 2:5] = 1
    affine = np.array([[0.9, 0.2, 0, -5], [-0.2, 1.1, 0, 7], [0, 0, 3, -20], [0, 0, 0, 1]])  # oblique
    image, expert = (Nifti1Image(array, affine) for array in (values, labels))
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"SOMEBODY'S NAME"
    exported_like_the_expert(tmp_path, turn(image, codes), turn(expert, codes))
    (written,) = (tmp_path / "results").rglob("*.nii.gz")
    assert not Nifti1Image.from_filename(written).header["descrip"].item()


def test_a_real_volume_with_an_experts_outline(tmp_path: Path, samples: Path) -> None:
    image = min((samples / "hippocampus" / "images").glob("*.nii.gz"))
    expert = samples / "hippocampus" / "masks" / image.name
    exported_like_the_expert(
        tmp_path, turn(Nifti1Image.from_filename(image), "PIR"), turn(Nifti1Image.from_filename(expert), "PIR")
    )


def test_a_clip_is_column_row_frame_with_the_units_that_are_known(tmp_path: Path) -> None:
    row = {"case_id": "7_", "source_kind": "hdf5-stack", "sources": ["dataset.hdf5"], "n_frames": 5}
    predicted = {"7_": {1: blob(), 2: blob(6), 4: blob(0, 20)}}
    dataset = made_up(tmp_path, [row], predicted)
    out, summary = export(dataset, tmp_path)
    assert summary["cases"][0]["remarks"] == [
        "3 of 5 pictures were looked at; no label elsewhere does not mean no nodule"
    ]
    written = Nifti1Image.from_filename(out / "nifti" / "7_.nii.gz")
    labels = np.asarray(written.dataobj)
    assert labels.shape == (W, H, 1, 5)
    assert [int(labels[..., k].max()) for k in range(5)] == [0, 1, 1, 0, 2]
    assert np.array_equal(labels[:, :, 0, 1].T, blob())
    assert written.header.get_xyzt_units() == ("unknown", "unknown")
    assert written.header["qform_code"] == written.header["sform_code"] == 0
    dataset = made_up(tmp_path, [row], predicted, spacing_mm=[0.2, 0.1], time_s=lambda _, k: 0.04 * k)
    header = Nifti1Image.from_filename(export(dataset, tmp_path)[0] / "nifti" / "7_.nii.gz").header
    assert header.get_zooms() == pytest.approx((0.1, 0.2, 1, 0.04))
    assert header.get_xyzt_units() == ("mm", "sec")


def test_a_step_that_varies_is_no_step() -> None:
    assert even_step([(0, 0.0), (1, 0.04), (3, 0.12)]) == 0.04
    assert even_step([(0, 0.0), (1, 0.04), (2, 0.09)]) is None
    assert even_step([(0, 0.0), (1, None)]) is None
    assert even_step([(3, 0.12)]) is None


def test_stills_keep_their_names_and_can_be_given_as_masks(tmp_path: Path) -> None:
    rows = [{"case_id": name, "source_kind": "still-mask", "sources": [f"{name}.jpg"]} for name in ("a", "b c", "x/a")]
    predicted = {"a": {0: blob()}, "b c": {0: blob(1) + blob(12, 8, 2)}, "x/a": {0: blob(9)}}
    dataset = made_up(
        tmp_path,
        rows,
        predicted,
        image=lambda case, _: {"bytes": None, "path": f"{case}.jpg"},
        position=lambda case, _: f"{case}.jpg",
    )
    out, _ = export(dataset, tmp_path)
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert files == ["stills/a.png", "stills/b c.png", "stills/x/a.png"]
    asked = name_of({"position": "b c.jpg", "case_id": "b c", "frame_index": 0})[0]
    again = read_mask(out / "stills" / f"{asked}.png", (H, W))
    assert np.array_equal(again > 0, predicted["b c"][0] > 0)


def test_two_stills_of_one_name_are_both_written(tmp_path: Path) -> None:
    rows = [{"case_id": name, "source_kind": "table", "sources": ["t.csv"]} for name in ("none", "one", "two", "out")]
    predicted = {name: {0: blob(k)} for k, name in enumerate(("none", "one", "two", "out"))}
    positions = {"none": None, "one": "same.jpg", "two": "same.jpg", "out": "../../out.jpg"}
    dataset = made_up(tmp_path, rows, predicted, position=lambda case, _: positions[case])
    out, summary = export(dataset, tmp_path)
    written = {row["case_id"]: row["files"][0] for row in summary["cases"]}
    assert written == {"one": "stills/same.png"} | {name: f"stills/{name}%2F0.png" for name in ("none", "two", "out")}
    assert np.array_equal(decode_picture((out / written["two"]).read_bytes()), blob(2))


def test_the_command_refuses_what_was_not_predicted_and_replaces_what_it_wrote(tmp_path: Path) -> None:
    row = {"case_id": "a", "source_kind": "jpeg", "sources": ["a.jpg"]}
    dataset = made_up(tmp_path, [row], {"a": {0: blob()}}, position="a.jpg")
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"weights")
    call = ["--datasets", str(dataset.parent), "--roots", json.dumps({"clinic": str(tmp_path)}), "--model", "m"]
    call += ["--weights", str(weights), "--spec"]
    spec = json.dumps({"datasets": ["clinic"], "folds": ["0"], "outlines": "nodule"})
    main([*call, spec])
    out = dataset / "export" / "m"
    first = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "old.txt").write_text("of an earlier run")
    main([*call, spec])
    assert {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
    with pytest.raises(Refusal, match=r"masks/m/1/000.parquet is not there; predict first"):
        main([*call, spec.replace('"0"', '"1"')])
    with pytest.raises(Refusal, match="no model predicts here: write learn: true"):
        main([*call, spec.replace('"0"', '"0", "1"')])
