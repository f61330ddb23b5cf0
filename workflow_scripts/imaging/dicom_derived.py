"""What a DICOM object that is derived from pictures must know of them, and what makes two runs write the same bytes."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from workflow_scripts.imaging.dicom import UnreadableDicom, count_frames, numbers, refusing
from workflow_scripts.provenance import canonical_json

logging.getLogger("highdicom").setLevel(logging.CRITICAL)  # what it says quotes names and identifiers

# All that is read of a source: whom and what a derived object must name (Patient and Study modules, types 1 and 2, and
# what says that names were taken out), and where its pixels lie.
REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "SliceThickness"),
)
ELEMENTS = (
    *REQUIRED,
    *("SpecificCharacterSet", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("SOPInstanceUID", "Modality", "Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SpacingBetweenSlices"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "ImageOrientationPatient", "ImagePositionPatient"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
IN_SPACE = ("FrameOfReferenceUID", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")
SOME_DAY = "19000101"  # stands for the day of a study that states none: a date is required


@dataclass(frozen=True)
class Outliner:
    """Who outlined: the model's name, and which weights those were, in 64 letters at most."""

    model: str
    version: str


def read_source(path: Path) -> Dataset:
    """Return what a derived object must know of an image (`ELEMENTS`): it names the patient as the image does.

    Raises
    ------
    UnreadableDicom
        When the file is not whole, or names no study, series or instance.
    """
    with refusing("its header does not read"):
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(ELEMENTS))
        for keyword in REQUIRED:
            if keyword not in header:
                setattr(header, keyword, None)
        if header.PatientSex not in ("M", "F", "O"):
            header.PatientSex = None
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if not header.get(keyword):
            raise UnreadableDicom(f"it has no {keyword}: nothing can refer to it")
    return header


def uid_of(*parts: str) -> str:
    """Return the UID that follows from these texts, under 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, canonical_json(parts)).int}"


def lie_in_space(sources: Sequence[Dataset]) -> bool:
    """Tell whether images lie in one frame of reference, parallel, and each in a place of its own."""
    one = sources[0]
    if count_frames(one) > 1:
        (shared, *_) = one.get("SharedFunctionalGroupsSequence") or [Dataset()]
        own = one.get("PerFrameFunctionalGroupsSequence") or []
        placed = [(group.get("PlanePositionSequence") or [Dataset()])[0] for group in own]
        known = all(shared.get(name) for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"))
        alike = bool(one.get("FrameOfReferenceUID")) and known and len(own) == count_frames(one)
    else:
        placed = list(sources)
        alike = all(source.get(keyword) for source in sources for keyword in IN_SPACE) and not any(
            source[keyword] != one[keyword] for source in sources for keyword in IN_SPACE[:2]
        )
    places = {numbers(each.get("ImagePositionPatient"), 3) for each in placed}
    return alike and len(places) == len(placed) and () not in places


def settle(made: Dataset, source: Dataset) -> None:
    """Take out of an object of highdicom what changes from day to day or with its version."""
    made.ContentDate = made.SeriesDate = source.StudyDate or SOME_DAY
    made.ContentTime = made.SeriesTime = source.StudyTime or "000000"
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence"):
        if keyword in made:
            delattr(made, keyword)
    made.file_meta.ImplementationClassUID = UID(uid_of("Casebook"))
    made.file_meta.ImplementationVersionName = "CASEBOOK"
