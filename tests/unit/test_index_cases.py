"""The index: every case once, whatever lies in the folder."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import index_rows, index_spec, row, write_ddti_case, write_guide, write_stack
from workflow_scripts.collections.collection import Indexed, Unusable
from workflow_scripts.command import Refusal
from workflow_scripts.files import listing, natural
from workflow_scripts.ingest import index_cases as index_module
from workflow_scripts.ingest import plan_chunks
from workflow_scripts.ingest.index_cases import without_ambiguous
from workflow_scripts.report import summarise
from workflow_scripts.report.summarise import group_problems
from workflow_scripts.tables import candidates, cases, quarantine
from workflow_scripts.tables import table as table_module
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import as_table, read_rows, stream_rows, write_rows, write_table


def index(root: Path, kind: str = "thyroid-cineclip") -> tuple[list[dict], list[dict]]:
    return index_rows(root, "d", index_spec(kind), root.parent / "cache")


def test_two_keys_of_one_name_do_not_merge(tmp_path: Path) -> None:
    write_stack(tmp_path / "set", {"4_": 2, "4": 1, "5_": 1}, [row("4_"), row("4"), row("5_")])
    found, lost = index(tmp_path / "set")
    assert [case["case_id"] for case in found] == ["5"]
    (problem,) = lost
    assert (problem["case_id"], problem["status"], problem["file"]) == ("4", "quarantined", "dataset.hdf5")
    assert sorted(problem["reason"].partition(": ")[2].split("; ")) == ["4", "4_"]


def test_two_files_of_one_name_do_not_merge(tmp_path: Path) -> None:
    write_guide(tmp_path / "set", {"patient001": 2, "patient002": 2})
    images = tmp_path / "set" / "images"
    (images / "patient001.mp4").write_bytes((images / "patient001_clip.mp4").read_bytes())
    found, lost = index(tmp_path / "set")
    assert [case["case_id"] for case in found] == ["patient002"]
    (problem,) = lost
    assert "images/patient001_clip.mp4" in problem["reason"]
    assert "images/patient001.mp4" in problem["reason"]


def test_a_name_that_comes_up_a_third_time_and_without_a_row_is_told_once() -> None:
    problem = Unusable("b.xml", "broken", "mend it")
    row = {"case_id": "1", "dataset": "d", "sources": ["a.xml"], "source_key": None}
    found = as_table([row, row | {"case_id": "2"}], cases.SCHEMA)
    lost = as_table([problem_row("index_cases", row, "partial", problem)], quarantine.SCHEMA)
    again = {"1": [Indexed("1", {"sources": ["c.xml"]}), Indexed("1", None, [problem])]}
    kept, told = without_ambiguous("d", found, lost, again)
    assert kept["case_id"].to_pylist() == ["2"]
    (one,) = told.to_pylist()
    assert (one["status"], one["file"]) == ("quarantined", "a.xml")
    assert one["reason"] == "3 cases would be called '1': a.xml; c.xml; b.xml: broken"


def test_many_cases_are_one_table_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 12):
        write_ddti_case(tmp_path / "set", number, {1: None})
    whole, _ = index(tmp_path / "set", "ddti")
    monkeypatch.setattr(index_module, "BLOCK", 3)
    in_blocks, _ = index(tmp_path / "set", "ddti")
    assert in_blocks == whole
    assert [case["case_id"] for case in whole] == [str(number) for number in range(1, 12)]


def test_the_bytes_of_a_table_do_not_depend_on_its_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "GROUP", 4)
    rows = as_table(({"case_id": str(number), "age": number} for number in range(11)), cases.SCHEMA)
    write_table(tmp_path / "a", rows)
    write_table(tmp_path / "b", pa.concat_tables([rows.slice(0, 3), rows.slice(3)]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_rows(tmp_path / "a", cases.SCHEMA) == rows.to_pylist()
    assert len(list(stream_rows(tmp_path / "a", ["case_id"]))) == 11


def test_links_that_lead_nowhere_or_back(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_ddti_case(root, 1, {1: None})
    (root / "2.xml").symlink_to(root / "gone.xml")
    (root / "3_1.jpg").symlink_to(root / "3_1.jpg")
    (root / "back").symlink_to(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"abc")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    seen = {path: (size, time) for path, size, time in listing(root)}
    assert sorted(seen) == ["1.xml", "1_1.jpg", "2.xml", "3_1.jpg", "back", os.path.join("link", "a")]
    assert {path for path, values in seen.items() if values == (-1, -1)} == {"2.xml", "3_1.jpg", "back"}
    found, lost = index(root, "ddti")
    assert [case["case_id"] for case in found] == ["1"]
    assert [problem["status"] for problem in lost] == ["noticed"]


def test_a_folder_with_remarks_alone_holds_no_case(tmp_path: Path) -> None:
    write_guide(tmp_path / "set", {})
    (tmp_path / "set" / "images" / "a.avi").write_bytes(b"x")
    with pytest.raises(Refusal, match="holds no case"):
        index(tmp_path / "set")


def test_no_case_and_candidates_make_no_chunk(tmp_path: Path) -> None:
    write_rows(tmp_path / "cases.parquet", [], cases.SCHEMA)
    candidate = dict.fromkeys(candidates.SCHEMA.names) | {"dataset": "other", "case_id": "1"}
    write_rows(tmp_path / "candidates.parquet", [candidate], candidates.SCHEMA)
    arguments = ["--dataset", "d", "--cases", str(tmp_path / "cases.parquet"), "--out", str(tmp_path / "chunks")]
    spec = json.dumps({"n_chunks": 2, "extract": "candidates"})
    plan_chunks.main([*arguments, "--candidates", str(tmp_path / "candidates.parquet"), "--spec", spec])
    assert not list((tmp_path / "chunks").iterdir())


@given(st.text(), st.text())
def test_the_natural_order_is_total(one: str, other: str) -> None:
    assert (natural(one) == natural(other)) == (one == other)
    assert natural(one) < natural(other) or natural(other) <= natural(one)


def test_the_natural_order_counts() -> None:
    names = ["a\u00b2", "a10", "a2", "a02", "9" * 5000, "10", "\u0663"]
    assert sorted(names, key=natural) == ["10", "9" * 5000, "a02", "a2", "a10", "a\u00b2", "\u0663"]


def test_a_remark_is_not_shown_as_a_quarantine() -> None:
    problem = {"stage": "index_cases", "case_id": "(table)", "file": "metadata.csv", "reason": "strange", "mend": ""}
    shown = group_problems([problem | {"status": status} for status in ("noticed", "partial", "quarantined")])
    assert [group["status"] for group in shown] == ["quarantined", "partial", "noticed"]


def test_of_many_problems_the_first_are_listed_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarise, "LISTED", 2)
    problem = {"stage": "index_cases", "status": "partial", "file": "a", "reason": "no mask", "mend": "draw one"}
    (group,) = group_problems(problem | {"case_id": str(number)} for number in reversed(range(100)))
    assert [row["case_id"] for row in group["rows"]] == ["0", "1"]
    assert (group["cases"], group["more"]) == (100, 98)
