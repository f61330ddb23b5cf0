"""The report in a real Chromium, from a file: tabs, filter, sorting, Chinese, a phone's width; nothing from the net."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chromium import chromium
from tests.unit.report_tables import CLIPS, KINDS, STILLS, Run
from tests.unit.test_report_learning import learn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TABS = ["data", "quality", "grading", "scenarios", "provenance"]
SKIPPED_LEVELS = """() => { let last = 0; const bad = [];
  for (const head of document.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
    const level = Number(head.tagName[1]); if (level > last + 1) bad.push(head.textContent); last = level;
  } return bad; }"""
NAMELESS = """() => [
  ...[...document.querySelectorAll("img:not([alt]), svg[role=img]:not([aria-label]):not([aria-labelledby])")],
  ...[...document.querySelectorAll("[tabindex='0']:not([aria-label]):not([aria-selected])")],
  ...[...document.querySelectorAll("input")].filter((input) => !input.labels.length),
  ...[...document.querySelectorAll("button, a, th[scope=col] button")].filter((one) => !one.textContent.trim()),
].map((one) => one.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a report with something in every tab."""
    run = Run(tmp_path_factory.mktemp("report"), {"clinic-a": STILLS, "clips": CLIPS}, KINDS)
    learn(run)
    run.report()
    return (run.results / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """Return the report, opened; it may ask for nothing besides itself, and has nothing to complain of."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, told, asked = context.new_page(), list[str](), list[str]()
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    context.close()
    assert not told
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {address}


def shown(page: "Page") -> list[str]:
    """Return the panels that are to be seen."""
    return [tab for tab in TABS if page.locator(f"#{tab}").is_visible()]


def test_tabs_go_by_keyboard_by_address_and_on_paper_all_are_there(page: "Page", address: str) -> None:
    assert shown(page) == ["data"]
    page.keyboard.press("Tab")  # the language
    page.keyboard.press("Tab")
    for key, tab in (
        ("ArrowRight", "quality"),
        ("End", "provenance"),
        ("ArrowRight", "data"),
        ("ArrowLeft", "provenance"),
    ):
        page.keyboard.press(key)
        page.wait_for_function("(hash) => location.hash === hash", arg=f"#{tab}")
        page.wait_for_selector(f"#{tab}", state="visible")
        assert shown(page) == [tab]
        assert page.evaluate("document.activeElement.id") == f"tab-{tab}"
        assert page.get_attribute(f"#tab-{tab}", "aria-selected") == "true"
    page.goto(f"{address}#folds-of-nobody")
    assert shown(page) == ["data"]
    page.goto(f"{address}#comparison")
    page.wait_for_selector("#comparison", state="visible")
    assert shown(page) == ["quality"]
    page.emulate_media(media="print")
    assert shown(page) == TABS


def test_without_the_script_everything_stands_one_below_the_other(browser: "Browser", address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert shown(page) == TABS
    assert not page.locator("#language").is_visible()
    context.close()


def test_tables_filter_and_sort(page: "Page", address: str) -> None:
    page.goto(f"{address}#tables")
    field, rows = page.locator("#tables input"), page.locator("#tables tbody tr:visible")
    before = rows.count()
    field.fill("GRADES computed")
    assert (rows.count(), page.locator("#tables output").inner_text()) == (1, f"1 / {before}")
    field.fill("")
    assert rows.count() == before
    button = page.locator("#tables th button").nth(2)
    for order in ("ascending", "descending"):
        button.press("Enter")
        assert page.locator("#tables th").nth(2).get_attribute("aria-sort") == order
        told = page.locator("#tables tbody td:nth-child(3)").all_inner_texts()
        assert told == sorted(told, reverse=order == "descending")
    page.goto(f"{address}#segmentation")
    table = page.locator("#segmentation table.gates").first
    table.locator("th button").nth(5).click()  # frames, as numbers: 42 after 3
    assert table.locator("tbody tr").first.locator("th").inner_text() == "all"
    frames = [int(text) for text in table.locator("tbody td:nth-child(6)").all_inner_texts()[1:]]
    assert frames == sorted(frames)
    assert len(frames) > 1


def test_chinese_is_everywhere_is_remembered_and_leaves_nothing_behind(page: "Page") -> None:
    english = page.locator("body").inner_html()
    page.click("#language")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.locator("#tab-quality").inner_text() == "质量"
    assert page.title() == "Casebook 报告"
    assert page.get_attribute("nav", "aria-label") == "目录"
    assert page.locator("#cases h3").all_inner_texts() == ["clinic-a", "clips"]  # names stay as they are
    assert page.locator("text=由规则").count() > 3
    page.reload()
    assert page.locator("#tab-quality").inner_text() == "质量"
    page.click("#language")
    assert page.locator("body").inner_html() == english
    page.reload()
    assert page.locator("#tab-quality").inner_text() == "Quality"


def test_a_phone_scrolls_no_page_sideways_in_either_language(page: "Page", address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for _language in ("en", "zh"):
        for tab in TABS:
            page.goto(f"{address}#{tab}")
            page.wait_for_selector(f"#{tab}", state="visible")
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        page.click("#language")


def test_whatever_is_looked_at_or_pressed_has_a_name_and_headings_follow_each_other(page: "Page") -> None:
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(SKIPPED_LEVELS) == []
