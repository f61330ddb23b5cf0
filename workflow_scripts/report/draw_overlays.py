"""The expert's outline and the model's, as paths of SVG to lay over a frame's own pixels."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.report.draw_frames import data_uri, outlines
from workflow_scripts.tables.table import pick_rows, planned

DRAWN = ("frame_index", "position", "height", "width")


def drawn_frames(models: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (model, frame) for every frame that the summary of the models asks to be drawn."""
    for model, figures in models.items():
        for frame in [*(each for kind in figures["frames"].values() for each in kind), *figures["flagged"]["drawn"]]:
            yield model, frame


def draw_overlays(
    datasets: Path, roots: dict[str, str], models: dict[str, Any], corrected: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return the pictures of the frames to draw; each frame of `models` learns its number and size.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    roots
        The folder of the source files of each data set.
    models
        The models of `summarise_segmentation`.
    corrected
        Label PNGs by "dataset/frame_id": outlines that a reviewer drew, against which these frames were scored.

    Returns
    -------
    `pixels`: one picture a frame, however often it is drawn, with the expert's outline; `predictions`: of each model
    its outlines. Frames go by "dataset/frame_id"; outlines are paths of SVG.
    """
    wanted: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for model, frame in drawn_frames(models):
        wanted[frame["dataset"]].append((model, frame))
    pixels: dict[str, Any] = {}
    predictions: dict[str, dict[str, str]] = {model: {} for model in models}
    for name, asked in sorted(wanted.items()):
        names = {frame["frame_id"] for _, frame in asked}
        for row in pick_rows(planned(datasets / name, "frames"), names):
            for frame in (frame for _, frame in asked if frame["frame_id"] == row["frame_id"]):
                frame |= {key: row[key] for key in DRAWN}
            outline = corrected.get(f"{name}/{row['frame_id']}") or (row["mask"] and row["mask"]["bytes"])
            pixels[f"{name}/{row['frame_id']}"] = {
                "id": f"pixels-{len(pixels) + 1}",
                "href": data_uri(read_shown(row, Path(roots[name]))),
                "width": str(row["width"]),
                "height": str(row["height"]),
                "reference": outlines(decode_picture(outline) if outline else None),
            }
        by_fold: dict[tuple[str, str], set[str]] = defaultdict(set)
        for model, frame in asked:
            by_fold[model, frame["fold"]].add(frame["frame_id"])
        for (model, fold), own in sorted(by_fold.items()):
            for row in pick_rows(planned(datasets / name, f"masks/{model}/{fold}"), own):
                predictions[model][f"{name}/{row['frame_id']}"] = outlines(decode_picture(row["mask"]["bytes"]))
    return {"pixels": pixels, "predictions": predictions}
