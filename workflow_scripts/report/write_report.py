"""Write one self-contained page that shows what came out, and every figure in it as JSON."""

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.report.draw_frames import data_uri, draw_frames
from workflow_scripts.report.draw_grader import draw_grader
from workflow_scripts.report.draw_overlays import draw_overlays
from workflow_scripts.report.draw_quality import draw_quality
from workflow_scripts.report.draw_scores import draw_charts
from workflow_scripts.report.follow_cases import Tables, read_tables
from workflow_scripts.report.summarise import LISTED, summarise_dataset
from workflow_scripts.report.summarise_comparison import draw_differences, summarise_comparison
from workflow_scripts.report.summarise_descriptors import summarise_descriptors
from workflow_scripts.report.summarise_findings import summarise_advice, summarise_calcium
from workflow_scripts.report.summarise_grader import summarise_grader
from workflow_scripts.report.summarise_quality import summarise_quality
from workflow_scripts.report.summarise_scenarios import summarise_scenarios
from workflow_scripts.report.summarise_segmentation import summarise_segmentation
from workflow_scripts.report.words import Wording
from workflow_scripts.tables import scenarios
from workflow_scripts.tables.reviews import read_corrected
from workflow_scripts.tables.table import read_rows

HERE = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = "report.html", "report.css", "report.js"
PARTS = ("parts.html", "charts.html")  # of the sections; named here, they take part in the code's version
PANELS = {  # the sections of each tab
    "data": ["cases.html", "datasets.html", "frames.html", "quarantine.html"],
    "quality": ["segmentation.html", "comparison.html", "estimates.html"],
    "grading": ["grades.html", "advice.html", "calcium.html", "descriptors.html", "grader.html"],
    "scenarios": ["scenarios.html"],
    "provenance": ["tables.html", "citations.html"],  # last: it lists the tables that the others name
}
OF_SOME = ("advice.html", "calcium.html")  # data sets
OF_EVERY_RUN = (*PANELS["data"], "grades.html", *PANELS["scenarios"], *PANELS["provenance"])

Pictures = dict[str, Any]


def summarise(datasets: Path, roots: dict[str, str], table: Path, spec: dict[str, Any]) -> tuple[dict, Pictures]:
    """Return every figure of the report, and its pictures.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    table
        The scenarios; their texts are in scenarios.json beside it.
    spec
        `kinds`: the kind of each data set; `datasets`: the models that each is scored with; `stages`: the data sets
        that get each of the stages that not every one gets.
    """
    summary: dict[str, Any] = {"datasets": {}}
    pictures: Pictures = {"frames": {}}
    tables: dict[str, Tables] = {}
    for name, kind in sorted(spec["kinds"].items()):
        tables[name] = read_tables(datasets / name, spec["datasets"][name])
        through, figures = summarise_dataset(name, kind, tables[name])
        calcium, advice = (name in spec["stages"][stage] for stage in ("score_calcium", "compare_advice"))
        figures["calcium"] = summarise_calcium(datasets / name, through) if calcium else None
        figures["advice"] = summarise_advice(datasets / name, through) if advice else None
        drawn = list(draw_frames(datasets / name, Path(roots[name]), through))
        known = tables[name].rows({sample["case_id"] for sample, _ in drawn})
        for sample, _ in drawn:
            case = known[sample["case_id"]]
            sample |= {key: case[key] for key in ("tirads_system", "tirads_level", "pathology")}
        figures["samples"] = [sample for sample, _ in drawn]
        figures["frames"]["drawn"] = len(drawn)
        summary["datasets"][name] = figures
        pictures["frames"][name] = {sample["frame_id"]: drawing for sample, drawing in drawn}
    for figure in ("cases", "frames"):
        total = sum((Counter(each[figure]) for each in summary["datasets"].values()), Counter[str]())
        summary[figure] = {key: total[key] for key in next(iter(summary["datasets"].values()))[figure]}
    summary["restricted"] = [
        name for name, each in summary["datasets"].items() if each["card"]["redistribution"] != "allowed"
    ]
    summary["scenarios"] = summarise_scenarios(table, tables)
    shown = {entry["scenario_id"] for entry in summary["scenarios"]["entries"] if entry["shown"]}
    pictures["scenarios"] = {
        row["scenario_id"]: data_uri(decode_picture((table.parent / row["image"]["path"]).read_bytes()))
        for row in read_rows(table, scenarios.SCHEMA)
        if row["image"] and row["scenario_id"] in shown
    }
    return summary, pictures


def shown_gate(value: float) -> str:
    """Return how a gate stands in the page: two decimals, or all it has."""
    return max(f"{value:.2f}", f"{value:g}", key=len)


def page_templates() -> Environment:
    """Return the templates of the page, with the words that they say."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    wording = Wording()
    environment.finalize = wording.shown
    environment.filters |= {"three": lambda value: None if value is None else f"{value:.3f}", "gate": shown_gate}
    environment.globals |= {
        "_": wording.label,
        "told": wording.told,
        "origin": wording.origin,
        "link": wording.link,
        "origins": wording.origins,
        "used": wording.used,
        "LISTED": LISTED,
    }
    return environment


def learned_sections(summary: dict[str, Any], pictures: Pictures) -> dict[str, dict[str, Any]]:
    """Return the templates of the sections on what was learnt, with what each asks for."""
    found: dict[str, dict[str, Any]] = {}
    if scored := summary.get("segmentation"):
        charts = {model: draw_charts(figures) for model, figures in scored["models"].items()}
        found["segmentation.html"] = {"summary": scored, "pictures": pictures["segmentation"], "charts": charts}
    if compared := summary.get("comparison"):
        drawn = [draw_differences(each["pairs"]) for each in compared["comparisons"]]
        found["comparison.html"] = {"summary": compared, "drawn": drawn}
    if quality := summary.get("quality"):
        found["estimates.html"] = {"quality": quality, "charts": draw_quality(quality)}
    if "descriptors" in summary:
        found["descriptors.html"] = {"summary": summary}
    if grader := summary.get("grader"):
        charts = {task: draw_grader(each) for task, each in grader["tasks"].items() if each["abstained"] is None}
        found["grader.html"] = {"summary": grader, "charts": charts}
    return found


def render(summary: dict[str, Any], pictures: Pictures) -> str:
    """Return the page of a summary."""
    templates = page_templates()
    whole = {"summary": summary, "pictures": pictures}
    asked = learned_sections(summary, pictures)
    for name in OF_SOME:
        if any(each[Path(name).stem] for each in summary["datasets"].values()):
            asked[name] = whole
    asked |= dict.fromkeys(OF_EVERY_RUN, whole)
    panels = {
        panel: {
            Path(name).stem: Markup(templates.get_template(name).render(asked[name])) for name in names if name in asked
        }
        for panel, names in PANELS.items()
    }
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template(TEMPLATE).render(
        summary=summary, panels=panels, style=Markup(style), script=Markup(script), script_hash=f"sha256-{digest}"
    )


def main(argv: list[str] | None = None) -> None:
    """Write the report."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--scenarios", type=command.existing, required=True, help="table, scenarios.json beside it")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="kinds, limit, what was scored")
    arguments.add_argument("--review", type=Path, help="folder with scores.json, flags.parquet; if anything was scored")
    arguments.add_argument("--reviews", type=command.existing, nargs="*", default=[], help="tables of reviews, if any")
    arguments.add_argument("--models", type=Path, help="folder with folds.parquet, models; if any was trained")
    arguments.add_argument("--page", type=Path, required=True, help="HTML to write")
    arguments.add_argument("--summary", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("write_report")
    summary, pictures = summarise(args.datasets, args.roots, args.scenarios, args.spec)
    summary["limit"] = args.spec["limit"]
    if args.spec["models"]:
        summary["segmentation"] = summarise_segmentation(args.datasets, args.review, args.models, args.spec)
        corrected = {
            f"{path.parents[1].name}/{frame}": mask
            for path in args.reviews
            for frame, mask in read_corrected(path).items()
        }
        models = summary["segmentation"]["models"]
        pictures["segmentation"] = draw_overlays(args.datasets, args.roots, models, corrected)
    sections, own = args.spec["sections"], args.spec["own"]
    if "comparison" in sections:
        summary["comparison"] = summarise_comparison(args.review)
    if "quality" in sections:
        summary["quality"] = summarise_quality(args.datasets, args.review, own)
    if "descriptors" in sections:
        summary["descriptors"] = summarise_descriptors(args.review / "descriptors.json")
    if "grader" in sections:
        summary["grader"] = summarise_grader(args.datasets, args.review / "grader.json", sorted(own["datasets"]))
    with write_beside(args.page) as page, write_beside(args.summary) as figures:
        page.write_text(render(summary, pictures), encoding="utf-8")
        figures.write_text(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    log.info("%d cases in, %d out", summary["cases"]["in"], summary["cases"]["out"])


if __name__ == "__main__":
    main()
