"""A twin of Stanford AIMI's "Thyroid Ultrasound Cine-clip": one HDF5 of frames, one CSV of nodules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from workflow_scripts.demo.field import Probe
from workflow_scripts.demo.nodules import (
    ANECHOIC,
    CYSTIC,
    EXTRATHYROIDAL,
    HYPERECHOIC,
    HYPOECHOIC,
    ILL_DEFINED,
    LOBULATED,
    MACRO,
    MIXED,
    PUNCTATE,
    RIM,
    SPONGIFORM,
    VERY_HYPOECHOIC,
    Nodule,
)
from workflow_scripts.demo.phantoms import draw_clip

HEADER = (
    "annot_id,age,sex,location,size_x,size_y,size_z,ti-rads_composition,ti-rads_echogenicity,ti-rads_shape,"
    "ti-rads_margin,ti-rads_echogenicfoci,ti-rads_level,histopath_diagnosis"
)
FULL_SHAPE = (802, 1054)
"""Rows and columns of the real canvas."""
DEMO_SHAPE = (200, 264)


@dataclass(frozen=True)
class ClipCase:
    """One nodule and the clip that sweeps through it.

    Attributes
    ----------
    number
        Of the nodule (cine-clip: ``<number>_``) or of the patient (guide: ``patient<number>``).
    sweep
        As in `draw_clip`; above 1 the first frames show no nodule.
    size_z_known
        False leaves ``size_z`` blank.
    level
        The ACR level as written; None writes the one that the points give.
    has_clip
        False keeps the row and leaves the frames out.
    """

    number: int
    age: int
    sex: Literal["Female", "Male"]
    location: Literal["right", "left", "isthmus"]
    nodule: Nodule
    malignant: bool = False
    n_frames: int = 8
    probe: Probe = "linear"
    sweep: float = 0.9
    size_z_known: bool = True
    level: int | None = None
    has_clip: bool = True

    @property
    def annot_id(self) -> str:
        """The cine-clip set's key; the trailing underscore is part of it."""
        return f"{self.number}_"

    def draw(self, shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames and masks; they depend on nothing but this case and the seed."""
        rng = np.random.default_rng([seed, self.number])
        return draw_clip(self.nodule, self.n_frames, shape, rng, probe=self.probe, sweep=self.sweep)


def write_cineclip_hdf5(
    root: Path,
    cases: Sequence[ClipCase],
    *,
    shape: tuple[int, int] = DEMO_SHAPE,
    header: Literal["hyphen", "underscore"] = "hyphen",
    seed: int = 0,
) -> None:
    """Write ``dataset.hdf5`` and ``metadata.csv``.

    The rows of the CSV ascend by number. The clips do not: they lie in descending order of their ids' *text*,
    each clip's frames together and ascending.
    """
    root.mkdir(parents=True, exist_ok=True)
    clips = sorted((case for case in cases if case.has_clip), key=lambda case: case.annot_id, reverse=True)
    n_frames = sum(case.n_frames for case in clips)
    with h5py.File(root / "dataset.hdf5", "w") as file:
        file["annot_id"] = np.array([case.annot_id for case in clips for _ in range(case.n_frames)], "S4")
        file["frame_num"] = np.array([str(n + 1) for case in clips for n in range(case.n_frames)], "S3")
        image, mask = (
            file.create_dataset(key, (n_frames, *shape), "u1", chunks=(1, *shape)) for key in ("image", "mask")
        )
        start = 0
        for case in clips:
            rows = slice(start, start + case.n_frames)
            frames, masks = case.draw(shape, seed)
            image[rows], mask[rows] = frames, 255 * masks
            start = rows.stop
    names = HEADER if header == "hyphen" else HEADER.replace("-", "_")
    lines = [names, *map(_row, sorted(cases, key=lambda case: case.number))]
    (root / "metadata.csv").write_bytes("\n".join(lines).encode())  # no newline after the last row


def demo_cases(seed: int = 0) -> list[ClipCase]:
    """Fourteen nodules, the last two broken: a row without frames, and a level that is not that of its points."""
    return list(_aged(_CASES, seed))


def _row(case: ClipCase) -> str:
    """One row of the CSV: sizes in centimetres, descriptors in points, the diagnosis 0 or 1."""
    x, y, z = case.nodule.size_cm
    cells = [case.annot_id, case.age, case.sex, case.location, x, y, z if case.size_z_known else ""]
    cells += [*case.nodule.points.values(), case.level or case.nodule.level, int(case.malignant)]
    return ",".join(map(str, cells))


def _aged(cases: Sequence[ClipCase], seed: int) -> Iterator[ClipCase]:
    """Let the seed decide ages and where exactly each nodule lies."""
    for case in cases:
        rng = np.random.default_rng([seed, case.number, 1])
        depth, lateral = case.nodule.centre + rng.uniform(-0.02, 0.02, 2) * (0.5, 2)
        nodule = replace(case.nodule, centre=(float(depth), float(lateral)))
        yield replace(case, age=int(rng.integers(24, 84)), nodule=nodule)


_TALL = (0.17, 0.13, 0.16)
_CASES = (
    ClipCase(4, 0, "Female", "right", Nodule(composition=SPONGIFORM)),
    ClipCase(9, 0, "Male", "left", Nodule(composition=CYSTIC, echogenicity=ANECHOIC)),
    ClipCase(17, 0, "Female", "left", Nodule(radii=(0.17, 0.24, 0.22), composition=MIXED), n_frames=10),
    ClipCase(23, 0, "Female", "right", Nodule(radii=(0.11, 0.14, 0.15), composition=MIXED, echogenicity=HYPERECHOIC)),
    ClipCase(35, 0, "Female", "right", Nodule(radii=(0.22, 0.30, 0.32)), n_frames=12, probe="convex"),
    ClipCase(48, 0, "Female", "isthmus", Nodule(radii=(0.09, 0.13, 0.12)), n_frames=6),
    ClipCase(
        61, 0, "Male", "left", Nodule(radii=(0.15, 0.20, 0.22), echogenicity=HYPOECHOIC, margin=ILL_DEFINED), sweep=1.2
    ),
    ClipCase(
        72,
        0,
        "Female",
        "right",
        Nodule(radii=(0.16, 0.21, 0.20), echogenicity=HYPOECHOIC, foci=(MACRO,)),
        malignant=True,
        size_z_known=False,
    ),
    ClipCase(
        86,
        0,
        "Female",
        "left",
        Nodule(radii=(0.17, 0.19, 0.21), echogenicity=HYPOECHOIC, margin=LOBULATED),
        malignant=True,
    ),
    ClipCase(
        103,
        0,
        "Female",
        "right",
        Nodule(radii=_TALL, echogenicity=VERY_HYPOECHOIC, margin=LOBULATED, foci=(PUNCTATE,)),
        malignant=True,
        n_frames=14,
    ),
    ClipCase(
        138,
        0,
        "Male",
        "left",
        Nodule(radii=(0.13, 0.16, 0.16), echogenicity=HYPOECHOIC, foci=(PUNCTATE,)),
        malignant=True,
    ),
    ClipCase(
        151,
        0,
        "Female",
        "right",
        Nodule(centre=(0.36, 0.5), echogenicity=HYPOECHOIC, margin=EXTRATHYROIDAL, foci=(MACRO, PUNCTATE)),
        malignant=True,
    ),
    ClipCase(176, 0, "Female", "left", Nodule(foci=(RIM,)), has_clip=False),
    ClipCase(190, 0, "Female", "right", Nodule(radii=(0.14, 0.20, 0.18), echogenicity=HYPOECHOIC), level=3),
)
