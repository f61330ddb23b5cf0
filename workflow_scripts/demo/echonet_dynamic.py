"""A twin of EchoNet-Dynamic: clips of a beating four-chamber phantom, and the two tables beside them.

Everything lies in a frame of 112 x 112 pixels, positions are (x, y). The left ventricle is drawn from the same discs
that are traced and measured, so that mask, volumes and ejection fraction agree by construction.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from workflow_scripts.demo.field import Field, compress, speckle

SIDE = 112
LARGE = (768, 1024)
"""Rows and columns of the videos that nobody made small, nor traced."""
LIST_HEADER = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACING_HEADER = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
PERIOD = 30
"""Frames from one end of diastole to the next."""
SYSTOLE = 0.35
"""Of the period, from end-diastole to end-systole."""
DISCS = 20
PIXEL_CM = 0.17
BLOOD_DB, MUSCLE_DB, LUNG_DB, VALVE_DB = -17.0, 1.0, -9.0, 7.0
HEART = np.array([[64.0, 20.0], [60.0, 68.0]])
"""The apex, and the middle of the mitral valve at end-diastole."""


@dataclass(frozen=True)
class EchoCase:
    """One video.

    Attributes
    ----------
    contraction
        The share by which the ventricle narrows from end-diastole to end-systole; it shortens by a third of that.
    width
        Of the ventricle, as a multiple of the usual.
    start
        Where in the beat the video begins, as a share of the period: above `SYSTOLE` end-diastole comes first again.
    shift
        Pixels by which all lies too far to the right; far enough, the tracing leaves the frame.
    times_traced
        How often end-diastole was traced; the last tracing is the true one.
    large
        Not made small, and not traced.
    cut_off
        The file ends after a part of its bytes.
    """

    number: int
    contraction: float
    split: str = "TRAIN"
    rate: str = "50"
    n_frames: int = 30
    width: float = 1.0
    start: float = 0.0
    shift: float = 0.0
    times_traced: int = 1
    large: bool = False
    cut_off: bool = False

    def name(self, seed: int) -> str:
        """Return a name like those of the real set: sixteen hexadecimal digits, of nothing."""
        return f"0X{np.random.default_rng([seed, self.number]).integers(2**64, dtype=np.uint64):016X}"

    def squeeze(self, frame: int) -> float:
        """Return how far the ventricle has contracted in a frame: 0 at end-diastole, 1 at end-systole."""
        phase = (self.start + frame / PERIOD) % 1
        return float(np.sin(np.pi * phase / (2 * SYSTOLE)) ** 2) if phase < 2 * SYSTOLE else 0.0

    def traced(self) -> tuple[int, int]:
        """Return the frames of end-systole and of end-diastole."""
        systole, diastole = (round((share - self.start) % 1 * PERIOD) for share in (SYSTOLE, 0))
        return systole, diastole

    def placed(self, points: np.ndarray) -> np.ndarray:
        """Return points of the heart, (n, 2), as this patient's lie: turned about the apex, scaled, shifted."""
        turn, size, right, down = np.random.default_rng(self.number).uniform((-0.3, 0.78, -8, 0), (0.3, 1.06, 8, 10))
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        placed: np.ndarray = HEART[0] + (points - HEART[0]) @ rotation * size + (right + self.shift, down)
        return placed

    def lines(self, frame: int) -> np.ndarray:
        """Return long axis and discs of the ventricle in a frame, (21, 4) as X1, Y1, X2, Y2."""
        apex, base = self.placed(HEART)
        squeeze = self.squeeze(frame) * self.contraction
        along = (base - apex) * (1 - squeeze / 3)
        across = np.array([along[1], -along[0]]) / np.hypot(*along)
        depth = (np.arange(DISCS) + 0.5) / DISCS
        half = np.where(depth < 0.65, np.sqrt(1 - (1 - depth / 0.65) ** 2), 1 - 0.3 * ((depth - 0.65) / 0.35) ** 2)
        half *= 0.28 * np.hypot(*(base - apex)) * self.width * (1 - squeeze)
        middle = apex + depth[:, None] * along
        discs = np.hstack([middle - half[:, None] * across, middle + half[:, None] * across])
        return np.vstack([[*apex, *(apex + along)], discs])

    def volume_ml(self, frame: int) -> float:
        """Return the volume by the sum of discs."""
        axis, *discs = np.linalg.norm(np.diff(self.lines(frame).reshape(-1, 2, 2), axis=1)[:, 0], axis=1) * PIXEL_CM
        return float(np.pi / 4 * np.sum(np.square(discs)) * axis / DISCS)


def write_echonet_dynamic(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write ``FileList.csv``, ``VolumeTracings.csv`` and ``Videos``, with `scale` times the demo's cases."""
    (root / "Videos").mkdir(parents=True, exist_ok=True)
    cases = [replace(case, number=case.number + 100 * k) for k in range(scale) for case in _CASES]
    listed, tracings = [], []
    for case in cases:
        name = case.name(seed)
        _write_video(root / "Videos" / f"{name}.avi", case, np.random.default_rng([seed, case.number, 1]))
        systole, diastole = case.traced()
        esv, edv = case.volume_ml(systole), case.volume_ml(diastole)
        height, width = LARGE if case.large else (SIDE, SIDE)
        measured = (round(value, 4) for value in (100 * (edv - esv) / edv, esv, edv))
        listed.append([name, *measured, height, width, case.rate, case.n_frames, case.split])
        if not case.large:
            slips = [case.lines(diastole) + 2.5 * k for k in range(1, case.times_traced)]
            tracings += [(name, systole, case.lines(systole)), *((name, diastole, slip) for slip in slips)]
            tracings.append((name, diastole, case.lines(diastole)))
    tracings.append((f"0X{0xDE40:016X}", 12, _CASES[0].lines(0)))  # traced, but there is no such video
    traced = ([f"{name}.avi", *map("{:.4f}".format, line), frame] for name, frame, lines in tracings for line in lines)
    _write_table(root / "FileList.csv", LIST_HEADER, listed)
    _write_table(root / "VolumeTracings.csv", TRACING_HEADER, traced)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_video(path: Path, case: EchoCase, rng: np.random.Generator) -> None:
    """Write Motion JPEG whose three channels are equal; nothing of it depends on time or on the number of threads."""
    height, width = LARGE if case.large else (SIDE, SIDE)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=Fraction(case.rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.options, stream.thread_count = {"qmin": "3", "qmax": "3", "flags": "+bitexact"}, 1
        for picture in _draw(case, rng):
            large = cv2.resize(picture, (height, height), interpolation=cv2.INTER_CUBIC) if case.large else picture
            beside = (width - height) // 2
            framed = np.pad(large, ((0, 0), (beside, beside)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(framed, format="gray")))
        container.mux(stream.encode())
    if case.cut_off:
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])


def _draw(case: EchoCase, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the frames of a video, (112, 112) uint8."""
    field = _sector(case.shift)
    texture = 1.5 * field.noise(rng, 0.03, 0.06) + 2.5 * field.noise(rng, 0.12, 0.2)
    heart = replace(case, contraction=0).lines(0)
    ventricle = _outline(heart)
    middle = ventricle.mean(axis=0)
    wall = middle + (ventricle - middle) * (1 + 7 / np.abs(ventricle - middle).max(axis=0))
    x, y = HEART[1]
    left = x - 13.5 * (case.width - 1)  # a wide ventricle pushes its neighbour aside
    right = np.array(
        [[left - 31, y - 3], [left - 17, y - 3], [left - 15, y - 30], [left - 20, y - 34], [left - 29, y - 20]]
    )
    around = np.array([[left - 37, y], [left - 8, y], [left - 6, y - 46], [left - 24, y - 40], [left - 35, y - 22]])
    atria = [_ellipse(x - 1, y + 17, 14, 13), _ellipse(x - 26, y + 15, 11, 11)]
    still = np.full((SIDE, SIDE), LUNG_DB) + texture
    for shape in (wall, *map(case.placed, (around, _ellipse(x - 1, y + 17, 17, 17), _ellipse(x - 26, y + 15, 14, 15)))):
        still = _laid_on(still, MUSCLE_DB + texture, shape)
    for shape in map(case.placed, (right, *atria)):
        still = _laid_on(still, BLOOD_DB + texture, shape)
    for frame, intensity in zip(range(case.n_frames), speckle(field, rng, 0.8), strict=False):
        lines = case.lines(frame)
        echo = _laid_on(still, BLOOD_DB + texture, _outline(lines))
        for side, other in ((lines[-1, :2], lines[-1, 2:]), (lines[-1, 2:], lines[-1, :2])):
            closed = min(1.0, 3 * case.squeeze(frame))  # the leaflets meet in systole, and hang into the ventricle else
            tip = side + (0.28 + 0.2 * closed) * (other - side) + (1 - closed) * (lines[0, :2] - lines[0, 2:]) * 0.2
            leaflet = np.zeros((SIDE, SIDE), np.float32)
            cv2.polylines(leaflet, [np.rint(16 * np.stack([side, tip])).astype(np.int32)], False, 1.0, 1, cv2.LINE_8, 4)
            weight = cv2.GaussianBlur(leaflet, (0, 0), 0.6)
            echo = echo * (1 - weight) + (VALVE_DB + texture) * weight
        yield compress(echo - 7 * field.depth, intensity, field)


def _sector(shift: float) -> Field:
    """Lay the sector of a phased array over the frame: its apex at the top, 84 degrees wide."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) + 0.5
    down, across = rows - 2, columns - 56 - np.float32(shift)
    depth, lateral = np.hypot(down, across) / 107, 0.5 + np.arctan2(across, down) / np.deg2rad(84)
    inside = (depth >= 0.03) & (depth <= 1) & (lateral >= 0) & (lateral <= 1)
    return Field(depth.astype(np.float32), lateral.astype(np.float32), inside)


def _outline(lines: np.ndarray) -> np.ndarray:
    """Return the polygon through the ends of the discs."""
    return np.concatenate([lines[1:, :2], lines[:0:-1, 2:]])


def _ellipse(x: float, y: float, across: float, down: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + across * np.cos(angle), y + down * np.sin(angle)], axis=1)


def _laid_on(under: np.ndarray, over: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Lay echoes over others inside a polygon, with a soft edge."""
    filled = np.zeros(under.shape, np.float32)
    cv2.fillPoly(filled, [np.rint(shape * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    weight = cv2.GaussianBlur(filled, (0, 0), 0.8)
    return under * (1 - weight) + over * weight


_CASES = (
    EchoCase(1, 0.30),
    EchoCase(2, 0.36, rate="29.9", start=0.2),  # end-systole before end-diastole
    EchoCase(3, 0.13, width=1.25, n_frames=34),
    EchoCase(4, 0.26, split="VAL", times_traced=2),
    EchoCase(5, 0.46, split="TEST", width=0.85, rate="62.5"),
    EchoCase(6, 0.08, split="VAL", width=1.35, start=0.15),
    EchoCase(7, 0.31, split="TEST", n_frames=32, times_traced=3, start=0.1),
    EchoCase(8, 0.33, shift=38.0),
    EchoCase(9, 0.20, width=1.15, n_frames=36),
    EchoCase(10, 0.42, split="TRAIN", width=0.9, start=0.25),
    EchoCase(11, 0.29, n_frames=4, large=True),
    EchoCase(12, 0.34, split="TEST", cut_off=True),
)
"""Ten that can be used, one that nobody traced, one that was not downloaded whole."""
