"""How well words over tissue are found in real pictures: prints tables, and writes what it took for text.

python -m tests.bench_text [--half tune|report] [--out FOLDER]

Reads the folder CASEBOOK_SAMPLES. Every picture is searched as it is and twice with words drawn into its field. The
settings were chosen on the half `tune` of the cases; `report` is the other half. FOLDER gets the pictures with their
boxes: keep it where the samples may lie.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.pixels.processing import apply_color_lut
from scipy.stats import binomtest

from workflow_scripts.imaging.clips import read_clip
from workflow_scripts.imaging.field_of_view import as_grey, find_field
from workflow_scripts.imaging.overlays import remove_overlays
from workflow_scripts.imaging.stills import read_still
from workflow_scripts.imaging.text import available, find_text

WORDS = (
    "GARCIA MARIA",
    "Smith, John",
    "12/03/2014",
    "2019-08-05",
    "ID 4837261",
    "TI-RADS 4",
    "TIRADS 4B",
    "D1 1.24 cm",
)
SIZES = (10, 12, 14, 18, 24)  # height of the font in pixels; a capital is about 0.7 of it
TONES = ("+40", "+80", "white", "yellow")  # grey levels above the mean of the tissue under the words, or a colour
ERASED = 0.9  # share of a drawn word's strokes from which `remove_overlays` counts as having erased it


@dataclass(frozen=True)
class Trial:
    """One picture searched; without `size`, as it is."""

    data: str
    size: int | None
    tone: str | None
    found: bool
    erased: bool
    area: float
    seconds: float


def pictures(samples: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the data set, the case and the pixels of each picture."""
    for path in sorted((samples / "ddti").glob("*.jpg")):
        yield "ddti", path.stem.split("_")[0], read_still(path)
    for name in ("busi", "hc18"):
        for path in sorted((samples / name / "images").glob("*.png")):
            yield name, path.stem, read_still(path)
    for name in ("US1_UNCR", "examples_palette", "JPGLosslessP14SV1_1s_1f_8b", "OBXXXX1A_2frame"):
        file = pydicom.dcmread(samples / "dicom" / f"{name}.dcm")
        pixels = file.pixel_array
        if file.PhotometricInterpretation == "PALETTE COLOR":
            pixels = (apply_color_lut(pixels, file) >> 8).astype(np.uint8)
        for image in pixels if file.get("NumberOfFrames", 1) > 1 else [pixels]:
            yield "dicom", name, image
    for index, _, image in read_clip(samples / "us-clip" / "clip30.avi"):
        if index % 10 == 0:
            yield "echo", "clip30", image
    for path in sorted((samples / "cxr").glob("*.png")):
        yield "cxr", path.stem, read_still(path)
    for path in [*sorted((samples / "cxr").glob("*.dcm")), *sorted((samples / "dicom").glob("RG*.dcm"))]:
        file = pydicom.dcmread(path)
        values = file.pixel_array.astype(np.float64)
        low, high = np.percentile(values, (0.5, 99.5))
        grey = ((values - low) / (high - low)).clip(0, 1) * 255
        yield (
            "cxr",
            path.stem,
            (255 - grey if file.PhotometricInterpretation == "MONOCHROME1" else grey).astype(np.uint8),
        )


def draw_words(
    image: np.ndarray, field: np.ndarray, size: int, tone: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the picture with words drawn into the field and the strokes as bool, or None where they do not fit."""
    words = WORDS[rng.integers(len(WORDS))]
    stamp = _typed(words, size) if rng.random() < 0.5 else _stroked(words, size)
    height, width = stamp.shape
    room = cv2.erode(
        field.astype(np.uint8), np.ones((height, width)), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    corners = np.argwhere(room)
    if not len(corners):
        return None
    y, x = corners[rng.integers(len(corners))]
    spot = np.s_[y : y + height, x : x + width]
    drawn = np.dstack([image] * 3) if image.ndim == 2 else image.copy()
    mean = drawn[spot].mean()
    colours = {"white": (255, 255, 255), "yellow": (255, 230, 0)}
    ink = colours[tone] if tone in colours else (min(mean + int(tone), 255),) * 3
    cover = stamp[:, :, None] / 255
    drawn[spot] = (drawn[spot] * (1 - cover) + np.array(ink) * cover).round().astype(np.uint8)
    strokes = np.zeros(field.shape, bool)
    strokes[spot] = stamp > 127
    return drawn if image.ndim == 3 or tone == "yellow" else drawn[:, :, 0], strokes


def _typed(words: str, size: int) -> np.ndarray:
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(words))
    sheet = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(sheet).text((-left, -top), words, fill=255, font=font)
    return np.asarray(sheet)


def _stroked(words: str, size: int) -> np.ndarray:
    scale, thick = size / 30, 1 + (size >= 18)  # a capital is 21 pixels high at scale 1
    (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    sheet = np.zeros((height + below, width), np.uint8)
    return cv2.putText(sheet, words, (0, height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)


def half_of(data: str, case: str) -> str:
    """Return the half that a case belongs to, the same in every run."""
    return ("report", "tune")[sha256(f"{data}/{case}".encode()).digest()[-1] % 2]


def try_picture(data: str, number: int, image: np.ndarray, out: Path | None) -> list[Trial]:
    """Search a picture as it is, then with words in two of the sizes and tones, by turns."""
    field = np.ones(image.shape[:2], bool) if data == "cxr" else find_field(image)
    trials = [_search(data, None, None, image, field, np.ones(field.shape, bool), out and out / f"{data}_{number}.png")]
    rng = np.random.default_rng(number)
    for turn in (2 * number, 2 * number + 1):
        size, tone = SIZES[turn % len(SIZES)], TONES[turn // len(SIZES) % len(TONES)]
        drawn = draw_words(image, field, size, tone, rng)
        if drawn:
            trials.append(_search(data, size, tone, drawn[0], field, drawn[1], None))
    return trials


def _search(
    data: str,
    size: int | None,
    tone: str | None,
    image: np.ndarray,
    field: np.ndarray,
    words: np.ndarray,
    out: Path | None,
) -> Trial:
    start = time.perf_counter()
    boxes = find_text(image, field)
    seconds = time.perf_counter() - start
    covered = np.zeros(field.shape, bool)
    for box in boxes:
        covered[box.y : box.y + box.height, box.x : box.x + box.width] = True
    if out and boxes:
        edges = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)) > covered
        Image.fromarray(np.where(edges, 255, as_grey(image) * field).astype(np.uint8)).save(out)
    erased = size is not None and data != "cxr" and remove_overlays(image, field)[1][words].mean() >= ERASED
    return Trial(data, size, tone, bool(covered[words].any()), bool(erased), float(covered[field].mean()), seconds)


def share(hits: Iterable[bool]) -> str:
    """Return a count as hits / n with the share and its 95 % interval after Wilson."""
    outcomes = list(hits)
    if not outcomes:
        return "-"
    low, high = binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="wilson")
    return f"{sum(outcomes)} / {len(outcomes)} = {sum(outcomes) / len(outcomes):.2f} ({low:.2f} to {high:.2f})"


def table(head: str, rows: Iterable[tuple[str, list[str]]]) -> None:
    """Print a table in Markdown."""
    columns = head.split(" | ")
    lines = [columns, ["---"] * len(columns), *([name, *cells] for name, cells in rows)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n")


def report(trials: list[Trial]) -> None:
    """Print what was found, by font, tone and data set, and what the search costs."""
    plain = [trial for trial in trials if not trial.size]
    drawn = [trial for trial in trials if trial.size]
    left = [trial for trial in drawn if not trial.erased]

    def row(name: str, of: list[Trial]) -> tuple[str, list[str]]:
        some = [trial for trial in of if not trial.erased]
        return name, [share(t.found for t in of), share(t.found for t in some), share(t.found or t.erased for t in of)]

    print("Words drawn into the field:\n")
    table(
        "drawn | found | found of those that `remove_overlays` leaves | found or erased",
        [row(f"{size} px", [trial for trial in drawn if trial.size == size]) for size in SIZES]
        + [row(tone, [trial for trial in drawn if trial.tone == tone]) for tone in TONES]
        + [row("all", drawn)],
    )
    print("Found, by size and tone:\n")
    table(
        "size | " + " | ".join(TONES),
        (
            (f"{size} px", [share(t.found for t in drawn if (t.size, t.tone) == (size, tone)) for tone in TONES])
            for size in SIZES
        ),
    )
    print("Pictures as they are (to be looked at: some do hold words):\n")
    table(
        "data set | text found | mean share of the field in boxes, of these pictures",
        (
            (
                data,
                [
                    share(trial.found for trial in plain if trial.data == data),
                    f"{np.mean([t.area for t in plain if t.data == data and t.found] or [0]):.4f}",
                ],
            )
            for data in dict.fromkeys(trial.data for trial in plain)
        ),
    )
    area = statistics.fmean(trial.area for trial in left if trial.found)
    print(f"A drawn word that was found takes {area:.1%} of the field; a quarantined picture takes all of it.")
    times = sorted(1000 * trial.seconds for trial in plain)
    most = times[int(0.95 * len(times))]
    print(f"Search: median {statistics.median(times):.0f} ms a picture, 95 % within {most:.0f} ms.")


def main() -> None:
    """Search the samples and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--out", type=Path, help="folder for the pictures with boxes; never within a repository")
    args = parser.parse_args()
    if not (samples := os.environ.get("CASEBOOK_SAMPLES")):
        sys.exit("CASEBOOK_SAMPLES is not set: it must name the folder of real samples")
    if not (version := available()):
        sys.exit("the text detector is not installed: it is the group `text` of pyproject.toml")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:  # each search uses one core
        jobs = [
            pool.submit(try_picture, data, number, image, args.out)
            for number, (data, case, image) in enumerate(pictures(Path(samples)))
            if half_of(data, case) == args.half
        ]
        trials = [trial for job in jobs for trial in job.result()]
    print(f"{version}; half `{args.half}`: {len(jobs)} pictures, {len(trials)} searches\n")
    report(trials)


if __name__ == "__main__":
    main()
