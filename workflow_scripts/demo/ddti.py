"""A twin of DDTI: a flat folder of ``<n>.xml`` and ``<n>_<k>.jpg``, with outlines as JSON inside the XML."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np

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
    SMOOTH,
    SOLID,
    SPONGIFORM,
    TALLER,
    VERY_HYPOECHOIC,
    Nodule,
)
from workflow_scripts.demo.phantoms import burn_in, draw_field, draw_phantom, field_slices

SHAPE = (360, 560)
TWO_VIEWS_END = 0.90
"""Right end of two views side by side, as a share of the picture's width."""

WORDS = {
    SOLID: "solid",
    MIXED: "predominantly solid",
    CYSTIC: "cystic",
    SPONGIFORM: "spongiform",
    ISOECHOIC: "isoechogenicity ",  # with the stray blank of the real set
    HYPERECHOIC: "hyperechogenicity",
    HYPOECHOIC: "hypoechogenicity",
    VERY_HYPOECHOIC: "marked hypoechogenicity",
    ANECHOIC: "",
    SMOOTH: "well defined smooth",
    ILL_DEFINED: "ill defined",
    LOBULATED: "microlobulated",
    EXTRATHYROIDAL: "spiculated",
}


@dataclass(frozen=True)
class View:
    """One picture.

    Attributes
    ----------
    k
        Its number within the case.
    beside
        Nodules of a second view to the right of the first.
    texts
        Burned in below the field.
    outlined
        False leaves the SVG empty.
    """

    k: int
    nodules: tuple[Nodule, ...]
    beside: tuple[Nodule, ...] = ()
    texts: tuple[str, ...] = ("DER",)
    outlined: bool = True

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Picture and label mask, (360, 560) uint8 each; the labels of the second view follow those of the first."""
        if not self.beside:
            image, mask = draw_phantom(self.nodules, SHAPE, rng, probe="linear")
            return burn_in(image, *self.texts), mask
        image, mask = np.zeros((2, *SHAPE), np.uint8)
        rows, single = field_slices(SHAPE)
        start, half = single.start, (round(TWO_VIEWS_END * SHAPE[1]) - single.start) // 2
        for place, nodules in enumerate((self.nodules, self.beside)):
            columns = slice(start + place * half, start + (place + 1) * half)
            image[rows, columns], labels = draw_field(nodules, (rows.stop - rows.start, half), rng, probe="linear")
            mask[rows, columns] = np.where(labels, labels + place * len(self.nodules), 0)
        return burn_in(image, *self.texts), mask


@dataclass(frozen=True)
class DdtiCase:
    """One XML with its pictures; its words are those of the first view's first nodule.

    Attributes
    ----------
    tirads
        Kwak's category as written; None writes the one that follows from the descriptors.
    stated_number
        What ``<number>`` says; None is the file's own number.
    """

    number: int
    age: str
    sex: str
    views: tuple[View, ...]
    tirads: str | None = None
    stated_number: int | None = None

    @property
    def nodule(self) -> Nodule:
        """The nodule that the words describe."""
        return self.views[0].nodules[0]


def kwak_category(nodule: Nodule) -> str:
    """TI-RADS after Kwak (2011): the number of suspicious features, from 3 (none) to 5 (all five)."""
    if nodule.composition in (CYSTIC, SPONGIFORM):
        return "2"
    suspicious = (
        nodule.composition == SOLID,
        nodule.echogenicity in (HYPOECHOIC, VERY_HYPOECHOIC),
        nodule.margin in (LOBULATED, EXTRATHYROIDAL),
        PUNCTATE in nodule.foci,
        nodule.shape == TALLER,
    )
    return ("3", "4a", "4b", "4c", "4c", "5")[sum(suspicious)]


def mask_polygons(mask: np.ndarray) -> list[list[dict[str, int]]]:
    """Outline each label of a mask (H, W) as the set's points, within a pixel of the truth."""
    polygons = []
    for label in range(1, int(mask.max()) + 1):
        contours, _ = cv2.findContours((mask == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.0, True)
        polygons.append([{"x": int(x), "y": int(y)} for x, y in outline.reshape(-1, 2)])
    return polygons


def write_ddti(root: Path, cases: Sequence[DdtiCase], *, seed: int = 0) -> None:
    """Write the XML and the pictures of every case."""
    root.mkdir(parents=True, exist_ok=True)
    for case in cases:
        marks = []
        for view in case.views:
            image, mask = view.draw(np.random.default_rng([seed, case.number, view.k]))
            name = str(root / f"{case.number}_{view.k}.jpg")
            cv2.imwrite(name, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
            regions = [{"points": points, "annotation": {}, "regionType": "freehand"} for points in mask_polygons(mask)]
            svg = json.dumps(regions) if view.outlined else ""
            marks.append(f"<mark><image>{view.k}</image><svg>{svg}</svg></mark>")
        (root / f"{case.number}.xml").write_text(f"<case>{_fields(case)}{''.join(marks)}</case>")


def demo_cases() -> list[DdtiCase]:
    """Nineteen cases; from number 60 on `spoil_demo` breaks them as real ones are broken."""
    iso, wide = Nodule(), Nodule(radii=(0.17, 0.24, 0.2), composition=MIXED)
    hypo = Nodule(echogenicity=HYPOECHOIC)
    lobulated = Nodule(radii=(0.15, 0.17, 0.2), echogenicity=HYPOECHOIC, margin=LOBULATED)
    tall = Nodule(radii=(0.19, 0.14, 0.2), echogenicity=HYPOECHOIC, foci=(PUNCTATE,))
    worst = Nodule(radii=(0.18, 0.14, 0.2), echogenicity=VERY_HYPOECHOIC, margin=LOBULATED, foci=(PUNCTATE,))
    beyond = Nodule((0.35, 0.5), echogenicity=HYPOECHOIC, margin=EXTRATHYROIDAL, foci=(MACRO,))
    cyst = Nodule(radii=(0.14, 0.16, 0.2), composition=CYSTIC, echogenicity=ANECHOIC)
    pair = (
        Nodule((0.40, 0.33), (0.12, 0.13, 0.1), echogenicity=HYPOECHOIC),
        Nodule((0.42, 0.66), (0.09, 0.14, 0.1), composition=MIXED),
    )
    views = tuple(View(k, (tall,), texts=("IZQ",)) for k in (10, 2, 1))
    return [
        DdtiCase(3, "44", "F", (View(1, (cyst,)),)),
        DdtiCase(8, "51", "F", (View(1, (Nodule(composition=SPONGIFORM),)),)),
        DdtiCase(12, "", "", (View(1, (wide,), texts=("IZQ",)),)),
        DdtiCase(15, "39", "F", (View(1, (Nodule(composition=MIXED, echogenicity=HYPERECHOIC),)),)),
        DdtiCase(19, "62", "M", (View(1, (iso,), texts=("DER", "TIRADS 4A")),)),
        DdtiCase(21, "57", "F", (View(1, (Nodule(echogenicity=HYPERECHOIC, margin=ILL_DEFINED),)),)),
        DdtiCase(24, "33", "F", (View(1, (hypo,)), View(2, (hypo,)))),
        DdtiCase(28, "48", "F", (View(1, (Nodule(margin=LOBULATED),), texts=("IZQ",)),), stated_number=27),
        DdtiCase(30, "70", "u", (View(1, (lobulated,), texts=("DER", "TIRADS 4C")),)),
        DdtiCase(33, "29", "F", views),
        DdtiCase(37, "55", "M", (View(1, (worst,), texts=("DER", "TIRADS 5")),)),
        DdtiCase(41, "66", "F", (View(1, (beyond,), texts=("IZQ",)),)),
        DdtiCase(45, "52", "F", (View(1, pair),), tirads=""),
        DdtiCase(
            52, "47", "F", (View(1, (hypo,), beside=(Nodule((0.4, 0.5), (0.13, 0.2, 0.2)),), texts=("DER", "4B")),)
        ),
        DdtiCase(60, "41", "F", (View(1, (lobulated,)),)),
        DdtiCase(64, "35", "F", (View(1, (wide,), texts=("IZQ",)), View(2, (wide,), outlined=False))),
        DdtiCase(71, "59", "F", (View(1, (iso,)),)),
        DdtiCase(77, "59", "F", (View(1, (iso,)),)),
        DdtiCase(83, "50", "M", (View(1, (hypo,)),)),
    ]


def spoil_demo(root: Path) -> None:
    """Break cases of the demo as real ones are: SVG cut short, one picture in two cases, no picture at all.

    Case 64 needs no breaking: its second picture has no outline.
    """
    cut = root / "60.xml"
    cut.write_text(re.sub("(<svg>.{200}).*(</svg>)", r"\1\2", cut.read_text()))
    shutil.copyfile(root / "71_1.jpg", root / "77_1.jpg")
    (root / "83_1.jpg").unlink()


def _fields(case: DdtiCase) -> str:
    """Everything of the XML before the marks; elements that say nothing stay, empty."""
    nodule = case.nodule
    calcium = "microcalcifications" if PUNCTATE in nodule.foci else "macrocalcifications" if nodule.foci else "non"
    values = {
        "number": case.number if case.stated_number is None else case.stated_number,
        "age": case.age,
        "sex": case.sex,
        "composition": WORDS[nodule.composition],
        "echogenicity": WORDS[nodule.echogenicity],
        "margins": WORDS[nodule.margin],
        "calcifications": calcium,
        "tirads": kwak_category(nodule) if case.tirads is None else case.tirads,
        "reportbacaf": "",
        "reporteco": "",
    }
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
