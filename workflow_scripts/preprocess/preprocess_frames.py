"""Make the frames of one chunk ready for a model: field only, cleaned, one size, with the way back to the source."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts import command
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.field_of_view import FieldNotFound, find_field
from workflow_scripts.imaging.overlays import remove_overlays
from workflow_scripts.imaging.stills import decode_picture, encode_png, to_grey
from workflow_scripts.imaging.text import available, find_text
from workflow_scripts.imaging.ultrasound import adjust_contrast, reduce_speckle, resize_keeping_aspect
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.tables import inputs, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.reviews import read_corrected
from workflow_scripts.tables.table import RowWriter, stream_rows, write_rows


class TextSuspected(ValueError):
    """Words seem to be burned into what a picture shows; the message says where, never what they say."""


@dataclass(frozen=True)
class Prepared:
    """One frame ready for a model; see the columns of `inputs`."""

    image: np.ndarray
    mask: np.ndarray | None
    affine: np.ndarray
    field: np.ndarray
    overlay: np.ndarray
    mask_kept: float | None


def prepare_frame(
    image: np.ndarray, mask: np.ndarray | None, spec: dict[str, Any], ultrasound: bool = True
) -> Prepared:
    """Return a frame as a model sees it. What is not ultrasound has no field, no overlays and no speckle.

    Parameters
    ----------
    image
        (H, W) grey or (H, W, 3) RGB, uint8.
    mask
        (H, W) labels, or None.
    spec
        The options `preprocess` of config/config.yaml.

    Raises
    ------
    FieldNotFound
        When the picture has no ultrasound field.
    TextSuspected
        When `text` is not off, and words are found in the field.
    """
    if not ultrasound:
        spec = spec | {"overlays": False, "speckle": "none", "contrast": "none"}
    # Stored in any case: no scenario shows what is outside it.
    field = find_field(image) if ultrasound else np.ones(image.shape[:2], bool)
    if spec["text"] != "off" and (boxes := find_text(image, field)):
        first, more = boxes[0], f", and {len(boxes) - 1} more" if len(boxes) > 1 else ""
        place = f"at x {first.x}, y {first.y}, {first.width} x {first.height} pixels{more}"
        raise TextSuspected(f"text is suspected in the picture: {place}")
    shown = field if spec["field_of_view"] else np.ones(image.shape[:2], bool)
    overlay = np.zeros(image.shape[:2], bool)
    grey = to_grey(image)
    if spec["overlays"]:
        grey, overlay = remove_overlays(image, field)
    x, y, width, height = cv2.boundingRect(shown.astype(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    clean = np.where(shown, grey, 0)[box]
    clean = reduce_speckle(clean, spec["speckle"])
    clean = adjust_contrast(clean, shown[box], spec["contrast"])
    inside = None if mask is None else np.where(shown, mask, 0)[box].astype(np.uint8)
    picture, small, affine = resize_keeping_aspect(clean, inside, tuple(spec["size"]))
    affine = affine + np.array([[0, 0, x], [0, 0, y]])  # from the cut field to the whole frame
    kept = None if mask is None else np.count_nonzero(field & (mask > 0)) / max(1, int(np.count_nonzero(mask)))
    return Prepared(picture, small, affine, field, overlay, kept)


def preprocess_frames(
    frames: Path, dataset: str, root: Path, spec: dict[str, Any], out: Path, reviews: Path | None = None
) -> list[dict[str, Any]]:
    """Write the inputs of a chunk of frames to `out`, and return the rows of `quarantine`.

    Outlines of the table `reviews` take the place of the frames' own: a model learns from them.
    """
    corrected = read_corrected(reviews)
    lost: list[tuple[str, Unusable]] = []
    usable = set()
    with write_beside(out) as beside, RowWriter(beside, inputs.SCHEMA) as writer:
        for frame in stream_rows(frames):
            image = read_shown(frame, root)
            outline = corrected.get(frame["frame_id"]) or (frame["mask"] and frame["mask"]["bytes"])
            mask = decode_picture(outline) if outline else None
            try:
                prepared = prepare_frame(image, mask, spec, frame["modality"] == "US")
            except (FieldNotFound, TextSuspected) as error:
                name = frame["position"] or f"frame {frame['frame_index'] + 1}"
                seen = isinstance(error, TextSuspected)
                mend = "look at it: leave it out, or blank the text in a copy" if seen else "leave the picture out"
                lost.append((frame["case_id"], Unusable(name, str(error), mend)))
                continue
            usable.add(frame["case_id"])
            writer.write(
                {
                    "frame_id": frame["frame_id"],
                    "case_id": frame["case_id"],
                    "image": picture(prepared.image),
                    "mask": None if prepared.mask is None else picture(prepared.mask),
                    "affine": prepared.affine.ravel().tolist(),
                    "field": field_picture(prepared.field.tobytes(), prepared.field.shape),
                    "overlay": picture(prepared.overlay.astype(np.uint8) * 255) if prepared.overlay.any() else None,
                    "mask_kept": prepared.mask_kept,
                }
            )
    return [
        problem_row(
            "preprocess_frames",
            {"case_id": case_id, "dataset": dataset},
            "partial" if case_id in usable else "quarantined",
            problem,
        )
        for case_id, problem in lost
    ]


def picture(pixels: np.ndarray) -> dict[str, Any]:
    """Return the picture column of a table for pixels."""
    return {"bytes": encode_png(pixels), "path": None}


@lru_cache(maxsize=1)  # it hardly changes from frame to frame of a clip, and is the largest picture of a row
def field_picture(field: bytes, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the picture column of a table for a field, (H, W) bool as bytes."""
    return picture(np.frombuffer(field, np.uint8).reshape(shape) * np.uint8(255))


def main(argv: list[str] | None = None) -> None:
    """Preprocess one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="options `preprocess` as JSON")
    arguments.add_argument("--reviews", type=command.existing, nargs="?", help="table of reviews to learn from, if any")
    arguments.add_argument("--inputs", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("preprocess_frames")
    if args.spec["text"] != "off":
        if not available():
            raise command.Refusal(
                "preprocess.text: rapidocr is asked for and not installed; install the group `text` of pyproject.toml"
                ' (`make setup` does, the lean lock does not), or write "off" in quotes'
            )
        log.info("text: %s", available())
    root = Path(args.roots[args.dataset])
    lost = preprocess_frames(args.frames, args.dataset, root, args.spec, args.inputs, args.reviews)
    write_rows(args.quarantine, lost, quarantine.SCHEMA)
    for row in lost:
        log.warning("%s: %s: %s", row["case_id"], row["file"], row["reason"])


if __name__ == "__main__":
    main()
