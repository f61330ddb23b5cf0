"""Chunks: a case's place depends on the case alone."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.ingest.plan_chunks import plan_chunks

names = st.lists(st.text("abc0123", min_size=1, max_size=4), unique=True, min_size=1, max_size=30)


@given(names, st.integers(1, 9), st.data())
def test_every_case_is_in_one_chunk_and_a_new_one_moves_no_other(ids: list[str], n: int, data: st.DataObject) -> None:
    rows = [{"case_id": name} for name in ids]
    chunks = plan_chunks(rows, n)
    assert sorted(row["case_id"] for chunk in chunks.values() for row in chunk) == sorted(ids)
    assert all(chunks.values())
    assert all(len(name) == 3 and int(name) < n for name in chunks)
    left_out = data.draw(st.sampled_from(ids))
    fewer = plan_chunks([row for row in rows if row["case_id"] != left_out], n)
    changed = [name for name in chunks if chunks[name] != fewer.get(name)]
    assert len(changed) == 1


@given(names)
def test_only_the_wanted_cases_go_through(ids: list[str]) -> None:
    chunks = plan_chunks([{"case_id": name} for name in ids], 3, set(ids[::2]))
    assert sorted(row["case_id"] for chunk in chunks.values() for row in chunk) == sorted(ids[::2])
