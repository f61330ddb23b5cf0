"""Which cases should be looked at, the worst first, and what is known of each."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.files import natural
from workflow_scripts.tables import cases, flags, grades, learned_grades, quality, scores
from workflow_scripts.tables.grades import by_main
from workflow_scripts.tables.table import planned, read_rows, stream_rows

LABELS = ("tirads_system", "tirads_level", "pathology", "physician_conclusion", "ai_advice")
LEARNT = ("system", "level", "sure", "disagreement")
GRADED = ("system", "level", "advice", "advice_en", "advice_zh")


@dataclass
class Item:
    """One case: the frame to show, what predicted it and how well, why it should be looked at, what others say."""

    dataset: str
    case_id: str
    frame_id: str
    place: tuple[int, float]  # in the queue
    n_frames: int = 1
    reasons: list[dict[str, str]] = field(default_factory=list)  # `of` a model or `grade`, and `text`
    predictions: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """Return what the page says of it."""
        names = ("dataset", "case_id", "frame_id", "n_frames", "reasons", "labels")
        kind, figure = self.place
        shown = {} if kind == 2 else {("dice", "bound")[kind]: round(figure, 3) if math.isfinite(figure) else None}
        return {name: getattr(self, name) for name in names} | {"figure": shown}


def choose_items(
    datasets: Path, spec: dict[str, Any], flagged: Path | None, done: Collection[tuple[str, str]]
) -> list[Item]:
    """Return the cases to look at.

    First those whose masks are under a gate, the lowest Dice first; then those that nobody outlined and whose estimate
    asks for a look, the lowest first and the unknown last; then those whose level is doubted.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with.
    flagged
        The table of flags; None where nothing was scored.
    done
        (dataset, case_id) of cases that were decided before: they are left out.
    """
    items: dict[tuple[str, str], Item] = {}
    for row in read_rows(flagged, flags.SCHEMA) if flagged else []:
        key = row["dataset"], row["case_id"]
        if key in done:
            continue
        item = items.setdefault(key, Item(*key, row["worst_frame_id"], (0, row["dice"]), row["n_frames"]))
        item.reasons.append({"of": row["model"], "text": row["reason"]})
    for dataset, models in sorted(spec["datasets"].items()):
        folder = datasets / dataset
        pairs = [(model, fold) for model in models for fold in spec["models"][model]]
        add_estimated(items, folder, pairs, done)
        add_doubted(items, folder, done)
        own = {item.frame_id: item for item in items.values() if item.dataset == dataset}
        add_figures(own, folder, pairs)
        add_labels({item.case_id: item for item in own.values()}, folder)
    return sorted(items.values(), key=lambda item: (*item.place, item.dataset, natural(item.case_id)))


def add_estimated(
    items: dict[tuple[str, str], Item], folder: Path, pairs: list[tuple[str, str]], done: Collection[tuple[str, str]]
) -> None:
    """Add the cases of a data set that no expert outlined and whose estimate asks for a look."""
    scored = {row["case_id"] for path in existing(folder, "scores", pairs) for row in stream_rows(path, ["case_id"])}
    for path in existing(folder, "quality", pairs):
        for row in read_rows(path, quality.SCHEMA):
            key = folder.name, row["case_id"]
            if row["reason"] is None or row["case_id"] in scored or key in done:
                continue
            bound = math.inf if row["lower_bound"] is None else row["lower_bound"]
            item = items.setdefault(key, Item(*key, row["frame_id"], (1, bound)))
            if bound < item.place[1]:
                if row["frame_id"] != item.frame_id:
                    item.reasons = []
                item.frame_id, item.place = row["frame_id"], (1, bound)
            if row["frame_id"] == item.frame_id:
                item.reasons.append({"of": row["model"], "text": row["reason"]})


def add_doubted(items: dict[tuple[str, str], Item], folder: Path, done: Collection[tuple[str, str]]) -> None:
    """Add the cases of a data set whose level or histology what was learnt from other cases contradicts."""
    table = folder / "learned_grades.parquet"
    doubted = {
        row["case_id"]: row["disagreement"]
        for row in (read_rows(table, learned_grades.SCHEMA) if table.is_file() else [])
        if row["disagreement"] and (folder.name, row["case_id"]) not in done
    }
    frames: dict[str, str] = {}
    if wanted := {case_id for case_id in doubted if (folder.name, case_id) not in items}:
        for path in planned(folder, "inputs"):
            for row in stream_rows(path, ["frame_id", "case_id"]):
                if row["case_id"] in wanted:
                    frames.setdefault(row["case_id"], row["frame_id"])
    for case_id, text in doubted.items():
        key = folder.name, case_id
        if key not in items and case_id not in frames:
            continue  # none of its frames could be used
        item = items.get(key) or items.setdefault(key, Item(*key, frames[case_id], (2, 0.0)))
        item.reasons.append({"of": "grade", "text": text})


def existing(folder: Path, table: str, pairs: list[tuple[str, str]]) -> list[Path]:
    """Return the files of a table of a data set, of all that predicted it; not every model is estimated."""
    paths = [path for model, fold in pairs for path in planned(folder, f"{table}/{model}/{fold}")]
    return [path for path in paths if path.is_file()]


def add_figures(items: dict[str, Item], folder: Path, pairs: list[tuple[str, str]]) -> None:
    """Add to items by frame_id what predicted them, with the score and the estimate of each."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table, schema, kept in (
        ("masks", None, ()),
        ("scores", scores.SCHEMA, ("dice", "iou")),
        ("quality", quality.SCHEMA, ("estimate", "lower_bound")),
    ):
        for path in existing(folder, table, pairs):
            rows = read_rows(path, schema) if schema else stream_rows(path, ["frame_id", "model", "fold"])
            for row in rows:
                if row["frame_id"] in items:
                    figures = found.setdefault(
                        (row["frame_id"], row["model"]),
                        {key: row[key] for key in ("model", "fold")}
                        | dict.fromkeys(("dice", "iou", "estimate", "lower_bound")),
                    )
                    figures |= {name: None if row[name] is None else round(row[name], 3) for name in kept}
    for (frame_id, _), figures in found.items():
        items[frame_id].predictions.append(figures)
    for item in items.values():
        item.predictions.sort(key=lambda each: str(each["model"]))


def add_labels(items: dict[str, Item], folder: Path) -> None:
    """Add to items by case_id what the data set, the guideline and the learnt grade say."""
    for row in read_rows(folder / "cases.parquet", cases.SCHEMA):
        if row["case_id"] in items:
            items[row["case_id"]].labels = {name: row[name] for name in LABELS if row[name] is not None}
    tables = folder / "grades.parquet", folder / "learned_grades.parquet"
    graded = by_main(read_rows(tables[0], grades.SCHEMA)) if tables[0].is_file() else {}
    learnt = {row["case_id"]: row for row in read_rows(tables[1], learned_grades.SCHEMA)} if tables[1].is_file() else {}
    for case_id, item in items.items():
        for name, known, kept in (("guideline", graded, GRADED), ("learnt", learnt, LEARNT)):
            if case_id in known:
                item.labels[name] = {key: known[case_id][key] for key in kept if known[case_id][key] is not None}
