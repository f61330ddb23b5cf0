"""Look for the frames that a lock names in one's own data: as they are, or altered."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.scenarios.data_set import DataSet
from workflow_scripts.scenarios.pictures import draw, tile_hashes, tiles_of
from workflow_scripts.scenarios.wording import Unfit
from workflow_scripts.tables.table import planned, stream_rows

Case = tuple[str, str]
"""The data set's name and the case's id."""


def find_frames(folders: Mapping[str, Path], wanted: set[str]) -> dict[str, list[Case]]:
    """Return, of the hashes `wanted` that are there, the cases that have a frame of just these pixels."""
    found: dict[str, list[Case]] = {}
    for name, folder in sorted(folders.items()) if wanted else ():
        for path in planned(folder, "frames"):
            for row in stream_rows(path, ["case_id", "pixel_sha256"]):
                if row["pixel_sha256"] in wanted:
                    found.setdefault(row["pixel_sha256"], []).append((name, row["case_id"]))
    return {frame: list(dict.fromkeys(own)) for frame, own in found.items()}


def tiles_that_differ(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many tiles of two pictures differ, place by place."""
    return sum(a != b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Drawing:
    """A picture that a case gives: the hash of its source frame, those of its tiles, and which tiles show something."""

    source_sha256: str
    tiles: list[str]
    textured: list[bool]


class Drawings:
    """The pictures that one's own cases give; a template's candidates are drawn once."""

    def __init__(self, datasets: Mapping[str, DataSet], candidates: Iterable[Mapping[str, Any]]) -> None:
        """Take the data sets by name, and the rows of `candidates`."""
        self._datasets, self._candidates = datasets, list(candidates)
        self._drawn: dict[str, list[Drawing]] = {}

    def draw(self, template: Mapping[str, Any], case: Case) -> Drawing:
        """Return what a template asks for of a case.

        Raises
        ------
        Unfit
            When the case has no such picture.
        """
        name, case_id = case
        drawn = draw(self._datasets[name].chunk_of(case_id), case_id, template)
        textured = [bool(tile.size and np.ptp(tile, axis=(0, 1)).any()) for tile in tiles_of(drawn.picture)]
        return Drawing(drawn.shot.source_sha256, tile_hashes(drawn.picture), textured)

    def most_alike(self, template: Mapping[str, Any], locked: list[str], known: set[str]) -> int | None:
        """Return how many of the locked tiles the candidate lacks that shares most of them; None where none shares one.

        Shared tiles of one colour do not count, and a frame that is one of the `known` is another scenario's.
        """
        if template["name"] not in self._drawn:
            self._drawn[template["name"]] = self._draw_candidates(template)
        shared = {
            sum(a == b and shows for a, b, shows in zip(locked, drawing.tiles, drawing.textured, strict=True)): drawing
            for drawing in self._drawn[template["name"]]
            if drawing.source_sha256 not in known
        }
        most = max(shared, default=0)
        return tiles_that_differ(locked, shared[most].tiles) if most else None

    def _draw_candidates(self, template: Mapping[str, Any]) -> list[Drawing]:
        drawings = []
        for row in self._candidates:
            if row["template"] == template["name"]:
                with contextlib.suppress(Unfit):
                    drawings.append(self.draw(template, (row["dataset"], row["case_id"])))
        return drawings
