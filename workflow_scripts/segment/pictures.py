"""The pictures that a model is trained on and validated on: whole patients, and never the fold that is held out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import sha256
from workflow_scripts.tables.table import planned, stream_rows

FRAMES_A_CASE = 8  # so many frames spread over a clip: neighbours teach little, and a long one would outweigh others
VALIDATION_SHARE = 0.12  # of the groups that are not held out


@dataclass
class Pictures:
    """Pictures (n, H, W) uint8 with their masks (n, H, W) of {0, 1}, in a fixed order."""

    frame_ids: list[str]
    images: np.ndarray
    masks: np.ndarray


def deal(rows: list[dict[str, Any]], fold: int, seed: int) -> tuple[set, set]:
    """Return the cases (dataset, case_id) to train on and those to validate on; the fold held out is in neither.

    Validation takes whole groups, by a hash of the group's name: the same group validates whatever else is added.
    """
    if not any(row["fold"] == fold for row in rows):
        last = max(row["fold"] for row in rows)
        raise command.Refusal(
            f"fold {fold} holds no case: the split has {last + 1} folds; write split.folds: {last + 1}"
        )
    groups = sorted(
        {row["group_id"] for row in rows if row["fold"] != fold}, key=lambda group: sha256(f"{seed}/{group}")
    )
    validating = set(groups[: max(1, round(VALIDATION_SHARE * len(groups)))])
    train, validate = set[tuple[str, str]](), set[tuple[str, str]]()
    for row in rows:
        if row["fold"] != fold:
            (validate if row["group_id"] in validating else train).add((row["dataset"], row["case_id"]))
    if not train:
        raise command.Refusal(f"fold {fold}: no group is left to train on; lower split.folds, or add patients")
    return train, validate


def read_pictures(datasets: Path, cases: set[tuple[str, str]], name: str) -> Pictures:
    """Return the outlined inputs of some cases, of a long case `FRAMES_A_CASE` spread over it.

    Raises
    ------
    Refusal
        When no mask holds a nodule, or every pixel of every mask does.
    """
    by_case: dict[tuple[str, str], list[str]] = {}
    for dataset in sorted({dataset for dataset, _ in cases}):
        for path in planned(datasets / dataset, "inputs"):
            for row in stream_rows(path, ["frame_id", "case_id", "mask_kept"]):
                if (dataset, row["case_id"]) in cases and row["mask_kept"] is not None:
                    by_case.setdefault((dataset, row["case_id"]), []).append(row["frame_id"])
    wanted = {
        (dataset, frames[round(k)])
        for (dataset, _), frames in by_case.items()
        for k in np.linspace(0, len(frames) - 1, min(FRAMES_A_CASE, len(frames)))
    }
    found = {}
    for dataset in sorted({dataset for dataset, _ in cases}):
        for path in planned(datasets / dataset, "inputs"):
            for row in stream_rows(path, ["frame_id", "image", "mask"]):
                if (dataset, row["frame_id"]) in wanted:
                    mask = (decode_picture(row["mask"]["bytes"]) > 0).astype(np.uint8)
                    found[f"{dataset}/{row['frame_id']}"] = (decode_picture(row["image"]["bytes"]), mask)
    names = sorted(found)
    images, masks = (
        np.stack([found[key][k] for key in names]) if names else np.zeros((0, 1, 1), np.uint8) for k in (0, 1)
    )
    if not masks.any() or masks.all():
        only = "nodule" if masks.any() else "background"
        raise command.Refusal(
            f"{name}: the {len(names)} masks hold one class only ({only}); training needs outlined nodules on a"
            " background: look at the masks in the report"
        )
    return Pictures(names, images, masks)
