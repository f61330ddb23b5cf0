"""Pixels of DICOM files: frame by frame, in the units of their modality, and as 8 bits to look at."""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate, generate_frames, parse_basic_offsets, parse_fragments
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import as_pixel_options

from workflow_scripts.imaging.dicom import (
    UnreadableDicom,
    count_frames,
    functional_group,
    is_picture,
    numbers,
    parse_header,
    refusing,
)
from workflow_scripts.imaging.dicom import window as window_of
from workflow_scripts.imaging.stills import UnreadablePicture, check_jpeg, decode_picture
from workflow_scripts.imaging.windows import apply_window

MOST_BYTES = 2**30  # of one decoded frame: the largest that scanners write are a tenth of it
UNDEFINED = 0xFFFFFFFF  # the length of compressed pixels
JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}
COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
# PS3.3 C.7.6.3.1.2, YBR_FULL to RGB, with the offset of 128 folded in
YBR_TO_RGB = np.array(
    [
        [1, 0, 1.402, -128 * 1.402],
        [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587, 128 * (0.114 * 1.772 + 0.299 * 1.402) / 0.587],
        [1, 1.772, 0, -128 * 1.772],
    ]
)


def read_frames(path: Path, indices: Iterable[int] | None = None) -> Iterator[np.ndarray]:
    """Yield the frames of a picture in their order: all, or those at `indices` (0-based). Memory holds a few of them.

    Colour is (H, W, 3) RGB uint8, from whatever it was encoded in. Grey is (H, W) in the values of the modality, which
    for CT are Hounsfield units: as stored where nothing is to be rescaled; where slope and intercept are whole, int16,
    or int32 where the values of the frame do not fit; else float32. MONOCHROME1, where low values are bright, stays so
    until `to_uint8`. Overlays are not drawn.

    Raises
    ------
    UnreadableDicom
        Before any frame when the file holds no picture or claims an absurd size; else at the first frame that is
        missing or does not decode to its end, after those that do.
    """
    with refusing("it does not open"):
        file = path.open("rb")
    with file:
        header = parse_header(file)
        with refusing("its header contradicts itself"):
            _check_claims(header)
            palette = _palette(header) if header.PhotometricInterpretation == "PALETTE COLOR" else None
        count = count_frames(header)
        wanted = range(count) if indices is None else sorted(set(indices))
        if wanted and not 0 <= wanted[0] <= wanted[-1] < count:
            raise UnreadableDicom(f"it holds frames 0 to {count - 1}: {wanted[0]} to {wanted[-1]} were asked for")
        compressed = header.file_meta.TransferSyntaxUID.is_encapsulated
        frames = (_compressed if compressed else _native)(file, header, wanted)
        for index in wanted:
            with refusing(f"{f'frame {index} of 0 to {count - 1}' if count > 1 else 'it'} does not decode"):
                frame, photometric = next(frames)
                if palette is not None:
                    frame = palette[frame]
                elif frame.ndim == 3:
                    frame = _to_rgb(frame, photometric, header.BitsStored)
                else:
                    frame = _modality_values(frame, header, index)
            yield np.ascontiguousarray(frame)


def to_uint8(
    values: np.ndarray, header: Dataset, window: tuple[float, float] | None = None, frame: int = 0
) -> np.ndarray:
    """Return a frame of `read_frames` as uint8 to look at: colour as it is, grey windowed, MONOCHROME1 inverted.

    The window is (centre, width) in modality values, linear as in PS3.3 C.11.2.1.2; without one the file's own table or
    window in the file's own function. Where the file states neither, 8-bit grey stays as it is, and anything else is
    stretched over the full range of this one frame: two such frames are not on one scale.
    """
    if values.ndim == 3:
        return values
    shown = window or window_of(header, frame)
    function = "LINEAR" if window else functional_group(header, "FrameVOILUTSequence", frame).get("VOILUTFunction")
    if window is None and header.get("VOILUTSequence"):
        with refusing("its VOI LUT does not read"):
            most = 2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1
            picture = _levels(apply_voi(np.rint(values).astype(np.int64), header) / most)
    elif shown and function == "SIGMOID":
        picture = _levels(1 / (1 + np.exp(-4 * (values - shown[0]) / shown[1])))
    elif shown and function == "LINEAR_EXACT":
        picture = _levels((values - shown[0]) / shown[1] + 0.5)
    elif shown:
        picture = apply_window(values, *shown)
    elif values.dtype == np.uint8:
        picture = values
    else:
        low, high = float(values.min()), float(values.max())
        picture = _levels((values - low) / ((high - low) or 1))
    return 255 - picture if header.PhotometricInterpretation == "MONOCHROME1" else picture


def _levels(share: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def _check_claims(header: Dataset) -> None:
    """Refuse what cannot be a picture, before anything of its claimed size is held in memory."""
    if not is_picture(header):
        raise UnreadableDicom(f"it holds no picture but {uid.UID(header.SOPClassUID).name}")
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"):
        if not isinstance(header.get(keyword), int) or header[keyword].value < 1:
            raise UnreadableDicom(f"its {keyword} are missing or 0: expected a number above 0")
    if _frame_bytes(header) > MOST_BYTES:
        raise UnreadableDicom(
            f"it claims {header.Rows} x {header.Columns} pixels: more than {MOST_BYTES} bytes a frame"
        )
    syntax = header.file_meta.get("TransferSyntaxUID", uid.UID("not stated"))
    with refusing(
        f"nothing here decodes pixels in its encoding, {syntax.name if syntax.is_valid else 'which is no UID'}"
    ):
        if not get_decoder(syntax).is_available:
            raise UnreadablePicture("its decoder is not installed")


def _frame_bytes(header: Dataset) -> int:
    return -(-header.Rows * header.Columns * header.SamplesPerPixel * header.BitsAllocated // 8)


def _enter_pixels(file: BinaryIO, header: Dataset) -> tuple[str, int]:
    """Move from the start of the element with the pixels to its value; return the type and length that it claims."""
    implicit, little = header.original_encoding
    order, start = "<" if little else ">", file.read(8 if implicit else 12)
    if len(start) < (8 if implicit else 12):
        raise UnreadableDicom("it breaks off before its pixels: copy the file again")
    if struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        raise UnreadableDicom("its pixels are floating-point numbers: expected whole ones")
    length: int = struct.unpack(f"{order}L", start[-4:])[0]
    if (length == UNDEFINED) != header.file_meta.TransferSyntaxUID.is_encapsulated:
        raise UnreadableDicom("its TransferSyntaxUID does not fit its pixels: one is compressed, the other is not")
    return "OW" if implicit else start[4:6].decode("ascii", "replace"), length


def _native(file: BinaryIO, header: Dataset, wanted: Sequence[int]) -> Iterator[tuple[np.ndarray, str]]:
    kind, length = _enter_pixels(file, header)
    held = min(length, os.fstat(file.fileno()).st_size - file.tell())
    size = _frame_bytes(header) * (2 if header.PhotometricInterpretation == "YBR_FULL_422" else 3) // 3
    if length // size > count_frames(header):
        raise UnreadableDicom(f"it holds {length // size} frames, its header claims {count_frames(header)}")
    decoder = get_decoder(header.file_meta.TransferSyntaxUID)
    options = as_pixel_options(header, pixel_keyword="PixelData", pixel_vr=kind)
    for index in wanted:
        if (index + 1) * size > held:
            raise UnreadablePicture(f"the pixels break off: {held // size} whole frames are there")
        # a call for each: within one, pydicom 3.0 takes all YBR_FULL_422 frames but the first to be half as long again
        frame, properties = next(decoder.iter_array(file, indices=[index], raw=True, **options))
        yield frame, str(properties["photometric_interpretation"])


def _compressed(file: BinaryIO, header: Dataset, wanted: Sequence[int]) -> Iterator[tuple[np.ndarray, str]]:
    """Decode in the order of the file, each frame with one decoder only: another would round otherwise."""
    _enter_pixels(file, header)
    start = file.tell()
    if (listed := len(parse_basic_offsets(file))) > count_frames(header):
        raise UnreadableDicom(f"it holds {listed} frames, its header claims {count_frames(header)}")
    fragments = parse_fragments(file)[0]
    file.seek(start)
    offsets = (
        (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in header else None
    )
    # in a file that breaks off there are fewer fragments than frames, and those that are there do decode
    there = min(count_frames(header), fragments)
    for index, data in enumerate(generate_frames(file, number_of_frames=there, extended_offsets=offsets)):
        if index in wanted:
            yield _decode(data, header)
    raise UnreadablePicture("the pixels break off")


def _decode(data: bytes, header: Dataset) -> tuple[np.ndarray, str]:
    syntax, photometric = header.file_meta.TransferSyntaxUID, header.PhotometricInterpretation
    expected = (header.Rows, header.Columns)
    if syntax != uid.RLELossless and _coded_size(data) != expected:
        raise UnreadablePicture(f"it is encoded as {_coded_size(data)} pixels, the header says {expected}")
    if syntax in JPEG and header.BitsStored == 8:
        check_jpeg(data)
        if photometric != "RGB":  # libjpeg knows YBR, and is several times as fast as decoding and converting apart
            frame = decode_picture(data)
            if frame.ndim != (2 if header.SamplesPerPixel == 1 else 3):
                raise UnreadablePicture(f"it is encoded with another number of colours than {header.SamplesPerPixel}")
            return frame, "RGB" if frame.ndim == 3 else photometric
    decoder = get_decoder(syntax)
    plugin = "gdcm" if "gdcm" in decoder.available_plugins else ""
    options = as_pixel_options(header, pixel_keyword="PixelData", pixel_vr="OB", number_of_frames=1)
    options.pop("extended_offsets", None)
    one = encapsulate([data], has_bot=False)
    frame, properties = next(decoder.iter_array(one, raw=True, decoding_plugin=plugin, **options))
    return frame, str(properties["photometric_interpretation"])


def _coded_size(data: bytes) -> tuple[int, int] | None:
    """Return the (rows, columns) that a JPEG, JPEG-LS or JPEG 2000 says of itself: it may be a bomb."""
    if data[:4] == b"\xff\x4f\xff\x51" and len(data) >= 24:
        x1, y1, x0, y0 = struct.unpack(">4L", data[8:24])
        return y1 - y0, x1 - x0
    at = 2
    while data[:2] == b"\xff\xd8" and data[at : at + 1] == b"\xff" and at + 9 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # a start of frame
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 1 if marker == 0xFF else 2 + length
    return None


def _palette(header: Dataset) -> np.ndarray:
    """Return the colour of every stored value, (2**bits, 3) uint8; 16-bit entries are scaled to 8."""
    table = apply_color_lut(np.arange(2**header.BitsStored, dtype=np.uint16), header)[:, :3]
    return (table >> (8 if table.max() > 255 else 0)).astype(np.uint8)


def _to_rgb(frame: np.ndarray, photometric: str, bits: int) -> np.ndarray:
    if photometric not in COLOURS:
        raise UnreadablePicture(f"its colours are {photometric}: expected one of {', '.join(sorted(COLOURS))}")
    if frame.dtype != np.uint8:
        frame = (frame >> max(0, bits - 8)).astype(np.uint8)
    return cv2.transform(np.ascontiguousarray(frame), YBR_TO_RGB) if photometric.startswith("YBR") else frame


def _modality_values(stored: np.ndarray, header: Dataset, index: int) -> np.ndarray:
    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header)
    stated = functional_group(header, "PixelValueTransformationSequence", index)
    slope, intercept = (numbers(stated.get(keyword), 1) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if not slope or not intercept or (slope[0], intercept[0]) == (1, 0):
        return stored
    if slope[0] == 0:
        raise UnreadablePicture("its RescaleSlope is 0: every value would be the same")
    if slope[0].is_integer() and intercept[0].is_integer():
        values = stored.astype(np.int64) * int(slope[0]) + int(intercept[0])
        for kind in (np.int16, np.int32):
            if np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
                return values.astype(kind)
    return (stored * slope[0] + intercept[0]).astype(np.float32)
