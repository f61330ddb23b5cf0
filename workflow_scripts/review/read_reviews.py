"""Take what reviewers decided on the cases of one chunk: whom they accept, and the outlines that they drew anew."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts import command
from workflow_scripts.decisions import Decision, Polygon, read_decisions
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import chunk_of
from workflow_scripts.tables import reviews
from workflow_scripts.tables.table import stream_rows, write_rows

FINE = 8  # binary places of a coordinate that OpenCV keeps


def fill(polygons: Sequence[Polygon], height: int, width: int) -> np.ndarray:
    """Return a label mask of the polygons that somebody drew.

    Parameters
    ----------
    polygons
        Points (x, y) in pixels, (0, 0) the middle of the upper left one.
    height, width
        Of the frame, pixels.

    Returns
    -------
    np.ndarray
        (H, W) uint8: the n-th polygon is n, and where two overlap, the later; pixels on an edge belong to it.

    Raises
    ------
    ValueError
        When a polygon leaves the picture, or there are more than 255.
    """
    if len(polygons) > 255:
        raise ValueError(f"{len(polygons)} polygons; at most 255 can be told apart")
    mask = np.zeros((height, width), np.uint8)
    for label, polygon in enumerate(polygons, 1):
        points = np.array(polygon)
        if (points < -0.5).any() or (points > np.array([width, height]) - 0.5).any():
            raise ValueError(f"a point lies outside the picture of {width} x {height} pixels")
        cv2.fillPoly(mask, [np.rint(points * 2**FINE).astype(np.int32)], label, shift=FINE)
    return mask


def review_frame(decision: Decision, frame: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the row of `reviews` of a decision.

    `frame` is what `frames` says of its frame (`height`, `width`, `pixel_sha256`), None where there is no such frame.

    Raises
    ------
    ValueError
        When the decision does not fit the frame.
    """
    where = f"frame {decision.frame_id} of {decision.dataset}"
    if frame is None:
        raise ValueError(f"there is no {where}; take the row out, or look whether the case is in quarantine")
    if frame["pixel_sha256"] != decision.pixel_sha256:
        raise ValueError(f"{where} is not the picture that was reviewed: its pixels have changed; review it again")
    try:
        mask = fill(decision.outline, frame["height"], frame["width"]) if decision.outline else None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return {key: getattr(decision, key) for key in ("dataset", "case_id", "frame_id", "decision")} | {
        "comment": decision.comment or None,
        "reviewer": decision.reviewer or None,
        "mask": None if mask is None else {"bytes": encode_png(mask), "path": None},
    }


def read_reviews(decisions: Sequence[Decision], frames: Path) -> list[dict[str, Any]]:
    """Return the rows of `reviews` of a chunk.

    Parameters
    ----------
    decisions
        Those on the chunk's cases that stay.
    frames
        The chunk's table of frames.

    Raises
    ------
    ValueError
        With one line for each decision that does not fit its frame.
    """
    columns = ["frame_id", "height", "width", "pixel_sha256"]
    known = {row["frame_id"]: row for row in stream_rows(frames, columns)}
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    for decision in decisions:
        try:
            rows.append(review_frame(decision, known.get(decision.frame_id)))
        except ValueError as error:
            faults.append(f"review: line {decision.line}: {error}")
    if faults:
        raise ValueError("\ncasebook: ".join(faults))
    return sorted(rows, key=lambda row: row["case_id"])


def main(argv: list[str] | None = None) -> None:
    """Read the reviews of one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--review", type=command.existing, required=True, help="review.csv")
    arguments.add_argument("--frames", type=command.existing, required=True, help="table of frames")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--n-chunks", type=int, required=True, help="into how many the data set is dealt")
    arguments.add_argument("--reviews", type=Path, required=True, help="table to write, named as the chunk is")
    args = arguments.parse_args(argv)
    log = command.start("read_reviews")
    own = [
        decision
        for decision in read_decisions(args.review)
        if (decision.dataset, chunk_of(decision.case_id, args.n_chunks)) == (args.dataset, args.reviews.stem)
        and decision.decision != "exclude"
    ]
    try:
        rows = read_reviews(own, args.frames)
    except ValueError as error:
        raise command.Refusal(str(error)) from None
    write_rows(args.reviews, rows, reviews.SCHEMA)
    for row in rows:
        log.info("case %s: %s", row["case_id"], row["decision"])


if __name__ == "__main__":
    main()
