"""Write the page on which the cases that should be looked at are decided, the worst first; it needs no server."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts import command
from workflow_scripts.decisions import read_decisions
from workflow_scripts.files import write_folder_beside
from workflow_scripts.imaging.contours import closed_path, points_to_move
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.imaging.values import read_shown
from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.review.queue import Item, choose_items
from workflow_scripts.tables.table import pick_rows, planned

HERE = Path(__file__).parent
PAGE, STYLE, SCRIPT, WORDS = "page.html", "page.css", "page.js", "words.json"
MOST = 500  # cases on one page
FRAME = ["frame_id", "image", "slope", "intercept", "window", "inverted", "height", "width", "mask", "pixel_sha256"]


def show_frame(frame: Mapping[str, Any], field: np.ndarray, root: Path) -> bytes:
    """Return a frame as PNG, black outside the (H, W) field: what a scanner wrote there is not passed on."""
    image = read_shown(frame, root)
    image[~field] = 0
    return encode_png(image)


def box_of(field: np.ndarray, masks: Sequence[np.ndarray]) -> list[int]:
    """Return x, y, width and height of what there is to see: the field, and outlines that leave it."""
    seen = np.any([field, *(mask > 0 for mask in masks)], axis=0)
    return list(cv2.boundingRect(seen.astype(np.uint8)))


def write_items(datasets: Path, roots: Mapping[str, str], items: Sequence[Item], folder: Path) -> list[dict[str, Any]]:
    """Write the pictures of the items to `folder`, and return what the page holds of each, in their order.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    roots
        The folder of the source files of each data set.
    items
        The cases to show.
    """
    of: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        of[item.dataset].append(item)
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for dataset, own in sorted(of.items()):
        wanted = {item.frame_id for item in own}
        fields = {
            row["frame_id"]: row["field"]["bytes"]
            for row in pick_rows(planned(datasets / dataset, "inputs"), wanted, ["frame_id", "field"])
        }
        masks: dict[str, dict[str, bytes]] = defaultdict(dict)
        for model, fold in sorted({(each["model"], each["fold"]) for item in own for each in item.predictions}):
            tables = planned(datasets / dataset, f"masks/{model}/{fold}")
            for row in pick_rows(tables, wanted, ["frame_id", "mask"]):
                masks[row["frame_id"]][model] = row["mask"]["bytes"]
        by_frame = {item.frame_id: item for item in own}
        for row in pick_rows(planned(datasets / dataset, "frames"), wanted, FRAME):
            item, name = by_frame[row["frame_id"]], f"{row['pixel_sha256'][:20]}.png"
            field = np.ones((row["height"], row["width"]), bool)  # of a frame whose field was not found
            if row["frame_id"] in fields:
                field = decode_picture(fields[row["frame_id"]]) > 0
            (folder / name).write_bytes(show_frame(row, field, Path(roots[dataset])))
            reference = decode_picture(row["mask"]["bytes"]) if row["mask"] else None
            drawn = {model: decode_picture(data) for model, data in masks[row["frame_id"]].items()}
            shown[dataset, item.case_id] = item.told() | {
                **{key: row[key] for key in ("height", "width", "pixel_sha256")},
                "picture": f"{folder.name}/{name}",
                "box": box_of(field, [mask for mask in (reference, *drawn.values()) if mask is not None]),
                "reference": None if reference is None else closed_path(reference),
                "predictions": [
                    each
                    | {"outline": closed_path(drawn[each["model"]]), "points": points_to_move(drawn[each["model"]])}
                    for each in item.predictions
                    if each["model"] in drawn
                ],
            }
    return [shown[item.dataset, item.case_id] for item in items if (item.dataset, item.case_id) in shown]


def render(data: Mapping[str, Any]) -> str:
    """Return the page: its style, its script, its words and its data in one file, beside which the pictures lie."""
    words = json.loads((HERE / WORDS).read_text(encoding="utf-8"))
    parts = {
        "/*STYLE*/": (HERE / STYLE).read_text(encoding="utf-8"),
        "/*SCRIPT*/": (HERE / SCRIPT).read_text(encoding="utf-8"),
        "/*WORDS*/": _in_script(words),
        "/*DATA*/": _in_script(data),
    }
    page = (HERE / PAGE).read_text(encoding="utf-8")
    for place, text in parts.items():  # the data come last: what they say is not looked through again
        before, _, after = page.partition(place)
        page = before + text + after
    return page


def _in_script(value: Any) -> str:
    """Return JSON that no text in it can end: a comment or a name may hold </script>."""
    return canonical_json(value).replace("<", "\\u003c")


def write_review_page(
    datasets: Path, roots: Mapping[str, str], spec: dict[str, Any], flags: Path | None, review: Path | None, page: Path
) -> int:
    """Write the folder `page` and return how many cases are on it.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    roots
        The folder of the source files of each data set.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with.
    flags
        The table of flags; None where nothing was scored.
    review
        A review.csv: what is decided in it is not asked again, and goes on into the next; None: nobody has looked yet.
    """
    done = {(decision.dataset, decision.case_id) for decision in read_decisions(review)} if review else set()
    items = choose_items(datasets, spec, flags, done)
    (page / "pictures").mkdir(parents=True)
    shown = write_items(datasets, roots, items[:MOST], page / "pictures")
    notices = {name: datasets / name / "NOTICE.txt" for name in sorted({item.dataset for item in items})}
    data = {
        "items": shown,
        "more": max(0, len(items) - MOST),
        "review": review.read_text(encoding="utf-8-sig") if review else None,
        "notices": {name: path.read_text(encoding="utf-8") for name, path in notices.items() if path.is_file()},
    }
    run = sha256(canonical_json(data))[:16]
    (page / "index.html").write_text(render(data | {"run": run}), encoding="utf-8")
    return len(shown)


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument(
        "--spec",
        type=command.json_argument,
        required=True,
        help="models, datasets as JSON: see write_review_page",
    )
    arguments.add_argument("--flags", type=command.existing, nargs="?", help="flags.parquet, if anything was scored")
    arguments.add_argument("--review", type=command.existing, nargs="?", help="review.csv of before, if there is one")
    arguments.add_argument("--page", type=Path, required=True, help="folder to write")
    args = arguments.parse_args(argv)
    log = command.start("write_review_page")
    with write_folder_beside(args.page) as page:
        count = write_review_page(args.datasets, args.roots, args.spec, args.flags, args.review, page)
    log.info("%d cases to look at: %s", count, args.page / "index.html")


if __name__ == "__main__":
    main()
