"""A review as somebody makes it: the page in a real browser, decisions saved, and the run that takes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.chromium import chromium
from tests.fixtures import scan
from tests.workflow.conftest import Lab
from workflow_scripts.decisions import read_decisions
from workflow_scripts.imaging.stills import decode_picture, read_still
from workflow_scripts.tables import cases, flags, inputs, quarantine, reviews, scores
from workflow_scripts.tables.table import read_many, read_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHAPE = (180, 280)
EXCLUDED, ACCEPTED, CORRECTED = "1", "2", "3"  # the worst first, as the masks below make them


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


def reference(case: str) -> np.ndarray:
    """Return the outline that the data set ships, 0 or 1."""
    return scan(int(case) * 100 + 1, SHAPE)[1]


def give_masks(lab: Lab) -> None:
    """Give masks of somebody's own: three of them wrong, each in its way."""
    folder = lab.place / "mymasks"
    folder.mkdir()
    for number in range(1, 9):
        mask = reference(str(number))
        if str(number) == EXCLUDED:
            mask = np.roll(mask, 90, axis=1)
        if str(number) == ACCEPTED:
            mask = cv2.erode(mask, np.ones((9, 9), np.uint8), iterations=2)
        if str(number) == CORRECTED:
            mask = cv2.dilate(mask, np.ones((9, 9), np.uint8), iterations=2)
        cv2.imwrite(str(folder / f"{number}_1.png"), mask * 255)
    config = lab.place / "mine.yaml"
    config.write_text(config.read_text().replace("kind: ddti", "kind: ddti\n    masks: mymasks"))


def click(page: "Page", points: list[tuple[float, float]]) -> None:
    """Click on pixels of the picture."""
    for x, y in points:
        where = page.evaluate(
            "([x, y]) => { const p = new DOMPoint(x + .5, y + .5).matrixTransform("
            "document.getElementById('picture').getScreenCTM()); return [p.x, p.y]; }",
            [x, y],
        )
        page.mouse.click(*where)


def test_three_cases_are_reviewed_and_the_next_run_follows(lab: Lab, browser: "Browser", tmp_path: Path) -> None:
    give_masks(lab)
    lab.ran("all", "review")
    results = lab.place / "results"
    before = {row["case_id"]: row for row in read_rows(results / "review" / "flags.parquet", flags.SCHEMA)}
    assert set(before) == {EXCLUDED, ACCEPTED, CORRECTED}

    context = browser.new_context(accept_downloads=True, viewport={"width": 1200, "height": 800}, offline=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
    page.goto((results / "review" / "page" / "index.html").as_uri())
    page.fill("#who-name", "Dr. B")
    page.keyboard.press("Enter")
    page.wait_for_selector("#who", state="hidden")
    assert page.text_content("#case") == f"clinic/{EXCLUDED}"  # the worst first
    assert page.evaluate("document.querySelector('#list img').naturalWidth") == SHAPE[1]
    page.keyboard.press("x")
    for case in (ACCEPTED, CORRECTED):
        page.click(f"#list button:has(b:text-is('{case}'))")
        if case == ACCEPTED:
            page.keyboard.press("m")
            page.keyboard.type('small, but "good"')
            page.keyboard.press("Escape")
            page.keyboard.press("a")
        else:
            page.keyboard.press("c")
            rectangle = [(60.0, 50.0), (120.0, 50.0), (120.0, 100.0), (60.0, 100.0)]
            click(page, rectangle)
    page.reload()  # in the middle of an outline: nothing is lost
    assert page.text_content("#progress") == "2 of 3 decided"
    page.keyboard.press("c")
    page.keyboard.press("d")
    assert page.text_content("#progress") == "3 of 3 decided"
    with page.expect_download() as download:
        page.keyboard.press("s")
    table = lab.place / "review.csv"
    download.value.save_as(table)
    assert not faults
    context.close()

    made = {decision.case_id: decision for decision in read_decisions(table)}
    assert {case: one.decision for case, one in made.items()} == {
        EXCLUDED: "exclude",
        ACCEPTED: "accept",
        CORRECTED: "correct",
    }
    assert made[ACCEPTED].comment == 'small, but "good"'
    assert np.abs(np.array(made[CORRECTED].outline[0]) - rectangle).max() < 1

    config = lab.place / "mine.yaml"
    config.write_text(config.read_text() + "\nreview: {table: review.csv, train: true}\n")
    ran = lab.ran("all", "review")
    assert ran["extract_frames"] == 1  # the chunk that the excluded case was in
    assert 1 <= ran["preprocess_frames"] <= 3  # and those of the two that a model may learn from
    assert 1 <= ran["score_masks"] <= 3

    left = {row["case_id"] for row in read_rows(results / "datasets/clinic/cases.parquet", cases.SCHEMA)}
    assert EXCLUDED not in left
    gone = read_rows(results / "datasets/clinic/quarantine/index_cases.parquet", quarantine.SCHEMA)
    assert [row["reason"] for row in gone if row["status"] == "excluded"] == ["excluded by review by Dr. B"]
    after = {row["case_id"]: row for row in read_rows(results / "review" / "flags.parquet", flags.SCHEMA)}
    assert after[ACCEPTED]["decision"] == "accept"
    assert (after[ACCEPTED]["reviewer"], after[ACCEPTED]["comment"]) == ("Dr. B", 'small, but "good"')
    assert after[ACCEPTED]["dice"] == before[ACCEPTED]["dice"]
    scored = read_many(results.glob("datasets/clinic/scores/given-masks/given/*.parquet"), scores.SCHEMA)
    (corrected,) = (row for row in scored if row["corrected"])
    assert corrected["case_id"] == CORRECTED
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[50:101, 60:121] = 1
    given = read_still(lab.place / "mymasks" / f"{CORRECTED}_1.png") > 0
    assert corrected["dice"] == pytest.approx(2 * (given & (drawn > 0)).sum() / (given.sum() + drawn.sum()), abs=0.02)
    ready = read_many(results.glob("datasets/clinic/inputs/*.parquet"), inputs.SCHEMA)
    (learnt,) = (row for row in ready if row["case_id"] == CORRECTED)
    y, x = np.nonzero(decode_picture(learnt["mask"]["bytes"]))
    outline = np.reshape(learnt["affine"], (2, 3)) @ [x, y, np.ones_like(x)]
    assert [*outline.min(axis=1), *outline.max(axis=1)] == pytest.approx([60, 50, 120, 100], abs=1.5)
    taken = read_many(results.glob("datasets/clinic/reviews/*.parquet"), reviews.SCHEMA)
    assert {row["case_id"] for row in taken} == {ACCEPTED, CORRECTED}
    recorded = json.loads((results / "report" / "provenance.json").read_text())["review"]
    assert {name: recorded[name] for name in ("accept", "correct", "exclude")} == {
        "accept": 1,
        "correct": 1,
        "exclude": 1,
    }
    text = (results / "review" / "page" / "index.html").read_text()
    assert '"items":[]' in text  # nobody is asked again
    assert "small, but" in text  # and what was decided goes on into the next file

    assert "Nothing to be done" in lab.run("all", "review", "--dry-run").stdout
