"""Draw the figures of a paper, and write its tables, from what a run left behind.

Each figure is a PDF, an SVG and a PNG with its data as CSV beside it, each table LaTeX and CSV. numbers.tex holds every
cell for the text; index.md lists what is there, and what is left out and why. Statistics only: no pixel, no identifier.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.figures.costs import draw_cost_per_size, draw_cost_per_stage
from workflow_scripts.figures.differences import draw_paired_comparison, draw_recipes
from workflow_scripts.figures.flow import draw_flow
from workflow_scripts.figures.grader import draw_grader_calibration, draw_grader_roc, draw_tirads_confusion
from workflow_scripts.figures.latex import as_numbers, quotable, shown, write_table
from workflow_scripts.figures.overlap import draw_dice_iou
from workflow_scripts.figures.plate import FORMATS, Missing, Plate, Run, count, paper_style, save_figure, write_csv
from workflow_scripts.figures.quality import draw_quality_calibration, draw_risk_coverage
from workflow_scripts.figures.scenarios import draw_scenario_coverage
from workflow_scripts.figures.sizes import draw_bland_altman
from workflow_scripts.figures.tables import TABLES
from workflow_scripts.files import write_folder_beside

FIGURES: dict[str, Callable[[Run], Plate]] = {
    "flow": draw_flow,
    "dice_iou": draw_dice_iou,
    "paired_comparison": draw_paired_comparison,
    "recipes": draw_recipes,
    "bland_altman": draw_bland_altman,
    "quality_calibration": draw_quality_calibration,
    "risk_coverage": draw_risk_coverage,
    "tirads_confusion": draw_tirads_confusion,
    "grader_roc": draw_grader_roc,
    "grader_calibration": draw_grader_calibration,
    "scenario_coverage": draw_scenario_coverage,
    "cost_per_stage": draw_cost_per_stage,
    "cost_per_size": draw_cost_per_size,
}
COSTS = ("cost_per_stage", "cost_per_size")  # those whose data are others on every run of the workflow
WHOLE = ("cases", "frames", "scenarios")  # parts of the summary whose numbers can be quoted
INDEX, NUMBERS = "index.md", "numbers.tex"


def draw_figures(results: Path, folder: Path) -> dict[str, str]:
    """Write every figure and table that a run has the data for; return what is left out, with the reason.

    Parameters
    ----------
    results
        The results of a run, with its report.
    folder
        Where to write; it must be there.
    """
    run = Run.read(results)
    left_out: dict[str, str] = {}
    figures, tables = [], []
    cells = [
        (f"{part}/{name}", shown(n)) for part in WHOLE for name, n in run.summary[part].items() if isinstance(n, int)
    ]
    with paper_style():
        for name, draw in FIGURES.items():
            try:
                plate = draw(run)
            except Missing as why:
                left_out[name] = str(why)
                continue
            save_figure(plate.figure, folder / name)
            write_csv(plate.rows, folder / f"{name}.csv")
            figures.append(f"| {name} | {plate.caption} | {plate.n} | {plate.source} |")
    for name, tabulate in TABLES.items():
        try:
            table = tabulate(run)
        except Missing as why:
            left_out[f"{name}.tex"] = str(why)
            continue
        write_table(name, table, folder)
        cells += quotable(name, table)
        tables.append(f"| {name} | {table.caption} | {count(len(table.rows), 'row')} | {table.source} |")
    (folder / NUMBERS).write_text(as_numbers(cells), encoding="utf-8")
    (folder / INDEX).write_text(index_of(figures, tables, left_out), encoding="utf-8")
    return left_out


def index_of(figures: list[str], tables: list[str], left_out: dict[str, str]) -> str:
    """Return the index: what is there, on how many it rests and what it is drawn from; what is not, and why."""
    missing = [f"- {name}: {why}" for name, why in left_out.items()]
    lines = [
        "# Figures and tables of this run",
        "",
        f"Figures are {', '.join(FORMATS)} and, their data, csv; tables are tex and csv, and every cell of them stands"
        f" in `{NUMBERS}` for the text. {' and '.join(f'`{name}`' for name in COSTS)} show what this machine took when"
        " stages last ran; all else is the same on every run. Statistics only, of data that may be restricted: their"
        " terms stand in the report.",
        "",
        *("| figure | shows | n | drawn from |", "|---|---|---|---|", *figures, ""),
        *("| table | holds | size | made of |", "|---|---|---|---|", *tables, ""),
        *(["Left out:", "", *missing, ""] if missing else []),
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Draw the figures of one run; an earlier folder of figures is replaced when all went well."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--results", type=command.existing, required=True, help="results of a run, with its report")
    arguments.add_argument("--out", type=Path, required=True, help="folder to write")
    args = arguments.parse_args(argv)
    log = command.start("draw_figures")
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter
    out, summary = args.out, args.results / "report" / "summary.json"
    if not summary.is_file():
        raise command.Refusal(f"{summary} is not there: run the workflow first, or name its results")
    if out.exists() and not (out / INDEX).is_file() and (out.is_file() or any(out.iterdir())):
        raise command.Refusal(f"{out}: holds something other than figures; name another folder")
    try:
        with write_folder_beside(out) as beside:
            left_out = draw_figures(args.results, beside)
    except OSError as error:
        raise command.Refusal(f"{out}: cannot be written: {error.strerror or error}") from None
    for name, why in left_out.items():
        log.info("left out: %s: %s", name, why)
    log.info("%d figures: %s", len(FIGURES) - len(left_out.keys() & FIGURES), out / INDEX)


if __name__ == "__main__":
    main()
