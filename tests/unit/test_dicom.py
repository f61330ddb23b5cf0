"""DICOM files: every way in which pixels are stored, units that are stated or not, files that are broken."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.processing import apply_windowing, convert_color_space

from tests.dicom_files import encode, item, region, write_dicom, write_series
from workflow_scripts.imaging.dicom import (
    NotDicom,
    UnreadableDicom,
    attributes,
    frame_times_s,
    identifiers,
    is_picture,
    read_header,
    spacing_mm,
    ultrasound_regions,
    window,
)
from workflow_scripts.imaging.dicom_frames import read_frames, to_uint8
from workflow_scripts.imaging.dicom_series import sort_series

GREY = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16)


def colours(frames: int = 3, shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Return smooth frames (frames, H, W, 3) uint8 with a red, a green and a blue quarter."""
    clip = np.zeros((frames, *shape, 3), np.uint8)
    for k in range(frames):
        clip[k] = np.linspace(20, 180, shape[1]).astype(np.uint8)[None, :, None]
        for channel, corner in enumerate(((4, 4), (24, 4), (4, 36))):
            clip[k, corner[0] : corner[0] + 16, corner[1] : corner[1] + 16] = np.eye(3)[channel] * 200 + 10 * k
    return clip


def only(path: Path) -> np.ndarray:
    (frame,) = read_frames(path)
    return frame


def resave(path: Path, **elements: Any) -> Path:
    dataset = dcmread(path)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


# What may be told


def test_nothing_that_names_the_patient_leaves_the_header(tmp_path: Path) -> None:
    elements: dict[str, Any] = {
        "PatientBirthDate": "19700101",
        "InstitutionName": "Hospital",
        "StudyDescription": "Jane Doe",
        "StationName": "X1",
    }
    path = write_dicom(tmp_path / "a.dcm", GREY, PatientName="Doe^Jane", PatientID="4711", **elements)
    told = str(attributes(read_header(path)))
    held = str(read_header(path))
    for secret in ("Doe", "19700101", "Hospital", "X1"):
        assert secret not in told
        assert secret not in held
    assert "4711" not in told
    assert "0102" not in told  # the day of the study
    assert attributes(read_header(path))["study_year"] == 2020
    assert identifiers(read_header(path))["patient_id"] == "4711"
    assert set(identifiers(read_header(path))) == {"patient_id", "study_uid", "series_uid", "sop_uid"}


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")
@pytest.mark.parametrize(
    ("age", "years"),
    [("045Y", 45), ("006M", 0), ("030M", 2), ("003W", 0), ("400D", 1), ("51", None), ("", None), ("0x5Y", None)],
)
def test_age_is_in_full_years_and_only_with_a_unit(tmp_path: Path, age: str, years: int | None) -> None:
    assert attributes(read_header(write_dicom(tmp_path / "a.dcm", GREY, PatientAge=age)))["age_years"] == years


def test_what_is_no_picture_is_known_by_its_sop_class(tmp_path: Path) -> None:
    assert is_picture(read_header(write_dicom(tmp_path / "ct.dcm", GREY)))
    dose = write_dicom(tmp_path / "dose.dcm", np.stack([GREY] * 3), SOPClassUID=uid.RTDoseStorage)
    report = write_dicom(tmp_path / "sr.dcm", None, SOPClassUID=uid.BasicTextSRStorage)
    for path in (dose, report):
        assert not is_picture(read_header(path))
        with pytest.raises(UnreadableDicom, match="no picture but (RT Dose|Basic Text SR) Storage"):
            list(read_frames(path))


# Colour


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_is_read_in_either_planar_configuration(tmp_path: Path, planar: int) -> None:
    clip = colours()
    path = write_dicom(tmp_path / "us.dcm", clip, "US", PlanarConfiguration=planar)
    if planar:
        resave(path, PixelData=clip.transpose(0, 3, 1, 2).tobytes())
    assert np.array_equal(list(read_frames(path)), clip)
    assert np.array_equal(list(read_frames(path, [2, 0])), clip[[0, 2]])


@pytest.mark.parametrize("kind", ["jpeg", "native", "native 422"])
def test_ybr_becomes_rgb_once_as_pydicom_does_it(tmp_path: Path, kind: str) -> None:
    clip = colours()
    path = write_dicom(tmp_path / "us.dcm", clip, "US", jpeg=kind == "jpeg")
    if kind != "jpeg":
        ybr = convert_color_space(clip, "RGB", "YBR_FULL")
        ybr[:, :, 1::2, 1:] = ybr[:, :, ::2, 1:]
        pairs = np.concatenate([ybr[:, :, ::2, :1], ybr[:, :, 1::2, :1], ybr[:, :, ::2, 1:]], axis=-1)
        stored, name = (ybr, "YBR_FULL") if kind == "native" else (pairs, "YBR_FULL_422")
        resave(path, PixelData=stored.tobytes(), PhotometricInterpretation=name)
    frames = np.array(list(read_frames(path)))
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - dcmread(path).pixel_array).max() <= 1
    assert np.array_equal(list(read_frames(path, [2])), frames[2:])
    assert np.abs(frames.astype(int) - clip).mean() < 4
    assert (frames[:, 10, 10].argmax(-1) == 0).all()  # red stays red


def test_rgb_in_a_jpeg_without_a_word_on_its_colours_is_not_converted(tmp_path: Path) -> None:
    clip = colours(1)
    path = write_dicom(tmp_path / "us.dcm", clip, "US", jpeg=True)
    ybr = encode([cv2.cvtColor(clip[0], cv2.COLOR_BGR2RGB)])[0]  # stands for any three planes: only the claim counts
    bare = ybr[:2] + ybr[2 + 2 + int.from_bytes(ybr[4:6], "big") :]  # without the JFIF segment
    resave(path, PixelData=encapsulate([bare]), PhotometricInterpretation="RGB")
    assert np.array_equal(only(path), dcmread(path).pixel_array)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless])
def test_lossless_compression_gives_back_every_pixel(tmp_path: Path, syntax: uid.UID) -> None:
    clip = colours(2)
    path = write_dicom(tmp_path / "us.dcm", clip, "US")
    dataset = dcmread(path)
    if syntax == uid.RLELossless:
        dataset.compress(syntax)
    else:
        streams = [cv2.imencode(".jp2", f[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1] for f in clip]
        codes = [s.tobytes()[s.tobytes().index(b"\xff\x4f\xff\x51") :] for s in streams]
        dataset.PixelData, dataset.PhotometricInterpretation = encapsulate(codes), "YBR_RCT"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    assert np.array_equal(list(read_frames(path)), clip)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_is_applied_and_scaled_to_8_bits(tmp_path: Path, bits: int) -> None:
    tables = {"Red": np.arange(256), "Green": 255 - np.arange(256), "Blue": np.full(256, 7)}
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in tables.items():
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        data = table.astype(f"<u{bits // 8}") * (1 if bits == 8 else 256)
        elements[f"{name}PaletteColorLookupTableData"] = data.astype(f"<u{bits // 8}").tobytes()
    stored = np.arange(192, dtype=np.uint8).reshape(12, 16)
    path = write_dicom(tmp_path / "us.dcm", stored, "US", **elements)
    assert np.array_equal(only(path), np.stack([stored, 255 - stored, np.full_like(stored, 7)], axis=-1))


# Grey


def test_ct_is_in_hounsfield_units(tmp_path: Path) -> None:
    values = only(write_dicom(tmp_path / "ct.dcm", GREY))
    assert values.dtype == np.int16
    assert np.array_equal(values, GREY.astype(int) - 1024)
    assert only(write_dicom(tmp_path / "big.dcm", GREY, RescaleSlope=1000)).dtype == np.int32
    part = only(write_dicom(tmp_path / "part.dcm", GREY, RescaleSlope=0.5))
    assert part.dtype == np.float32
    assert np.array_equal(part, GREY * 0.5 - 1024)
    with pytest.raises(UnreadableDicom, match="RescaleSlope is 0"):
        only(write_dicom(tmp_path / "flat.dcm", GREY, RescaleSlope=0))


def test_signed_12_bits_with_dirty_unused_bits(tmp_path: Path) -> None:
    stored = np.array([[0x0FFF, 0x7001]], np.int16)  # -1; and 1 with something above its 12 bits
    path = write_dicom(tmp_path / "ct.dcm", stored, BitsStored=12, HighBit=11, RescaleIntercept=0)
    assert only(path).tolist() == [[-1, 1]]


def test_modality_table_and_rescale_of_each_frame_are_applied(tmp_path: Path) -> None:
    table = item(LUTDescriptor=[4, 0, 16], LUTData=np.array([10, 20, 40, 80], "<u2").tobytes(), ModalityLUTType="US")
    stored = np.array([[0, 1, 2, 3]], np.uint16)
    assert only(write_dicom(tmp_path / "lut.dcm", stored, ModalityLUTSequence=[table])).tolist() == [[10, 20, 40, 80]]
    own = [item(PixelValueTransformationSequence=[item(RescaleSlope=s, RescaleIntercept=0)]) for s in (2, 3)]
    measures = item(PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.8])])
    path = write_dicom(
        tmp_path / "enhanced.dcm",
        np.stack([stored, stored]),
        "MR",
        SOPClassUID=uid.EnhancedMRImageStorage,
        PixelSpacing=None,
        PerFrameFunctionalGroupsSequence=own,
        SharedFunctionalGroupsSequence=[measures],
    )
    assert [frame.tolist() for frame in read_frames(path)] == [[[0, 2, 4, 6]], [[0, 3, 6, 9]]]
    assert spacing_mm(read_header(path), 1) == (0.7, 0.8)


def test_grey_ultrasound_stays_as_it_was_stored(tmp_path: Path) -> None:
    clip = colours()[..., 0]
    assert np.array_equal(list(read_frames(write_dicom(tmp_path / "us.dcm", clip, "US"))), clip)
    path = write_dicom(tmp_path / "jpeg.dcm", clip, "US", jpeg=True)
    frame = next(read_frames(path))
    assert frame.shape == clip[0].shape
    assert np.array_equal(to_uint8(frame, read_header(path)), frame)


# To look at


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_window_follows_the_standard(tmp_path: Path, function: str | None) -> None:
    stored = np.arange(0, 2048, dtype=np.uint16).reshape(32, 64)
    path = write_dicom(
        tmp_path / "ct.dcm", stored, VOILUTFunction=function, WindowCenter=[40, 600], WindowWidth=[400, 9]
    )
    header, values = read_header(path), only(path)
    whole = dcmread(path)
    low, high = -1024, 65535 - 1024  # the range that pydicom maps to
    expected = (apply_windowing(values, whole) - low) / (high - low) * 255
    assert window(header) == (40, 400)
    assert np.abs(to_uint8(values, header) - expected).max() <= 0.5 + 1e-6


def test_window_edges_are_those_of_the_standard(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "ct.dcm", np.array([[1023, 1024, 1152, 1279, 1280]], np.uint16))
    assert to_uint8(only(path), read_header(path), window=(128, 256)).tolist() == [[0, 0, 128, 255, 255]]
    assert to_uint8(only(path), read_header(path), window=(128.5, 1)).tolist() == [[0, 0, 0, 255, 255]]


def test_monochrome1_keeps_its_values_and_is_inverted_to_look_at(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "cr.dcm", GREY, "CR", PhotometricInterpretation="MONOCHROME1")
    values = only(path)
    assert np.array_equal(values, GREY)
    picture = to_uint8(values, read_header(path))  # no window: the full range of the frame
    assert (picture[0, 0], picture[-1, -1]) == (255, 0)


def test_voi_table_goes_before_the_window(tmp_path: Path) -> None:
    table = item(LUTDescriptor=[192, 0, 8], LUTData=np.arange(191, -1, -1).astype("<u2").tobytes())
    path = write_dicom(tmp_path / "dx.dcm", GREY, "DX", VOILUTSequence=[table], WindowCenter=1, WindowWidth=2)
    assert np.array_equal(to_uint8(only(path), read_header(path)), 191 - GREY)


# Space and time


def test_spacing_of_a_projection_at_the_detector_is_not_spacing(tmp_path: Path) -> None:
    def spacing(name: str, **elements: Any) -> tuple[float, float] | None:
        return spacing_mm(read_header(write_dicom(tmp_path / name, GREY, "DX", **elements)))

    assert spacing("a", ImagerPixelSpacing=[0.1, 0.1]) is None
    assert spacing("b", ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.1, 0.1]) is None
    assert spacing("c", ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.08, 0.09]) == (0.08, 0.09)
    assert spacing("d", PixelSpacing=[0, 0]) is None


def test_ultrasound_spacing_is_that_of_the_largest_2d_region_in_cm(tmp_path: Path) -> None:
    def header(name: str, *regions: Dataset) -> Dataset:
        elements: dict[str, Any] = {"SequenceOfUltrasoundRegions": list(regions), "PixelSpacing": [9, 9]}
        return read_header(write_dicom(tmp_path / name, colours(1)[0], "US", **elements))

    doppler = region(0, 0, 63, 47, RegionSpatialFormat=3, PhysicalUnitsXDirection=4)
    mixed = header("a", doppler, region(2, 3, 11, 12, 0.05), region(10, 0, 70, 40, 0.02, PhysicalDeltaY=-0.03))
    assert spacing_mm(mixed) == pytest.approx((0.3, 0.2))
    assert ultrasound_regions(mixed) == [(2, 3, 12, 13), (10, 0, 64, 41)]
    assert spacing_mm(header("b", region(0, 0, 63, 47, PhysicalUnitsXDirection=0))) is None
    assert spacing_mm(header("c")) is None


def test_times_are_stated_or_unknown(tmp_path: Path) -> None:
    def times(name: str, **elements: Any) -> list[float] | None:
        return frame_times_s(read_header(write_dicom(tmp_path / name, colours(), "US", **elements)))

    assert times("a") == pytest.approx([0, 0.04, 0.08])
    assert times("b", FrameTime=None, FrameTimeVector=[0, 40, 60]) == pytest.approx([0, 0.04, 0.1])
    assert times("c", FrameTime=None, CineRate=20) == pytest.approx([0, 0.05, 0.1])
    assert times("d", FrameTime=None, RecommendedDisplayFrameRate=20) is None
    assert times("e", FrameTime=0) is None


# Series


def test_slices_stand_in_the_order_of_space(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", np.stack([GREY + k for k in range(12)]), step=-2)
    (stack,) = sort_series([read_header(path) for path in paths])
    assert stack.positions_mm == [-2.0 * k for k in range(11, -1, -1)]
    assert [header.InstanceNumber for header in stack.headers] == list(range(12, 0, -1))
    assert stack.notes == []


def test_duplicates_gaps_and_localisers_are_found(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", np.stack([GREY + k for k in range(8)]))
    paths.append(write_dicom(tmp_path / "s/copy.dcm", GREY + 2, ImagePositionPatient=[0, 0, 6], InstanceNumber=20))
    same = {"SOPInstanceUID": read_header(paths[3]).SOPInstanceUID, "ImagePositionPatient": [0, 0, 9]}
    paths.append(write_dicom(tmp_path / "s/again.dcm", GREY + 9, InstanceNumber=21, **same))
    paths.append(write_dicom(tmp_path / "s/phase.dcm", GREY + 9, ImagePositionPatient=[0, 0, 0], InstanceNumber=22))
    paths.append(write_dicom(tmp_path / "s/scout.dcm", GREY, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]))
    del paths[5]
    stack, scout = sort_series([read_header(path) for path in reversed(paths)])
    assert stack.positions_mm == [0, 0, 3, 6, 9, 12, 18, 21]
    assert [Path(str(header.filename)).name for header in scout.headers] == ["scout.dcm"]
    said = "\n".join(stack.notes)
    assert "copy.dcm is a duplicate of 3.dcm" in said
    assert "again.dcm is a duplicate of 4.dcm" in said
    assert "phase.dcm lies where 1.dcm lies, with other pixels" in said
    assert "missing between 12.00 and 18.00 mm" in said
    assert len(stack.notes) == 4


def test_without_positions_instance_numbers_order_and_it_is_said(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", np.stack([GREY] * 11), ImagePositionPatient=None)
    (stack,) = sort_series([read_header(path) for path in sorted(paths)])
    assert [header.InstanceNumber for header in stack.headers] == list(range(1, 12))
    assert stack.positions_mm is None
    assert "InstanceNumber" in stack.notes[0]


# Broken files


def test_what_is_no_dicom_is_said_to_be_none(tmp_path: Path) -> None:
    for name, data in (("empty", b""), ("text", b"hello"), ("png", encode(GREY[None].astype(np.uint8))[0])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(NotDicom, match="no DICOM"):
            read_header(tmp_path / name)
    with pytest.raises(UnreadableDicom, match="does not open"):
        read_header(tmp_path / "missing")


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Rows": 0}, "Rows are missing or 0"),
        ({"Rows": 65535, "Columns": 65535}, "more than 1073741824 bytes"),
        ({"Rows": 30}, "frame 0 of 0 to 2 does not decode .*encoded as .48, 64. pixels, the header says .30, 64."),
        ({"Rows": [48, 48]}, "Rows has 2 values, expected one"),
        ({"BitsAllocated": None}, "BitsAllocated are missing or 0"),
        ({"NumberOfFrames": 2}, "holds 3 frames, its header claims 2"),
        ({"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": 1}, "another number of colours"),
    ],
)
def test_absurd_headers_are_refused(tmp_path: Path, elements: dict[str, Any], reason: str) -> None:
    path = write_dicom(tmp_path / "us.dcm", colours(), "US", jpeg=True, **elements)
    with pytest.raises(UnreadableDicom, match=reason):
        list(read_frames(path))


def test_a_file_deflated_as_a_whole_is_not_unpacked(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    with pytest.raises(UnreadableDicom, match="deflated"):
        read_header(path)


@pytest.mark.parametrize("kind", ["native", "jpeg", "jpeg without offsets"])
def test_a_clip_that_breaks_off_yields_what_is_there_and_names_the_frame(tmp_path: Path, kind: str) -> None:
    path = write_dicom(tmp_path / "us.dcm", colours(6), "US", jpeg=kind != "native")
    if kind == "jpeg without offsets":
        parts = list(generate_frames(dcmread(path).PixelData, number_of_frames=6))
        resave(path, PixelData=encapsulate(parts, has_bot=False))
    whole = list(read_frames(path))
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\x7f\x10\x00".rjust(4, b"\xe0")) + (len(data) * 6) // 10])
    got = []
    with pytest.raises(UnreadableDicom, match=r"frame [34] of 0 to 5 does not decode .*break"):
        for frame in read_frames(path):
            got.append(frame)
    assert len(got) in (3, 4)
    assert np.array_equal(got, whole[: len(got)])


def test_a_damaged_jpeg_is_not_mended(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "us.dcm", colours(3), "US", jpeg=True)
    data = bytearray(path.read_bytes())
    third = data.rfind(b"\xff\xd8")
    data[third + 700 : third + 760] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(UnreadableDicom, match="frame 2 of 0 to 2"):
        list(read_frames(path))


def test_a_damaged_length_does_not_let_a_name_out(tmp_path: Path) -> None:
    source = write_dicom(tmp_path / "a.dcm", GREY, PatientName="Doe^Jane").read_bytes()
    for keyword in (b"\x08\x00\x16\x00UI", b"\x08\x00\x18\x00UI", b"\x08\x00\x60\x00CS"):
        at = source.index(keyword, 132) + 6
        for length in range(0, 256, 2):
            (tmp_path / "b.dcm").write_bytes(source[:at] + bytes([length, 0]) + source[at + 2 :])
            try:
                said = str(attributes(read_header(tmp_path / "b.dcm")))
            except UnreadableDicom as error:
                said = str(error)
            assert "Doe" not in said
            assert "\n" not in said


@pytest.mark.parametrize("jpeg", [False, True])
def test_any_damage_ends_in_one_kind_of_error(tmp_path: Path, jpeg: bool) -> None:
    source = write_dicom(tmp_path / "a.dcm", colours(2, (16, 16)), "US", jpeg=jpeg).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "b.dcm"
    for k in range(150):
        data = bytearray(source[: 132 + 14 * k] if k % 3 == 0 else source)
        for at in rng.integers(132, len(data), 0 if k % 3 == 0 else 1 + k % 5) if len(data) > 132 else ():
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            header = read_header(path)
            (
                attributes(header),
                identifiers(header),
                spacing_mm(header),
                sort_series([header]),
            )
            for frame in read_frames(path):
                to_uint8(frame, header)
        except UnreadableDicom as error:
            assert "\n" not in str(error)  # noqa: PT017


# Real files


def test_real_files_agree_with_pydicom(samples: Path) -> None:
    refused = {
        "liver.dcm": "Segmentation",
        "liver_1frame.dcm": "Segmentation",
        "rtdose.dcm": "RT Dose",
        "rtstruct.dcm": "DICM",
    }
    paths = [*sorted((samples / "dicom").glob("*.dcm")), *sorted((samples / "cxr").glob("*.dcm"))]
    assert len(paths) > 20
    for path in paths:
        if path.name in refused:
            with pytest.raises(UnreadableDicom, match=refused[path.name]):
                list(read_frames(path))
            continue
        header, frames = read_header(path), np.array(list(read_frames(path)))
        if header.PhotometricInterpretation == "PALETTE COLOR":
            assert frames.shape[-1] == 3
            continue
        slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
        if path.name == "eCT_Supplemental.dcm":  # it stands in the functional groups
            intercept = -1024
        expected = dcmread(path).pixel_array.reshape(frames.shape) * slope + intercept
        assert np.abs(frames - expected).max() <= (1e-3 if header.SamplesPerPixel == 1 else 1), path.name
        assert to_uint8(frames[0], header).dtype == np.uint8


def test_real_echo_clip_has_its_times_and_its_spacing(samples: Path) -> None:
    header = read_header(samples / "dicom/examples_ybr_color.dcm")
    times = frame_times_s(header)
    assert times is not None
    assert times[29] == pytest.approx(29 * 0.033333)
    assert spacing_mm(header) == pytest.approx((0.5105, 0.5105), abs=1e-4)
    assert ultrasound_regions(header) == [(84, 31, 320, 240)]


def test_real_mr_slices_stand_in_the_order_of_space(samples: Path) -> None:
    for study in sorted((samples / "hippocampus/dicom").iterdir()):
        headers = [read_header(path) for path in sorted(study.glob("*.dcm"))]
        (stack,) = sort_series(headers)
        assert stack.notes == []
        assert stack.positions_mm == sorted(stack.positions_mm or [])
        assert len(stack.headers) == len(headers)
