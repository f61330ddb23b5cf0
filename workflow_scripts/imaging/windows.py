"""Display windows of CT: which Hounsfield units become black, and which white."""

import difflib
from dataclasses import dataclass

import numpy as np

RADIOPAEDIA = "Radiopaedia, Windowing (CT), radiopaedia.org/articles/windowing-ct"


@dataclass(frozen=True)
class Window:
    """A display window, in Hounsfield units, and who published it."""

    centre: float
    width: float
    source: str


# Where the source gives a range, a value within it.
WINDOWS = {
    "abdomen": Window(40, 400, "Ma et al., Nat Commun 2024, doi:10.1038/s41467-024-44824-z (soft tissue)"),
    "bone": Window(400, 1800, f"{RADIOPAEDIA} (spine, bone)"),
    "brain": Window(40, 80, RADIOPAEDIA),
    # 130 HU (a third of the way up) to 400 HU, the steps of the Agatston score, stay apart from black and white
    "calcium": Window(200, 600, f"{RADIOPAEDIA} (vascular, heart)"),
    "lung": Window(-600, 1500, RADIOPAEDIA),
    "mediastinum": Window(50, 350, RADIOPAEDIA),
    "stroke": Window(40, 40, RADIOPAEDIA),
    "subdural": Window(80, 200, f"{RADIOPAEDIA} (centre 50 to 100, width 130 to 300)"),
}


def window_named(name: str) -> Window:
    """Return a window by its name.

    Raises
    ------
    ValueError
        If there is none; the message names the nearest one, or all.
    """
    if name not in WINDOWS:
        near = difflib.get_close_matches(name.lower(), WINDOWS, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(WINDOWS)}"
        raise ValueError(f"no window is called {name}; {meant}")
    return WINDOWS[name]


def apply_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Return values as grey levels, by the LINEAR function of DICOM PS3.3 C.11.2.1.2.1.

    Parameters
    ----------
    values : np.ndarray
        Any shape; the units of the window: for CT Hounsfield units, that is after slope and intercept.
    centre, width : float
        The window; the width is at least 1. A width of 1 is a threshold.

    Returns
    -------
    np.ndarray
        uint8 of the same shape, rounded to the nearest level.

    Raises
    ------
    ValueError
        If the window is none, or a value is not a number.
    """
    if not (np.isfinite(centre) and np.isfinite(width) and width >= 1):
        raise ValueError(f"the window has centre {centre} and width {width}: expected numbers, the width 1 or more")
    above = np.asarray(values, np.float64) - (centre - 0.5)
    if np.isnan(above).any():
        raise ValueError("a value is not a number (NaN): it has no grey level")
    if width == 1:
        return np.where(above > 0, 255, 0).astype(np.uint8)
    return np.rint(np.clip(above / (width - 1) + 0.5, 0, 1) * 255).astype(np.uint8)
