"""A twin of MURA: films of the upper limb in folders that say if they are abnormal, and four tables without header."""

import shutil
from pathlib import Path

import cv2
import numpy as np

TOP = "MURA-v1.1"
# The bones of each part: (x, y) of both ends and the half width, as shares of the picture's height.
BONES: dict[str, tuple[tuple[float, float, float, float, float], ...]] = {
    "ELBOW": ((0.42, -0.1, 0.42, 0.48, 0.085), (0.36, 0.54, 0.30, 1.1, 0.05), (0.49, 0.53, 0.56, 1.1, 0.06)),
    "FINGER": ((0.36, 0.06, 0.36, 0.24, 0.05), (0.36, 0.28, 0.36, 0.55, 0.06), (0.36, 0.60, 0.36, 1.1, 0.08)),
    "FOREARM": ((0.30, 0.08, 0.29, 0.90, 0.045), (0.43, 0.06, 0.45, 0.91, 0.05)),
    "HAND": (
        *(
            (
                0.39 + at * (0.4 + k / 8),
                0.62 - reach * k / 2,
                0.39 + at * (0.5 + k / 8),
                0.65 - reach * (k + 1) / 2,
                0.026,
            )
            for at, reach in ((-0.42, 0.26), (-0.16, 0.34), (0.06, 0.36), (0.28, 0.33), (0.52, 0.26))
            for k in range(3)
        ),
        (0.34, 0.80, 0.33, 1.1, 0.05),
        (0.46, 0.80, 0.47, 1.1, 0.06),
        (0.34, 0.70, 0.46, 0.71, 0.06),
    ),
    "HUMERUS": ((0.38, 0.10, 0.36, 0.92, 0.065),),
    "SHOULDER": ((0.36, 0.36, 0.30, 1.1, 0.075), (0.37, 0.32, 0.38, 0.33, 0.12), (0.42, 0.18, 0.80, 0.10, 0.04)),
    "WRIST": (
        (0.30, 0.55, 0.27, 1.1, 0.055),
        (0.45, 0.53, 0.48, 1.1, 0.07),
        (0.30, 0.44, 0.46, 0.45, 0.05),
        (0.31, 0.36, 0.45, 0.36, 0.045),
        *((0.27 + 0.07 * k, 0.27, 0.22 + 0.10 * k, -0.05, 0.032) for k in range(4)),
    ),
}
# Split, part, patient, then for each of its studies whether it is abnormal, and how many pictures it has.
STUDIES: tuple[tuple[str, str, int, tuple[tuple[bool, int], ...]], ...] = (
    ("train", "SHOULDER", 1, ((True, 2),)),
    ("train", "WRIST", 2, ((False, 1), (True, 1))),
    ("train", "FOREARM", 3, ((False, 2),)),
    ("train", "ELBOW", 4, ((True, 1),)),
    ("train", "HAND", 5, ((False, 1),)),
    ("train", "FINGER", 6, ((True, 1),)),
    ("train", "HUMERUS", 7, ((False, 1), (True, 1))),
    ("valid", "WRIST", 8, ((False, 1),)),
    ("valid", "FOREARM", 9, ((True, 1),)),
    ("valid", "HAND", 2, ((True, 1),)),
)


def draw_film(part: str, abnormal: bool, rng: np.random.Generator, shape: tuple[int, int] = (512, 400)) -> np.ndarray:
    """Draw a film of a part, (H, W) uint8; an abnormal one shows a plate with screws, as many of the real ones do."""
    height, width = shape
    soft, bone, marrow, metal = np.zeros((4, *shape), np.float32)

    def stroke(on: np.ndarray, ends: tuple[float, ...], wide: float) -> None:
        start, end = ((round(x * height), round(y * height)) for x, y in (ends[:2], ends[2:]))
        cv2.line(on, start, end, 1.0, max(1, round(2 * wide * height)), cv2.LINE_AA)

    for *ends, wide in BONES[part]:
        stroke(soft, tuple(ends), 2.2 * wide + 0.05)
        stroke(bone, tuple(ends), wide)
        for x, y in (ends[:2], ends[2:]):  # bones are wider at their ends
            cv2.circle(bone, (round(x * height), round(y * height)), round(1.18 * wide * height), 1.0, -1, cv2.LINE_AA)
        stroke(marrow, tuple(ends), 0.55 * wide)
    if abnormal:
        x, y, to_x, to_y, wide = BONES[part][0]
        at = [(x + k * (to_x - x), y + k * (to_y - y)) for k in np.linspace(0.25, 0.75, 5)]
        stroke(metal, (at[0][0] - wide, at[0][1], at[-1][0] - wide, at[-1][1]), 0.012)
        for screw_x, screw_y in at:
            stroke(metal, (screw_x - wide, screw_y, screw_x + 0.8 * wide, screw_y + 0.004), 0.004)
    film = 0.06 + 0.22 * cv2.GaussianBlur(soft, (0, 0), 14)
    film += 0.42 * cv2.GaussianBlur(bone, (0, 0), 1.6) - 0.16 * cv2.GaussianBlur(marrow, (0, 0), 5)
    film += 0.10 * cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 3) * bone
    film += 0.006 * rng.standard_normal(shape).astype(np.float32)
    film = np.maximum(film, 0.97 * cv2.GaussianBlur(metal, (0, 0), 0.8))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-9, 9)), 1.0)
    picture = cv2.warpAffine((255 * np.clip(film, 0, 1)).astype(np.uint8), turn, (width, height))
    return cv2.putText(picture, "R", (16, 36), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 235, 2, cv2.LINE_AA)


def write_mura(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write `scale` times ten patients' films with the four tables, and defects like real ones."""
    top = root / TOP
    images: dict[str, list[str]] = {"train": [], "valid": []}
    labels: dict[str, list[str]] = {"train": [], "valid": []}
    for copy in range(scale):
        for split, part, number, studies in STUDIES:
            for k, (abnormal, count) in enumerate(studies, start=1):
                patient = f"patient{100 * copy + number:05d}"
                study = f"{split}/XR_{part}/{patient}/study{k}_{'positive' if abnormal else 'negative'}"
                (top / study).mkdir(parents=True)
                labels[split].append(f"{TOP}/{study}/,{int(abnormal)}")
                for n in range(1, count + 1):
                    rng = np.random.default_rng([seed, copy, number, k, n])
                    film = draw_film(part, abnormal, rng)
                    pixels = film if number % 2 else cv2.cvtColor(film, cv2.COLOR_GRAY2BGR)
                    cv2.imwrite(str(top / study / f"image{n}.png"), pixels)
                    images[split].append(f"{TOP}/{study}/image{n}.png")
    _spoil(top, labels)
    for split in images:
        (top / f"{split}_image_paths.csv").write_text("".join(f"{line}\n" for line in images[split]))
        (top / f"{split}_labeled_studies.csv").write_text("".join(f"{line}\n" for line in labels[split]))


def _spoil(top: Path, labels: dict[str, list[str]]) -> None:
    """Break what is broken in copies: a picture cut off, one gone, a label that the folder denies, stray files."""
    cut = top / "train/XR_SHOULDER/patient00001/study1_positive/image2.png"
    cut.write_bytes(cut.read_bytes()[:9000])
    (top / "train/XR_HUMERUS/patient00007/study1_negative/image1.png").unlink()
    (top / "train/XR_HUMERUS/patient00007/study1_negative/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    labels["train"] = [line.replace(",1", ",0") if "XR_ELBOW" in line else line for line in labels["train"]]
    hand = top / "train/XR_HAND/patient00005/study1_negative"
    (hand / "._image1.png").write_bytes(b"\x00\x05\x16\x07")
    shutil.copyfile(hand / "image1.png", hand / "image1 (1).png")
