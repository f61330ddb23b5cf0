"""The feature database: what a question of one line gets, and what never goes in."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from workflow_scripts.features.write_features import QUERY, main
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import cases, features, grades, nodules, quality, scores
from workflow_scripts.tables.table import read_rows, write_rows

HAS = {"kind": "ddti", "grades": True, "scores": [["net", "0"]], "quality": [["net", "0"]]}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CASEBOOK_SALT", raising=False)
    case: dict[str, Any] = {"group_kind": "case", "label_source": "radiologist", "sources": ["71.xml", "71_1.jpg"]}
    case |= {"tirads_system": "Kwak 2011", "tirads_level": "4a", "age": 91, "sex": "female", "year": 2019}
    case |= {"composition": "solid", "margin": "as in Mrs Doe", "composition_points": 2}
    rows: list[dict[str, Any]] = [case | {"case_id": f"case-{k}", "group_id": f"patient-{k}"} for k in range(3)]
    for row in rows[1:]:
        row["margin"] = "ill defined"
    folder = tmp_path / "datasets" / "clinic"
    write_rows(folder / "chunks/000.parquet", rows, cases.SCHEMA)
    outlined: list[dict[str, Any]] = [
        {"case_id": f"case-{k}", "frame_id": f"case-{k}/7", "outlined_by": who, "fold": fold, "nodule": 1}
        | {"area_px": 900, "echogenicity": float(-k), "touches_edge": False}
        for k in range(3)
        for who, fold in ((nodules.EXPERT, None), ("net", "0"))
    ]
    write_rows(folder / "nodules/000.parquet", outlined, nodules.SCHEMA)
    of_frame = {"frame_id": "case-1/7", "case_id": "case-1", "model": "net", "fold": "0"}
    write_rows(folder / "scores/net/0/000.parquet", [of_frame | {"dice": 0.9}], scores.SCHEMA)
    write_rows(folder / "quality/net/0/000.parquet", [of_frame | {"estimate": 0.8, "review": True}], quality.SCHEMA)
    graded: list[dict[str, Any]] = [
        {"case_id": "case-1", "system": "ACR 2017", "level": "TR4"},
        {"case_id": "case-1", "system": "EU 2017", "level": None},
    ]
    write_rows(folder / "grades.parquet", graded, grades.SCHEMA)
    (folder / "NOTICE.txt").write_text("the terms")
    return tmp_path


def write(results: Path, has: dict[str, Any] = HAS) -> Path:
    out = results / "features"
    spec = json.dumps({"datasets": {"clinic": has}})
    main(
        [
            *("--datasets", str(results / "datasets"), "--cache", str(results / "cache")),
            *("--spec", spec, "--features", str(out)),
        ]
    )
    return out


def test_one_line_of_duckdb_asks_the_data_base(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = write(results)
    (results / "results").mkdir()
    out.rename(results / "results/features")
    monkeypatch.chdir(results)
    assert duckdb.sql(QUERY).fetchall() == [("clinic", "Kwak 2011", "4a", 3, -1.0)]
    graded = "SELECT count(*) FROM read_parquet('results/features/*/*.parquet') WHERE levels['ACR 2017'] = 'TR4'"
    assert duckdb.sql(graded).fetchone() == (2,)


def test_nothing_in_it_names_a_case_a_file_or_a_date(results: Path) -> None:
    out = write(results)
    table = pq.read_table(out / "dataset=clinic/part.parquet").to_pylist()
    text = json.dumps(table)
    for word in ("case-", "patient-", ".jpg", ".xml", ": 2019", ": 91", "female", "Doe"):
        assert word not in text, word
    assert {row["margin_said"] for row in table} == {None, "ill defined"}  # what one group alone has is left out
    assert {row["redistribution"] for row in table} == {"unclear"}
    assert len({row["case_id"] for row in table}) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", row[name]) for row in table for name in ("case_id", "group_id"))
    assert (out / "dataset=clinic/NOTICE.txt").read_text() == "the terms"


def test_pseudonyms_last_and_belong_to_the_run(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = (write(results) / "dataset=clinic/part.parquet").read_bytes()
    (results / "features/dataset=gone").mkdir()
    assert (write(results) / "dataset=clinic/part.parquet").read_bytes() == first
    assert not (results / "features/dataset=gone").exists()  # a data set that is no longer there
    (results / "cache/salt").unlink()
    assert (write(results) / "dataset=clinic/part.parquet").read_bytes() != first


def test_scores_quality_and_levels_are_joined_where_they_are(results: Path) -> None:
    rows = read_rows(write(results) / "dataset=clinic/part.parquet", features.SCHEMA)
    (scored,) = [row for row in rows if row["dice"] is not None]
    assert (scored["outlined_by"], scored["dice"], scored["estimated_dice"], scored["review"]) == (
        "net",
        0.9,
        0.8,
        True,
    )
    assert dict(scored["levels"]) == {"ACR 2017": "TR4"}
    bare = read_rows(
        write(results, {"kind": "ddti", "grades": False, "scores": [], "quality": []}) / "dataset=clinic/part.parquet",
        features.SCHEMA,
    )
    assert len(bare) == len(rows) == 6
    assert all(row["dice"] is None and not row["levels"] for row in bare)


def test_the_dictionary_names_every_column_and_holds_the_query(results: Path) -> None:
    text = (write(results) / "README.md").read_text()
    assert all(f"| `{name}` |" in text for name in features.SCHEMA.names)
    assert QUERY in text
    assert QUERY in (ROOT / "docs" / "nodules.md").read_text(encoding="utf-8")
    assert (
        pq.read_schema(results / "features/dataset=clinic/part.parquet").field("longest_mm").metadata[b"unit"] == b"mm"
    )
