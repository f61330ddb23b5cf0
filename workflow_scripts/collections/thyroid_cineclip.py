"""The thyroid cine-clips as Stanford ships them, or as the guide describes them: whichever the folder holds.

Shipped: `dataset.hdf5` (all clips in one stack) and `metadata.csv`, one row a nodule, descriptors in ACR points.
Source: Yamashita et al., Radiology: AI 2022;4(3):e210174; data doi:10.71718/7m5n-rh16.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from workflow_scripts.collections import thyroid_cineclip_guide as guide
from workflow_scripts.collections.collection import Clip, Indexed, Source, Still, Unusable, WrongLayout, root_of
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
from workflow_scripts.imaging.stacks import UnreadableStack, blocks, open_stack, rows_sha256, runs
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256
from workflow_scripts.tables.cases import DESCRIPTORS

SYSTEM = "ACR 2017"
SHIPPED = (
    *("annot_id", "age", "sex", "location", "size_x", "size_y", "size_z"),
    *("ti-rads_composition", "ti-rads_echogenicity", "ti-rads_shape", "ti-rads_margin", "ti-rads_echogenicfoci"),
    *("ti-rads_level", "histopath_diagnosis"),
)
FOCI = {"foci": "echogenicfoci"}
EXPECTED = (
    "dataset.hdf5 beside metadata.csv (as Stanford ships it), or images/*.mp4, segmentations/*.nii.gz and metadata.csv"
)


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every nodule of the table, and every clip that the table does not know."""
    root, limit = source.root, source.limit
    folder = root_of(root, "dataset.hdf5", "images/*.mp4")
    if not (folder / "metadata.csv").is_file():
        raise WrongLayout(f"{root}: no metadata.csv found; expected {EXPECTED}")
    if (folder / "dataset.hdf5").is_file():
        found = _index_shipped(root, folder, hashes, limit)
    elif (folder / "images").is_dir():
        found = guide.index(root, folder, hashes, limit)
    else:
        raise WrongLayout(f"{root}: metadata.csv without dataset.hdf5 or images/; expected {EXPECTED}")
    for case in found:
        if case.row and case.case_id in source.groups:
            case.row |= {"group_id": source.groups[case.case_id], "group_kind": "patient"}
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open a clip of either layout."""
    kind = StackClip if case["source_kind"] == "hdf5-stack" else guide.VideoClip
    return kind(source.root, case)


def _index_shipped(root: Path, folder: Path, hashes: ContentHashes, limit: int | None) -> Iterator[Indexed]:
    path = folder / "dataset.hdf5"
    table, remarks = read_table(folder / "metadata.csv", SHIPPED, "annot_id")
    rows = {row["annot_id"]: row for row in table}
    yield from remarks
    with _stack(path) as file:
        try:
            ranges = runs(file["annot_id"][:])
        except OSError as error:
            raise WrongLayout(f"{path}: annot_id cannot be read ({error}); download it again") from None
        group, before = "", ("", "")
        for key in sorted(rows.keys() | ranges.keys(), key=natural)[:limit]:
            case_id = key.rstrip("_")
            case = Indexed(case_id, None)
            try:
                if key not in rows:
                    raise Unusable("metadata.csv", f"no row for the clip {key}", "add its row, or leave the clip out")
                row = whole(rows[key])
                if key not in ranges:
                    raise Unusable(path.name, f"no clip {key}, which metadata.csv lists", "download dataset.hdf5 again")
                # No column links the nodules of one patient: neighbours of one age and sex may be one.
                person = (row["age"], row["sex"])
                group = group if person == before and all(person) else case_id
                before = person
                with _damage(path, key):
                    start, stop = _one_run(file, path.name, key, ranges[key])
                    pixels = hashes.of(path, key, _rows_hash(file, start, stop))
                case.row = {
                    **_labels_shipped(row),
                    "group_id": group,
                    "group_kind": "neighbouring clips of one age and sex (derived)",
                    "sources": [path.relative_to(root).as_posix()],
                    "source_kind": "hdf5-stack",
                    "source_key": key,
                    "n_frames": stop - start,
                    "content_sha256": sha256(canonical_json([row, pixels])),
                }
            except Unusable as problem:
                case.problems.append(problem)
            yield case


@contextmanager
def _damage(path: Path, key: str) -> Iterator[None]:
    """Make damage that HDF5 meets while it reads a clip cost that clip alone."""
    try:
        yield
    except (OSError, UnreadableStack):
        raise Unusable(path.name, f"the rows of the clip {key} cannot be read", "download it again") from None


def _rows_hash(file: h5py.File, start: int, stop: int) -> Any:
    return lambda: rows_sha256([file["image"], file["mask"]], start, stop)


def _stack(path: Path) -> h5py.File:
    try:
        file = open_stack(path)
    except UnreadableStack as error:
        raise WrongLayout(str(error)) from None
    wanted = {"annot_id": 1, "frame_num": 1, "image": 3, "mask": 3}
    shapes = {key: file[key].shape for key in wanted if isinstance(file.get(key), h5py.Dataset)}
    if {key: len(shape) for key, shape in shapes.items()} != wanted or len(
        {shape[0] for shape in shapes.values()}
    ) != 1:
        raise WrongLayout(
            f"{path}: holds {shapes}; expected annot_id, frame_num (n,) and image, mask (n, rows, columns)"
        )
    for key in wanted:
        kind = "bytes (S)" if wanted[key] == 1 else "uint8"
        if (file[key].dtype.kind != "S") if wanted[key] == 1 else (file[key].dtype != np.uint8):
            raise WrongLayout(f"{path}: {key} is of type {file[key].dtype}; expected {kind}")
    if shapes["image"] != shapes["mask"]:
        raise WrongLayout(f"{path}: image has shape {shapes['image']}, mask {shapes['mask']}; expected the same")
    return file


def _one_run(file: h5py.File, name: str, key: str, ranges: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the rows of a clip: one run, its frames numbered 1..n."""
    if len(ranges) != 1:
        raise Unusable(name, f"the clip {key} lies in {len(ranges)} places", "one run of rows a clip")
    start, stop = ranges[0]
    numbers = [value.decode("ascii", "replace") for value in file["frame_num"][start:stop]]
    if numbers != [str(expected) for expected in range(1, stop - start + 1)]:
        raise Unusable(name, f"frame_num of the clip {key} is not 1 to {stop - start} in order", "download it again")
    return start, stop


def _labels_shipped(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the labels of a row: sizes are centimetres on unordered axes, descriptors are points."""
    allowed = {
        "composition": range(3),
        "echogenicity": range(4),
        "shape": range(4),
        "margin": range(4),
        "foci": range(7),
    }
    stated = [diameter(row, f"size_{axis}", "centimetres", 15) for axis in "xyz"]
    sizes = [None if size is None else round(size * 10, 6) for size in stated]
    level = number(row, "ti_rads_level", int, range(1, 6))
    pathology = word(row, "histopath_diagnosis", {"0": "benign", "1": "malignant"})
    return {
        **person(row),
        **{
            f"{name}_points": number(row, f"ti_rads_{FOCI.get(name, name)}", int, allowed[name]) for name in DESCRIPTORS
        },
        "tirads_system": SYSTEM if level else None,
        "tirads_level": f"TR{level}" if level else None,
        "pathology": pathology,
        "label_source": "histology" if pathology else "radiologist" if level else "none",
        "size_mm": sizes,
        "largest_mm": None if None in sizes else max(size for size in sizes if size is not None),
    }


class StackClip:
    """One clip of the HDF5 stack."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Find the clip's rows; no pixel yet."""
        self._path, self._key = root / case["sources"][0], case["source_key"]
        self.problems: list[Unusable] = []

    @contextmanager
    def _open(self) -> Iterator[tuple[h5py.File, int, int]]:
        with _damage(self._path, self._key), open_stack(self._path) as file:
            start, stop = runs(file["annot_id"][:])[self._key][0]
            yield file, start, stop

    def count(self) -> int:
        """Return the number of rows of the clip."""
        with self._open() as (_, start, stop):
            return stop - start

    def mask_areas(self) -> list[int]:
        """Return the outlined area of each frame in pixels."""
        with self._open() as (file, start, stop):
            return [
                int(np.count_nonzero(frame))
                for first, last in blocks(file["mask"], start, stop)
                for frame in file["mask"][first:last]
            ]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield frames in blocks that follow the stack's chunks."""
        outlined, empty = 0, []
        with self._open() as (file, start, stop):
            for first, last in blocks(file["image"], start, stop):
                if indices is not None and not any(first - start <= index < last - start for index in indices):
                    continue
                images, masks = file["image"][first:last], file["mask"][first:last]
                for row in range(last - first):
                    frame = first + row - start
                    if indices is not None and frame not in indices:
                        continue
                    mask = binary(self._path.name, f"frame {frame + 1} of {self._key}", masks[row])
                    outlined += bool(mask.any())
                    empty += [] if mask.any() else [frame]
                    yield Still(frame, images[row], mask if mask.any() else None)
        self.problems += without_outline(self._path.name, self._key, outlined, empty)
