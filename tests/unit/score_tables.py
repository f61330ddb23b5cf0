"""Frames and masks in tables, as the stages before make them, and scores computed by the command itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.metrics import score_masks
from workflow_scripts.provenance import canonical_json
from workflow_scripts.tables import cases, folds, frames, inputs, masks, scores
from workflow_scripts.tables.table import read_rows, write_rows

SHAPE = (100, 120)
GATES = {"dice": 0.8, "iou": 0.7}
Pairs = Mapping[str, Sequence[tuple[np.ndarray | None, np.ndarray | None]]]  # prediction and reference by case


def ellipse(row: int = 50, column: int = 60, height: int = 20, width: int = 20) -> np.ndarray:
    """Return one nodule by its centre and half axes."""
    return cv2.ellipse(np.zeros(SHAPE, np.uint8), (column, row), (width, height), 0, 0, 360, 1, -1)


NOTHING = np.zeros(SHAPE, np.uint8)
NODULE = ellipse()
NEARBY = np.roll(NODULE, 5, axis=1)  # Dice 0.84


def png(mask: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(mask), "path": None}


def score_row(frame: int, dice: float | None, group: str = "g", **changes: Any) -> dict[str, Any]:
    """Return a score of two masks of 1000 pixels each and one nodule each; None: of two empty ones."""
    iou = None if dice is None else dice / (2 - dice)
    row: dict[str, Any] = dict.fromkeys(scores.SCHEMA.names) | {"frame_id": f"c/{frame}", "case_id": "c"}
    row |= {"dataset": "d", "group_id": f"d/{group}", "model": "m", "fold": "0", "dice": dice, "iou": iou}
    tp, size, found = round(1000 * (dice or 0)), 0 if dice is None else 1000, int((dice or 0) > 0.2)
    row |= {"tp": tp, "fp": size - tp, "fn": size - tp, "tn": 12000 - 2 * size + tp}
    row |= {
        "n_outlined": size // 1000,
        "n_predicted": size // 1000,
        "n_found": found,
        "found_dice": dice if found else None,
    }
    return row | {"empty_reference": dice is None, "empty_prediction": dice is None} | changes


class House:
    """The folder <results>/datasets with chunks of data sets, each frame a pair of prediction and reference."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = {"models": {"m": []}, "datasets": {}, "gates": GATES, "seed": 0}

    def add(
        self,
        pairs: Pairs,
        dataset: str = "d",
        fold: str = "0",
        chunk: str = "000",
        labels: dict[str, Any] | None = None,
        still: dict[str, Any] | None = None,
        field: np.ndarray | None = None,
    ) -> list[str]:
        """Write one chunk of cases with their frames, fields and masks, and return the arguments of score_masks.

        `labels` are those of every case, `still` are columns of every frame, `field` is that of every frame.
        """
        own = self.folder / dataset
        paths = {name: own / name / f"{chunk}.parquet" for name in ("chunks", "frames", "inputs", f"masks/m/{fold}")}
        listed, stills, ready, predicted = (list[dict[str, Any]]() for _ in range(4))
        for case_id, frames_of_case in pairs.items():
            listed.append({"case_id": case_id, "dataset": dataset, "group_id": f"patient-{case_id}"} | (labels or {}))
            for index, (prediction, reference) in enumerate(frames_of_case):
                frame = {"frame_id": f"{case_id}/{index}", "case_id": case_id}
                stills.append(frame | {"mask": None if reference is None else png(reference)} | (still or {}))
                ready += [] if field is None else [frame | {"field": png(field)}]
                if prediction is not None:
                    predicted.append(frame | {"model": "m", "fold": fold, "mask": png(prediction)})
        tables = (cases, frames, inputs, masks)
        for path, rows, table in zip(paths.values(), [listed, stills, ready, predicted], tables, strict=True):
            write_rows(path, rows, table.SCHEMA)
        self.spec["datasets"][dataset] = ["m"]
        self.spec["models"]["m"] = sorted({*self.spec["models"]["m"], fold})
        named: dict[str, Any] = {"chunk": paths["chunks"], "frames": paths["frames"], "masks": paths[f"masks/m/{fold}"]}
        named |= {"inputs": paths["inputs"], "roots": canonical_json({dataset: str(self.folder)})}
        named |= {"dataset": dataset, "scores": own / "scores" / "m" / fold / f"{chunk}.parquet"}
        return [part for name, value in named.items() for part in (f"--{name}", str(value))]

    def score(self, pairs: Pairs, joined: dict[str, str] | None = None, **where: Any) -> list[dict]:
        """Score one chunk by the command, with `joined` as the groups that a table of folds gives to cases."""
        arguments = [*self.add(pairs, **where), "--folds"]  # with nothing after it, where the rule has no folds
        if joined is not None:
            rows = [
                {"dataset": "d", "case_id": case, "group_id": group, "fold": 0, "joined_because": None}
                for case, group in joined.items()
            ]
            write_rows(self.folder / "folds.parquet", rows, folds.SCHEMA)
            arguments.append(str(self.folder / "folds.parquet"))
        score_masks.main(arguments)
        return read_rows(Path(arguments[arguments.index("--scores") + 1]), scores.SCHEMA)
