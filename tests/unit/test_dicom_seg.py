"""Masks as DICOM: whose they are, where they lie, what is measured, and what is not said."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.seg import segread
from highdicom.sr import srread
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import unpack_bits

from tests.dicom_files import write_dicom, write_series
from workflow_scripts.imaging.dicom import UnreadableDicom
from workflow_scripts.imaging.dicom_derived import Outliner, lie_in_space, read_source
from workflow_scripts.imaging.dicom_seg import check_segmentation, segment
from workflow_scripts.imaging.follow import follow_nodules
from workflow_scripts.imaging.structured_report import Spacing, check_report, report_measures

OUTLINER = Outliner("unet-resnet18", "fold 0, weights 0123456789abcdef")
SPACE: dict[str, Any] = {"FrameOfReferenceUID": "1.2.3.4"}
H, W = 37, 51  # neither is a multiple of 8: planes do not begin at whole bytes


def planes(n: int) -> np.ndarray:
    """Return labels: nodule 1 in all planes but every third, largest in plane 1; nodule 2 in plane 1 alone."""
    labels = np.zeros((n, H, W), np.uint8)
    for k in range(n):
        if k % 3 != 2:
            labels[k, 5:12, 6 + k : 20 + k] = 1
    labels[1 % n, 12, 10:16] = 1
    labels[1 % n, 25:33, 30:41] = 2
    return labels


def pixels(*shape: int, kind: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind)


def write(
    folder: Path, paths: list[Path], labels: np.ndarray, spacing: Spacing = None, outlines: str = "nodule"
) -> tuple[Path, Path]:
    """Write and check segmentation and report of some files; return both."""
    sources = [read_source(path) for path in paths]
    made = segment(sources, labels, outlines, "thyroid", OUTLINER)
    report = report_measures(made, sources, labels, [spacing] * len(labels), OUTLINER)
    files = folder / "seg.dcm", folder / "sr.dcm"
    for file, written in zip(files, (made, report), strict=True):
        written.save_as(file, enforce_file_format=True)
    check_segmentation(files[0], sources, labels)
    check_report(files[1], made, sources)
    return files


def stored(path: Path) -> list[tuple[int, str, int | None, np.ndarray]]:
    """Return (segment, source, frame, plane) of a segmentation, read without highdicom."""
    found = dcmread(path)
    bits = np.asarray(unpack_bits(found.PixelData))[: found.NumberOfFrames * H * W].reshape(-1, H, W)
    told = []
    for group, plane in zip(found.PerFrameFunctionalGroupsSequence, bits, strict=True):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        named = group if "SegmentIdentificationSequence" in group else found.SharedFunctionalGroupsSequence[0]
        number = named.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        told.append((number, image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"), plane))
    return told


def measured(path: Path) -> list[dict[str, tuple[float, str]]]:
    """Return what a report says of each nodule: name -> value and unit."""
    content: Any = srread(path).content
    return [
        {item.name.meaning: (item.value, item.unit.value) for item in group.get_measurements()}
        for group in content.get_planar_roi_measurement_groups()
    ]


def test_the_masks_of_a_ct_lie_at_its_slices_and_belong_to_its_patient(tmp_path: Path) -> None:
    paths, labels = write_series(tmp_path / "ct", pixels(5, H, W), step=2.5, **SPACE), planes(5)
    seg, _ = write(tmp_path, paths, labels)
    source = {str(one.SOPInstanceUID): (k, one) for k, one in enumerate(map(dcmread, paths))}
    seen = np.zeros_like(labels)
    for number, uid, _, plane in stored(seg):
        seen[source[uid][0]][plane > 0] = number
    assert np.array_equal(seen, labels)
    made = dcmread(seg)
    for group in made.PerFrameFunctionalGroupsSequence:
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert group.PlanePositionSequence[0].ImagePositionPatient == source[uid][1].ImagePositionPatient
    first = source[stored(seg)[0][1]][1]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert made[keyword] == first[keyword]
    described = made.SegmentSequence[0]
    assert described.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Thyroid Nodule"
    assert (described.SegmentAlgorithmType, described.SegmentAlgorithmName) == ("AUTOMATIC", "unet-resnet18")
    assert described.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == OUTLINER.version


def test_a_clip_of_ultrasound_has_masks_by_frame_and_no_place(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us" / "a.dcm", pixels(5, H, W, kind=np.uint8), "US")
    labels = planes(5)
    seg, report = write(tmp_path, [path], labels, (0.2, 0.2))
    seen = np.zeros_like(labels)
    for number, uid, frame, plane in stored(seg):
        assert uid == dcmread(path).SOPInstanceUID
        assert frame is not None
        seen[frame - 1][plane > 0] = number
    assert np.array_equal(seen, labels)
    made = dcmread(seg)
    assert "FrameOfReferenceUID" not in made
    shared = made.SharedFunctionalGroupsSequence[0]
    assert not {"PixelMeasuresSequence", "PlaneOrientationSequence"} & {element.keyword for element in shared}
    indices = [tuple(g.FrameContentSequence[0].DimensionIndexValues) for g in made.PerFrameFunctionalGroupsSequence]
    assert indices == sorted(set(indices))
    assert len(made.DimensionIndexSequence) == len(indices[0])
    content: Any = srread(report).content
    image = content.get_planar_roi_measurement_groups()[0].referenced_segmentation_frame.source_image_for_segmentation
    assert image.referenced_frame_numbers == [2]  # where nodule 1 is largest


@pytest.mark.parametrize("place", [{}, SPACE], ids=["no frame of reference", "two phases at each place"])
def test_pictures_without_a_place_of_their_own_are_told_apart_by_reference(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    paths = [
        write_dicom(tmp_path / "x" / f"{k}.dcm", plane, "CT", ImagePositionPatient=[0, 0, k // 2], **place)
        for k, plane in enumerate(pixels(4, H, W))
    ]
    sources, labels = [read_source(path) for path in paths], planes(4)
    assert not lie_in_space(sources)
    seg, _ = write(tmp_path, paths, labels)
    order = [str(source.SOPInstanceUID) for source in sources]
    assert all(np.array_equal(plane, labels[order.index(uid)] == number) for number, uid, _, plane in stored(seg))
    assert {uid for _, uid, _, _ in stored(seg)} == {order[k] for k in range(4) if labels[k].any()}


def test_a_single_still(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us" / "a.dcm", pixels(H, W, 3, kind=np.uint8), "US")
    seg, _ = write(tmp_path, [path], planes(1))
    assert [number for number, _, _, _ in stored(seg)] == [1, 2]


def test_measures_are_in_mm_where_the_spacing_is_known_and_nowhere_else(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us" / "a.dcm", pixels(H, W, kind=np.uint8), "US")
    labels = np.zeros((1, H, W), np.uint8)
    labels[0, 5:15, 10:41] = 1  # 10 rows, 31 columns
    _, report = write(tmp_path, [path], labels, (0.2, 0.1))
    (nodule,) = measured(report)
    assert nodule["Area"] == (pytest.approx(310 * 0.02), "mm2")
    assert nodule["Long axis"][0] == pytest.approx(np.hypot(30 * 0.1, 9 * 0.2), abs=0.01)
    assert nodule["Long axis"][0] > nodule["Short axis"][0]
    assert {unit for name, (_, unit) in nodule.items() if name != "Area"} == {"mm"}
    _, report = write(tmp_path, [path], labels, None)
    assert measured(report) == [{}]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_only_what_dicom_demands_of_a_person_is_carried_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = write_dicom(
        tmp_path / "us" / "a.dcm",
        pixels(H, W, kind=np.uint8),
        "US",
        PatientName="Jane Doe",  # as a name should not be written
        PatientAddress="1 Some Street",
        PatientComments="allergic",
        OtherPatientIDs="42",
        InstitutionName="Some Hospital",
        OperatorsName="Operator^Some",
        PatientSex="unclear",
        PatientIdentityRemoved="YES",
    )
    for file in write(tmp_path, [path], planes(1)):
        made = dcmread(file)
        assert made.PatientID == "synthetic-us"
        assert made.PatientIdentityRemoved == "YES"
        assert not made.PatientSex
        for word in (b"Some Street", b"allergic", b"Some Hospital", b"Operator^Some"):
            assert word not in file.read_bytes()
    assert not caplog.records


def test_the_same_masks_give_the_same_bytes_and_no_time_of_now(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "ct", pixels(3, H, W), StudyDate="20010203", **SPACE)
    sums = [
        [hashlib.sha256(file.read_bytes()).hexdigest() for file in write(tmp_path, paths, planes(3))] for _ in range(2)
    ]
    assert sums[0] == sums[1]
    other = planes(3)
    other[0, 0, 0] = 1
    before = dcmread(tmp_path / "seg.dcm")
    after = dcmread(write(tmp_path, paths, other)[0])
    assert before.SOPInstanceUID != after.SOPInstanceUID
    for made in (after, dcmread(tmp_path / "sr.dcm")):
        dates = {str(e.value) for e in made.iterall() if e.VR == "DA" and e.value}
        assert dates == {"20010203"}
        uids = [e.value for e in made.iterall() if e.keyword in ("SOPInstanceUID", "SeriesInstanceUID")]
        assert all(len(uid) <= 64 for uid in uids)
        assert made.SOPInstanceUID.startswith("2.25.")


def test_what_highdicom_would_refuse_at_length_is_one_line(tmp_path: Path) -> None:
    one = write_dicom(tmp_path / "a" / "1.dcm", pixels(H, W))
    other = write_dicom(tmp_path / "b" / "1.dcm", pixels(H, W))
    both = [read_source(one), read_source(other)]
    with pytest.raises(UnreadableDicom, match="several series"):
        segment(both, planes(2), "nodule", None, OUTLINER)
    with pytest.raises(UnreadableDicom, match="37 x 51 pixels, its masks 36 x 51"):
        segment(both[:1], planes(1)[:, 1:], "nodule", None, OUTLINER)
    nameless = write_dicom(tmp_path / "c" / "1.dcm", pixels(H, W), StudyInstanceUID=None)
    with pytest.raises(UnreadableDicom, match="no StudyInstanceUID"):
        read_source(nameless)


def test_a_word_that_means_nothing_to_dicom_becomes_tissue(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us" / "a.dcm", pixels(H, W, kind=np.uint8), "US")
    made = dcmread(write(tmp_path, [path], planes(1), outlines="whatnot")[0])
    described: Dataset = made.SegmentSequence[0]
    assert described.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert described.SegmentLabel == "whatnot 1"


def test_reading_back_finds_a_pixel_that_changed(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us" / "a.dcm", pixels(3, H, W, kind=np.uint8), "US")
    seg, _ = write(tmp_path, [path], planes(3))
    made = segread(seg)
    made.PixelData = bytes([made.PixelData[0] ^ 1]) + made.PixelData[1:]
    made.save_as(seg)
    with pytest.raises(ValueError, match="its pixels are not those of the masks"):
        check_segmentation(seg, [read_source(path)], planes(3))


def test_nodules_are_followed_through_neighbours_alone() -> None:
    masks = {k: np.zeros((4, 6), np.uint8) for k in (1, 2, 3, 7)}
    masks[1][0, 0], masks[1][0, 4] = 1, 2
    masks[2][0, :2], masks[2][3, 3] = 2, 1
    masks[3][0, :] = 1
    masks[7][0, :] = 1
    found = follow_nodules(masks, joined=True)
    assert [found[1][0, 0], found[1][0, 4], found[2][0, 1], found[2][3, 3], found[3][0, 5], found[7][0, 0]] == [
        1, 2, 1, 3, 1, 4,
    ]  # fmt: skip
    apart = follow_nodules(masks, joined=False)
    assert [apart[1][0, 0], apart[1][0, 4], apart[2][3, 3], apart[2][0, 1], apart[3][0, 5], apart[7][0, 0]] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip
    assert all(np.array_equal(found[k] > 0, masks[k] > 0) for k in masks)
