"""Chunks: a case's place depends on the case alone."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.ingest import plan_chunks as command
from workflow_scripts.ingest.plan_chunks import plan_chunks
from workflow_scripts.tables import candidates, cases
from workflow_scripts.tables.table import read_rows, write_rows

names = st.lists(st.text("abc0123", min_size=1, max_size=4), unique=True, min_size=1, max_size=30)


def chunks_of(ids: list[str], n: int) -> dict[str, list[str]]:
    return {name: [ids[place] for place in places] for name, places in plan_chunks(ids, n).items()}


@given(names, st.integers(1, 9), st.data())
def test_every_case_is_in_one_chunk_and_a_new_one_moves_no_other(ids: list[str], n: int, data: st.DataObject) -> None:
    chunks = chunks_of(ids, n)
    assert sorted(case_id for chunk in chunks.values() for case_id in chunk) == sorted(ids)
    assert all(chunks.values())
    assert all(len(name) == 3 and int(name) < n for name in chunks)
    left_out = data.draw(st.sampled_from(ids))
    fewer = chunks_of([case_id for case_id in ids if case_id != left_out], n)
    changed = [name for name in chunks if chunks[name] != fewer.get(name)]
    assert len(changed) == 1


def test_only_the_candidates_of_the_data_set_go_through_and_old_chunks_go(tmp_path: Path) -> None:
    known = [{"case_id": str(number), "dataset": "d", "age": number} for number in range(20)]
    write_rows(tmp_path / "cases.parquet", known, cases.SCHEMA)
    asked = [{"dataset": "d", "case_id": "3"}, {"dataset": "d", "case_id": "17"}, {"dataset": "e", "case_id": "5"}]
    write_rows(tmp_path / "candidates.parquet", asked, candidates.SCHEMA)
    old = tmp_path / "d" / "frames" / "009.parquet"
    write_rows(old, [], cases.SCHEMA)
    arguments = ["--dataset", "d", "--cases", str(tmp_path / "cases.parquet"), "--out", str(tmp_path / "d" / "chunks")]
    arguments += ["--candidates", str(tmp_path / "candidates.parquet")]
    command.main([*arguments, "--spec", json.dumps({"n_chunks": 2, "extract": "candidates"})])
    found = [row for path in (tmp_path / "d" / "chunks").iterdir() for row in read_rows(path, cases.SCHEMA)]
    assert sorted((row["case_id"], row["age"]) for row in found) == [("17", 17), ("3", 3)]
    assert not old.exists()


def test_a_plan_that_is_broken_off_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snakemake would take half of it for the whole: of a later checkpoint it does not see that its job was killed."""
    write_rows(
        tmp_path / "cases.parquet", [{"case_id": str(number), "dataset": "d"} for number in range(20)], cases.SCHEMA
    )
    out, written = tmp_path / "d" / "chunks", list[Path]()

    def killed(path: Path, table: pa.Table) -> None:
        assert not out.exists()
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_table", killed)
    arguments = ["--dataset", "d", "--cases", str(tmp_path / "cases.parquet"), "--out", str(out)]
    with pytest.raises(KeyboardInterrupt):
        command.main([*arguments, "--spec", json.dumps({"n_chunks": 3, "extract": "all"})])
    assert not out.exists()
