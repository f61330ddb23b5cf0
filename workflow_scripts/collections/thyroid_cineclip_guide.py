"""The thyroid cine-clips in the layout of the thyroid guide: `images/*.mp4`, `segmentations/*.nii.gz`, `metadata.csv`.

The mask volume's axes are (column, row, frame), the order in which NIfTI stores them.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import Indexed, Still, Unusable, not_understood
from workflow_scripts.collections.metadata_csv import (
    binary,
    diameter,
    number,
    person,
    read_table,
    whole,
    without_outline,
    word,
)
from workflow_scripts.files import natural
from workflow_scripts.imaging.clips import UnreadableClip, claimed_frames, read_clip
from workflow_scripts.imaging.stills import to_grey
from workflow_scripts.imaging.volumes import UnreadableVolume, open_volume
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256
from workflow_scripts.tables.cases import DESCRIPTORS

SYSTEM = "ACR 2017"
COLUMNS = (
    *("patient_id", "age", "sex", "nodule_id", "nodule_size_mm", "location", "ti_rads_score", "composition"),
    *("echogenicity", "shape", "margin", "echogenic_foci", "histopathology", "image_filename", "segmentation_filename"),
)


def index(root: Path, folder: Path, hashes: ContentHashes, limit: int | None) -> Iterator[Indexed]:
    """Yield every clip of the table, and every video that the table does not know."""
    table, remarks = read_table(folder / "metadata.csv", COLUMNS, "image_filename")
    rows = {Path(row["image_filename"]).name: row for row in table}
    yield from remarks
    files = [path for path in (folder / "images").glob("*") if not path.name.startswith(".") and not path.is_dir()]
    clips = {path.name: path for path in files if path.suffix == ".mp4" and path.is_file()}
    yield from not_understood("images", sorted(path.name for path in files if path.name not in clips), "<name>.mp4")
    for name in sorted(rows.keys() | clips.keys(), key=natural)[:limit]:
        case = Indexed(re.sub(r"_clip$", "", Path(name).stem), None)
        try:
            if name not in rows:
                raise Unusable(f"images/{name}", "no row in metadata.csv", "add its row, or leave the clip out")
            row = whole(rows[name])
            mask = folder / "segmentations" / Path(row["segmentation_filename"]).name
            if name not in clips:
                raise Unusable(f"images/{name}", "metadata.csv lists it, but it is not there", "download it again")
            if not mask.is_file():
                raise Unusable(
                    f"segmentations/{mask.name}", "metadata.csv lists it, but it is not there", "download it again"
                )
            case.row = {
                **_labels_guide(row),
                "group_id": row["patient_id"] or case.case_id,
                "group_kind": "patient" if row["patient_id"] else "clip",
                "sources": [path.relative_to(root).as_posix() for path in (clips[name], mask)],
                "source_kind": "mp4-nifti",
                "n_frames": claimed_frames(clips[name]),
                "content_sha256": sha256(canonical_json([row, hashes.of(clips[name]), hashes.of(mask)])),
            }
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def _labels_guide(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the labels of a row: one size in millimetres, descriptors in words of the ACR lexicon."""
    size = diameter(row, "nodule_size_mm", "millimetres", 150)
    level = number(row, "ti_rads_score", int, range(1, 6))
    pathology = word(row, "histopathology", {"benign": "benign", "malignant": "malignant"})
    words = {name: row["echogenic_foci" if name == "foci" else name].lower() or None for name in DESCRIPTORS}
    return {
        **person(row),
        **words,
        "tirads_system": SYSTEM if level else None,
        "tirads_level": f"TR{level}" if level else None,
        "pathology": pathology,
        "label_source": "histology" if pathology else "radiologist" if level else "none",
        "size_mm": [size, None, None],
        "largest_mm": size,
    }


class VideoClip:
    """One clip of the guide's layout: a video and a mask volume of (column, row, frame), as NIfTI orders its axes."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Name the two files; no pixel yet."""
        self._clip, self._mask = (root / source for source in case["sources"])
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return how many frames decode."""
        try:
            return sum(1 for _ in read_clip(self._clip))
        except UnreadableClip as error:
            raise Unusable(f"images/{self._clip.name}", str(error), "download it again") from None

    def mask_areas(self) -> list[int]:
        """Return the outlined area of each frame of the mask volume in pixels."""
        return [int(area) for area in np.count_nonzero(self._volume(), axis=(0, 1))]

    def _volume(self) -> np.ndarray:
        name = f"segmentations/{self._mask.name}"
        try:
            return open_volume(self._mask).labels()
        except UnreadableVolume as error:
            raise Unusable(name, str(error), "download it again") from None

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield frames in decoded order with the slice of the mask volume that is theirs."""
        volume, name = self._volume(), f"segmentations/{self._mask.name}"
        outlined, empty, frame = 0, [], -1
        try:
            for frame, time_s, image in read_clip(self._clip):
                expected = (image.shape[1], image.shape[0])
                if volume.shape[:2] != expected or frame >= volume.shape[2]:
                    raise Unusable(
                        name,
                        f"has shape {volume.shape}, the video frames of {expected} columns and rows",
                        "the video's own grid",
                    )
                if indices is not None and frame not in indices:
                    continue
                mask = binary(name, f"frame {frame + 1}", volume[..., frame].T)
                outlined += bool(mask.any())
                empty += [] if mask.any() else [frame]
                yield Still(frame, to_grey(image), mask if mask.any() else None, time_s=time_s)
        except UnreadableClip as error:
            raise Unusable(f"images/{self._clip.name}", str(error), "download it again") from None
        if frame + 1 != volume.shape[2]:
            raise Unusable(name, f"{volume.shape[2]} frames, the video has {frame + 1}", "one slice a frame")
        self.problems += without_outline(name, self._mask.stem, outlined, empty)
