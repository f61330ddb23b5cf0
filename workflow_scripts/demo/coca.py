"""A twin of COCA: small series of a chest with a beating heart's worth of calcium, outlines of it, and scores.

The field is the heart's, coarse and square, 1.875 mm to a pixel. Calcium is a cylinder in an artery over some slices,
so that its Agatston score follows from its area and its value.
"""

import io
import plistlib
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl
from pydicom import Dataset, FileMetaDataset, uid

SIDE = 96
PIXEL_MM = 1.875
STEP_MM = 3.0
NOISE_HU = 12.0
NAMES = {
    "LCA": "Left Coronary Artery",
    "LAD": "Left Anterior Descending Artery",
    "LCX": "Left Circumflex Artery",
    "RCA": "Right Coronary Artery",
}
PLACES = {"LCA": (52, 40), "LAD": (58, 33), "LCX": (65, 47), "RCA": (36, 46)}  # column, row
GATED_SERIES = "Pro_Gated_CS_3.0_I30f_3_70%"


@dataclass(frozen=True)
class Plaque:
    """Calcium: the artery, the first slice (0 is the lowest), how many slices, radius in pixels, Hounsfield units."""

    artery: str
    first: int
    count: int
    radius: float
    hu: float


@dataclass(frozen=True)
class Gated:
    """One gated patient: series by name with the z of the lowest slice, and what is wrong.

    Attributes
    ----------
    outlined
        Whether a table of outlines is there; it is of the first series.
    empty_outline
        It holds a region without points.
    without_mm
        Its points are in pixels alone: only `ImageIndex` says on which slice.
    shifted
        `ImageIndex` counts from the wrong end.
    copied
        A slice lies there twice, under two names.
    cut_off
        A slice ends after half of its bytes.
    """

    number: int
    plaques: tuple[Plaque, ...] = ()
    series: tuple[tuple[str, float], ...] = ((GATED_SERIES, -60.0),)
    n_slices: int = 9
    outlined: bool = True
    empty_outline: bool = False
    without_mm: bool = False
    shifted: bool = False
    copied: bool = False
    cut_off: bool = False


@dataclass(frozen=True)
class Nongated:
    """One patient without gating, and the row of scores; its total may differ from the sum, None is no row."""

    number: int
    scores: tuple[float, float, float, float] | None
    plaques: tuple[Plaque, ...] = ()
    total: float | None = None
    n_slices: int = 8


_GATED = (
    Gated(0, (Plaque("LAD", 4, 3, 2.2, 420), Plaque("LCX", 3, 2, 1.6, 260), Plaque("RCA", 2, 2, 1.6, 330))),
    Gated(1, (Plaque("LCA", 6, 1, 1.2, 180), Plaque("LAD", 5, 1, 1.2, 240)), empty_outline=True, n_slices=10),
    Gated(2, outlined=False),
    Gated(3, (Plaque("RCA", 3, 3, 2.6, 520),), without_mm=True),
    Gated(
        4,
        (Plaque("LAD", 4, 2, 2.0, 350),),
        series=((GATED_SERIES, -60.0), ("Pro_Gated CS 3.0 I30f 3 30%", -58.5)),
        n_slices=8,
    ),
    Gated(5, (Plaque("LCX", 2, 2, 1.8, 210),), copied=True),
    Gated(6, (Plaque("LAD", 3, 2, 1.8, 300),), cut_off=True),
    Gated(7, (Plaque("RCA", 3, 1, 1.8, 300),), series=()),
    Gated(8, (Plaque("LAD", 2, 1, 1.8, 300),), shifted=True),
)
_NONGATED = (
    Nongated(1, (0, 96.5, 12, 41), (Plaque("LAD", 3, 2, 1.8, 380), Plaque("RCA", 2, 2, 1.4, 230))),
    Nongated(2, (0, 0, 0, 0)),
    Nongated(3, (22, 310.5, 80, 120), (Plaque("LAD", 2, 4, 2.6, 520),), total=560),
    Nongated(4, None, (Plaque("LCX", 3, 1, 1.4, 200),)),
    Nongated(5, (0, 5, 0, 0), n_slices=0),
)


def write_coca(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write both parts of the set, with `scale` times the demo's patients."""
    gated, nongated = root / "Gated_release_final", root / "deidentified_nongated"
    (gated / "calcium_xml").mkdir(parents=True, exist_ok=True)
    nongated.mkdir(parents=True, exist_ok=True)
    for one in (replace(case, number=case.number + 100 * k) for k in range(scale) for case in _GATED):
        _write_gated(gated, one, np.random.default_rng([seed, 0, one.number]))
    rows = []
    for case in (replace(case, number=case.number + 100 * k) for k in range(scale) for case in _NONGATED):
        rng = np.random.default_rng([seed, 1, case.number])
        if case.n_slices:
            folder = nongated / str(case.number) / str(case.number)
            _write_series(folder, draw_chest(case.plaques, case.n_slices, rng), -90.0)
        if case.scores:
            rows.append((f"{case.number}A", *case.scores, sum(case.scores) if case.total is None else case.total))
    write_workbook(nongated / "scores.xlsx", [("filename", "LCA", "LAD", "LCX", "RCA", "total"), *rows])


def draw_chest(plaques: tuple[Plaque, ...], n_slices: int, rng: np.random.Generator) -> np.ndarray:
    """Return (slices, H, W) int16 Hounsfield units, from the lowest slice up."""
    volume = np.empty((n_slices, SIDE, SIDE), np.int16)
    for k in range(n_slices):
        level = k / max(1, n_slices - 1)
        picture = np.full((SIDE, SIDE), -1000, np.float32)
        for centre, axes, hu in (
            ((48, 50), (46, 38), -90),  # fat under the skin
            ((48, 50), (43, 35), 50),  # muscle
            ((24, 52), (17, 27), -850),
            ((74, 54), (15, 26), -850),
            ((51, 44), (22 - round(4 * level), 20 - round(3 * level)), -80),  # fat around the heart
            ((51, 45), (18 - round(4 * level), 16 - round(3 * level)), 45),
            ((52, 70), (5, 5), 45),  # aorta
            ((48, 80), (7, 6), 320),  # spine: dense, and no calcium of an artery
            ((48, 16), (5, 2), 280),  # sternum
        ):
            cv2.ellipse(picture, centre, axes, 0, 0, 360, hu, -1)
        for artery, (x, y) in PLACES.items():
            cv2.circle(picture, (x, y), 2, 45, -1)
            for plaque in plaques:
                if plaque.artery == artery and plaque.first <= k < plaque.first + plaque.count:
                    rows, columns = np.mgrid[:SIDE, :SIDE]
                    picture[np.hypot(columns - x, rows - y) <= plaque.radius] = plaque.hu
        smooth = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), dtype=np.float32), (0, 0), 0.7)
        volume[k] = np.rint(cv2.GaussianBlur(picture, (0, 0), 0.4) + NOISE_HU * smooth / smooth.std())
    return volume


def _write_gated(root: Path, case: Gated, rng: np.random.Generator) -> None:
    volume = draw_chest(case.plaques, case.n_slices, rng)
    for name, lowest in case.series:
        folder = root / "patient" / str(case.number) / name
        _write_series(folder, volume, lowest)
        if case.copied:
            again = folder / f"IM-0001-{case.n_slices + 1}.dcm"
            again.write_bytes((folder / "IM-0001-3.dcm").read_bytes())
        if case.cut_off:
            cut = folder / "IM-0001-4.dcm"
            cut.write_bytes(cut.read_bytes()[: SIDE * SIDE])
    if case.outlined:
        lowest = case.series[0][1] if case.series else -60.0
        table = root / "calcium_xml" / f"{case.number}.xml"
        table.write_bytes(plistlib.dumps({"Images": _images(case, lowest)}))


def _write_series(folder: Path, volume: np.ndarray, lowest: float) -> None:
    """Write one file a slice, the highest first as scanners number them."""
    for k, values in enumerate(volume[::-1]):
        _write_slice(folder / f"IM-0001-{k + 1}.dcm", values, k + 1, lowest + STEP_MM * (len(volume) - 1 - k))


def _write_slice(path: Path, values: np.ndarray, number: int, z: float) -> None:
    place = "/".join(path.parts[-4:])
    dataset = Dataset()
    elements: dict[str, Any] = {
        "SOPClassUID": uid.CTImageStorage,
        "SOPInstanceUID": uid.generate_uid(entropy_srcs=[place]),
        "StudyInstanceUID": uid.generate_uid(entropy_srcs=[place.split("/")[0], path.parts[-3], "study"]),
        "SeriesInstanceUID": uid.generate_uid(entropy_srcs=[str(Path(place).parent), "series"]),
        "PatientID": f"phantom-{path.parts[-3]}",
        "PatientName": "Phantom^Synthetic",
        "PatientSex": "FM"[int(path.parts[-3]) % 2],
        "PatientAge": f"{50 + int(path.parts[-3]) % 30:03d}Y",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "InstanceNumber": number,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-SIDE * PIXEL_MM / 2, -SIDE * PIXEL_MM / 2, z],
        "SliceThickness": STEP_MM,
        "PixelSpacing": [PIXEL_MM, PIXEL_MM],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": SIDE,
        "Columns": SIDE,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.clip(values.astype(np.int32) + 1024, 0, 4095).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _images(case: Gated, lowest: float) -> list[dict[str, Any]]:
    """Return the outlines of a case by slice; `ImageIndex` counts the files from the last, which is the lowest."""
    images = []
    for k in range(case.n_slices):
        here = [plaque for plaque in case.plaques if plaque.first <= k < plaque.first + plaque.count]
        rois = [_roi(plaque, lowest + STEP_MM * k, with_mm=not case.without_mm) for plaque in here]
        if here and case.empty_outline:
            rois.append(
                _roi(here[0], 0, with_mm=True) | {"Point_px": [], "Point_mm": [], "NumberOfPoints": 0, "Area": 0.0}
            )
        if rois:
            index = case.n_slices - 1 - k if case.shifted else k
            images.append({"ImageIndex": index, "NumberOfROIs": len(rois), "ROIs": rois})
    return images


def _roi(plaque: Plaque, z: float, *, with_mm: bool) -> dict[str, Any]:
    """Return one region, a little wider than its calcium, as the readers' program writes it."""
    x, y = PLACES[plaque.artery]
    angles = np.arange(12) * np.pi / 6
    columns, rows = x + (plaque.radius + 1.2) * np.cos(angles), y + (plaque.radius + 1.2) * np.sin(angles)
    points = list(zip(columns.tolist(), rows.tolist(), strict=True))
    corner = -SIDE * PIXEL_MM / 2
    in_mm = [f"({corner + PIXEL_MM * a:.6f}, {corner + PIXEL_MM * b:.6f}, {z:.6f})" for a, b in points]
    return {
        "Area": round(np.pi * ((plaque.radius + 1.2) * PIXEL_MM / 10) ** 2, 6),
        "Center": f"({x:.6f}, {y:.6f})",
        "Name": NAMES[plaque.artery],
        "NumberOfPoints": len(points),
        "Point_mm": in_mm if with_mm else [],
        "Point_px": [f"({a:.6f}, {b:.6f})" for a, b in points],
        "Type": 20,
    }


def write_workbook(path: Path, rows: list[tuple[str | float, ...]]) -> None:
    """Write a workbook of one sheet whose bytes do not depend on the hour."""
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    made = io.BytesIO()
    book.save(made)
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            data = source.read(part)
            if part.filename == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2020-01-01T00:00:00Z", data)
            target.writestr(zipfile.ZipInfo(part.filename, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
