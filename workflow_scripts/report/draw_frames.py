"""A few frames of a data set as pictures in a page: the expert's outline, what was blanked, what a model sees."""

import base64
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts.files import natural
from workflow_scripts.imaging.contours import closed_path
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.tables.table import pick_rows, planned, stream_rows

SAMPLED_CASES = 12
CUT_FRAMES = 3
SIDE, WEBP_QUALITY = 1024, 80


def spread(items: Sequence[str], n: int) -> list[str]:
    """Return at most `n` of `items`, evenly spread from the first to the last."""
    if len(items) <= n:
        return list(items)
    return [items[round(k * (len(items) - 1) / (n - 1))] for k in range(n)]


def choose_samples(folder: Path, through: Collection[str]) -> list[str]:
    """Return the frames to draw: the middle outlined one of some cases, and those whose outline was cut the most.

    A case without outlines gives the middle one of all its frames.
    """
    sampled = spread(list(through), SAMPLED_CASES)
    ready: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    cut: list[tuple[float, tuple, str]] = []
    for path in planned(folder, "inputs"):
        for row in stream_rows(path, ["frame_id", "case_id", "mask_kept"]):
            kept = row["mask_kept"]
            if row["case_id"] in sampled:
                ready[row["case_id"]].append((row["frame_id"], kept is not None))
            if row["case_id"] in through and kept is not None and kept < 1:
                cut.append((kept, natural(row["frame_id"]), row["frame_id"]))
    chosen = []
    for case in sampled:
        frames = [frame for frame, outlined in ready[case] if outlined] or [frame for frame, _ in ready[case]]
        chosen.append(frames[(len(frames) - 1) // 2])
    return chosen + [frame for *_, frame in sorted(cut)[:CUT_FRAMES] if frame not in chosen]


def draw_frames(folder: Path, root: Path, through: Collection[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the figures and the drawings of each sampled frame.

    The drawings are pictures as data URIs, and paths of SVG to lay over them: no pixel is drawn upon.
    """
    chosen = choose_samples(folder, through)
    inputs = {row["frame_id"]: row for row in pick_rows(planned(folder, "inputs"), set(chosen))}
    frames = {row["frame_id"]: row for row in pick_rows(planned(folder, "frames"), set(chosen))}
    for frame_id in chosen:
        frame, ready = frames[frame_id], inputs[frame_id]
        kept = ready["mask_kept"]
        figures = {
            **{key: frame[key] for key in ("case_id", "frame_id", "frame_index", "position", "height", "width")},
            "mask_kept": None if kept is None else round(kept, 3),
        }
        pixels = decode_picture(ready["image"]["bytes"])
        yield (
            figures,
            {
                "source": data_uri(read_shown(frame, root)),
                "source_box": f"0 0 {frame['width']} {frame['height']}",
                "outline": outlines(stored(frame["mask"])),
                "blanked": outlines(255 - decode_picture(ready["field"]["bytes"])),
                "painted": outlines(stored(ready["overlay"])),
                "input": data_uri(pixels),
                "input_box": f"0 0 {pixels.shape[1]} {pixels.shape[0]}",
                "input_outline": outlines(stored(ready["mask"])),
            },
        )


def stored(picture: dict[str, Any] | None) -> np.ndarray | None:
    """Return the pixels of a picture column, None where there are none."""
    return decode_picture(picture["bytes"]) if picture else None


def outlines(labels: np.ndarray | None) -> str:
    """Return the path of SVG around every label of a mask, holes included; empty where there is none."""
    return "" if labels is None else closed_path(labels)


def data_uri(pixels: np.ndarray) -> str:
    """Return a picture, (H, W) grey or (H, W, 3) RGB, uint8, as text that a page holds in itself.

    It is there to be looked at: WebP at `WEBP_QUALITY` and at most `SIDE` pixels wide or high, a sixth of a PNG.
    """
    if (scale := SIDE / max(pixels.shape[:2])) < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shown = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    data = cv2.imencode(".webp", shown, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
