"""What every table shares: columns that say what they mean, rows in and out of Parquet, nothing half-written."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.files import write_beside

# The structure that Hugging Face `datasets` reads as its Image feature. A still that already is a file keeps its path
# (relative to its data set's root) and no bytes.
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def column(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> pa.Field:
    """Return a field that carries its meaning and, where it has one, its unit."""
    return pa.field(name, kind, metadata={"meaning": meaning, **({"unit": unit} if unit else {})})


GROUP = 1 << 16  # rows of a row group: what reads a table as a stream never holds more


def as_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return `rows` as a table.

    Raises
    ------
    ValueError
        When a row has a key that the schema lacks: a misspelt column would otherwise be lost in silence.
    """
    rows = list(rows)
    used = set[str]().union(*rows)
    if unknown := used - set(schema.names):
        raise ValueError(f"no column {sorted(unknown)} in the table; it has {schema.names}")
    columns = [  # most kinds fill few of the columns
        pa.array([row.get(field.name) for row in rows], field.type)
        if field.name in used
        else _nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@lru_cache
def _nulls(count: int, kind: pa.DataType) -> pa.Array:
    """Return a column of nulls: one for all columns and all blocks of its kind and length."""
    return pa.nulls(count, kind)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as one Parquet file: the same rows give the same bytes, in however many pieces they came."""
    with write_beside(path) as beside, pq.ParquetWriter(beside, table.schema, compression="zstd") as file:
        for start in range(0, max(table.num_rows, 1), GROUP):
            file.write_table(table.slice(start, GROUP).combine_chunks())


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` as one Parquet file; see `as_table`."""
    write_table(path, as_table(rows, schema))


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a table, checked against its schema."""
    with pq.ParquetFile(path) as file:  # no threads: where memory for one is short, Arrow would wait for it for ever
        table = file.read(use_threads=False)
    if table.schema.names != schema.names:
        raise ValueError(f"{path}: columns {table.schema.names}, expected {schema.names}; delete it and run again")
    return table


def read_rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Read a table as a list of rows, checked against its schema."""
    rows: list[dict[str, Any]] = read_table(path, schema).to_pylist()
    return rows


def read_many(paths: Iterable[Path], schema: pa.Schema) -> list[dict[str, Any]]:
    """Read several files of one table, in the order of their paths."""
    return [row for path in sorted(paths) for row in read_rows(path, schema)]


def planned(dataset: Path, table: str) -> list[Path]:
    """Return the files of a chunked table of one data set that its plan names: what an earlier plan left is not read.

    `dataset` is the folder <results>/datasets/<name>, whose `chunks/` is the plan.
    """
    return [dataset / table / path.name for path in sorted((dataset / "chunks").glob("*.parquet"))]


def stream_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a large table one by one; a row group is the most that is in memory."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=columns).to_pylist()


def pick_rows(paths: Iterable[Path], frames: set[str], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of these frames; of row groups without one no picture is read."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                if not frames.isdisjoint(file.read_row_group(group, ["frame_id"])["frame_id"].to_pylist()):
                    rows = file.read_row_group(group, columns).to_pylist()
                    yield from (row for row in rows if row["frame_id"] in frames)


class RowWriter:
    """Writes a table of pictures in row groups of `group` rows, so that memory does not grow with it."""

    def __init__(self, path: Path, schema: pa.Schema, group: int = 32) -> None:
        """Open `path` (the name that was given by `write_beside`) for writing."""
        # PNG bytes do not shrink further, and a dictionary of pictures only costs memory.
        self._file = pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False)
        self._schema, self._group, self._rows = schema, group, list[Mapping[str, Any]]()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row."""
        self._rows.append(row)
        if len(self._rows) == self._group:
            self._flush()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()

    def __enter__(self) -> "RowWriter":
        """Return the writer itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Write what is left and close; an empty table is a file with a schema and no rows."""
        if self._rows and failure[0] is None:
            self._flush()
        self._file.close()
