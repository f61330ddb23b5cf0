"""Figures and tables of a paper: drawn from a run with all of them, the same bytes every time, and no case in them."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from tests.unit.grader_tables import Clinic, learnt
from tests.unit.quality_tables import predictions
from tests.unit.report_tables import CLIPS, KINDS, STILLS, Run
from tests.unit.test_report_learning import MODEL, learn
from tests.unit.test_report_quality import ESTIMATED
from tests.unit.test_report_quality import summarise as estimate_quality
from workflow_scripts.figures.draw_figures import COSTS, FIGURES, INDEX, NUMBERS, main
from workflow_scripts.figures.flow import ALONE, follow
from workflow_scripts.figures.latex import Table, as_latex, as_numbers, quotable
from workflow_scripts.figures.plate import FORMATS, Estimate, Missing
from workflow_scripts.figures.plate import Run as Finished
from workflow_scripts.figures.sizes import LIMIT, agreement, pair_sizes
from workflow_scripts.figures.tables import TABLES
from workflow_scripts.provenance import ROOT, canonical_json
from workflow_scripts.tables import cases, nodules, scores
from workflow_scripts.tables.table import planned, write_rows
from workflow_scripts.tirads import grader_figures, grader_model, measure_nodules

PAPER = ROOT / "docs" / "paper" / "main.tex"
RECIPES = (
    "recipe,differs,n_compared,dice_change,dice_change_low,dice_change_high,better,worse,iou_change,iou_change_low,"
    "iou_change_high\nfirst,nothing,,,,,,,,,\nfpn,architecture,9,-0.02,-0.05,0.01,3,6,-0.01,,\n"
)


def draw(results: Path, name: str = "figures") -> Path:
    out = results / name
    main(["--results", str(results), "--out", str(out)])
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def finish(folder: Path) -> Path:
    """Return the results of a run that has everything a figure can be drawn from."""
    run = Run(folder, {"clinic-a": STILLS, "clips": CLIPS}, KINDS)
    learn(run)
    for name, models in run.scored["datasets"].items():
        own = run.results / "datasets" / name
        for frames in planned(own, "frames"):
            pairs = [(model, fold) for model in models for fold in run.scored["models"][model]]
            masks = [str(own / "masks" / model / fold / frames.name) for model, fold in pairs]
            asked = {"frames": frames, "inputs": own / "inputs" / frames.name, "nodules": own / "nodules" / frames.name}
            asked |= {"roots": canonical_json(run.roots), "dataset": name}
            named = [text for key, value in asked.items() for text in (f"--{key}", str(value))]
            measure_nodules.main([*named, "--masks", *masks])
    run.report()
    summary = json.loads((run.results / "report" / "summary.json").read_text())
    clinic = Clinic(folder / "clinic", [("2", "4a", "5")[k // 2 % 3] for k in range(72)])
    summary["grader"] = learnt(clinic)[0]
    summary["quality"] = estimate_quality(folder / "quality", [ESTIMATED | row for row in predictions(60)])
    summary["quality"]["evaluation"]["model"] = MODEL
    (run.results / "report" / "summary.json").write_text(json.dumps(summary))
    (run.results / "recipes").mkdir()
    (run.results / "recipes" / "recipes.csv").write_text(RECIPES)
    for job, took in (("extract_frames/clips/000", '"NA"'), ("index_cases/clips", "90.5"), ("write_report", "80.5")):
        benchmark = run.results / "benchmarks" / f"{job}.jsonl"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f'{{"s": 1.5, "max_rss": {took}}}\n')
    return run.results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as quickly, threadpool_limits(1):
        quickly.setattr(grader_figures, "RESAMPLES", 100)
        quickly.setattr(grader_model, "REPEATS", 1)
        quickly.setattr(grader_model, "INNER_FOLDS", 3)
        made = finish(tmp_path_factory.mktemp("run"))
    draw(made)
    return made


@pytest.fixture(scope="module")
def figures(results: Path) -> Path:
    return results / "figures"


def test_every_figure_and_table_is_there_with_its_data_and_its_n(figures: Path) -> None:
    index = (figures / INDEX).read_text()
    assert "Left out" not in index
    for name in FIGURES:
        assert all((figures / f"{name}.{ending}").stat().st_size for ending in FORMATS)
        assert table(figures / f"{name}.csv")
        row = re.search(rf"^\| {name} \| (.+) \| (.+) \| (.+) \|$", index, re.MULTILINE)
        assert row, name
        assert re.search(r"\d", row[2]), name
    for name in TABLES:
        assert f"| {name} |" in index
        assert table(figures / f"{name}.csv")


def test_the_same_run_gives_the_same_bytes_whatever_the_user_has_set(results: Path, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.hashsalt: other\nsavefig.dpi: 10\n")
    own = {"MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"}
    command = [sys.executable, "-m", "workflow_scripts.figures.draw_figures", "--results", str(results)]
    subprocess.run([*command, "--out", str(tmp_path / "again")], check=True, cwd=ROOT, env=os.environ | own)
    first, again = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (results / "figures", tmp_path / "again")
    )
    assert [name for name in first if first[name] != again.get(name)] == []
    assert first.keys() == again.keys()


def test_letters_are_embedded_and_no_file_tells_when_or_by_what(figures: Path) -> None:
    for name in FIGURES:
        pdf, svg, png = ((figures / f"{name}.{ending}").read_bytes() for ending in ("pdf", "svg", "png"))
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"<text" not in svg
        for content in (pdf, svg, png):
            assert not re.search(rb"CreationDate|<dc:date>|Matplotlib (v|version)|Matplotlib pdf backend", content)


def test_no_figure_tells_of_a_case(figures: Path) -> None:
    for path in figures.glob("*.csv"):
        assert not {"case_id", "frame_id", "group_id", "group", "file"} & set(table(path)[0]), path.name
    reasons = {row["what"] for row in table(figures / "flow.csv")}
    assert ALONE in reasons  # what a single case left for may name it
    assert not any("alert" in reason or "broken at" in reason for reason in reasons)


def test_a_job_costs_what_it_took_for_the_frames_of_its_chunk_or_the_cases_of_its_data_set(figures: Path) -> None:
    rows = [tuple(row.values()) for row in table(figures / "cost_per_size.csv")]
    assert rows == [
        ("extract_frames", "clips", "frames", "40", "1.5", ""),
        ("index_cases", "clips", "cases", "2", "1.5", "90.5"),
    ]


def test_the_flow_adds_up(results: Path) -> None:
    rows = table(results / "figures" / "flow.csv")
    summary = json.loads((results / "report" / "summary.json").read_text())
    of = {
        stage: sum(int(row["cases"]) for row in rows if row["stage"] == stage) for stage in {r["stage"] for r in rows}
    }
    lost = sum(n for stage, n in of.items() if stage.endswith(("cases", "chunks", "frames", "nodules")))
    assert of["found"] - lost == of["through"] == summary["cases"]["out"]


def test_a_reason_that_several_cases_share_is_told_without_its_digits() -> None:
    rows = [{"case_id": case} for case in "abc"]
    problem = {"stage": "index_cases", "status": "quarantined"}
    shared = (
        problem | {"reason": "line 7 is short", "rows": rows[:1], "more": 0},
        problem | {"reason": "line 9 is short", "rows": rows, "more": 40},
    )
    step = {"stage": "index_cases", "quarantined": 43, "excluded": 1, "left": 0}
    told = follow({"d": {"quarantine": list(shared), "flow": [step]}})
    assert [(row["what"], row["cases"]) for row in told] == [("line … is short", 43), ("excluded by the user", 1)]


def nodule_tables(folder: Path, spacing: bool) -> Finished:
    """Write one data set of 12 cases: one single nodule each, 2 longer by the model; and a frame with two nodules."""
    own = folder / "datasets" / "d"
    write_rows(own / "chunks" / "000.parquet", [{"case_id": "c", "dataset": "d"}], cases.SCHEMA)
    scored, measured = [], []
    for case in range(12):
        for frame, n in ((f"{case}/0", 1), (f"{case}/1", 2)):
            counts = dict.fromkeys(("n_outlined", "n_predicted", "n_found"), n)
            scored.append({"frame_id": frame, "case_id": str(case), "group_id": f"d/{case}", **counts})
            for who, fold, longer in (("expert", None, 0), ("m", "0", 2 if n == 1 else 50)):
                row: dict[str, Any] = {
                    "frame_id": frame,
                    "case_id": str(case),
                    "outlined_by": who,
                    "fold": fold,
                    "area_px": 100,
                }
                size = 20.0 + case + longer
                measured.append(row | {"longest_px": size, "longest_mm": size / 10 if spacing else None})
                measured.append(row | {"longest_px": 3.0, "longest_mm": 0.3 if spacing else None, "area_px": 4})
    write_rows(own / "scores" / "m" / "0" / "000.parquet", scored, scores.SCHEMA)
    write_rows(own / "nodules" / "000.parquet", measured, nodules.SCHEMA)
    models = {"m": {"datasets": {"d": {}}, "folds": ["0"]}}
    return Finished(folder, {"datasets": {"d": {}}, "segmentation": {"models": models}})


@pytest.mark.parametrize(("spacing", "key", "bias"), [(True, ("d", "m", "mm"), 0.2), (False, ("d", "m", "px"), 2.0)])
def test_sizes_are_paired_where_a_nodule_is_alone_and_in_mm_where_that_is_known(
    tmp_path: Path, spacing: bool, key: tuple[str, str, str], bias: float
) -> None:
    pairs = pair_sizes(nodule_tables(tmp_path, spacing))
    assert list(pairs) == [key]
    assert len(pairs[key]) == 12
    found = agreement(pairs[key])
    assert all(estimate.value == pytest.approx(bias) for estimate in found.values())  # all differ alike


def test_limits_of_agreement_are_those_of_bland_and_altman() -> None:
    rows = [{"group": str(k // 2), "reference": 10.0, "measured": 10.0 + (-1) ** k} for k in range(40)]
    found = agreement(rows)
    spread = (40 / 39) ** 0.5
    assert [found[name].value for name in ("bias", "lower_limit", "upper_limit")] == pytest.approx(
        [0, -LIMIT * spread, LIMIT * spread]
    )
    assert found["bias"].low == found["bias"].high == pytest.approx(0)  # whole groups are drawn: each has mean 0
    assert agreement(rows[:18])["bias"].low is None  # nine groups are too few


def test_numbers_of_tables_are_those_of_the_summary(results: Path, figures: Path) -> None:
    summary = json.loads((results / "report" / "summary.json").read_text())
    for row in table(figures / "segmentation.csv"):
        found = summary["segmentation"]["models"][row["model"]]
        of = found["overall"] if row["dataset"] == "all" else found["datasets"].get(row["dataset"])
        assert float(row["dice"]) == of["dice"]["mean"]
        assert int(row["frames"]) == of["n_frames"]
    (kappa,) = (row["kappa"] for row in table(figures / "grader.csv") if row["arm"].startswith("picture, measures"))
    assert float(kappa) == summary["grader"]["tasks"]["Kwak 2011"]["arms"]["all"]["kappa"]["value"]


def test_latex_prints_names_as_they_are_and_says_what_is_not_known() -> None:
    rows: list[dict[str, Any]] = [{"name": r"a_b & 50 % $x$ \y", "n": 1234, "dice": Estimate(-0.5, -0.75, 0.25, 2)}]
    made = Table(
        "",
        "",
        {"name": "Name", "n": "n", "dice": "Dice"},
        [*rows, {"name": "other", "dice": Estimate(None)}],
        ("name",),
        "",
    )
    lines = as_latex(made).splitlines()
    assert r"a\_b \& 50 \% \$x\$ \textbackslash{}y & 1,234 & $-$0.50 ($-$0.75 to 0.25) \\" in lines
    assert r"other & -- & -- \\" in lines
    assert r"\begin{tabular}{@{}lrr@{}}" in lines
    assert ("t/a_b  50  x y/dice", "−0.50 (−0.75 to 0.25)") in quotable("t", made)


def test_the_manuscript_names_only_what_a_run_has(figures: Path) -> None:
    text = PAPER.read_text()
    named = set(re.findall(r"\\(includegraphics|input)(?:\[[^]]*\])?\{\\run/([\w]+)\}", text))
    assert len(named) > 10
    for kind, name in named:
        assert (figures / f"{name}.{'pdf' if kind == 'includegraphics' else 'tex'}").is_file(), name
    (model,) = re.findall(r"\\newcommand\{\\model\}\{(.+)\}", text)
    defined = set(re.findall(r"\\csname casebook@(.+?)\\endcsname\{", (figures / NUMBERS).read_text()))
    quoted = re.findall(r"\\casebook\{(.+?)\}", text)
    assert len(quoted) > 8
    for key in quoted:
        assert key.replace(r"\model", model).replace(r"\dataset", "clinic-a") in defined, key
    missing = FIGURES.keys() - {name for _, name in named} - {*COSTS, "recipes"}
    assert not missing, "a figure that the manuscript does not show"


def test_tex_is_balanced(figures: Path) -> None:
    for path in figures.glob("*.tex"):
        text = re.sub(r"\\[{}]", "", path.read_text())
        assert text.count("{") == text.count("}"), path.name
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len({re.sub(r"\\&", "", row).count("&") for row in rows}) <= 1, path.name
    assert as_numbers([("a/b", "5 %")]).endswith("casebook@a/b\\endcsname{5 \\%}\n")


def test_what_a_run_does_not_have_is_left_out_with_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, {"clinic-a": STILLS}, {"clinic-a": "ddti"})
    run.report()
    out = draw(run.results)
    assert {path.stem for path in out.glob("*.pdf")} == {"flow", "scenario_coverage"}
    told = "grader_roc: no grades were learnt"
    assert f"- {told}" in (out / INDEX).read_text()
    assert f"left out: {told}" in capfd.readouterr().err
    with pytest.raises(Missing, match="no masks were scored"):
        pair_sizes(Finished.read(run.results))


def test_nothing_of_the_users_is_overwritten_and_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="summary.json is not there: run the workflow first"):
        draw(tmp_path)
    run = Run(tmp_path / "run", {"clinic-a": STILLS}, {"clinic-a": "ddti"})
    run.report()
    (run.results / "figures").mkdir()
    (run.results / "figures" / "mine.txt").write_text("kept")
    with pytest.raises(SystemExit, match="holds something other than figures"):
        draw(run.results)
    assert [path.name for path in (run.results / "figures").iterdir()] == ["mine.txt"]
