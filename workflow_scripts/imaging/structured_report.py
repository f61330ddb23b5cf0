"""What a segmentation measures, as a DICOM report by template TID 1500 (PS3.16): one group of findings a nodule.

A nodule is measured in the picture in which it is largest. Area and axes are in mm where the spacing of that picture is
known; where it is not, the group names nodule and picture and holds no measurement: pixels are no size of a nodule.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegmentationFrame,
    SourceImageForSegmentation,
    TrackingIdentifier,
    srread,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from workflow_scripts.imaging.dicom import refusing
from workflow_scripts.imaging.dicom_derived import Outliner, settle, uid_of
from workflow_scripts.imaging.dicom_seg import planes_of
from workflow_scripts.imaging.measure import measure_nodules

Spacing = tuple[float, float] | None


def report_measures(
    segmentation: Segmentation,
    sources: Sequence[Dataset],
    labels: np.ndarray,
    spacings_mm: Sequence[Spacing],
    outliner: Outliner,
) -> Comprehensive3DSR:
    """Return the report of a segmentation.

    Parameters
    ----------
    segmentation, sources, labels, outliner
        What `segment` returned, and what it was made of.
    spacings_mm
        Of each plane of `labels` the distance between rows and between columns in mm; None where nobody states it.

    Raises
    ------
    UnreadableDicom
        When highdicom does not take the headers.
    """
    uid = uid_of("report", segmentation.SOPInstanceUID, str(list(spacings_mm)))
    maker = DeviceObserverIdentifyingAttributes(uid=uid_of("Casebook"), name="Casebook", model_name=outliner.model[:64])
    observer = ObserverContext(codes.DCM.Device, maker)
    planes = planes_of(segmentation)
    groups = [
        _group(segmentation, planes, sources, labels, spacings_mm, outliner, number)
        for number in range(1, int(labels.max()) + 1)
    ]
    with refusing("highdicom makes no report of its header"):
        content = MeasurementReport(
            observation_context=ObservationContext(observer_device_context=observer),
            procedure_reported=codes.cid100.ImagingProcedure,
            imaging_measurements=groups,
        )
        found = Comprehensive3DSR(
            evidence=[segmentation, *sources],
            content=content,
            series_instance_uid=uid_of(uid, "series"),
            series_number=9002,
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer="Casebook",
            series_description=f"measures of what {outliner.model} outlined"[:64],
        )
        settle(found, sources[0])
    return found


def _group(
    segmentation: Segmentation,
    planes: dict[tuple[int, str, int], int],
    sources: Sequence[Dataset],
    labels: np.ndarray,
    spacings_mm: Sequence[Spacing],
    outliner: Outliner,
    number: int,
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return the findings of one nodule, where it is largest."""
    k = int(np.argmax([(plane == number).sum() for plane in labels]))
    source, frame = (sources[0], k + 1) if len(labels) > len(sources) else (sources[k], 0)
    told: Any = segmentation.SegmentSequence[number - 1]
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(told.TrackingUID), told.TrackingID),
        referenced_segment=ReferencedSegmentationFrame(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            frame_number=planes[number, str(source.SOPInstanceUID), frame],
            segment_number=number,
            source_image=SourceImageForSegmentation(
                source.SOPClassUID, source.SOPInstanceUID, [frame] if frame else None
            ),
        ),
        finding_category=CodedConcept.from_dataset(told.SegmentedPropertyCategoryCodeSequence[0]),
        finding_type=CodedConcept.from_dataset(told.SegmentedPropertyTypeCodeSequence[0]),
        algorithm_id=AlgorithmIdentification(outliner.model[:64], outliner.version),
        measurements=_measurements((labels[k] == number).astype(np.uint8), spacings_mm[k]),
    )


def _measurements(nodule: np.ndarray, spacing_mm: Spacing) -> list[Measurement] | None:
    """Return area, long and short axis of one nodule (H, W); None without a spacing."""
    if spacing_mm is None:
        return None
    (measures,) = measure_nodules(nodule, spacing_mm)
    values = (
        (codes.SCT.Area, measures.area_mm2, codes.UCUM.SquareMillimeter),
        (codes.SCT.LongAxis, measures.longest_mm, codes.UCUM.Millimeter),
        (codes.SCT.ShortAxis, measures.perpendicular_mm, codes.UCUM.Millimeter),
    )
    return [Measurement(name, round(value, 2), unit) for name, value, unit in values if value is not None]


def check_report(path: Path, segmentation: Segmentation, sources: Sequence[Dataset]) -> None:
    """Read a report back, and look whether all that it refers to is there.

    Raises
    ------
    ValueError
        When a segment, a plane or an image is not that of its nodule.
    """
    planes = planes_of(segmentation)
    content: Any = srread(path).content
    groups = content.get_planar_roi_measurement_groups()
    if len(groups) != len(segmentation.SegmentSequence):
        raise ValueError(f"{path.name}: it holds {len(groups)} groups for {len(segmentation.SegmentSequence)} segments")
    uids = {str(source.SOPInstanceUID) for source in sources}
    for number, group in enumerate(groups, 1):
        referred = group.referenced_segmentation_frame
        image = referred.source_image_for_segmentation
        (plane,), segments = referred.referenced_frame_numbers, referred.referenced_segment_numbers
        frame = (image.referenced_frame_numbers or [0])[0]
        named = planes.get((number, str(image.referenced_sop_instance_uid), frame))
        if segments != [number] or named != plane or image.referenced_sop_instance_uid not in uids:
            raise ValueError(f"{path.name}: what it says of nodule {number} refers to another plane or image")
        if referred[0].referenced_sop_instance_uid != segmentation.SOPInstanceUID:
            raise ValueError(f"{path.name}: it refers to another segmentation")
