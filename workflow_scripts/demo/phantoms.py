"""Draw B-mode thyroid phantoms: pictures that follow their descriptors, with the mask that is true by construction.

Echoes in decibels (`anatomy`) meet Rayleigh speckle and log compression (`field`), as in a scanner.
Everything follows from the generator that is passed in.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from workflow_scripts.demo.anatomy import NoduleTexture, add_nodule, gland_extent, neck_db
from workflow_scripts.demo.field import Probe, compress, make_field, speckle
from workflow_scripts.demo.nodules import FIELD_DEPTH_CM, Nodule

MARGINS = (0.04, 0.14, 0.15, 0.20)
"""Black surround of the field as shares of the picture: top, bottom, left, right."""
FRAME_CORRELATION = 0.8
"""Of the speckle of neighbouring frames."""


def field_slices(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the ultrasound field on a picture of the given shape."""
    height, width = shape
    top, bottom, left, right = MARGINS
    return (
        slice(round(top * height), height - round(bottom * height)),
        slice(round(left * width), width - round(right * width)),
    )


def draw_phantom(
    nodules: Sequence[Nodule], shape: tuple[int, int], rng: np.random.Generator, *, probe: Probe
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture: an ultrasound field on a black surround.

    Returns
    -------
    tuple
        The picture (H, W) uint8 and the label mask (H, W) uint8: 0 background, n for the nth nodule.
    """
    return next(_on_black(shape, _draw(nodules, _field_shape(shape), rng, probe, [1.0])))


def draw_field(
    nodules: Sequence[Nodule], shape: tuple[int, int], rng: np.random.Generator, *, probe: Probe
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture without the surround, to be placed on a canvas; otherwise as `draw_phantom`."""
    return next(_draw(nodules, shape, rng, probe, [1.0]))


def draw_clip(
    nodule: Nodule,
    n_frames: int,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    probe: Probe = "linear",
    sweep: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Sweep through a nodule: its area rises to a maximum, past the middle of the clip, and falls.

    Parameters
    ----------
    sweep
        How far the sweep begins from the nodule's centre, in radii; from 1 on, the first frames show no nodule.

    Returns
    -------
    tuple
        The frames and their masks, both (n_frames, H, W) uint8; masks are 0 or 1.
    """
    positions = np.linspace(-sweep, 0.75 * sweep, n_frames)
    sections = np.sqrt(np.maximum(0, 1 - positions**2))
    frames = list(_on_black(shape, _draw([nodule], _field_shape(shape), rng, probe, sections)))
    return np.stack([image for image, _ in frames]), np.stack([mask for _, mask in frames])


def burn_in(image: np.ndarray, *texts: str) -> np.ndarray:
    """Write what a scanner writes: settings on the right, a grey bar, depth ticks, and the texts below the field.

    Parameters
    ----------
    image
        Grey picture (H, W) uint8 with its field at `field_slices`, or wider up to the settings.
    texts
        Written from left to right in the lower margin: the side, a note, a grade.
    """
    height, width = image.shape
    rows, columns = field_slices((height, width))
    out = image.copy()
    scale = height / 360

    def write(text: str, x: float, y: float) -> None:
        cv2.putText(out, text, (round(x), round(y)), cv2.FONT_HERSHEY_SIMPLEX, 0.42 * scale, 215, 1, cv2.LINE_AA)

    for line, text in enumerate(("L14-5", "FH 8.0", "26 Hz", "DR 60", "G 71", "MI 0.8")):
        write(text, 0.915 * width, rows.start + 14 * scale * (line + 1))
    for place, text in enumerate(texts):
        write(text, columns.start + 20 * scale + place * 100 * scale, rows.stop + 30 * scale)
    bar = np.linspace(255, 0, round(0.19 * height))[:, None]
    out[round(0.45 * height) :][: len(bar), round(0.012 * width) : round(0.032 * width)] = bar
    centimetre = (rows.stop - rows.start) / FIELD_DEPTH_CM
    dots = [(rows.start + n * centimetre, columns.start - 6 * scale) for n in range(5)]
    dots += [(rows.start - 5 * scale, columns.start + n * centimetre) for n in range(5)]
    for y, x in dots:
        cv2.circle(out, (round(x), round(y)), max(1, round(scale)), 230, -1)
    write("0", dots[0][1] - 14 * scale, dots[0][0] + 5 * scale)
    return out


def _field_shape(shape: tuple[int, int]) -> tuple[int, int]:
    rows, columns = field_slices(shape)
    return rows.stop - rows.start, columns.stop - columns.start


def _on_black(
    shape: tuple[int, int], frames: Iterator[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Place each field and its mask on a black canvas."""
    for pair in frames:
        image, mask = np.zeros((2, *shape), np.uint8)
        image[field_slices(shape)], mask[field_slices(shape)] = pair
        yield image, mask


def _draw(
    nodules: Sequence[Nodule],
    shape: tuple[int, int],
    rng: np.random.Generator,
    probe: Probe,
    sections: Sequence[float] | np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image and label mask of each section through the same neck."""
    field = make_field(shape, probe)
    neck = neck_db(field, gland_extent(nodules), rng)
    textures = [NoduleTexture.draw(nodule, field, rng) for nodule in nodules]
    for section, intensity in zip(sections, speckle(field, rng, FRAME_CORRELATION), strict=False):
        echo, labels = neck, np.zeros(shape, np.uint8)
        for label, (nodule, texture) in enumerate(zip(nodules, textures, strict=True), start=1):
            echo, calcium, mask = add_nodule(echo, field, nodule, texture, float(section))
            labels[mask] = label
            intensity = intensity * (1 - calcium) + calcium
        yield compress(echo, intensity, field), labels
