"""A twin in the layout of the thyroid guide: a video and a NIfTI segmentation per patient, and one CSV in words."""

import csv
from collections.abc import Sequence
from pathlib import Path

import av
import nibabel as nib
import numpy as np

from workflow_scripts.demo.cineclip import DEMO_SHAPE, ClipCase
from workflow_scripts.demo.nodules import (
    HYPOECHOIC,
    LOBULATED,
    MIXED,
    PUNCTATE,
    RIM,
    SPONGIFORM,
    Nodule,
)
from workflow_scripts.demo.phantoms import burn_in

COLUMNS = (
    "patient_id",
    "age",
    "sex",
    "nodule_id",
    "nodule_size_mm",
    "location",
    "ti_rads_score",
    "composition",
    "echogenicity",
    "shape",
    "margin",
    "echogenic_foci",
    "histopathology",
    "image_filename",
    "segmentation_filename",
)
FRAME_RATE = 20
README = "Synthetic thyroid ultrasound, drawn by Casebook's demo. No patient was scanned for it.\n"


def write_cineclip_guide(
    root: Path, cases: Sequence[ClipCase], *, shape: tuple[int, int] = DEMO_SHAPE, seed: int = 0
) -> None:
    """Write ``images/*.mp4``, ``segmentations/*.nii.gz``, ``metadata.csv`` and ``README.txt``.

    Volumes have the axes (column, row, frame), as NIfTI puts x first. File names in the CSV are relative to the root.
    """
    for folder in ("images", "segmentations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with (root / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for case in sorted(cases, key=lambda case: case.number):
            row = _row(case)
            table.writerow(row.values())
            frames, masks = case.draw(shape, seed)
            write_mp4(root / row["image_filename"], [burn_in(frame, case.location.upper()) for frame in frames])
            volume = nib.Nifti1Image(np.ascontiguousarray(masks.transpose(2, 1, 0)), np.eye(4))
            nib.save(volume, root / row["segmentation_filename"])
    (root / "README.txt").write_text(README)


def write_mp4(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Encode grey frames, each (H, W) uint8 with even sides, as H.264 at `FRAME_RATE`; slightly lossy, as clips are."""
    height, width = frames[0].shape
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "18", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def demo_cases() -> list[ClipCase]:
    """Four patients, from a spongiform to a highly suspicious nodule."""
    suspicious = Nodule(radii=(0.18, 0.14, 0.17), echogenicity=HYPOECHOIC, margin=LOBULATED, foci=(RIM, PUNCTATE))
    return [
        ClipCase(1, 46, "Female", "right", Nodule(composition=SPONGIFORM)),
        ClipCase(2, 58, "Male", "left", Nodule(radii=(0.16, 0.22, 0.20), composition=MIXED), n_frames=12),
        ClipCase(5, 37, "Female", "left", Nodule(radii=(0.15, 0.21, 0.19), echogenicity=HYPOECHOIC), probe="convex"),
        ClipCase(11, 63, "Female", "right", suspicious, malignant=True, n_frames=11),
    ]


def _row(case: ClipCase) -> dict[str, str]:
    """One row of the CSV: descriptors in ACR's words, the largest diameter in millimetres."""
    patient = f"patient{case.number:03d}"
    cells = {
        "patient_id": patient,
        "age": case.age,
        "sex": case.sex,
        "nodule_id": f"{patient}_1",
        "nodule_size_mm": round(10 * max(case.nodule.size_cm)),
        "location": case.location,
        "ti_rads_score": case.level or case.nodule.level,
        **case.nodule.descriptors,
        "histopathology": "malignant" if case.malignant else "benign",
        "image_filename": f"images/{patient}_clip.mp4",
        "segmentation_filename": f"segmentations/{patient}_seg.nii.gz",
    }
    return {name: str(cells[name]) for name in COLUMNS}
