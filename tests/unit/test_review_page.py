"""The review page: whom it shows, in which order, and how it is used in a real browser: mouse, keyboard, touch."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.chromium import chromium
from tests.unit.score_tables import GATES, NEARBY, NODULE, SHAPE, House, ellipse, png
from workflow_scripts.decisions import read_decisions
from workflow_scripts.imaging.stills import read_still
from workflow_scripts.metrics import flag_cases, gather_flags, score_masks
from workflow_scripts.provenance import canonical_json
from workflow_scripts.review.queue import Item, add_estimated
from workflow_scripts.review.write_review_page import render, write_review_page
from workflow_scripts.tables import cases, frames, learned_grades, quality
from workflow_scripts.tables.table import read_rows, write_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FIELD = np.zeros(SHAPE, np.uint8)
FIELD[10:90, 10:110] = 255
PICTURE = np.full(SHAPE, 90, np.uint8)
PICTURE[:10, :40] = 255  # what a scanner wrote above the field
EVIL = '</script><script>alert("x")</script>'


def make_run(folder: Path) -> dict[str, Any]:
    """Write the tables of a run: `far` and `small` are flagged, `good` is not, `new` has no outline, `odd` a level."""
    house = House(folder / "datasets")
    pairs: dict[str, list] = {
        "far": [(ellipse(30, 25, 10, 10), NODULE)],
        "small": [(NODULE, NODULE), (ellipse(50, 60, 9, 9), NODULE)],
        "good": [(NEARBY, NODULE)],
        "new": [(NODULE, None)],
        "odd": [(NODULE, NODULE)],
    }
    still = {"height": SHAPE[0], "width": SHAPE[1], "image": png(PICTURE)}
    arguments = house.add(pairs, labels={"tirads_level": "3"}, still=still, field=FIELD)
    named = dict(zip(arguments[::2], arguments[1::2], strict=True))
    table = Path(named["--frames"])
    rows = read_rows(table, frames.SCHEMA)
    write_rows(table, [row | {"pixel_sha256": row["case_id"] * 20} for row in rows], frames.SCHEMA)
    score_masks.main([*arguments, "--folds"])
    given = [part for name in ("--frames", "--masks", "--scores") for part in (name, named[name])]
    flag_cases.main([*given, "--spec", canonical_json({"gates": GATES}), "--flags", str(folder / "chunk.parquet")])
    gather_flags.main(["--chunks", str(folder / "chunk.parquet"), "--flags", str(folder / "flags.parquet")])
    (house.folder / "d" / "cases.parquet").write_bytes(Path(named["--chunk"]).read_bytes())
    estimated = {"frame_id": "new/0", "case_id": "new", "model": "m", "fold": "0", "lower_bound": 0.5, "review": True}
    write_rows(
        house.folder / "d" / "quality" / "m" / "0" / "000.parquet",
        [estimated | {"reason": "the lower bound is 0.50"}, estimated | {"frame_id": "good/0", "case_id": "good"}],
        quality.SCHEMA,
    )
    doubted = {"case_id": "odd", "dataset": "d", "level": "5", "system": "Kwak 2011", "sure": 0.9}
    write_rows(house.folder / "d" / "learned_grades.parquet", [doubted | {"disagreement": EVIL}], learned_grades.SCHEMA)
    return {
        "datasets": house.folder,
        "roots": {"d": str(folder)},
        "spec": house.spec,
        "flags": folder / "flags.parquet",
    }


def data_of(page: Path) -> dict[str, Any]:
    """Return what a page holds."""
    text = (page / "index.html").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(
        text.split('<script id="data" type="application/json">')[1].split("</script>")[0]
    )
    return found


def test_the_queue_begins_with_the_worst_and_shows_the_field_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert write_review_page(**run, review=None, page=tmp_path / "page") == 4
    found = data_of(tmp_path / "page")
    items = {item["case_id"]: item for item in found["items"]}
    assert list(items) == ["far", "small", "new", "odd"]
    assert items["small"]["frame_id"] == "small/1"  # its worst
    assert items["far"]["predictions"][0]["dice"] == 0
    assert items["new"]["reference"] is None
    assert items["new"]["predictions"][0]["lower_bound"] == 0.5
    assert items["odd"]["reasons"] == [{"of": "grade", "text": EVIL}]
    assert items["odd"]["labels"]["tirads_level"] == "3"
    picture = read_still(tmp_path / "page" / items["far"]["picture"])
    assert picture.shape == SHAPE
    assert not picture[FIELD == 0].any()
    assert picture[FIELD > 0].all()
    again = tmp_path / "again"
    write_review_page(**run, review=None, page=again)
    assert data_of(again) == found


def test_of_several_estimates_the_worst_frame_is_shown_with_the_reasons_of_all_who_doubt_it(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_rows(folder / "chunks" / "000.parquet", [{"case_id": "c", "dataset": "d"}], cases.SCHEMA)
    found: dict[str, list[tuple[str, float | None]]] = {
        "m": [("c/0", 0.7), ("c/1", 0.4)],
        "n": [("c/1", 0.6), ("u/0", None)],
    }
    for model, bounds in found.items():
        rows = [
            {
                "frame_id": frame,
                "case_id": frame[0],
                "model": model,
                "lower_bound": bound,
                "reason": f"{model}, {bound}",
            }
            for frame, bound in bounds
        ]
        write_rows(folder / "quality" / model / "0" / "000.parquet", rows, quality.SCHEMA)
    items: dict[tuple[str, str], Item] = {}
    add_estimated(items, folder, [("m", "0"), ("n", "0")], ())
    worst, unknown = (items["d", case].told() for case in "cu")
    assert (worst["frame_id"], worst["figure"]) == ("c/1", {"bound": 0.4})
    assert [reason["text"] for reason in worst["reasons"]] == ["m, 0.4", "n, 0.6"]
    assert unknown["figure"] == {"bound": None}


def test_what_was_decided_is_not_asked_again_and_a_long_queue_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    table = tmp_path / "review.csv"
    table.write_text(
        "dataset,case_id,frame_id,decision,comment,outline,reviewer,pixel_sha256\n"
        "d,far,far/0,accept,fine,,B,x\nd,gone,gone/0,exclude,,,B,x\nd,new,new/0,,not sure,,B,x\n"
    )
    monkeypatch.setattr("workflow_scripts.review.write_review_page.MOST", 2)
    assert write_review_page(**run, review=table, page=tmp_path / "page") == 2
    found = data_of(tmp_path / "page")
    assert [item["case_id"] for item in found["items"]] == ["small", "new"]
    assert found["more"] == 1
    assert len(list((tmp_path / "page" / "pictures").iterdir())) == 2
    assert "gone,gone/0,exclude" in found["review"]


def test_every_word_of_the_page_is_there_in_both_languages() -> None:
    folder = Path(write_review_page.__code__.co_filename).parent
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    assert set(words["en"]) == set(words["zh"])
    text = (folder / "page.html").read_text(encoding="utf-8")
    asked = set(re.findall(r'data-t(?:-title|-label)?="(\w+)"', text))
    asked |= set(re.findall(r'word\("(\w+)"', (folder / "page.js").read_text(encoding="utf-8")))
    assert asked <= set(words["en"])


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    write_review_page(**make_run(folder), review=None, page=folder / "page")
    return folder / "page"


@pytest.fixture
def page(browser: "Browser", written: Path) -> Iterator["Page"]:
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True, offline=True)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: faults.append(dialog.message))
    opened.goto((written / "index.html").as_uri())
    opened.keyboard.press("Enter")  # no name
    opened.wait_for_selector("#who", state="hidden")
    yield opened
    assert not faults
    context.close()


def draft(page: "Page") -> Any:
    return page.evaluate("JSON.parse(JSON.stringify(draft))")


def on_screen(page: "Page", x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the frame is on the screen."""
    found = page.evaluate(
        "([x, y]) => { const p = new DOMPoint(x + .5, y + .5).matrixTransform($('picture').getScreenCTM());"
        " return [p.x, p.y] }",
        [x, y],
    )
    return found[0], found[1]


def saved(page: "Page", target: Path) -> Path:
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "review.csv"
    download.value.save_as(target)
    return target


def test_by_keyboard_alone(page: "Page", tmp_path: Path) -> None:
    page.keyboard.press("?")
    page.wait_for_selector("#keys", state="visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys", state="hidden")
    page.keyboard.press("x")
    page.keyboard.press("c")
    for moves in ("ArrowLeft", "ArrowUp", "ArrowRight"):
        page.keyboard.press("Space")
        for _ in range(2):
            page.keyboard.press(f"Shift+{moves}")
    page.keyboard.press("Space")
    page.keyboard.press("z")
    page.keyboard.press("Enter")
    page.keyboard.press(".")
    page.keyboard.press("ArrowDown")
    assert draft(page)["polygons"] == [[[60, 51], [40, 50], [40, 30]]]
    page.keyboard.press("d")
    page.keyboard.press("m")
    page.keyboard.type("a, c and x are only letters here")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    decisions = {one.case_id: one for one in read_decisions(saved(page, tmp_path / "review.csv"), {"d"})}
    assert {case: one.decision for case, one in decisions.items()} == {
        "far": "exclude",
        "small": "correct",
        "new": "accept",
    }
    assert decisions["small"].outline == [[(60, 51), (40, 50), (40, 30)]]
    assert decisions["new"].comment == "a, c and x are only letters here"
    assert decisions["small"].pixel_sha256 == "small" * 20


def test_by_mouse_points_are_set_moved_added_and_taken_back(page: "Page") -> None:
    page.click("[data-decide=correct]")
    for x, y in ((20, 20), (60, 20), (60, 60), (20, 20)):  # the last closes
        page.mouse.click(*on_screen(page, x, y))
    (drawn,) = draft(page)["polygons"]
    assert np.abs(np.array(drawn) - [[20, 20], [60, 20], [60, 60]]).max() < 0.6
    page.mouse.move(*on_screen(page, 60, 60))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 50, 70), steps=4)
    page.mouse.up()
    page.mouse.click(*on_screen(page, 40, 20))  # on an edge
    (moved,) = draft(page)["polygons"]
    assert np.abs(np.array(moved) - [[20, 20], [40, 20], [60, 20], [50, 70]]).max() < 0.6
    page.click("[data-do=undo]")
    page.click("[data-do=undo]")
    assert draft(page)["polygons"] == [drawn]
    page.click("[data-do=clear]")
    page.mouse.move(*on_screen(page, 30, 50))  # by a free hand
    page.mouse.down()
    for angle in np.linspace(0, 2 * np.pi, 24):
        page.mouse.move(*on_screen(page, 50 - 20 * np.cos(angle), 50 - 20 * np.sin(angle)))
    page.mouse.up()
    (circle,) = draft(page)["polygons"]
    assert len(circle) > 12
    page.click("[data-do=from-prediction]")
    page.click("[data-do=done]")
    assert page.text_content("#progress") == "1 of 4 decided"


def test_outlines_toggle_and_the_state_survives(page: "Page") -> None:
    assert page.locator("#outlines path.edge").count() == 2
    page.keyboard.press("r")
    assert page.locator("#outlines path.reference").count() == 0
    page.keyboard.press("a")
    page.keyboard.press("l")
    context = page.context
    page.close()
    again = context.new_page()
    again.goto(page.url)
    assert again.get_attribute("html", "lang") == "zh"
    assert again.text_content("#progress") == "已决定 1 / 4"
    assert str(again.text_content("#case")).startswith("d/small")
    assert again.locator("#outlines path.reference").count() == 0
    assert not again.is_visible("#who")
    again.keyboard.press("c")
    again.keyboard.press("Space")
    again.reload()
    again.keyboard.press("c")
    assert (draft(again)["polygons"], len(draft(again)["open"])) == ([], 1)  # one point is no outline yet


def test_a_saved_review_is_gone_on_with_and_a_stale_row_is_told(page: "Page", tmp_path: Path) -> None:
    page.keyboard.press("a")
    table = saved(page, tmp_path / "review.csv")
    text = table.read_text(encoding="utf-8-sig") + "d,small,small/1,exclude,,,B,other\nd,away,away/0,exclude,,,B,x\n"
    table.write_text(text)
    page.keyboard.press("k")
    page.keyboard.press("u")
    assert page.text_content("#progress") == "0 of 4 decided"
    page.set_input_files("#file", table)
    page.wait_for_function("$('progress').textContent.includes('1 before')", polling=100)
    assert page.text_content("#progress") == "1 of 4 decided (+ 1 before this page)"
    assert "2 rows taken from review.csv. 1 of another picture" in str(page.text_content("#toast"))
    decisions = read_decisions(saved(page, tmp_path / "again.csv"), {"d"})
    assert [(one.case_id, one.decision) for one in decisions] == [("away", "exclude"), ("far", "accept")]
    text = table.read_text(encoding="utf-8-sig").replace(",accept,", ",exclude,")
    table.write_text(text + f"d,new,new/0,agree,,,B,{'new' * 20}\n")
    page.set_input_files("#file", table)
    page.wait_for_function("$('toast').textContent.includes('yours stay')", polling=100)
    assert "1 with an unknown decision" in str(page.text_content("#toast"))
    assert read_decisions(saved(page, tmp_path / "again.csv"), {"d"}) == decisions
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    page.set_input_files("#file", tmp_path / "other.csv")
    page.wait_for_function("$('toast').textContent.includes('is no review.csv')", polling=100)


def test_no_second_tab_and_no_page_written_anew_undoes_a_decision(
    browser: "Browser", written: Path, tmp_path: Path
) -> None:
    address = tmp_path / "index.html"
    text = (written / "index.html").read_text(encoding="utf-8")
    address.write_text(text, encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    one, two = context.new_page(), context.new_page()
    one.goto(address.as_uri())
    one.keyboard.press("Enter")
    two.goto(address.as_uri())
    one.keyboard.press("x")
    two.wait_for_function("$('progress').textContent.startsWith('1 of')", polling=100)
    two.keyboard.press("j")
    two.keyboard.press("a")
    one.wait_for_function("$('progress').textContent.startsWith('2 of')", polling=100)
    found = data_of(written)
    items = [
        item for item in found["items"] if item["case_id"] != "far"
    ]  # of the next run, which no longer asks for it
    anew = render(found | {"items": items, "run": "next"})
    address.write_text(anew, encoding="utf-8")
    one.reload()
    assert "2 rows taken from what was decided before this page" in str(one.text_content("#toast"))
    assert one.text_content("#progress") == "1 of 3 decided (+ 1 before this page)"
    decisions = read_decisions(saved(one, tmp_path / "review.csv"), {"d"})
    assert [(each.case_id, each.decision) for each in decisions] == [("far", "exclude"), ("small", "accept")]
    two.wait_for_function("DATA.run === 'next'", polling=100)  # a tab of the old page would undo what is decided here
    changed = one.evaluate("item().case_id")
    one.keyboard.press("x")  # after the file was saved
    review = (tmp_path / "review.csv").read_text(encoding="utf-8")
    address.write_text(render(found | {"items": items, "run": "last", "review": review}), encoding="utf-8")
    one.reload()
    decided = read_decisions(saved(one, tmp_path / "review.csv"), {"d"})
    assert {each.case_id: each.decision for each in decided}[changed] == "exclude"
    assert len(decided) >= len(decisions)
    address.write_text(text, encoding="utf-8")
    one.reload()
    assert one.text_content("#progress") == "0 of 4 decided"  # what was saved comes back from the file alone
    one.evaluate("Storage.prototype.setItem = () => { throw new Error('full') }; 0")
    one.keyboard.press("a")
    assert "keeps nothing" in str(one.text_content("#toast"))
    one.once("dialog", lambda dialog: dialog.accept())
    with one.expect_event("dialog") as leave:
        one.reload()
    assert leave.value.type == "beforeunload"
    context.close()


def test_on_a_phone_nothing_is_cut_off_and_a_finger_draws(browser: "Browser", written: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto((written / "index.html").as_uri())
    page.tap("#who button")
    page.wait_for_selector("#who", state="hidden")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("[data-decide=correct]")
    for x, y in ((20, 20), (90, 20), (90, 80), (20, 20)):
        page.touchscreen.tap(*on_screen(page, x, y))
    page.tap("[data-do=done]")
    assert page.text_content("#progress") == "1 of 4 decided"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
