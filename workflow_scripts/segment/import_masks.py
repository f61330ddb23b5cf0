"""Take the masks that somebody else predicted, as pictures in a folder, for the frames of one chunk.

A still's mask is named like the still (`12_1.png` for `12_1.jpg`), the mask of a clip's frame by its case and the
number of the frame, from 1 (`7_12.png` or `7_0012.png`); both lie on the frame's own pixels. A mask that is named as
`export_nnunet` names a picture lies on the grid of that picture, and is brought back to the frame as a prediction of
Casebook's own. A nodule is white on black, or labels from 1 to 32.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.files import natural, write_beside
from workflow_scripts.imaging.components import label_nodules
from workflow_scripts.imaging.measure import outline_nodules, to_frame
from workflow_scripts.imaging.stills import UnreadablePicture, decode_picture, encode_png, read_still
from workflow_scripts.segment.export_nnunet import grid_of, parse_name
from workflow_scripts.tables import masks, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import RowWriter, stream_rows, write_rows

LOSSY = (".jpg", ".jpeg")
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", *LOSSY)
MOST_LABELS = 32  # a lossless picture without a greater value holds labels, not grey levels
WHITE = 127  # above it is nodule: JPEG turns 0 and 255 into their neighbours

Named = tuple[str, int | None]  # the stem of a still, or the case and the number of a clip's frame


def list_masks(folder: Path, dataset: str) -> tuple[dict[Named, list[Path]], dict[str, list[Path]]]:
    """Return the pictures of a folder by every name under which a frame may ask for them, and by frame_id those that
    are named as exported pictures of the data set."""
    found: dict[Named, list[Path]] = defaultdict(list)
    exported: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir(), key=lambda path: natural(path.name)):
        if path.suffix.lower() not in SUFFIXES:
            continue
        if name := parse_name(path.stem):
            if name.dataset == dataset:
                exported[name.frame_id].append(path)
            continue
        found[path.stem, None].append(path)
        if match := re.fullmatch(r"(.+)_(\d+)", path.stem):
            found[match[1], int(match[2])].append(path)
    return found, exported


def name_of(frame: Mapping[str, Any]) -> Named:
    """Return the name under which a frame (`position`, `case_id`, `frame_index`) finds its mask."""
    if frame["position"]:
        return Path(frame["position"]).stem, None
    return frame["case_id"], frame["frame_index"] + 1


def read_mask(path: Path, shape: tuple[int, ...], of: str = "frame") -> np.ndarray:
    """Read a mask picture.

    Parameters
    ----------
    path : Path
        Grey, labels or colour: the strongest channel counts.
    shape : tuple of int
        Rows and columns that it must have, pixels.
    of : str
        Of what those are, in words.

    Returns
    -------
    np.ndarray
        (H, W) bool: where the nodules are.

    Raises
    ------
    Unusable
        If it does not decode, is of another grid, or is neither labels nor white on black.
    """
    try:
        values = read_still(path)
    except UnreadablePicture as error:
        raise Unusable(path.name, str(error), "write it again as an 8-bit PNG") from None
    if values.ndim == 3:
        values = values.max(axis=2)
    if values.shape != shape:
        (height, width), (rows, columns) = values.shape, shape
        raise Unusable(
            path.name,
            f"the mask is {width} x {height} pixels and its {of} {columns} x {rows}",
            f"bring the mask back to the grid of its {of} before it is saved, nearest neighbour",
        )
    top = int(values.max())
    if path.suffix.lower() in LOSSY or top > WHITE:
        return values > WHITE
    if top > MOST_LABELS:
        raise Unusable(
            path.name,
            f"its greatest value is {top}: neither labels (up to {MOST_LABELS}) nor white on black (over {WHITE})",
            "save nodules as 255 and background as 0",
        )
    return values > 0


def read_exported(path: Path, prepared: Mapping[str, Any] | None) -> np.ndarray:
    """Read the mask of an exported picture and bring it back to its frame.

    Parameters
    ----------
    path : Path
        Named by `export_nnunet`.
    prepared : mapping or None
        The frame's row of `inputs`, if it has one.

    Returns
    -------
    np.ndarray
        (H, W) uint8: labels on the frame's grid, without specks, as `predict_masks` writes its own.

    Raises
    ------
    Unusable
        As `read_mask`; or when preprocessing is not what it was at the export.
    """
    name = parse_name(path.stem)
    shape = decode_picture(prepared["image"]["bytes"]).shape if prepared else ()
    if prepared is None or name is None or name.grid != grid_of(prepared["affine"], shape):
        raise Unusable(
            path.name,
            "the mask is of a picture that was exported under other options of `preprocess`: "
            + ("its grid was another one" if prepared else "now there is no picture of its frame"),
            "put those options back, or export and predict again",
        )
    mask = read_mask(path, shape, "picture").astype(np.float32)
    field = decode_picture(prepared["field"]["bytes"]) > 0
    return outline_nodules(to_frame(mask, np.array(prepared["affine"]), field.shape), field)


def only(paths: list[Path]) -> Path:
    """Return the one mask of a frame."""
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise Unusable(paths[0].name, f"several masks for one frame: {names}", "leave one of them")
    return paths[0]


def import_masks(
    frames: Path, inputs: Path, folder: Path | None, dataset: str, model: str, out: Path
) -> list[dict[str, Any]]:
    """Write the masks of a chunk of frames to `out`, and return the rows of `quarantine`.

    Without a folder they are those that the data set ships. A frame without a mask gives no row, and a picture that no
    frame asks for is left alone: it may belong to another chunk.
    """
    found, exported = list_masks(folder, dataset) if folder else ({}, {})
    columns = ["frame_id", "image", "affine", "field"]
    rows = stream_rows(inputs, columns) if exported else ()
    prepared = {row["frame_id"]: row for row in rows if row["frame_id"] in exported}
    columns = ["frame_id", "case_id", "frame_index", "position", "height", "width", "given_mask"]
    lost = []
    with write_beside(out) as beside, RowWriter(beside, masks.SCHEMA) as writer:
        for frame in stream_rows(frames, columns=columns):
            key = frame["frame_id"]
            paths = found.get(name_of(frame), []) + exported.get(key, [])
            shipped = None if folder else frame["given_mask"]
            if not (paths or shipped):
                continue
            try:
                if shipped:
                    labels = label_nodules(decode_picture(shipped["bytes"]), min_area=1)
                elif only(paths) in exported.get(key, []):
                    labels = read_exported(paths[0], prepared.get(key))
                else:
                    labels = label_nodules(read_mask(paths[0], (frame["height"], frame["width"])), min_area=1)
            except Unusable as problem:
                case = {"case_id": frame["case_id"], "dataset": dataset}
                lost.append(problem_row("import_masks", case, "partial", problem))
                if folder:
                    lost[-1]["file"] = f"{folder.name}/{problem.file}"
                continue
            writer.write(
                {
                    "frame_id": key,
                    "case_id": frame["case_id"],
                    "model": model,
                    "fold": "given",
                    "mask": {"bytes": encode_png(labels), "path": None},
                }
            )
    return lost


def main(argv: list[str] | None = None) -> None:
    """Import the masks of one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs of the same frames")
    arguments.add_argument(
        "--folder", type=command.existing, nargs="*", help="folder with the masks; none: those that the data set ships"
    )
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--model", required=True, help="the name that the masks go by")
    arguments.add_argument("--masks", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("import_masks")
    folder = next(iter(args.folder), None)
    lost = import_masks(args.frames, args.inputs, folder, args.dataset, args.model, args.masks)
    write_rows(args.quarantine, lost, quarantine.SCHEMA)
    for row in lost:
        log.warning("%s: %s: %s", row["case_id"], row["file"], row["reason"])


if __name__ == "__main__":
    main()
