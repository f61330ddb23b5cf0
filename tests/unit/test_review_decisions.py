"""Decisions of reviewers: the file, the outlines that they drew, and what is refused, each with one line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import index_spec, write_ddti_case
from tests.unit.score_tables import GATES, NEARBY, NODULE, NOTHING, SHAPE, House, ellipse
from workflow_scripts.command import Refusal
from workflow_scripts.decisions import COLUMNS, Decision, read_decisions
from workflow_scripts.imaging.contours import points_to_move
from workflow_scripts.imaging.stills import decode_picture, read_still
from workflow_scripts.ingest.index_cases import index_cases
from workflow_scripts.metrics import flag_cases, score_masks
from workflow_scripts.provenance import canonical_json, chunk_of, pixel_sha256
from workflow_scripts.review import read_reviews
from workflow_scripts.review.read_reviews import fill
from workflow_scripts.tables import flags, reviews, scores
from workflow_scripts.tables.table import read_rows

SQUARE = [[[10, 20], [40, 20], [40, 60], [10, 60]]]
HASH = "a" * 64
GOOD = {"dataset": "d", "case_id": "c", "frame_id": "c/0", "decision": "accept", "pixel_sha256": HASH}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    """Write a review.csv as the page does."""
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_file_is_read_with_all_that_people_write(tmp_path: Path) -> None:
    said = 'two lines,\n"quoted", 结节'
    drawn = {"case_id": "a/b", "frame_id": "a/b/12", "decision": "correct", "outline": json.dumps(SQUARE)}
    open_one = GOOD | {"case_id": "e", "frame_id": "e/0", "decision": "", "comment": "later"}
    first, second = read_decisions(
        write(tmp_path / "review.csv", GOOD | {"comment": said, "reviewer": "Dr. B"}, GOOD | drawn, open_one), {"d"}
    )
    assert (first.comment, first.told()) == (said, f"review by Dr. B: {said}")
    assert np.array(second.outline).tolist() == SQUARE
    assert second.told() == "review"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"dataset": "x"}, "dataset 'x' is none of this run; there are d"),
        ({"decision": "agree"}, "decision is 'agree'; expected accept, correct, exclude"),
        ({"frame_id": "b/0"}, "frame_id 'b/0' is no frame of case 'c'"),
        ({"outline": "[[[0,0],[1,0],[1,1]]]"}, "an outline stands beside 'accept'"),
        ({"decision": "correct"}, "outline: expected polygons as JSON"),
        ({"decision": "correct", "outline": "[[[0, 0], [1, 1]]]"}, "at least three points"),
        ({"decision": "correct", "outline": "[[[0, 0], [1, NaN], [3, 3]]]"}, "a coordinate is no number"),
        ({"decision": "correct", "outline": "[[0, 1, 2]]"}, "outline: expected polygons as JSON"),
    ],
)
def test_every_bad_row_is_told_in_a_line_of_its_own(tmp_path: Path, row: dict[str, str], told: str) -> None:
    path = write(tmp_path / "review.csv", GOOD | row, GOOD | {"case_id": "z"})
    with pytest.raises(Refusal) as refusal:
        read_decisions(path, {"d"})
    first, second = str(refusal.value).splitlines()
    assert "review.csv, line 2: " in first
    assert told in first
    assert "line 3: frame_id 'c/0' is no frame of case 'z'" in second


def test_what_is_no_review_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text("dataset;case_id\nd;c\n")
    with pytest.raises(Refusal, match="has no column"):
        read_decisions(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="cannot be read"):
        read_decisions(path)
    with pytest.raises(Refusal, match="cannot be read"):
        read_decisions(tmp_path / "none.csv")
    with pytest.raises(Refusal, match="case c of d was decided in line 2; leave one of the two"):
        read_decisions(write(path, GOOD, GOOD | {"decision": "exclude"}))
    path.write_text(",".join(COLUMNS) + "\nd,c,c/0,accept\n")
    with pytest.raises(Refusal, match="line 2: it has not 8 fields"):
        read_decisions(path)


def test_an_outline_is_filled_on_the_pixels_that_it_was_drawn_on() -> None:
    square = np.zeros((80, 70), np.uint8)
    square[20:61, 10:41] = 1
    assert (fill([[(10, 20), (40, 20), (40, 60), (10, 60)]], 80, 70) == square).all()
    near = fill([[(10.3, 20.3), (39.7, 20.3), (39.7, 59.7), (10.3, 59.7)]], 80, 70) > 0
    assert 2 * (near & (square > 0)).sum() / (near.sum() + square.sum()) > 0.95
    two = fill([[(0, 0), (9, 0), (9, 9)], [(20, 20), (29, 20), (29, 29)]], 80, 70)
    assert set(np.unique(two)) == {0, 1, 2}
    with pytest.raises(ValueError, match="outside the picture of 70 x 80 pixels"):
        fill([[(0, 0), (70, 0), (9, 9)]], 80, 70)


@pytest.mark.parametrize("mask", [NODULE, ellipse(30, 40, 25, 8) | ellipse(80, 90, 12, 12) * 2])
def test_the_points_to_begin_with_follow_the_prediction(mask: np.ndarray) -> None:
    points = points_to_move(mask)
    again = fill([[(x, y) for x, y in polygon] for polygon in points], *SHAPE)
    assert 2 * ((again > 0) & (mask > 0)).sum() / ((again > 0).sum() + (mask > 0).sum()) > 0.95
    assert sum(map(len, points)) < 60


def house_with(folder: Path, decision: dict[str, Any], case: str = "c") -> tuple[list[str], Path]:
    """Return the arguments of score_masks for two cases, and the table of reviews of a decision on one of them."""
    chunk = chunk_of(case, 1)
    arguments = House(folder).add(
        {case: [(NEARBY, NOTHING)], "other": [(NEARBY, NODULE)]},
        chunk=chunk,
        still={"height": SHAPE[0], "width": SHAPE[1], "pixel_sha256": HASH},
        field=np.full(SHAPE, 255, np.uint8),
    )
    table = write(folder / "review.csv", GOOD | {"case_id": case, "frame_id": f"{case}/0"} | decision)
    target = folder / "d" / "reviews" / f"{chunk}.parquet"
    named = {"review": table, "frames": arguments[3], "dataset": "d", "n-chunks": 1, "reviews": target}
    read_reviews.main([part for name, value in named.items() for part in (f"--{name}", str(value))])
    return arguments, target


def test_a_corrected_frame_is_scored_against_what_was_drawn(tmp_path: Path) -> None:
    polygon = points_to_move(NODULE)
    arguments, table = house_with(tmp_path, {"decision": "correct", "outline": json.dumps(polygon), "reviewer": "B"})
    (row,) = read_rows(table, reviews.SCHEMA)
    assert (row["decision"], row["reviewer"], row["comment"]) == ("correct", "B", None)
    assert decode_picture(row["mask"]["bytes"]).any()
    score_masks.main([*arguments, "--folds", "--reviews", str(table)])
    scored = {row["case_id"]: row for row in read_rows(Path(arguments[-1]), scores.SCHEMA)}
    assert scored["c"]["corrected"]
    assert not scored["c"]["empty_reference"]
    assert scored["c"]["dice"] == pytest.approx(0.84, abs=0.02)
    assert not scored["other"]["corrected"]


def test_an_accepted_case_stays_flagged_with_who_accepted_it(tmp_path: Path) -> None:
    arguments, table = house_with(tmp_path, {"reviewer": "B", "comment": "fine"})
    score_masks.main([*arguments, "--folds", "--reviews", str(table)])
    named = dict(zip(arguments[::2], arguments[1::2], strict=True))
    given = [part for name in ("--frames", "--masks", "--scores") for part in (name, named[name])]
    target = tmp_path / "flags.parquet"
    given += ["--reviews", str(table), "--spec", canonical_json({"gates": GATES | {"dice": 0.9}})]
    flag_cases.main([*given, "--flags", str(target)])
    found = {row["case_id"]: row for row in read_rows(target, flags.SCHEMA)}
    assert (found["c"]["decision"], found["c"]["reviewer"], found["c"]["comment"]) == ("accept", "B", "fine")
    assert found["other"]["decision"] is None


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        ({"pixel_sha256": "b" * 64}, "frame c/0 of d is not the picture that was reviewed"),
        ({"frame_id": "c/7"}, "there is no frame c/7 of d"),
        ({"decision": "correct", "outline": "[[[0,0],[900,0],[9,9]]]"}, "frame c/0 of d: a point lies outside"),
    ],
)
def test_a_decision_that_does_not_fit_its_frame_is_refused(tmp_path: Path, decision: dict[str, str], told: str) -> None:
    with pytest.raises(Refusal, match=f"casebook: review: line 2: {told}"):
        house_with(tmp_path, decision)


def decide(case: str, decision: str, pixels: str, frame: int = 0) -> Decision:
    return Decision("clinic", case, f"{case}/{frame}", decision, "blurred", [], "B", pixels, 2)


def test_the_index_leaves_out_whom_a_reviewer_excluded(tmp_path: Path) -> None:
    write_ddti_case(tmp_path / "ddti", 1, {1: None})
    write_ddti_case(tmp_path / "ddti", 2, {1: None, 2: None})
    pixels = [pixel_sha256(read_still(tmp_path / "ddti" / f"2_{k}.jpg")) for k in (1, 2)]
    spec = index_spec("ddti")

    def index(*reviewed: Decision) -> tuple[list, list]:
        found, lost = index_cases(tmp_path / "ddti", "clinic", spec, tmp_path / "cache", reviewed)
        return found.to_pylist(), lost.to_pylist()

    found, lost = index(decide("2", "exclude", pixels[1], 1), decide("1", "accept", "x"))
    assert [row["case_id"] for row in found] == ["1"]
    assert [(row["case_id"], row["status"], row["reason"]) for row in lost] == [
        ("2", "excluded", "excluded by review by B: blurred")
    ]
    with pytest.raises(Refusal, match="frame 2/1 of clinic is not the picture that was reviewed"):
        index(decide("2", "exclude", pixels[0], 1))
    with pytest.raises(Refusal, match="line 2: there is no case '9' in clinic"):
        index(decide("9", "accept", "x"))
