"""What a file of a user's own holds, by its name: a still, a clip, a volume or a slide; and which masks it can have.

No library is loaded that reads one of them: a folder of stills needs none.
"""

from pathlib import Path

from workflow_scripts.collections.collection import Unusable
from workflow_scripts.collections.masked_stills import PICTURES, ending

CLIPS, VOLUMES, SLIDES = (".avi", ".mp4"), (".nii", ".nii.gz"), (".svs",)
READABLE = (*PICTURES, *CLIPS, *VOLUMES, *SLIDES)
STILL, CLIP, VOLUME, SLIDE = "still-mask", "clip", "nifti", "slide"  # values of source_kind
NAMES = {STILL: "picture", CLIP: "clip", VOLUME: "volume", SLIDE: "slide"}


def tell_apart(pictures: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Return the files by case: clips that differ in their ending alone (one clip in two encodings) by their names."""
    for stem, paths in list(pictures.items()):
        if len(paths) > 1 and all(ending(path.name, CLIPS) for path in paths):
            pictures |= {path.name: [path] for path in pictures.pop(stem)}
    return pictures


def kind_of(path: Path, modality: str) -> str:
    """Return what a file holds; a TIFF of microscopy may be a slide."""
    for kind, endings in ((CLIP, CLIPS), (VOLUME, VOLUMES), (SLIDE, SLIDES)):
        if ending(path.name, endings):
            return kind
    if modality == "SM" and ending(path.name, (".tif", ".tiff")):
        from workflow_scripts.collections.image_folder_media import is_pyramid

        return SLIDE if is_pyramid(path) else STILL
    return STILL


def fitting_masks(kind: str, masks: list[Path]) -> tuple[list[Path], list[Unusable]]:
    """Return the masks that a file can have, and what is said of all others: pictures of a still, one of a volume."""
    wanted = {STILL: PICTURES, VOLUME: VOLUMES}.get(kind, ())
    fitting = [path for path in masks if ending(path.name, wanted)]
    unfit = [path for path in masks if path not in fitting]
    if kind == VOLUME and len(fitting) > 1:
        fitting, unfit = [], masks
    mend = {STILL: "write it as PNG", VOLUME: "write one .nii.gz with a label for each thing"}.get(kind, "remove it")
    reason = f"of a {NAMES[kind]} this mask is not read"
    return fitting, [Unusable(path.name, reason, mend) for path in unfit]
