"""A twin of CheXpert: chest films that follow their labels, in the folders and tables of the small size."""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from workflow_scripts.collections.chexpert import HEADER, LABELS

SHAPE = (320, 390)
TOP = "CheXpert-v1.0-small"
HEART = {"0.0": 0.30, "1.0": 0.42, "": 0.32, "-1.0": 0.36}  # half the heart's width, as a share of half the chest's
# What each patient's films show, by patient: the labels that are not blank.
SHOWN: tuple[dict[str, str], ...] = (
    {"No Finding": "1.0"},
    {"Cardiomegaly": "1.0", "Edema": "-1.0", "Support Devices": "1.0"},
    {"Pleural Effusion": "1.0", "Atelectasis": "-1.0", "Cardiomegaly": "0.0"},
    {"Pneumonia": "-1.0", "Lung Opacity": "1.0", "Consolidation": "1.0"},
    {"Pneumothorax": "1.0", "Support Devices": "1.0", "Pleural Effusion": "0.0"},
    {"Lung Lesion": "1.0", "Fracture": "0.0"},
    {"Edema": "1.0", "Cardiomegaly": "1.0", "Pleural Effusion": "1.0"},
    {"No Finding": "1.0", "Pneumothorax": "0.0", "Support Devices": "1.0"},
    {"Pneumonia": "1.0", "Consolidation": "1.0"},
)


def draw_chest(shown: Mapping[str, str], view: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a frontal or lateral chest film, (320, 390) uint8, that shows the labels that are `1.0`."""
    height, width = SHAPE
    film = np.zeros(SHAPE, np.float32)
    middle, half = width / 2 + rng.uniform(-6, 6), 0.43 * width * rng.uniform(0.92, 1.0)
    present = {label for label, value in shown.items() if value == "1.0"}

    def fill(x: float, y: float, a: float, b: float, value: float, soft: float = 3, angle: float = 0) -> None:
        """Blend an ellipse of half axes a, b with a soft edge into the film."""
        shape = np.zeros(SHAPE, np.float32)
        cv2.ellipse(shape, ((x, y), (2 * a, 2 * b), angle), 1.0, -1, cv2.LINE_AA)
        share = cv2.GaussianBlur(shape, (0, 0), soft)
        film[:] = film * (1 - share) + value * share

    fill(middle, 0.62 * height, 1.16 * half, 0.75 * height, 0.60, 5)  # the soft tissue around it all
    fill(middle, 0.02 * height, 0.24 * half, 0.16 * height, 0.62, 4)
    if view == "lateral":
        fill(middle - 4, 0.47 * height, 0.72 * half, 0.42 * height, 0.26, 6)
        fill(middle - 0.30 * half, 0.62 * height, 0.34 * half, 0.16 * height, 0.56, 9, 35)
        sides = [middle]
        spine = [(middle + (0.50 - 0.16 * np.sin(np.pi * y)) * half, y) for y in np.linspace(0.05, 0.95, 14)]
    else:
        sides = [middle - 0.50 * half, middle + 0.50 * half]
        for x in sides:
            fill(x, 0.46 * height, 0.40 * half, 0.39 * height, 0.16, 5, 4 * np.sign(middle - x))
        big = HEART[shown.get("Cardiomegaly", "")]
        fill(middle + 0.35 * big * half, 0.66 * height, 1.25 * big * half, 0.17 * height, 0.66, 5, 30)
        fill(middle, 0.32 * height, 0.15 * half, 0.26 * height, 0.58, 6)
        spine = [(middle, y) for y in np.linspace(0.03, 0.97, 15)]
    for x, y in spine:
        fill(x, y * height, 0.085 * half, 0.022 * height, 0.80, 2)
    for x in sides:
        fill(x, 0.93 * height, 0.55 * half, 0.14 * height, 0.68, 3)  # the dome below each lung
    ribs = np.zeros(SHAPE, np.float32)
    for n in range(9):
        y = (0.16 + 0.083 * n) * height
        reach = half * (0.62 + 0.36 * np.sin(np.pi * min(1.0, (n + 2) / 10)))
        for side in (-1, 1) if view == "frontal" else (1,):
            x = middle + side * 0.10 * half
            first, last = (185, 275) if side < 0 else (265, 355)
            centre = (round(x), round(y + 0.14 * height))
            cv2.ellipse(ribs, centre, (round(reach), round(0.16 * height)), 8 * side, first, last, 1.0, 4, cv2.LINE_AA)
    film += 0.10 * cv2.GaussianBlur(ribs, (0, 0), 1.2) * (film > 0.05)
    if view == "frontal":
        for side in (-1, 1):
            start, end = (
                (round(middle + side * at * half), round(y * height)) for at, y in ((0.08, 0.17), (0.85, 0.1))
            )
            bone = cv2.line(np.zeros(SHAPE, np.float32), start, end, 1.0, 7, cv2.LINE_AA)
            film += 0.16 * cv2.GaussianBlur(bone, (0, 0), 1.5)
    x = sides[-1]
    if present & {"Lung Opacity", "Consolidation", "Pneumonia"}:
        fill(sides[0], 0.62 * height, 0.22 * half, 0.11 * height, 0.50, 9)
    if "Lung Lesion" in present:
        fill(x, 0.36 * height, 0.08 * half, 0.045 * height, 0.52, 2)
    if "Pleural Effusion" in present:
        fill(sides[0], 0.84 * height, 0.46 * half, 0.15 * height, 0.68, 6)
    if "Edema" in present:
        for x in sides:
            fill(x + 0.3 * (middle - x), 0.48 * height, 0.26 * half, 0.17 * height, 0.40, 14)
    if "Pneumothorax" in present:
        fill(x + 0.24 * half, 0.24 * height, 0.12 * half, 0.15 * height, 0.05, 2, -20)
    if "Support Devices" in present:
        line = np.array([(middle + 0.5 * half, 0.02), (middle + 0.2 * half, 0.14), (middle + 0.06 * half, 0.40)])
        points = np.round(line * (1, height)).astype(np.int32)
        cv2.polylines(film, [points], False, 0.98, 2, cv2.LINE_AA)
    film += cv2.GaussianBlur(rng.standard_normal(SHAPE).astype(np.float32), (0, 0), 0.8) * 0.025 * (0.4 + film)
    film += cv2.GaussianBlur(rng.standard_normal(SHAPE).astype(np.float32), (0, 0), 9) * 0.25 * film
    picture = (255 * np.clip(film, 0, 1)).astype(np.uint8)
    return cv2.putText(picture, "L", (width - 34, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 240, 2, cv2.LINE_AA)


def write_chexpert(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write 8 x `scale` patients of train.csv and two of valid.csv, with films, and defects like real ones."""
    top = root / TOP
    rows: dict[str, list[list[str]]] = {"train": [], "valid": []}
    for number in range(1, 8 * scale + 3):
        split = "train" if number <= 8 * scale else "valid"
        shown = SHOWN[(number - 1) % len(SHOWN)]
        if split == "valid":  # radiologists leave nothing blank and nothing uncertain
            shown = dict.fromkeys(LABELS, "0.0") | {label: value.strip("-") for label, value in shown.items()}
        rng = np.random.default_rng([seed, number])
        sex, age = ("Female", "Male")[number % 2], str(30 + number * 7 % 60)
        for study in range(1, 3 if number % 3 == 0 else 2):
            for view, side in enumerate(("frontal", "lateral")[: 1 + (number % 2)], start=1):
                name = f"{split}/patient{number:05d}/study{study}/view{view}_{side}.jpg"
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(top / name), draw_chest(shown, side, rng), [cv2.IMWRITE_JPEG_QUALITY, 90])
                projection = ("AP" if "Support Devices" in shown else "PA") if side == "frontal" else ""
                labels = [shown.get(label, "") for label in LABELS]
                rows[split].append([f"{TOP}/{name}", sex, age, side.capitalize(), projection, *labels])
    _spoil(top, rows)
    for split, found in rows.items():
        with (top / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *found])


def _spoil(top: Path, rows: dict[str, list[list[str]]]) -> None:
    """Break what is broken in real copies: a picture cut off, one gone, one that no table knows, a stray file."""
    train = {row[0].partition("/")[2]: row for row in rows["train"]}
    first, second, *_, last = train
    train[first][1], train[second][2] = "Unknown", "0"
    lateral = top / "train/patient00003/study1/view2_lateral.jpg"
    lateral.write_bytes(lateral.read_bytes()[:4000])
    (top / "train/patient00003/study2/view2_lateral.jpg").unlink()
    extra = top / "train/patient00005/study2/view1_frontal.jpg"
    extra.parent.mkdir()
    shutil.copyfile(top / "train/patient00005/study1/view1_frontal.jpg", extra)
    train["train/patient00006/study2/view1_frontal.jpg"][HEADER.index("Fracture")] = "2.0"
    (top / last).with_name(f"._{Path(last).name}").write_bytes(b"\x00\x05\x16\x07")
