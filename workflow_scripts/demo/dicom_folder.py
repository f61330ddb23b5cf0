"""A folder as an archive exports it: CT, MR, a film and ultrasound in DICOM, with what else lies in such a folder."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom import Dataset, FileMetaDataset, uid

from workflow_scripts.demo.chexpert import draw_chest
from workflow_scripts.demo.nodules import Nodule
from workflow_scripts.demo.phantoms import burn_in, draw_clip

SIDE, PIXEL_MM, STEP_MM = 128, 1.8, 12.0
CLASSES = {
    "CT": uid.CTImageStorage,
    "MR": uid.MRImageStorage,
    "CR": uid.ComputedRadiographyImageStorage,
    "US": uid.UltrasoundMultiFrameImageStorage,
    "OT": uid.SecondaryCaptureImageStorage,
    "RTSTRUCT": uid.RTStructureSetStorage,
}
PATIENTS = (("F", "067Y", "CT"), ("M", "093Y", "MR"), ("F", "041Y", "CR"), ("M", "058Y", "US"))


def write_dicom_folder(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write 4 x `scale` patients, each under a name of its own, and what a real export holds besides."""
    for number in range(4 * scale):
        sex, age, modality = PATIENTS[number % 4]
        rng = np.random.default_rng([seed, number])
        person = {"PatientID": f"PHANTOM-{number:04d}", "PatientName": f"Phantom^{number}", "PatientSex": sex}
        study: dict[str, Any] = {**person, "PatientAge": age, "StudyDate": "20200102", "study": f"{seed} {number}"}
        folder = root / f"PAT {number:03d} (50%)" / "ST0"
        if modality == "CT":
            write_series(folder / "SE1", head_ct(rng), "CT", BodyPartExamined="HEAD", **HEAD_CT, **study)
            (folder / "SE2").mkdir()
            write_dicom(folder / "SE2" / "plan.dcm", None, "RTSTRUCT", series="plan", **study)
            report = np.zeros((96, 256, 3), np.uint8)
            cv2.putText(report, f"PHANTOM^{number}", (8, 56), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 1)
            write_dicom(folder / "SE2" / "report.dcm", report, "OT", series="report", **study)
        elif modality == "MR":
            signal = np.interp(head_ct(rng), [-1000, 0, 25, 40, 200, 1000], [5, 180, 420, 560, 200, 30])
            write_series(folder / "SE1", signal.astype(np.uint16), "MR", BodyPartExamined="HEAD", **study)
            write_series(folder / "SE2", signal[:2].transpose(0, 2, 1).astype(np.uint16), "MR", plane=SAGITTAL, **study)
        elif modality == "CR":
            film = 4095 - 16 * draw_chest({}, "frontal", rng).astype(np.uint16)
            look: dict[str, Any] = {
                "PhotometricInterpretation": "MONOCHROME1",
                "WindowCenter": 2048,
                "WindowWidth": 4096,
            }
            where: dict[str, Any] = {"BodyPartExamined": "CHEST", "ViewPosition": "PA", "BitsStored": 12, "HighBit": 11}
            write_dicom(folder / "IM1", film, "CR", **look, **where, **study)
        else:
            frames, _ = draw_clip(Nodule(), 5, (240, 320), rng)
            clip = np.stack([burn_in(frame, "PHANTOM") for frame in frames])
            write_dicom(folder / "clip.dcm", clip, "US", BodyPartExamined="THYROID", FrameTime=40, **study)
    _spoil(root)


def _spoil(root: Path) -> None:
    """Add what exports hold: a directory, a note, a second copy; and a slice and a clip that were cut off."""
    (root / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (root / "readme.txt").write_text("Phantoms, exported twice.\n")
    shutil.copytree(root / "PAT 001 (50%)", root / "again" / "PAT 001 (50%)")
    for name in ("PAT 000 (50%)/ST0/SE1/3.dcm", "PAT 003 (50%)/ST0/clip.dcm"):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: 200 if name.endswith("3.dcm") else len(data) * 3 // 4])


def head_ct(rng: np.random.Generator, n_slices: int = 12, bleed: bool = False) -> np.ndarray:
    """Draw a head in Hounsfield units, (n_slices, 128, 128) int16, from the base upwards; `bleed`: with a haematoma."""
    middle = SIDE / 2 + rng.uniform(-3, 3, 2)
    width, noise, side = rng.uniform(0.92, 1.05), rng.normal(0, 4, (n_slices, SIDE, SIDE)), rng.choice([-1, 1])
    volume = np.full((n_slices, SIDE, SIDE), -1000.0)
    for k, picture in enumerate(volume):
        height = 2 * k / n_slices - 0.75
        size = np.sqrt(max(0.1, 1 - height**2))

        def fill(
            x: float, y: float, a: float, b: float, value: float, picture: np.ndarray = picture, s: float = size
        ) -> None:
            centre = middle + np.array([x, y]) * s
            box = (*centre.tolist(),), (2 * a * s * width, 2 * b * s)
            cv2.ellipse(picture, (*box, 0.0), value, -1)

        for inset, value in ((0, 40.0), (3, 1000.0), (7, 36.0)):
            fill(0, 0, 44 - inset, 54 - inset, value)
        fill(0, 0, 1, 44, 25)
        if -0.3 < height < 0.6:
            fill(-8, 2, 4, 14, 6)
            fill(8, 2, 4, 14, 6)
        if bleed and abs(height) < 0.5:
            fill(22 * side, -6, 9, 12, 68)
    return np.rint(cv2.GaussianBlur(volume.transpose(1, 2, 0), (0, 0), 0.8).transpose(2, 0, 1) + noise).astype(np.int16)


HEAD_CT: dict[str, Any] = {"RescaleIntercept": 0, "RescaleSlope": 1, "WindowCenter": 40, "WindowWidth": 80}
AXIAL, SAGITTAL = ([1, 0, 0, 0, 1, 0], [0, 0, 1]), ([0, 1, 0, 0, 0, -1], [-1, 0, 0])


def write_series(
    folder: Path,
    volume: np.ndarray,
    modality: str,
    *,
    study: str,
    plane: tuple[list[int], list[int]] = AXIAL,
    **elements: Any,
) -> None:
    """Write (slices, H, W) as a file a slice, named against their order in space as scanners do."""
    rows, normal = plane
    for k, pixels in enumerate(volume):
        place = {
            "ImageOrientationPatient": rows,
            "ImagePositionPatient": [STEP_MM * k * along for along in normal],
            "PixelSpacing": [PIXEL_MM, PIXEL_MM],
            "SliceThickness": STEP_MM,
            "InstanceNumber": len(volume) - k,
        }
        path = folder / f"{len(volume) - k}.dcm"
        write_dicom(path, pixels, modality, study=study, series=folder.name, **place, **elements)


def write_dicom(
    path: Path, pixels: np.ndarray | None, modality: str, *, study: str, series: str = "1", **elements: Any
) -> None:
    """Write one file of stored values: (H, W), (frames, H, W) or (H, W, 3), 8 or 16 bits; None: without a picture.

    `study` and `series` are what its UIDs are made of.
    """
    dataset, meta = Dataset(), FileMetaDataset()
    keys = [study, series, path.name]
    dataset.SOPClassUID = CLASSES[modality]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (
        uid.generate_uid(entropy_srcs=[modality if n > 1 else "study", *keys[:n]]) for n in (1, 2, 3)
    )
    dataset.Modality = modality
    if pixels is not None:
        colour, bits = pixels.shape[-1] == 3, 8 * pixels.dtype.itemsize
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
        dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        if colour:
            dataset.PlanarConfiguration = 0
        elif pixels.ndim == 3:
            dataset.NumberOfFrames = len(pixels)
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
