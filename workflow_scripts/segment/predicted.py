"""Cases as far as a model looked at them: their frames, and the masks that it drew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.imaging.follow import follow_nodules
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.tables import cases
from workflow_scripts.tables.table import planned, read_rows, stream_rows

COLUMNS = ("frame_id", "case_id", "frame_index", "position", "height", "width", "spacing_mm", "time_s", "image.path")


@dataclass(frozen=True)
class Predicted:
    """A case as far as a model looked at it: rows of `frames` and label PNGs, both by `frame_index`, ascending."""

    row: Mapping[str, Any]
    fold: str
    frames: Mapping[int, Mapping[str, Any]]
    masks: Mapping[int, bytes]

    def followed(self, joined: bool) -> dict[int, np.ndarray]:
        """Return the masks with labels that mean the same nodule in all of them; see `follow_nodules`."""
        return follow_nodules({k: decode_picture(data) for k, data in self.masks.items()}, joined)

    def partly(self, n_frames: int) -> list[str]:
        """Return what must be said where the model looked at a part of a case only."""
        if len(self.masks) == n_frames:
            return []
        return [f"{len(self.masks)} of {n_frames} pictures were looked at; no label elsewhere does not mean no nodule"]


def read_predicted(dataset: Path, model: str, folds: Sequence[str]) -> Iterator[Predicted]:
    """Yield the cases of a data set of which a model predicted something, chunk by chunk."""
    for chunk in planned(dataset, "chunks"):
        frames = {row["frame_id"]: row for row in stream_rows(dataset / "frames" / chunk.name, list(COLUMNS))}
        found: dict[tuple[str, str], dict[int, bytes]] = {}
        for fold in folds:
            path = dataset / "masks" / model / fold / chunk.name
            if not path.is_file():
                raise command.Refusal(f"export_masks: {path} is not there; predict first, with learn: true")
            for row in stream_rows(path, ["frame_id", "case_id", "mask"]):
                index = frames[row["frame_id"]]["frame_index"]
                found.setdefault((row["case_id"], fold), {})[index] = row["mask"]["bytes"]
        about = {row["case_id"]: row for row in read_rows(chunk, cases.SCHEMA)}
        for (case_id, fold), masks in found.items():
            mine = {row["frame_index"]: row for row in frames.values() if row["case_id"] == case_id}
            yield Predicted(about[case_id], fold, mine, dict(sorted(masks.items())))
