"""DICOM files made here, small and honest, with room for every defect that real ones have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom import Dataset, FileMetaDataset, uid
from pydicom.encaps import encapsulate

PLANE = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 0], "PixelSpacing": [0.5, 0.5]}
SOP_CLASSES = {
    "CT": uid.CTImageStorage,
    "MR": uid.MRImageStorage,
    "CR": uid.ComputedRadiographyImageStorage,
    "DX": uid.DigitalXRayImageStorageForPresentation,
}
DEFAULTS: dict[str, dict[str, object]] = {
    "CT": PLANE
    | {
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "WindowCenter": 40,
        "WindowWidth": 400,
        "BodyPartExamined": "CHEST",
    },
    "MR": PLANE | {"BodyPartExamined": "BRAIN"},
    "CR": {"BodyPartExamined": "CHEST", "ViewPosition": "PA"},
    "DX": {"BodyPartExamined": "CHEST", "ViewPosition": "PA"},
    "US": {"BodyPartExamined": "THYROID"},
}


def item(**elements: object) -> Dataset:
    """Return a data set with these elements, as the items of sequences are."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def region(x0: int, y0: int, x1: int, y1: int, cm: float = 0.02, **elements: object) -> Dataset:
    """Return one ultrasound region: 2D, with `cm` to a pixel each way; x1 and y1 are its last column and row."""
    box = {"RegionLocationMinX0": x0, "RegionLocationMinY0": y0, "RegionLocationMaxX1": x1, "RegionLocationMaxY1": y1}
    units = {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": cm, "PhysicalDeltaY": cm}
    kind = {"RegionSpatialFormat": 1, "RegionDataType": 1, "RegionFlags": 0}
    return item(**(box | units | kind | elements))


def write_dicom(
    path: Path, pixels: np.ndarray | None, modality: str = "CT", *, jpeg: bool = False, **elements: Any
) -> Path:
    """Write one DICOM file of stored values, and return its path.

    `pixels` are (H, W), (frames, H, W), (H, W, 3) or (frames, H, W, 3), in any integer type; None writes no pixels. The
    other elements follow from them and from the modality (CT, MR, CR, DX, US); name one to set it, None takes it out.
    With `jpeg` the frames are encoded as 8-bit JPEG: grey, or from RGB to YBR_FULL_422 as ultrasound scanners do. Other
    compression: `dataset.compress(...)` of what was written. Files of one folder are one series of one patient.
    """
    folder, sop = path.parent.name, SOP_CLASSES.get(modality)
    dataset = item(
        SOPClassUID=sop or uid.UltrasoundImageStorage,
        SOPInstanceUID=uid.generate_uid(entropy_srcs=[folder, path.name]),
        StudyInstanceUID=uid.generate_uid(entropy_srcs=[folder, "study"]),
        SeriesInstanceUID=uid.generate_uid(entropy_srcs=[folder, "series"]),
        PatientID=f"synthetic-{folder}",
        PatientName="Phantom^Synthetic",
        PatientSex="F",
        PatientAge="045Y",
        StudyDate="20200102",
        Modality=modality,
        InstanceNumber=1,
    )
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.JPEGBaseline8Bit if jpeg else uid.ExplicitVRLittleEndian
    defaults = dict(DEFAULTS[modality])
    if pixels is not None:
        colour = pixels.ndim > 2 and pixels.shape[-1] == 3
        frames = pixels.reshape(-1, *pixels.shape[-3 if colour else -2 :])
        height, width = frames.shape[1:3]
        bits = 8 * pixels.dtype.itemsize
        defaults |= {
            "SamplesPerPixel": 3 if colour else 1,
            "PhotometricInterpretation": ("YBR_FULL_422" if jpeg else "RGB") if colour else "MONOCHROME2",
            "Rows": height,
            "Columns": width,
            "BitsAllocated": bits,
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
        }
        if colour:
            defaults["PlanarConfiguration"] = 0
        if modality == "US":
            defaults["SequenceOfUltrasoundRegions"] = [region(0, 0, width - 1, height - 1)]
        if len(frames) > 1:
            defaults["NumberOfFrames"] = len(frames)
            if modality == "US":
                defaults |= {"SOPClassUID": uid.UltrasoundMultiFrameImageStorage, "FrameTime": 40}
        dataset.PixelData = encapsulate(encode(frames)) if jpeg else padded(pixels.tobytes())
        dataset["PixelData"].VR = "OB" if jpeg or bits == 8 else "OW"
    for keyword, value in (defaults | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path, volume: np.ndarray, modality: str = "CT", *, step: float = 3, **elements: Any
) -> list[Path]:
    """Write (slices, H, W) as one file a slice, `step` mm apart along z, named 1.dcm to n.dcm."""
    paths = []
    for k, pixels in enumerate(volume):
        place: dict[str, Any] = {
            "InstanceNumber": k + 1,
            "ImagePositionPatient": [0, 0, step * k],
            "SliceThickness": step,
        }
        paths.append(write_dicom(folder / f"{k + 1}.dcm", pixels, modality, **(place | elements)))
    return paths


def encode(frames: np.ndarray | Sequence[np.ndarray]) -> list[bytes]:
    """Return each grey or RGB frame as a JPEG, colours at half their width."""
    sampling = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    return [
        cv2.imencode(".jpg", frame[..., ::-1] if frame.ndim == 3 else frame, sampling)[1].tobytes() for frame in frames
    ]


def padded(data: bytes) -> bytes:
    """Return the data with an even length, as every value must have."""
    return data + bytes(len(data) % 2)
