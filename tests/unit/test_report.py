"""The report and the provenance, on small tables made here in the true schema."""

import json
import platform
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.report_tables import CLIPS, HOSTILE, KINDS, STILLS, Run, row
from workflow_scripts.report import record_provenance
from workflow_scripts.report.draw_frames import outlines, spread
from workflow_scripts.report.summarise import group_problems, why_undetermined
from workflow_scripts.tables import advice, calcium, cases, frames, inputs, quarantine
from workflow_scripts.tables.table import RowWriter, pick_rows, read_rows, write_rows

Reported = tuple[str, dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path, {"clinic-a": STILLS, "clips": CLIPS}, KINDS)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Return the page and the summary of a run, to be looked at."""
    return Run(tmp_path_factory.mktemp("run"), {"clinic-a": STILLS, "clips": CLIPS}, KINDS).report()


INLINE = {"a", "code", "span", "strong", "tspan"}


class Page(HTMLParser):
    """The visible text of a page, its elements, and what they point at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.sources, self.ids = "", list[str](), list[str](), list[str]()
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += "" if tag in INLINE else " "
        self._hidden = tag in ("style", "script")
        for name, value in attrs:
            if name == "src" or (name == "href" and tag != "a"):
                self.sources.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data

    def handle_endtag(self, tag: str) -> None:
        self.text += "" if tag in INLINE else " "


def numbers(text: str) -> set[float]:
    return {float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


def test_cases_in_are_cases_out_and_quarantined(reported: Reported) -> None:
    _, summary = reported
    assert summary["datasets"]["clinic-a"]["cases"] == {
        "in": 7, "out": 2, "quarantined": 4, "excluded": 0, "not_asked_for": 1, "partial": 1,
    }  # fmt: skip
    assert summary["cases"] == {"in": 9, "out": 4, "quarantined": 4, "excluded": 0, "not_asked_for": 1, "partial": 1}
    assert [step["left"] for step in summary["datasets"]["clinic-a"]["flow"]] == [6, 5, 4, 3, 2]
    assert summary["frames"] == {"taken": 45, "outlined": 43, "ready": 45, "cut": 2, "drawn": 5}
    assert {key: summary["scenarios"][key] for key in ("asked", "filled", "refused")} == {
        "asked": 2,
        "filled": 1,
        "refused": 1,
    }


def test_a_case_that_went_astray_stops(run: Run) -> None:
    write_rows(run.results / "datasets" / "clinic-a" / "quarantine" / "grade_nodules.parquet", [], quarantine.SCHEMA)
    with pytest.raises(RuntimeError, match=r"7 cases in are not 2 out \+ 3 quarantined \+ 0 excluded \+ 1 .*astray: 6"):
        run.report()


def test_every_figure_on_the_page_is_in_the_summary(reported: Reported) -> None:
    page, summary = reported
    shown = Page(page).text
    assert numbers(shown) <= numbers(json.dumps(summary))
    assert "None" not in shown
    for figure in ("1,234", "0.75", "21 × 9.5 × not known mm"):
        assert figure.replace("1,234", "1234") in shown


def test_the_page_asks_for_nothing_outside_itself(reported: Reported) -> None:
    page = Page(reported[0])
    assert page.sources
    assert all(source.startswith("data:image/webp;base64,") or source[1:] in page.ids for source in page.sources)
    assert page.tags.count("script") == 1  # the page's own, within it
    assert not {"link", "iframe", "object", "base"} & set(page.tags)
    assert "@import" not in page.text
    assert len(page.ids) == len(set(page.ids))


def test_hostile_text_is_escaped(reported: Reported) -> None:
    page, _ = reported
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 3  # the reason of a case, alone and as its group's, and of a scenario


def test_same_inputs_same_bytes(run: Run, reported: Reported) -> None:
    assert run.report() == reported  # of the same tables elsewhere


def test_refused_scenarios_say_why(reported: Reported) -> None:
    page, summary = reported
    assert [entry["scenario_id"] for entry in summary["scenarios"]["entries"]] == ["scenario_010", "scenario_020"]
    assert "no case fits" in Page(page).text
    assert summary["scenarios"]["entries"][1]["labels"]["pathology"] == ["malignant", ""]


def test_what_an_earlier_plan_left_is_not_read(run: Run, reported: Reported) -> None:
    for table, schema in (("frames", frames.SCHEMA), ("inputs", inputs.SCHEMA)):
        write_rows(run.results / "datasets" / "clips" / table / "009.parquet", [], schema)
        (run.results / "datasets" / "clips" / table / "008.parquet").write_bytes(b"cut off")
    assert run.report() == reported


def test_restricted_pictures_carry_a_banner(reported: Reported) -> None:
    page, summary = reported
    assert summary["restricted"] == ["clinic-a", "clips"]
    assert "Do not pass this page on" in page


def test_citations_are_those_of_the_sets_used(tmp_path: Path) -> None:
    page, summary = Run(tmp_path, {"clinic-a": STILLS}, {"clinic-a": "ddti"}).report()
    assert "Pedraza" in page
    assert "Yamashita" not in page
    assert summary["scenarios"]["filled"] == 0


def test_nothing_usable_still_gives_a_page(tmp_path: Path) -> None:
    plan = {"3": STILLS["3"], "4": STILLS["4"]}
    page, summary = Run(tmp_path, {"clinic-a": plan}, {"clinic-a": "ddti"}).report()
    assert summary["cases"] == {"in": 2, "out": 0, "quarantined": 2, "excluded": 0, "not_asked_for": 0, "partial": 0}
    assert "No frame got through" in page
    assert "No case got through" in page
    assert "None" not in Page(page).text


def test_provenance_holds_no_path_case_or_name(run: Run, tmp_path: Path) -> None:
    own = {
        "root": run.roots["clinic-a"],
        "kind": "ddti",
        "accept": ["case-1234"],
        "groups": "/home/somebody/groups.csv",
        "masks": "/home/somebody/masks",
        "exclude": {"patients": ["case-1234", "somebody"]},
    }
    config = {
        "datasets": {"clinic-a": own, "clips": {"root": run.roots["clips"], "kind": "thyroid-cineclip"}},
        "scenarios": {"templates": ["/home/somebody/own.yaml"], "update": None, "seed": 0},
        "model": {"weights": "/home/somebody/own.safetensors", "epochs": 3},
        "split": {"given": "/home/somebody/split.csv", "folds": 5},
        "review": {"table": "/home/somebody/review.csv", "train": False},
    }
    recorded = run.provenance(config)
    text = json.dumps(recorded)
    assert not re.search(r'"[^"]*/[^"]*"', text)
    for secret in (str(tmp_path), "somebody", "case-1234", '"1234"', "7/1", platform.node()):
        assert secret not in text
    assert recorded["configuration"]["datasets"]["clinic-a"] == {
        "root": "clinic-a", "kind": "ddti", "accept": 1, "groups": "groups.csv", "masks": "masks",
        "exclude": {"patients": 2},
    }  # fmt: skip
    assert recorded["datasets"]["clinic-a"]["cases"] == 6
    assert recorded["scenarios"]["scenario_020"] == {
        "status": "filled", "image_sha256": "ab" * 32, "source_sha256": "cd" * 32,
    }  # fmt: skip
    assert recorded["code"] == {"frames.extract_frames": "1f2e"}


def test_the_content_hash_follows_the_content_and_not_the_order(run: Run) -> None:
    folder = run.results / "datasets" / "clips"
    before = record_provenance.record_dataset(folder, "thyroid-cineclip")
    rows = [row(cases.SCHEMA, case_id=name, content_sha256=f"{name:0>64}") for name in ("1234", "7")]
    write_rows(folder / "cases.parquet", rows, cases.SCHEMA)
    assert record_provenance.record_dataset(folder, "thyroid-cineclip") == before
    write_rows(folder / "cases.parquet", rows[:1], cases.SCHEMA)
    assert record_provenance.record_dataset(folder, "thyroid-cineclip") != before


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert record_provenance.processor_features(tmp_path / "missing") == "unknown"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2 fma sse4_2\n")
    assert record_provenance.processor_features(tmp_path / "cpuinfo") == ["avx2", "fma", "sse4_2"]
    assert record_provenance.git_state(tmp_path) is None


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "a"), (3, "abc"), (5, "abcde"), (9, "acegi"), (12, "adgil")], ids=lambda value: str(value)
)
def test_samples_are_spread_from_the_first_to_the_last(n: int, expected: str) -> None:
    assert spread([chr(ord("a") + k) for k in range(n)], 5) == list(expected)


def test_outlines_go_around_every_label_and_its_holes() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[2:9, 2:9] = 1
    labels[4:7, 4:7] = 0
    labels[12:15, 12:15] = 2
    assert outlines(labels).count("M") == 3
    assert outlines(labels * 0) == outlines(None) == ""


def test_only_the_sampled_rows_are_read(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "a.parquet", frames.SCHEMA, group=2) as writer:
        for index in range(7):
            writer.write(row(frames.SCHEMA, frame_id=f"1/{index}", case_id="1", frame_index=index))
    assert [found["frame_index"] for found in pick_rows([tmp_path / "a.parquet"], {"1/3", "1/6"})] == [3, 6]


def test_reasons_that_differ_in_figures_are_one_group() -> None:
    problem = {"stage": "extract_frames", "status": "partial", "file": "", "mend": ""}
    rows = [problem | {"case_id": case, "reason": f"breaks off after {case} bytes"} for case in ("10", "2", "2")]
    (group,) = group_problems(rows)
    assert (group["reason"], group["cases"]) == ("breaks off after … bytes", 2)
    assert [each["case_id"] for each in group["rows"]] == ["2", "2", "10"]
    assert group_problems(rows[:1])[0]["reason"] == "breaks off after 10 bytes"


@pytest.mark.parametrize(
    ("level", "size_mm", "expected"),
    [
        (None, None, "shape is not known"),
        ("TR4", None, "the level is known, but no diameter"),
        ("TR4", [9.0, None, 8.0], "the level is known, but one of the diameters is not, and may be the largest"),
    ],
)
def test_reasons_without_the_figures_of_a_case(level: str | None, size_mm: list | None, expected: str) -> None:
    grade = {"system": "ACR 2017", "level": level, "reason": "ACR 2017: shape is not known; others add up to 3 points"}
    assert why_undetermined(grade, size_mm) == expected


def test_calcium_and_advice_are_shown_of_the_sets_that_have_them(run: Run, reported: Reported) -> None:
    assert not {"calcium", "advice"} & set(Page(reported[0]).ids)
    run.stages = {"score_calcium": ["clips"], "compare_advice": ["clinic-a"]}
    clips, clinic = (run.results / "datasets" / name for name in ("clips", "clinic-a"))
    scored: list[dict[str, Any]] = [
        {"case_id": "7", "agatston": 12.5, "category": "11-100", "agatston_given": 480.0, "category_given": ">400"},
        {"case_id": "1234", "reason": f"nobody outlined its calcium {HOSTILE}"},
    ]
    for path in (clips / "chunks").glob("*.parquet"):
        mine = [row(calcium.SCHEMA, **one) for one in scored if one["case_id"] in cases_of(path)]
        write_rows(clips / "calcium" / path.name, mine, calcium.SCHEMA)
    sides = {"ai_says": "malignant", "physician_says": "benign", "ai_advice": HOSTILE, "physician_conclusion": "良性"}
    compared: list[dict[str, Any]] = [
        {"case_id": "1", "agree": False, "review": 1, "reason": "AI: malignant; physician: benign"} | sides,
        {"case_id": "2", "agree": None, "reason": "not compared"},
        {"case_id": "4", "agree": True, "reason": "of a case that did not get through"},
    ]
    write_rows(clinic / "advice.parquet", [row(advice.SCHEMA, **one) for one in compared], advice.SCHEMA)
    page, summary = run.report()
    found = summary["datasets"]["clips"]["calcium"]
    assert (found["cases"], found["scored"], found["stated"]) == (2, 1, 1)
    assert {each["category"]: (each["scored"], each["stated"]) for each in found["categories"]} == {
        "0": (0, 0), "1-10": (0, 0), "11-100": (1, 0), "101-400": (0, 0), ">400": (0, 1),
    }  # fmt: skip
    told = summary["datasets"]["clinic-a"]["advice"]
    assert {key: told[key] for key in ("cases", "agree", "disagree", "contradict", "not_compared")} == {
        "cases": 2, "agree": 0, "disagree": 1, "contradict": 1, "not_compared": 1,
    }  # fmt: skip
    assert [each["case_id"] for each in told["review"]] == ["1"]
    assert {"calcium", "advice"} <= set(Page(page).ids)
    assert "良性" in Page(page).text
    assert HOSTILE not in page


def cases_of(path: Path) -> set[str]:
    return {each["case_id"] for each in read_rows(path, cases.SCHEMA)}
