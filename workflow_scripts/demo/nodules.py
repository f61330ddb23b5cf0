"""A synthetic nodule: where it lies, how large it is, and what a radiologist would call it.

The tables below are the demo's own copy of the ACR TI-RADS chart (2017): what is drawn is the oracle of what the
workflow measures and grades, so it must not lean on the code that it checks.
"""

from dataclasses import dataclass

CYSTIC = "cystic or almost completely cystic"
SPONGIFORM = "spongiform"
MIXED = "mixed cystic and solid"
SOLID = "solid or almost completely solid"

ANECHOIC = "anechoic"
HYPERECHOIC = "hyperechoic"
ISOECHOIC = "isoechoic"
HYPOECHOIC = "hypoechoic"
VERY_HYPOECHOIC = "very hypoechoic"

WIDER = "wider-than-tall"
TALLER = "taller-than-wide"

SMOOTH = "smooth"
ILL_DEFINED = "ill-defined"
LOBULATED = "lobulated or irregular"
EXTRATHYROIDAL = "extra-thyroidal extension"

NO_FOCI = "none or large comet-tail artifacts"
MACRO = "macrocalcifications"
RIM = "peripheral (rim) calcifications"
PUNCTATE = "punctate echogenic foci"

POINTS = {
    "composition": {CYSTIC: 0, SPONGIFORM: 0, MIXED: 1, SOLID: 2},
    "echogenicity": {ANECHOIC: 0, HYPERECHOIC: 1, ISOECHOIC: 1, HYPOECHOIC: 2, VERY_HYPOECHOIC: 3},
    "shape": {WIDER: 0, TALLER: 3},
    "margin": {SMOOTH: 0, ILL_DEFINED: 0, LOBULATED: 2, EXTRATHYROIDAL: 3},
    "echogenic_foci": {NO_FOCI: 0, MACRO: 1, RIM: 2, PUNCTATE: 3},
}

FIELD_DEPTH_CM = 4.5
"""What the height of an ultrasound field stands for."""


@dataclass(frozen=True)
class Nodule:
    """An ellipsoid in the gland, with its ACR descriptors.

    Attributes
    ----------
    centre
        Depth and lateral position, as shares of the field (0 at the skin and on the left, 1 at the far end).
    radii
        Half the height, half the width and half the length along the sweep, all as shares of the field's *height*:
        equal radii are a circle on the picture, whatever its shape.
    foci
        Every kind of echogenic focus that is present; none is the empty tuple.
    """

    centre: tuple[float, float] = (0.40, 0.50)
    radii: tuple[float, float, float] = (0.14, 0.18, 0.20)
    composition: str = SOLID
    echogenicity: str = ISOECHOIC
    margin: str = SMOOTH
    foci: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """Taller-than-wide when the height is the larger one."""
        return TALLER if self.radii[0] > self.radii[1] else WIDER

    @property
    def descriptors(self) -> dict[str, str]:
        """The five ACR descriptors in words; several foci are joined with "; "."""
        return {
            "composition": self.composition,
            "echogenicity": self.echogenicity,
            "shape": self.shape,
            "margin": self.margin,
            "echogenic_foci": "; ".join(self.foci) or NO_FOCI,
        }

    @property
    def points(self) -> dict[str, int]:
        """The points of each descriptor; a spongiform nodule scores nothing further."""
        if self.composition == SPONGIFORM:
            return dict.fromkeys(POINTS, 0)
        return {name: sum(POINTS[name][term] for term in text.split("; ")) for name, text in self.descriptors.items()}

    @property
    def level(self) -> int:
        """ACR TI-RADS level, 1 to 5."""
        total = sum(self.points.values())
        return 1 + sum(total >= threshold for threshold in (2, 3, 4, 7))

    @property
    def size_cm(self) -> tuple[float, float, float]:
        """Diameters across, in depth and along the sweep, in centimetres with one decimal."""
        height, width, length = (round(2 * radius * FIELD_DEPTH_CM, 1) for radius in self.radii)
        return width, height, length
