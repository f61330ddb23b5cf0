"""What the beam meets: the echoes of a neck and of a nodule, in decibels against the thyroid gland."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from workflow_scripts.demo.field import Field
from workflow_scripts.demo.nodules import (
    ANECHOIC,
    CYSTIC,
    EXTRATHYROIDAL,
    HYPERECHOIC,
    HYPOECHOIC,
    ILL_DEFINED,
    ISOECHOIC,
    LOBULATED,
    MACRO,
    MIXED,
    PUNCTATE,
    RIM,
    SMOOTH,
    SPONGIFORM,
    VERY_HYPOECHOIC,
    Nodule,
)

ECHO_DB = {ANECHOIC: -24.0, VERY_HYPOECHOIC: -12.0, HYPOECHOIC: -6.5, ISOECHOIC: 0.0, HYPERECHOIC: 4.5}
FLUID_DB = ECHO_DB[ANECHOIC]
CALCIUM_DB = 17.0

# Harmonics of the outline: (waves around the nodule, share of the radius).
OUTLINE = {
    SMOOTH: ((2, 0.02), (3, 0.02)),
    ILL_DEFINED: ((2, 0.03), (3, 0.03), (5, 0.015)),
    LOBULATED: ((2, 0.02), (5, 0.055), (7, 0.06), (11, 0.035)),
    EXTRATHYROIDAL: ((2, 0.02), (3, 0.04), (5, 0.05)),
}
EDGE = {SMOOTH: 0.025, ILL_DEFINED: 0.09, LOBULATED: 0.03, EXTRATHYROIDAL: 0.04}


def gland_extent(nodules: Sequence[Nodule]) -> tuple[float, float]:
    """First and last depth of the gland: it holds its nodules, save the front of one that extends beyond it."""
    top, bottom = 0.21, 0.56
    for nodule in nodules:
        top = min(top, nodule.centre[0] - nodule.radii[0] - 0.06)
        bottom = max(bottom, nodule.centre[0] + nodule.radii[0] + 0.06)
    fronts = [nodule.centre[0] - 0.6 * nodule.radii[0] for nodule in nodules if nodule.margin == EXTRATHYROIDAL]
    return max(0.115, top, *fronts), bottom


def neck_db(field: Field, gland: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Echoes of a neck without nodules: skin, fat, strap muscles, gland, carotid, trachea, (H, W) in dB."""
    height, width = field.shape
    top, bottom = gland
    middle, half = (top + bottom) / 2, (bottom - top) / 2
    side = float(rng.choice([-1.0, 1.0]))  # where the carotid lies; the trachea is opposite
    patches = field.noise(rng, 0.05, 0.15)

    # No plane in a neck is straight: everything is laid out in gently warped coordinates.
    lateral = field.lateral + 0.012 * field.noise(rng, 0.10, 0.12)
    tilt = rng.uniform(0.02, 0.08) * side * (lateral - 0.5)
    depth = field.depth - 0.07 * (lateral - 0.5) ** 2 + tilt + 0.008 * field.noise(rng, 0.09, 0.16)

    fibres = np.interp(depth, np.linspace(-0.1, 1.2, 170), rng.standard_normal(170))
    fibres = 0.7 * fibres * (1 + 0.5 * field.noise(rng, 0.05, 0.2)) + 0.7 * field.noise(rng, 0.006, 0.07)
    echo = np.interp(
        depth,
        [-0.05, 0.015, 0.028, 0.07, 0.082, 0.10, 0.115, bottom + 0.02, bottom + 0.1],
        [2.0, 5.0, -4.0, -2.0, 6.0, 4.0, -7.0, -9.0, -9.0],
    )
    echo += np.interp(depth, [0, 0.03, 0.1, 0.12, bottom, bottom + 0.1], [2, 4, 4, 4, 3, 2]) * fibres + 1.5 * patches
    for offset, strength in ((0.06, 12), (0.13, 7)):  # fascia in front of the spine, and the bone
        line = bottom + offset + 0.03 * np.sin(4 * lateral + rng.uniform(0, 6))
        echo += strength * np.exp(-(((depth - line) / 0.014) ** 2)) * np.clip(0.5 + patches, 0, 1.4)

    # The gland: a lens between trachea and carotid, with its capsule.
    lens = (abs(lateral - 0.5 + 0.02 * side) / 0.41) ** 3 + (abs(depth - middle) / half) ** 2
    parenchyma = 1.3 * field.noise(rng, 0.035, 0.05) + 1.0 * field.noise(rng, 0.01, 0.016)
    echo = _blend(echo, parenchyma, _step(1 - lens, 0.05))
    facing = np.exp(-(((lateral - 0.5) / 0.25) ** 2))  # a surface shines where it faces the beam squarely
    echo += 10 * np.exp(-(((lens - 1) / 0.09) ** 2)) * np.clip(0.6 + 0.6 * patches, 0, 1.5) * (0.3 + 0.7 * facing)

    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    rows, columns = rows + 0.012 * height * patches, columns + 0.008 * height * field.noise(rng, 0.05, 0.05)
    row, column = field.pixel(middle + 0.02, 0.5 + 0.42 * side)
    echo = _vessel(echo, rows - row, columns - column, rng.uniform(0.06, 0.075) * height)
    row, column = field.pixel(middle, 0.5 - 0.49 * side)
    echo = _airway(echo, rows - row, columns - column, 0.16 * height)
    # Gain: a gentle maximum in the near half, dropping edges, and loss beyond the gland.
    gain = 1.5 * np.exp(-(((field.depth - 0.3) / 0.3) ** 2)) - 5 * (2 * abs(field.lateral - 0.5)) ** 6
    return echo + gain + 1.0 * field.noise(rng, 0.2, 0.25) - 36 * np.maximum(field.depth - bottom - 0.05, 0)


@dataclass(frozen=True)
class NoduleTexture:
    """What chance decides about a nodule, drawn once so that it stays through a clip.

    Attributes
    ----------
    phases
        Phase of each harmonic of the outline, radians.
    fine, coarse
        Unit-variance noise inside, (H, W): granules, lakes of fluid.
    cells
        Depth inside the cells of a honeycomb, (H, W): 0 on the septa, about 1 in the middles.
    dots, stones
        Places of punctate foci and of macrocalcifications, (n, 2), in radii from the centre (down, across).
    """

    phases: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    cells: np.ndarray
    dots: np.ndarray
    stones: np.ndarray

    @classmethod
    def draw(cls, nodule: Nodule, field: Field, rng: np.random.Generator) -> "NoduleTexture":
        """Draw the texture of one nodule."""
        radius = min(nodule.radii[:2])
        angles, distances = rng.uniform(0, 2 * np.pi, 14), np.sqrt(rng.uniform(0.01, 0.5, 14))
        dots = np.stack([np.sin(angles) * distances, np.cos(angles) * distances], axis=1)
        return cls(
            phases=rng.uniform(0, 2 * np.pi, 8),
            fine=field.noise(rng, 0.012, 0.018),
            coarse=field.noise(rng, 0.20 * radius, 0.26 * radius),
            cells=_honeycomb(field.shape, max(6.0, 0.25 * radius * field.shape[0]), rng),
            dots=dots[: rng.integers(8, 13)],
            stones=rng.uniform([-0.35, -0.4], [0.05, 0.4], (1, 2)),
        )


def add_nodule(
    echo: np.ndarray, field: Field, nodule: Nodule, texture: NoduleTexture, section: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay one section of a nodule over the echoes.

    Parameters
    ----------
    section
        Size of this section against the largest, 0 to 1.

    Returns
    -------
    tuple
        The echoes in dB, the mask of calcium, 0 to 1 (where speckle gives way to one solid reflection), and the mask of
        the section, bool; all (H, W).
    """
    height, width = field.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    row, column = field.pixel(*nodule.centre)
    radii = np.maximum(np.array(nodule.radii[:2]) * height * section, 1e-3)
    down, across = (rows - row) / radii[0], (columns - column) / radii[1]
    angle = np.arctan2(down, across)
    outline = 1 + sum(
        share * np.sin(waves * angle + phase)
        for (waves, share), phase in zip(OUTLINE[nodule.margin], texture.phases, strict=False)
    )
    reach = np.hypot(down, across) / outline  # 1 on the outline
    mask = (reach < 1) & field.inside
    if not mask.any():
        return echo, np.zeros_like(echo), mask

    bottom = nodule.centre[0] + nodule.radii[0] * section * 0.97
    half_width = nodule.radii[1] * section * height / width
    behind = _step(half_width * 0.85 - abs(field.lateral - nodule.centre[1]), 0.015) * _step(
        field.depth - bottom, 0.012
    )
    fluid = {CYSTIC: 1.0, MIXED: 0.4, SPONGIFORM: 0.3}.get(nodule.composition, 0.0)
    echo = echo + 6 * fluid * behind * np.exp(-np.maximum(field.depth - bottom, 0) / 0.15)
    if nodule.margin == SMOOTH and nodule.composition != CYSTIC:  # the halo of a pushed-aside, compressed capsule
        echo = echo - 6 * np.exp(-(((reach - 1.03) / 0.045) ** 2))
    echo = _blend(echo, _interior_db(nodule, texture, reach, mask), _step(1 - reach, EDGE[nodule.margin]))
    if nodule.composition == CYSTIC:  # the walls that face the beam
        echo = echo + 14 * np.exp(-(((reach - 1.02) / 0.05) ** 2)) * np.maximum(abs(np.sin(angle)) - 0.5, 0)

    calcium = np.zeros_like(echo)
    if RIM in nodule.foci:
        gaps = _step(np.sin(2 * angle + texture.phases[6]) + 0.75, 0.15)
        calcium = np.maximum(calcium, np.exp(-(((reach - 0.97) / 0.05) ** 2)) * gaps)
        echo = echo - 6 * behind
    if MACRO in nodule.foci:
        size = 0.30 * radii.min()
        for place in texture.stones * radii:
            distance = np.hypot((rows - row - place[0]) / (0.7 * size), (columns - column - place[1]) / (1.2 * size))
            places = [row + place[0], column + place[1] - size, column + place[1] + size]
            stone_row, first, last = np.clip(np.rint(places).astype(int), 0, [height - 1, width - 1, width - 1])
            beams = np.minimum(
                field.lateral - field.lateral[stone_row, first], field.lateral[stone_row, last] - field.lateral
            )
            echo = echo - 14 * _step(beams, 0.004) * (field.depth > field.depth[stone_row, (first + last) // 2])
            calcium = np.maximum(calcium, _step(1 - distance + 0.2 * texture.fine, 0.1))
    if PUNCTATE in nodule.foci:
        size = max(0.9, 0.006 * height)
        for place in texture.dots * radii:
            distance = np.hypot(rows - row - place[0], (columns - column - place[1]) / 1.4) / size
            calcium = np.maximum(calcium, np.exp(-(distance**2) / 2))
    return _blend(echo, np.full_like(echo, CALCIUM_DB), calcium), calcium, mask


def _interior_db(nodule: Nodule, texture: NoduleTexture, reach: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Echoes inside a nodule, (H, W) in dB."""
    if nodule.composition == CYSTIC:
        return FLUID_DB + 4 * np.exp(-(((1 - reach) / 0.08).clip(0) ** 2)) + texture.fine
    solid = ECHO_DB[nodule.echogenicity] + 1.3 * texture.fine + 0.6 * texture.coarse
    if nodule.composition == SPONGIFORM:
        holes = _step(texture.cells - 0.3 + 0.1 * texture.fine, 0.1) * _step(0.95 - reach, 0.02)
        return _blend(solid, np.full_like(solid, FLUID_DB + 3), holes)
    if nodule.composition == MIXED:
        lakes = _step(texture.coarse - np.quantile(texture.coarse[mask], 0.6), 0.08) * _step(0.9 - reach, 0.03)
        return _blend(solid, np.full_like(solid, FLUID_DB), lakes)
    return solid


def _honeycomb(shape: tuple[int, int], spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Cells around jittered seeds, `spacing` pixels apart: distance to the septa over half the spacing, (H, W)."""
    rows, columns = (np.arange(0, side, spacing) for side in shape)
    seeds = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    seeds = np.minimum(seeds + rng.uniform(0, 1.6 * spacing, seeds.shape), np.array(shape) - 1).astype(int)
    free = np.ones(shape, np.uint8)
    free[seeds[:, 0], seeds[:, 1]] = 0
    _, cell = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    inside = np.ones(shape, np.uint8)
    inside[:-1][cell[1:] != cell[:-1]] = 0
    inside[:, :-1][cell[:, 1:] != cell[:, :-1]] = 0
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5) / (spacing / 2)


def _vessel(echo: np.ndarray, down: np.ndarray, across: np.ndarray, radius: float) -> np.ndarray:
    """The carotid: a black circle whose near and far walls shine."""
    reach = np.hypot(down, across) / radius
    echo = _blend(echo, np.full_like(echo, FLUID_DB + 4), _step(1 - reach, 0.05))
    echo = echo + 8 * np.exp(-(((reach - 1.1) / 0.12) ** 2)) * (abs(down) / radius / np.maximum(reach, 0.1))
    return echo + 3 * _step(1 - abs(across) / radius, 0.1) * _step(down / radius - 1.1, 0.1)


def _airway(echo: np.ndarray, down: np.ndarray, across: np.ndarray, radius: float) -> np.ndarray:
    """The trachea: a bright front wall, and its shadow with reverberations."""
    reach = np.hypot(down, across) / radius
    below = _step(1 - abs(across) / radius, 0.12) * _step(down / radius, 0.15)
    rings = 5 * np.cos(2 * np.pi * reach / 0.25) * np.exp(-((1 - reach) / 0.25).clip(0)) * (down < 0)
    shadow = -12 + rings - 3 * (down / radius).clip(0)
    echo = _blend(echo, shadow, np.maximum(_step(1 - reach, 0.06), below))
    return echo + 11 * np.exp(-(((reach - 1) / 0.07) ** 2)) * _step(-down / radius - 0.3, 0.15)


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """A soft step from 0 to 1 where the value passes zero."""
    return 1 / (1 + np.exp(np.clip(-value / width, -50, 50)))


def _blend(under: np.ndarray, over: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Lay one picture over another."""
    return under * (1 - weight) + over * weight
