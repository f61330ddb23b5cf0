"""The way of the cases of one data set: which got through every stage, and at which the others were left.

A million cases are counted as columns: no case is a Python object, but for those in quarantine.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.files import natural
from workflow_scripts.tables import grades
from workflow_scripts.tables.table import planned, read_rows, stream_rows

STAGES = ("index_cases", "extract_frames", "preprocess_frames", "grade_nodules")
IMPORT = "import_masks"  # beside the way of a case: what was wrong with a mask that the user gave
COLUMNS = (  # of the table of cases: what is counted; everything else is read of the few cases that are shown
    *("case_id", "group_id", "group_kind", "n_frames", "label_source"),
    *("pathology", "tirads_system", "tirads_level", "size_mm"),
)


@dataclass(frozen=True)
class Tables:
    """The tables of one data set without their pictures; what is counted stands in the order of the table of cases."""

    folder: Path
    cases: pa.Table  # COLUMNS
    counts: dict[
        str, np.ndarray
    ]  # of every case: planned (0 or 1), and how many frames are taken, outlined, ready, cut
    graded: bool  # whether the data set's cases get a grade
    grades: dict[str, Mapping[str, Any]]  # by case_id, by the system that every case is graded by
    levels: list[dict[str, Any]]  # of every case, by every system
    quarantine: list[Path]

    def mask(self, ids: Collection[str]) -> np.ndarray:
        """Return which cases are among `ids`: (cases,) bool."""
        found: np.ndarray = pc.is_in(self.cases["case_id"], pa.array(ids, pa.string())).to_numpy()
        return found

    def rows(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the whole rows of a few cases."""
        found = pq.read_table(
            self.folder / "cases.parquet", filters=pc.field("case_id").isin(pa.array(sorted(ids), pa.string()))
        )
        return {row["case_id"]: row for row in found.to_pylist()}

    def problems(self, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows of quarantine."""
        return (row for path in self.quarantine for row in stream_rows(path, columns))


def read_tables(folder: Path, scored_with: Collection[str]) -> Tables:
    """Read the tables of the data set under `folder`, scored with these models; pictures are not read."""
    imported = [f"{IMPORT}/{model}" for model in scored_with if (folder / "quarantine" / IMPORT / model).is_dir()]
    stages = [*STAGES[1:3], *imported]
    graded = (folder / "grades.parquet").is_file()
    levels = read_rows(folder / "grades.parquet", grades.SCHEMA) if graded else []
    by_chunk = [path for stage in stages for path in planned(folder, f"quarantine/{stage}")]
    whole = [folder / "quarantine" / f"{stage}.parquet" for stage in (STAGES[0], *STAGES[3:][:graded])]
    found = pq.read_table(folder / "cases.parquet", columns=list(COLUMNS))
    return Tables(
        folder=folder,
        cases=found,
        counts=count_frames(folder, found["case_id"]),
        graded=graded,
        grades=grades.by_main(levels),
        levels=levels,
        quarantine=sorted([*whole, *by_chunk]),
    )


def count_frames(folder: Path, ids: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Count of every case of `ids` whether it is planned, and its frames: taken, outlined, ready, with a cut outline.

    Raises
    ------
    RuntimeError
        When a chunk has a case that is not in the table of cases, or a frame of a case that is not in the chunk.
    """
    counts = {name: np.zeros(len(ids), np.int64) for name in ("planned", "taken", "outlined", "ready", "cut")}
    plan = [pq.read_table(path, columns=["case_id"])["case_id"].combine_chunks() for path in planned(folder, "chunks")]
    tables = zip(plan, planned(folder, "frames"), planned(folder, "inputs"), strict=True)
    places = np.split(_places(pa.chunked_array(plan, pa.string()), ids, folder), np.cumsum([len(own) for own in plan]))
    for (own, frames, inputs), place in zip(tables, places[:-1], strict=True):
        counts["planned"][place] = 1
        taken = pq.ParquetFile(frames).read(["case_id", "mask.path"])  # whether there is a mask, without its pixels
        ready = pq.read_table(inputs, columns=["case_id", "mask_kept"])
        outlined = taken.filter(pc.is_valid(taken["mask"]))
        cut = ready.filter(pc.field("mask_kept") < 1)
        for name, found in {"taken": taken, "outlined": outlined, "ready": ready, "cut": cut}.items():
            counts[name][place] += np.bincount(_places(found["case_id"], own, frames), minlength=len(own))
    return counts


def _places(found: pa.ChunkedArray, ids: pa.Array | pa.ChunkedArray, file: Path) -> np.ndarray:
    """Return where in `ids` each of `found` stands."""
    places = pc.index_in(found, value_set=ids)
    if places.null_count:
        astray = found.filter(pc.is_null(places)).unique().to_pylist()
        raise RuntimeError(f"{file}: {len(astray)} cases that were not planned; astray: {', '.join(astray[:5])}")
    where: np.ndarray = places.to_numpy().astype(np.int64)
    return where


def follow_cases(name: str, tables: Tables) -> tuple[np.ndarray, dict[str, Any]]:
    """Return which cases got through, in the order of the table of cases, and how many went where.

    A case got through when it has a frame that is ready, and a grade, and no stage quarantined it; one that the plan
    does not name was not asked for.

    Raises
    ------
    RuntimeError
        When the cases in are not the cases out, those in quarantine, excluded, and not asked for: one went astray.
    """
    left_at: dict[str, int] = {}
    excluded, partial = set[str](), set[str]()
    for row in tables.problems(["case_id", "stage", "status"]):
        if row["stage"] not in STAGES:
            continue
        if row["status"] == "quarantined":
            stage = STAGES.index(row["stage"])
            left_at[row["case_id"]] = min(stage, left_at.get(row["case_id"], stage))
        elif row["status"] == "excluded":
            excluded.add(row["case_id"])
        elif row["status"] == "partial":
            partial.add(row["case_id"])
    left = tables.mask(left_at.keys())
    planned_for = tables.counts["planned"] > 0
    through = (tables.counts["ready"] > 0) & ~left
    if tables.graded:
        through &= tables.mask(tables.grades.keys())
    not_asked = ~planned_for & ~left
    known = set(tables.cases["case_id"].filter(pa.array(left | tables.mask(excluded))).to_pylist())
    gone = excluded | left_at.keys()
    strangers = {case for case in gone - known if case not in excluded and left_at[case] != 0}
    lost = tables.cases["case_id"].filter(pa.array(~(through | not_asked | left) & ~tables.mask(excluded)))
    n_in = tables.cases.num_rows + len(gone - known - strangers)
    if astray := sorted({*lost.to_pylist(), *strangers}, key=natural):
        raise RuntimeError(
            f"{name}: {n_in} cases in are not {through.sum()} out + {len(left_at)} quarantined"
            f" + {len(excluded)} excluded + {not_asked.sum()} not asked for; astray: {', '.join(astray[:5])}"
        )
    lost_at = Counter(left_at.values())
    remaining = n_in
    flow = []
    for number, stage_name in enumerate(STAGES if tables.graded else STAGES[:-1]):
        remaining -= lost_at[number]
        flow.append({"stage": stage_name, "quarantined": lost_at[number], "left": remaining})
        if number == 0:
            remaining -= len(excluded)
            flow[-1] |= {"excluded": len(excluded), "left": remaining}
            remaining -= int(not_asked.sum())
            flow.append({"stage": "plan_chunks", "not_asked_for": int(not_asked.sum()), "left": remaining})
    counts = {
        "in": n_in,
        "out": int(through.sum()),
        "quarantined": len(left_at),
        "excluded": len(excluded),
        "not_asked_for": int(not_asked.sum()),
        "partial": int((tables.mask(partial) & through).sum()),
    }
    return through, {"cases": counts, "flow": flow}
