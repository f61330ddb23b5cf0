"""Headers of DICOM files: what may be told of a picture, and where its pixels lie in space and time.

Only the elements that are named here are read, so a header holds no name, no date of birth and no free text.
"""

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread, uid
from pydicom.datadict import dictionary_VM
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from workflow_scripts.imaging.stills import UnreadablePicture

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its tracebacks: the errors raised here say it in one line

ELEMENTS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "InstanceNumber"),
    *("Modality", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition", "ManufacturerModelName"),
    *("PatientSex", "PatientAge", "StudyDate", "ImageType", "BurnedInAnnotation"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelSpacingCalibrationType", "SequenceOfUltrasoundRegions"),
    *("ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    *("FrameTime", "FrameTimeVector", "CineRate"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
NO_PICTURES = {  # they have rows and columns, yet hold labels, doses, measured quantities, or the tiles of a slide
    uid.SegmentationStorage,
    uid.UID("1.2.840.10008.5.1.4.1.1.66.7"),  # label map segmentation
    uid.RTDoseStorage,
    uid.ParametricMapStorage,
    uid.VLWholeSlideMicroscopyImageStorage,
}
NUMBERS = ("DS", "FD", "FL", "IS", "SL", "SS", "UL", "US")
MOST_FRAMES = 100_000  # in one file: an hour of ultrasound at 25 a second has 90,000
Box = tuple[int, int, int, int]


class UnreadableDicom(ValueError):
    """A DICOM file that breaks off, contradicts itself, or is encoded in a way that nothing here decodes."""


class NotDicom(UnreadableDicom):
    """A file that is no DICOM at all."""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever a library raises over a broken file into an `UnreadableDicom` that says `what` is wrong.

    Its own words are not repeated: in a damaged file they may quote what stands next to a value, such as a name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableDicom:
        raise
    except InvalidDicomError:
        raise NotDicom("it is no DICOM file: the letters DICM are not at byte 128") from None
    except UnreadablePicture as error:
        raise UnreadableDicom(f"{what} ({error})") from None
    except Exception as error:  # parsers of broken files raise anything
        said = error.strerror if isinstance(error, OSError) else None
        raise UnreadableDicom(f"{what} ({said or type(error).__name__})") from None


def read_header(path: Path) -> Dataset:
    """Return the elements of a file that this module uses (`ELEMENTS`), without pixels; `header.filename` is the path.

    Raises
    ------
    NotDicom, UnreadableDicom
        When the file is no DICOM, or its header is broken; nothing else is raised, whatever the file holds.
    """
    with refusing("it does not open"), path.open("rb") as file:
        return parse_header(file)


def parse_header(file: BinaryIO) -> Dataset:
    """Return the header of an open file, and leave the file where the element with its pixels begins."""
    with refusing("its header does not read"):
        meta = read_file_meta_info(file.name)
        if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
            raise UnreadableDicom("it is deflated as a whole, and may unpack without bound: save it uncompressed")
        header = dcmread(file, stop_before_pixels=True, specific_tags=list(ELEMENTS))
        for tag in header.keys():  # noqa: SIM118 - a header yields its elements; looked at, each is converted, or fails
            with refusing(f"its header is damaged at {tag}"):
                element = header[tag]
            if element.VR in NUMBERS and element.VM > 1 and dictionary_VM(tag) == "1":
                raise UnreadableDicom(f"its header is damaged: {element.keyword} has {element.VM} values, expected one")
        if not _text(header, "SOPClassUID"):
            raise UnreadableDicom("its header breaks off, or names no SOP class: copy the file again")
        if count_frames(header) > MOST_FRAMES:
            raise UnreadableDicom(f"it claims {count_frames(header)} frames: more than {MOST_FRAMES}")
        for told_by in (
            is_picture,
            identifiers,
            attributes,
            ultrasound_regions,
            frame_times_s,
        ):  # nor may these fail later
            told_by(header)
    return header


def is_picture(header: Dataset) -> bool:
    """Return whether the file holds a picture: not a segmentation, a dose, a structure set, a report or a directory."""
    return header.SOPClassUID not in NO_PICTURES and "Rows" in header and "PhotometricInterpretation" in header


def identifiers(header: Dataset) -> dict[str, str | None]:
    """Return patient_id, study_uid, series_uid and sop_uid as they stand: to be hashed with a salt, never written."""
    return {
        "patient_id": _text(header, "PatientID"),
        "study_uid": _text(header, "StudyInstanceUID"),
        "series_uid": _text(header, "SeriesInstanceUID"),
        "sop_uid": _text(header, "SOPInstanceUID"),
    }


def attributes(header: Dataset) -> dict[str, object]:
    """Return what may be told of a picture; None is unknown. Nothing in it says who the patient is.

    Lengths: `rows`, `columns` in pixels, `spacing_mm` as of `spacing_mm`, `age_years` in full years.
    """
    year = re.fullmatch(r"((?:19|20)\d\d)\.?\d\d\.?\d\d", _text(header, "StudyDate") or "")
    sex = _text(header, "PatientSex")
    return {
        "modality": _text(header, "Modality"),
        "body_part": _text(header, "BodyPartExamined"),
        "laterality": _text(header, "ImageLaterality") or _text(header, "Laterality"),
        "view_position": _text(header, "ViewPosition"),
        "rows": header.get("Rows"),
        "columns": header.get("Columns"),
        "frames": count_frames(header),
        "spacing_mm": spacing_mm(header),
        "window": window(header),
        "photometric_interpretation": _text(header, "PhotometricInterpretation"),
        "model": _text(header, "ManufacturerModelName"),
        "sex": sex if sex in ("F", "M", "O") else None,
        "age_years": _age_years(_text(header, "PatientAge") or ""),
        "study_year": int(year[1]) if year else None,
    }


def count_frames(header: Dataset) -> int:
    """Return the number of frames that the header claims; 1 where it makes no claim."""
    claimed = numbers(header.get("NumberOfFrames"), 1)
    return max(1, int(claimed[0])) if claimed else 1


def functional_group(header: Dataset, sequence: str, frame: int) -> Dataset:
    """Return where the values of one frame stand: its own group, the shared group, or the header itself."""
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (*own[frame : frame + 1], *(header.get("SharedFunctionalGroupsSequence") or [])):
        if groups.get(sequence):
            return groups[sequence][0]
    return header


def window(header: Dataset, frame: int = 0) -> tuple[float, float] | None:
    """Return the first (centre, width) that the file states for its modality values, None where it states none.

    A file may state a table instead (VOI LUT): `to_uint8` applies it.
    """
    stated = functional_group(header, "FrameVOILUTSequence", frame)
    centre, width = (numbers(stated.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    least = 1 if stated.get("VOILUTFunction", "LINEAR") == "LINEAR" else 1e-9
    return (centre[0], width[0]) if centre and width and width[0] >= least else None


def spacing_mm(header: Dataset, frame: int = 0) -> tuple[float, float] | None:
    """Return the distance between (rows, columns) in mm at the patient, None where the file does not say.

    Ultrasound: that of its largest 2D region, if it is in cm. Projections (CR, DX): Imager Pixel Spacing is measured at
    the detector, where the beam has spread by an amount that nobody knows; and a Pixel Spacing that only repeats it was
    never corrected, unless the file says how (PS3.3 10.7.1.3).
    """
    regions = _regions(header)
    if regions or header.get("Modality") in ("US", "IVUS"):
        largest = max(regions, key=lambda region: _area(_box(region)), default=Dataset())
        if (largest.get("PhysicalUnitsXDirection"), largest.get("PhysicalUnitsYDirection")) != (3, 3):
            return None
        deltas = [10 * abs(d) for k in "YX" for d in numbers(largest.get(f"PhysicalDelta{k}"), 1)]
        return (deltas[0], deltas[1]) if len(deltas) == 2 and min(deltas) > 0 else None
    spacing = numbers(functional_group(header, "PixelMeasuresSequence", frame).get("PixelSpacing"), 2)
    uncorrected = (
        spacing == numbers(header.get("ImagerPixelSpacing"), 2) and "PixelSpacingCalibrationType" not in header
    )
    return (spacing[0], spacing[1]) if spacing and min(spacing) > 0 and not uncorrected else None


def ultrasound_regions(header: Dataset) -> list[Box]:
    """Return the boxes of the 2D regions as (x0, y0, x1, y1) in pixels, x1 and y1 just outside, within the picture."""
    height, width = header.get("Rows") or 0, header.get("Columns") or 0
    inside = [
        (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)) for x0, y0, x1, y1 in map(_box, _regions(header))
    ]
    return [box for box in inside if _area(box) > 0]


def frame_times_s(header: Dataset) -> list[float] | None:
    """Return the time of each frame in s since the first, None where the file does not state how it was acquired.

    A rate that is recommended for display says nothing about the acquisition, and is not used.
    """
    count = count_frames(header)
    steps = numbers(header.get("FrameTimeVector"))
    if len(steps) == count and min(steps) >= 0 and sum(steps) > 0:
        return [(time - steps[0]) / 1000 for time in accumulate(steps)]
    time, rate = numbers(header.get("FrameTime"), 1), numbers(header.get("CineRate"), 1)
    step = time[0] / 1000 if time and time[0] > 0 else 1 / rate[0] if rate and rate[0] > 0 else None
    return None if step is None or count == 1 else [k * step for k in range(count)]


def numbers(value: Any, expected: int | None = None) -> tuple[float, ...]:
    """Return the numbers of an element; none at all where one is not finite, or where more or fewer are expected."""
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return ()
    return found if all(map(isfinite, found)) and expected in (None, len(found)) else ()


def _text(header: Dataset, keyword: str) -> str | None:
    value = header.get(keyword) or ""
    text = value.strip(" \0") if isinstance(value, str) else None
    if (
        text is None or len(text) > 64 or not text.isprintable()
    ):  # a wrong length swallows what comes next: a name, maybe
        raise UnreadableDicom(f"its header is damaged: {keyword} holds more than one short text")
    return text or None


def _age_years(age: str) -> int | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age)
    return int(int(match[1]) / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[match[2]]) if match else None


def _regions(header: Dataset) -> list[Dataset]:
    return [r for r in header.get("SequenceOfUltrasoundRegions") or [] if r.get("RegionSpatialFormat") == 1]


def _box(region: Dataset) -> Box:
    keywords = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    x0, y0, x1, y1 = (int(n) for k in keywords for n in numbers(region.get(k), 1) or (0,))
    return x0, y0, x1 + 1, y1 + 1


def _area(box: Box) -> int:
    x0, y0, x1, y1 = box
    return max(0, x1 - x0) * max(0, y1 - y0)
