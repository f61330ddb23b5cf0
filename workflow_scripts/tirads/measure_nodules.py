"""Measure every outlined nodule of one chunk, the expert's and each model's, on the frames' own pixels."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.descriptors import describe_nodules
from workflow_scripts.imaging.measure import measure_nodules, nodules_of
from workflow_scripts.imaging.stills import decode_field, decode_picture, to_grey
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.tables import nodules
from workflow_scripts.tables.table import stream_rows, write_rows

FRAME = ["frame_id", "case_id", "spacing_mm", "image", "slope", "intercept", "window", "inverted", "mask", "mask_kind"]


def measure_frame(
    image: np.ndarray,
    labels: np.ndarray,
    field: np.ndarray,
    overlay: np.ndarray | None,
    spacing_mm: tuple[float, float] | None,
) -> list[dict[str, Any]]:
    """Return the columns of `nodules` that are measured, a row for each nodule of a label mask.

    Parameters
    ----------
    image
        (H, W) grey or (H, W, 3) RGB, uint8, as it was decoded.
    labels
        (H, W) uint8: 0 background, 1..n nodules.
    field, overlay
        (H, W) bool: the ultrasound field, and what was painted over in it (None: nothing).
    spacing_mm
        Distance between (rows, columns) in mm; None where nobody states it.
    """
    sizes = measure_nodules(labels, spacing_mm)
    described = describe_nodules(to_grey(image), labels, field, overlay, spacing_mm)
    return [
        {"nodule": label, **asdict(size), **asdict(looks)}
        for label, size, looks in zip(nodules_of(labels), sizes, described, strict=True)
    ]


def measure_chunk(frames: Path, inputs: Path, masks: Iterable[Path], root: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of `nodules` of one chunk: frame by frame, the expert's outlines before those of the tables.

    A frame without a field has no row in `inputs` (it is in quarantine), and none here.

    Parameters
    ----------
    frames, inputs
        The chunk's tables.
    masks
        Tables of masks on these frames, of any models and folds.
    root
        The data set's folder, for stills that already are files.
    """
    prepared = {row["frame_id"]: row for row in stream_rows(inputs, ["frame_id", "field", "overlay"])}
    predicted: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(masks):
        for row in stream_rows(path, ["frame_id", "model", "fold", "mask"]):
            predicted.setdefault(row["frame_id"], []).append(row)
    for frame in stream_rows(frames, FRAME):
        outlines = [(row["model"], row["fold"], row["mask"]) for row in predicted.get(frame["frame_id"], [])]
        if frame["mask_kind"] == "nodule":
            outlines.insert(0, (nodules.EXPERT, None, frame["mask"]))
        if not outlines or frame["frame_id"] not in prepared:
            continue
        image, known = read_shown(frame, root), prepared[frame["frame_id"]]
        field = decode_field(known["field"]["bytes"])
        overlay = decode_picture(known["overlay"]["bytes"]) > 0 if known["overlay"] else None
        spacing = tuple(frame["spacing_mm"]) if frame["spacing_mm"] else None
        for who, fold, mask in outlines:
            about = {"frame_id": frame["frame_id"], "case_id": frame["case_id"], "outlined_by": who, "fold": fold}
            for measured in measure_frame(image, decode_picture(mask["bytes"]), field, overlay, spacing):
                yield about | measured


def main(argv: list[str] | None = None) -> None:
    """Measure one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--inputs", type=command.existing, required=True, help="table of inputs")
    arguments.add_argument("--masks", type=command.existing, nargs="*", default=[], help="tables of masks")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--nodules", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("measure_nodules")
    rows = list(measure_chunk(args.frames, args.inputs, args.masks, Path(args.roots[args.dataset])))
    write_rows(args.nodules, rows, nodules.SCHEMA)
    log.info("%d nodules on %d frames", len(rows), len({row["frame_id"] for row in rows}))


if __name__ == "__main__":
    main()
