"""Masks as DICOM Segmentation objects (PS3.3 A.51) that belong to the patient, study and images that were outlined.

Where the images lie in the patient's space, the segmentation lies there too. Where they do not (a still or a clip of
ultrasound, a film), each of its pixels is one of a referenced image, as A.51.5.1 has it, and nothing is said in mm.
Every UID follows from the content, and no time is of now: the same masks give the same bytes.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription, segread
from pydicom import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from workflow_scripts.imaging.dicom import UnreadableDicom, refusing
from workflow_scripts.imaging.dicom_derived import IN_SPACE, Outliner, lie_in_space, settle, uid_of
from workflow_scripts.provenance import canonical_json, pixel_sha256

SCT = codes.SCT
ABNORMAL, ANATOMY = SCT.MorphologicallyAbnormalStructure, SCT.AnatomicalStructure
WHAT = {  # what masks outline, and where it matters in which part of the body: category and type of the segments
    ("nodule", "thyroid"): (ABNORMAL, SCT.ThyroidNodule),
    ("nodule", None): (ABNORMAL, SCT.Nodule),
    ("lesion", None): (ABNORMAL, SCT.Lesion),
    ("tumour", None): (ABNORMAL, SCT.Neoplasm),
    ("gland", "thyroid"): (ANATOMY, SCT.Thyroid),
    ("ventricle", "heart"): (ANATOMY, SCT.LeftVentricle),
    ("calcium", None): (codes.cid7150.Substance, SCT.Calcium),
}


def name_code(outlines: str, body_part: str | None) -> tuple[Code, Code]:
    """Return category and type of what is outlined; tissue, and no more, where the word means nothing to us."""
    return WHAT.get((outlines, body_part)) or WHAT.get((outlines, None)) or (SCT.Tissue, SCT.Tissue)


def segment(
    sources: Sequence[Dataset], labels: np.ndarray, outlines: str, body_part: str | None, outliner: Outliner
) -> Segmentation:
    """Return a binary segmentation with one segment a nodule.

    Parameters
    ----------
    sources
        The images that the model looked at, as `read_source` returns them: of one series and one size, a picture each;
        or one file of several frames.
    labels
        (n, H, W) uint8 or uint16, a plane for each image or each frame: 0 background, 1..m nodules, at least one.
    outlines, body_part
        What labels outline (nodule, gland, ventricle, …), and where in the body.
    outliner
        What outlined it.

    Raises
    ------
    UnreadableDicom
        When the images are not of one series and one size, or highdicom does not take their headers.
    """
    one = sources[0]
    if len({(source.StudyInstanceUID, source.SeriesInstanceUID) for source in sources}) > 1:
        raise UnreadableDicom("its files are of several series: a segmentation refers to one")
    height, width = labels.shape[1:]
    if {(source.get("Rows"), source.get("Columns")) for source in sources} != {(height, width)}:
        raise UnreadableDicom(f"it has {one.get('Rows')} x {one.get('Columns')} pixels, its masks {height} x {width}")
    content = [[str(source.SOPInstanceUID) for source in sources], pixel_sha256(labels), outlines, vars(outliner)]
    uid = uid_of("segmentation", canonical_json(content))
    category, kind = name_code(outlines, body_part)
    algorithm = AlgorithmIdentificationSequence(
        outliner.model[:64], codes.cid7162.ArtificialIntelligence, outliner.version
    )
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=f"{outlines} {number}",
            segmented_property_category=category,
            segmented_property_type=kind,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=uid_of(uid, str(number)),
            tracking_id=f"{outlines} {number}",
        )
        for number in range(1, int(labels.max()) + 1)
    ]
    spatial = lie_in_space(sources)
    shown = list(sources) if spatial else [_without_space(source) for source in sources]
    with refusing("highdicom makes no segmentation of its header"):
        found = Segmentation(
            source_images=shown if spatial else shown[:1],
            further_source_images=None if spatial else shown[1:],
            pixel_array=labels if spatial else labels[:1],
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=described,
            series_instance_uid=uid_of(uid, "series"),
            series_number=9001,
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer="Casebook",
            manufacturer_model_name=outliner.model[:64],
            software_versions=outliner.version,
            device_serial_number="none: a program",
            series_description=f"{outlines}, outlined by {outliner.model}"[:64],
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        if not spatial:
            del found.FrameOfReferenceUID, found.PositionReferenceIndicator
            found.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence", None)
            if len(labels) > 1:
                _index_by_picture(found, sources, labels)
        settle(found, one)
        organisation = uid_of(uid, "dimensions")
        for item in (*found.DimensionOrganizationSequence, *found.DimensionIndexSequence):
            item.DimensionOrganizationUID = organisation
    return found


def _without_space(source: Dataset) -> Dataset:
    """Return a header as of one still that lies nowhere; what highdicom wants of every CT or clip means nothing."""
    bare, shared = deepcopy(source), Dataset()
    for keyword in (*IN_SPACE, "PerFrameFunctionalGroupsSequence"):
        if keyword in bare:
            delattr(bare, keyword)
    bare.FrameOfReferenceUID, bare.NumberOfFrames, shared.PixelMeasuresSequence = uid_of("none"), 1, [Dataset()]
    bare.SharedFunctionalGroupsSequence = [shared]
    return bare


def _index_by_picture(found: Segmentation, sources: Sequence[Dataset], labels: np.ndarray) -> None:
    """Give a segmentation of one picture the planes of all of them, each with the picture, or frame, that it is of.

    highdicom (0.28) refuses several pictures without a frame of reference, for it has no dimension to index them by.
    Here it is the number of the picture in a stack.
    """
    pattern, groups, planes = found.PerFrameFunctionalGroupsSequence[0], [], []
    used = [k for k, plane in enumerate(labels) if plane.any()]
    for number in range(1, int(labels.max()) + 1):
        for k in used:
            if not (labels[k] == number).any():
                continue
            group, about, which = deepcopy(pattern), Dataset(), Dataset()
            about.StackID, about.InStackPositionNumber = "1", used.index(k) + 1
            about.DimensionIndexValues = [number, used.index(k) + 1]
            which.ReferencedSegmentNumber = number
            group.FrameContentSequence, group.SegmentIdentificationSequence = [about], [which]
            image = group.DerivationImageSequence[0].SourceImageSequence[0]
            image.ReferencedSOPInstanceUID = sources[k if len(sources) > 1 else 0].SOPInstanceUID
            if len(sources) == 1:
                image.ReferencedFrameNumber = k + 1
            group.DerivationImageSequence[0].SourceImageSequence = [image]
            groups.append(group)
            planes.append(labels[k] == number)
    if "SegmentIdentificationSequence" in found.SharedFunctionalGroupsSequence[0]:
        del found.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence
    stack = Dataset()
    stack.DimensionIndexPointer, stack.FunctionalGroupPointer = 0x00209057, 0x00209111  # In-Stack Position Number
    stack.DimensionDescriptionLabel = "In-Stack Position Number"
    found.DimensionIndexSequence.append(stack)
    found.PerFrameFunctionalGroupsSequence = groups
    found.NumberOfFrames = len(planes)
    found.PixelData = pack_bits(np.stack(planes).astype(np.uint8))


def planes_of(found: Dataset) -> dict[tuple[int, str, int], int]:
    """Return the number of each plane of a segmentation by segment, source instance and its frame (0: it has one)."""
    shared = found.SharedFunctionalGroupsSequence[0]
    numbers_of = {}
    for plane, group in enumerate(found.PerFrameFunctionalGroupsSequence, 1):
        named = group if "SegmentIdentificationSequence" in group else shared
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        key = (
            int(named.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
            str(image.ReferencedSOPInstanceUID),
            int(image.get("ReferencedFrameNumber") or 0),
        )
        numbers_of[key] = plane
    return numbers_of


def check_segmentation(path: Path, sources: Sequence[Dataset], labels: np.ndarray) -> None:
    """Read a segmentation back as anybody would, and compare it with the masks that it was made of.

    Raises
    ------
    ValueError
        When a pixel or a reference differs.
    """
    back = segread(path)
    uids = [str(source.SOPInstanceUID) for source in sources]
    if len(labels) > len(sources):
        pixels = back.get_pixels_by_source_frame(
            uids[0],
            list(range(1, len(labels) + 1)),
            combine_segments=True,
            assert_missing_frames_are_empty=True,
            ignore_spatial_locations=True,
        )
    else:
        pixels = back.get_pixels_by_source_instance(
            uids, combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=True
        )
    if not np.array_equal(pixels, labels):
        raise ValueError(f"{path.name}: its pixels are not those of the masks")
    referred = {
        str(instance.ReferencedSOPInstanceUID)
        for series in back.ReferencedSeriesSequence
        for instance in series.ReferencedInstanceSequence
    }
    if referred != set(uids) or not {uid for _, uid, _ in planes_of(back)} <= set(uids):
        raise ValueError(f"{path.name}: it refers to images that it was not made of")
