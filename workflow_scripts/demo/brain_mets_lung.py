"""A twin of Brain-Mets-Lung-MRI-Path-Segs: heads with metastases in two series, slides, and the workbook.

The head is a function of the place in it (millimetres to the right, front and top of its middle), so that the series
and the outlines agree on whatever grids they lie. The slides are drawn at 20x, half a micron a pixel.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import nibabel
import numpy as np
import openpyxl
import tifffile

HEADER = (
    *("Accession", "Patient ID", "Age at BM Dx", "Sex", "Packyear Smoking Hx", "NIH Racial Category", "KPS at BM Dx"),
    *("Age at Resection", "Size of Dominant Lesion (cm)", "Number of BM Lesions at Dx", "Location of Lesion"),
    *("Histologic Subtype", "GPA Histology Class", "Presence of Extracranial Mets at Dx", "EGFR Status", "ALK Status"),
    *("PDL1 Status", "Sperduto GPA"),
)
WORKBOOK = "Brain-Mets-Lung-MRI-Path-Segs_Clinical_Data_2025_11_13.xlsx"
SHEETS = ("Data Dictionary-Clinical Data", "Clinical_Data", "Radiomics", "Image_Data")
CLASSES = {"Adenocarcinoma": "NSCLC Adenocarcinoma", "Squamous cell carcinoma": "NSCLC Non-adenocarcinoma"}
PLACES = ("Frontal", "Parietal", "Cerebellum", "Occipital", "Temporal")
GRIDS = {"t1ce": ("RAS", (88, 104, 12), (1.8, 1.9, 8.0)), "flair": ("LPS", (76, 88, 10), (2.1, 2.2, 9.5))}
OUTLINED = {"core_seg": "t1ce", "whole_seg": "flair"}
HEAD = np.array([72.0, 90.0, 75.0])
"""From the middle to the skin, mm."""
SLIDE = np.array([2304, 1152])
"""Width and height, pixels: two tiles of 512 at 10x, and glass at their edges."""
INKS = np.array([(243, 242, 244), (228, 178, 208), (216, 158, 196), (104, 66, 146), (78, 46, 120)], np.uint8)
"""Glass, two tones of stroma, two of nuclei."""


@dataclass(frozen=True)
class BrainCase:
    """One accession.

    Attributes
    ----------
    named
        The files' names begin with the accession, not with the patient.
    files
        Of the series and outlines, those that are there.
    slide
        What the slide says of itself: whole, its scale is missing, or there is no slide.
    cut_off
        The T1CE file ends in its middle.
    """

    number: int
    patient: int
    pack_years: float | str
    subtype: str = "Adenocarcinoma"
    named: bool = True
    files: tuple[str, ...] = ("t1ce_img", "flair_img", "core_seg", "whole_seg")
    slide: str | None = "whole"
    cut_off: bool = False

    def patient_id(self, seed: int) -> str:
        """Return a name like those of the real set: twelve capitals and digits, of nothing."""
        letters = np.random.default_rng([seed, self.patient, 7]).choice(list("ABCDEFGHIJKLMNPQRSTUVWXYZ0123456789"), 12)
        return f"YG_{''.join(letters)}"

    def accession(self) -> str:
        """Return the name of the examination."""
        return f"ACC{self.number:05d}"


def write_brain_mets_lung(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write a folder of series a patient, the slides and the workbook, with `scale` times the demo's cases."""
    rows = []
    for case in (
        replace(c, number=c.number + 100 * k, patient=c.patient + 100 * k) for k in range(scale) for c in _CASES
    ):
        rng, patient = np.random.default_rng([seed, case.number]), case.patient_id(seed)
        middle = np.array([rng.choice([-1, 1]) * rng.uniform(22, 38), rng.uniform(-45, 40), rng.uniform(-5, 25)])
        radius = float(rng.uniform(9, 15))
        rows.append(_row(case, patient, radius, rng))
        name = case.accession() if case.named else patient
        for file in case.files:
            path = root / "Radiology" / patient / f"{name}_{file}.nii.gz"
            _write_volume(path, file, middle, radius, rng)
            if case.cut_off and file == "t1ce_img":
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        if case.slide:
            path = root / "Pathology" / f"{case.accession()}.svs"
            _write_slide(path, case.slide == "whole", rng)
    _write_workbook(root / WORKBOOK, rows)


def _row(case: BrainCase, patient: str, radius: float, rng: np.random.Generator) -> list[object]:
    age = int(rng.integers(45, 80))
    return [
        *(case.accession(), patient, age, rng.choice(["Female", "Male"]), case.pack_years, "Unknown"),
        *(int(rng.integers(6, 11)) * 10, age + 1, round(radius / 5, 1), int(rng.integers(1, 5)), rng.choice(PLACES)),
        *(case.subtype, CLASSES.get(case.subtype, "SCLC"), int(rng.integers(2)), int(rng.integers(2)), 0),
        *(int(rng.integers(2)), float(rng.choice([1.0, 1.5, 2.0, 2.5]))),
    ]


def _write_volume(path: Path, file: str, middle: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    """Write a series or an outline on its grid; the two grids are tilted against each other."""
    kind = file.split("_")[0] if file.endswith("img") else OUTLINED[file]
    codes, shape, spacing = GRIDS[kind]
    turn = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0, 0, 0.08 if kind == "flair" else 0))
    signs = np.array([1 if code in "RAS" else -1 for code in codes])
    affine = np.diag([*(signs * spacing), 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    affine = turn @ affine
    places = nibabel.affines.apply_affine(affine, np.moveaxis(np.indices(shape, float), 0, -1))
    from_middle = np.linalg.norm((places - middle) / (1, 1.15, 1), axis=-1)
    depth = np.linalg.norm(places / HEAD, axis=-1)
    around = (from_middle < 2.1 * radius + 3 * np.sin(places[..., 0] / 6)) & (depth < 0.85)  # oedema, with fingers
    if file.endswith("seg"):
        values = (from_middle < radius if file == "core_seg" else around | (from_middle < radius)).astype(np.uint8)
    else:
        values = _signal(kind, places, depth, from_middle, around, radius, rng)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


def _signal(
    kind: str,
    places: np.ndarray,
    depth: np.ndarray,
    from_middle: np.ndarray,
    around: np.ndarray,
    radius: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the MR signal at places of the head, int16: no unit, as from a scanner."""
    x, y, z = np.moveaxis(places, -1, 0)
    folds = 0.03 * np.sin(np.arctan2(y, x) * 17 + z / 9) + 0.015 * np.sin(np.arctan2(y, x) * 31 - z / 5)
    ventricle = ((np.abs(x) - 11 - 0.12 * np.abs(y)) / 6) ** 2 + (y / 34) ** 2 + ((z - 8) / 16) ** 2 < 1
    t1 = kind == "t1ce"
    air, scalp, skull, water = 8.0, (780.0 if t1 else 520.0), 60.0, (130.0 if t1 else 60.0)
    grey, white = (330.0, 430.0) if t1 else (420.0, 350.0)
    layers = [(1.0, scalp), (0.94, skull), (0.89, water), (0.87 + folds, grey), (0.76 + 2 * folds, white)]
    signal = np.full(depth.shape, air)
    for edge, value in layers:
        signal[depth < edge] = value
    signal[ventricle] = water
    signal[around] = 280.0 if t1 else 720.0
    rim = np.clip(1 - np.abs(from_middle - 0.85 * radius) / (0.28 * radius), 0, 1)
    inner = from_middle < radius
    signal[inner] = (190.0 + 720 * rim[inner]) if t1 else 480.0
    signal = cv2.GaussianBlur(signal, (0, 0), 0.6)
    noise = 14 * cv2.GaussianBlur(rng.standard_normal(size=places.shape[:3]), (0, 0), 0.7)
    return np.abs(signal + noise).astype(np.int16)


def _write_slide(path: Path, scaled: bool, rng: np.random.Generator) -> None:
    """Write a pyramid of two levels as Aperio's scanners do: a piece of tissue with nests of tumour on glass."""
    tones = cv2.resize(rng.standard_normal((18, 36)).astype(np.float32), SLIDE.tolist(), interpolation=cv2.INTER_LINEAR)
    piece = np.zeros(tones.shape, np.uint8)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    reach = 0.46 + 0.03 * np.sin(3 * angle + rng.uniform(0, 6))
    edge = SLIDE * (0.5 + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1))
    cv2.fillPoly(piece, [edge.astype(np.int32)], 1)
    picture = np.where(piece > 0, 1 + (tones > 0.3), 0).astype(np.uint8)
    nests = rng.uniform(0, SLIDE, (14, 2))
    cells = np.concatenate([rng.normal(nest, 85, (110, 2)) for nest in nests] + [rng.uniform(0, SLIDE, (450, 2))])
    for column, row in cells.astype(int):
        if 0 <= column < SLIDE[0] and 0 <= row < SLIDE[1] and piece[row, column]:
            axes = (int(rng.integers(7, 13)), int(rng.integers(6, 10)))
            cv2.ellipse(picture, (column, row), axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(3, 5)), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for by in (1, 4):
            level = INKS[picture[::by, ::by]]
            text = f"Aperio Image Library v1\r\n{level.shape[1]}x{level.shape[0]} (256x256)"
            file.write(
                level,
                tile=(256, 256),
                compression="zlib",
                photometric="rgb",
                subfiletype=int(by > 1),
                description=f"{text}|AppMag = 20|MPP = 0.5" if scaled else text,
                metadata=None,
                software=False,
            )


def _write_workbook(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write the four sheets; the time at which it is saved is taken out again."""
    book = openpyxl.Workbook()
    dictionary, clinical, radiomics, images = (book.create_sheet(title) for title in SHEETS)
    del book["Sheet"]
    dictionary.append(("Variable", "Description"))
    clinical.append(HEADER)
    radiomics.append(("accession", "t1ce_original_shape_VoxelVolume"))
    images.append(("accession",))
    for row in (*rows, ["ACC00099", "YG_NOTDOWNLOADED", *rows[0][2:]]):
        clinical.append([value.item() if isinstance(value, np.generic) else value for value in row])
        images.append((row[0],))
    saved = io.BytesIO()
    book.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = re.sub(rb"(<dcterms:\w+[^>]*>)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", source.read(name))
            target.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


_CASES = (
    BrainCase(1, 1, 30.0),
    BrainCase(2, 2, "Never"),
    BrainCase(3, 2, "Never", "Squamous cell carcinoma", slide=None),  # a recurrence, under its own accession
    BrainCase(4, 3, 12.5, "Small cell carcinoma", files=("t1ce_img", "flair_img", "core_seg"), slide=None),
    BrainCase(5, 4, 45.0, named=False, files=("flair_img", "whole_seg"), slide=None),
    BrainCase(6, 4, 45.0, "Squamous cell carcinoma", named=False, files=(), slide="no scale"),
    BrainCase(7, 5, "Never", files=("t1ce_img",), slide=None),
    BrainCase(8, 6, 20.0, files=("t1ce_img", "flair_img", "core_seg", "whole_seg"), slide=None, cut_off=True),
)
"""Ten that can be used; a series that nobody outlined, one cut off, and a slide that does not say its scale."""
