"""What the stages before have made of a data set, as far as scenarios ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workflow_scripts.collections.collection import Card, card_of
from workflow_scripts.scenarios.pictures import Chunk
from workflow_scripts.tables import cases, grades
from workflow_scripts.tables.table import planned, stream_rows


@dataclass(frozen=True)
class DataSet:
    """What the stages before have made of one data set: `folder` holds their tables, `root` the source files."""

    folder: Path
    root: Path
    kind: str
    wanted: frozenset[str]  # the candidates: of a large data set only they are read

    @cached_property
    def card(self) -> Card:
        """What is known of the data set."""
        one = next(iter(pq.ParquetFile(self.folder / "cases.parquet").iter_batches(1, columns=["label_source"])))
        return card_of(self.kind, one.to_pylist())

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """Every candidate by its id."""
        return {row["case_id"]: row for row in self._of_wanted("cases.parquet", cases.SCHEMA.names)}

    @cached_property
    def grades(self) -> dict[str, Mapping[str, Any]] | None:
        """The grade of every candidate that is not in quarantine; None where the data set is not graded."""
        graded = (self.folder / "grades.parquet").is_file()
        return grades.by_main(self._of_wanted("grades.parquet", grades.SCHEMA.names)) if graded else None

    @cached_property
    def chunks(self) -> dict[str, str]:
        """The name of the file that holds a case, in each of the chunked tables."""
        paths = planned(self.folder, "chunks")
        return {
            row["case_id"]: path.name
            for path in paths
            for row in stream_rows(path, ["case_id"])
            if row["case_id"] in self.wanted
        }

    def chunk_of(self, case_id: str) -> Chunk:
        """Return the chunk that holds a case."""
        name = self.chunks[case_id]
        return Chunk(self.folder / "frames" / name, self.folder / "inputs" / name, self.root)

    def _of_wanted(self, table: str, columns: list[str]) -> list[dict[str, Any]]:
        filters = [("case_id", "in", self.wanted)]
        rows: list[dict[str, Any]] = pq.read_table(self.folder / table, columns=columns, filters=filters).to_pylist()
        return rows
