"""A stand-in for SinoCT, whose true layout nobody has described: phantom head CTs as a user might map them.

    labels.csv                      scan,patient,label,split
    scans/<n>/<k>.dcm               a folder of one DICOM series; one scan is scans/<n>.nii.gz

Read with `table: labels.csv` and `columns: {file: scan, group_id: patient, abnormal: label, split_given: split}`.
"""

import csv
import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np

from workflow_scripts.demo.dicom_folder import HEAD_CT, PIXEL_MM, STEP_MM, head_ct, write_series

HEADER = ("scan", "patient", "label", "split")


def write_sinoct(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write 6 x `scale` scans, one in six a NIfTI; a slice is cut off, a scan is gone, a label is no label."""
    lines = []
    for number in range(1, 6 * scale + 1):
        rng = np.random.default_rng([seed, number])
        abnormal = number % 2 == 0
        volume = head_ct(rng, 12, abnormal)
        name, patient = f"scans/{number:04d}", f"P{number - number % 3:04d}"
        if number % 6 == 3:
            name += ".nii.gz"
            _write_nifti(root / name, volume)
        else:
            write_series(root / name, volume, "CT", study=f"sinoct {seed} {number}", PatientID=patient, **HEAD_CT)
        lines.append([name, patient, "abnormal" if abnormal else "normal", ("train", "test")[number % 5 == 0]])
    cut = root / "scans/0001/5.dcm"
    cut.write_bytes(cut.read_bytes()[:-9000])
    shutil.rmtree(root / "scans/0005")
    lines[5][2] = "unclear"
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *lines])


def _write_nifti(path: Path, volume: np.ndarray) -> None:
    """Write (slices, H, W) as NIfTI, in mm, with columns to the left and rows to the back, as DICOM has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.nifti1.Nifti1Image(volume.transpose(2, 1, 0), np.diag([-PIXEL_MM, -PIXEL_MM, STEP_MM, 1]))
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
