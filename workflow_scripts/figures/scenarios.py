"""What the scenarios ask for, what the labels could carry, and what was filled."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from workflow_scripts.figures.plate import BLUE, ORANGE, PAGE, Missing, Plate, Row, Run, count, new_figure

KEPT = ("template", "kind", "asked", "eligible", "patients", "candidates", "filled")
LONG = 30  # templates: more than these stand in two columns
ENDS = (1.42, 1.75)  # where the numbers beside the shares end
KINDS: dict[str, Row] = {
    "error": {"label": "share filled, wrong decision", "fc": ORANGE, "hatch": "/////", "ec": "white", "lw": 0},
    "appropriate": {"label": "share filled, right decision", "fc": BLUE},
}


def draw_shares(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw of each template the share of its scenarios that was filled, and its numbers."""
    for place, row in enumerate(rows):
        axes.barh(place, 1, 0.72, color="#EFEFEF")
        axes.barh(place, row["filled"] / row["asked"], 0.72, **KINDS[row["kind"]])
    told = all(row["eligible"] is not None for row in rows)  # a release does not tell how many cases fit
    table = [
        ("filled/asked", "eligible" if told else ""),
        *((f"{row['filled']:,}/{row['asked']:,}", f"{row['eligible']:,}" if told else "") for row in rows),
    ]
    for place, cells in enumerate(table, start=-1):
        for at, cell in zip(ENDS, cells, strict=True):
            axes.text(at, place, cell, va="center", ha="right", size=5.5)
    axes.set_yticks(range(len(rows)), [row["template"] for row in rows], size=5.5)
    axes.set(xlim=(0, ENDS[-1]), ylim=(len(rows) - 0.4, -1.5), xticks=(0, 0.5, 1), xticklabels=("0", "50 %", "100 %"))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def draw_scenario_coverage(run: Run) -> Plate:
    """Draw of each template how many scenarios it asks for, how many cases fit, and how many were filled."""
    templates = run.part("scenarios", "no scenarios").get("templates")
    if not templates:
        raise Missing("no template was matched with cases")
    rows: list[Row] = [{name: each.get(name) for name in KEPT} for each in templates]
    asked, filled = (sum(row[name] for row in rows) for name in ("asked", "filled"))
    n = f"n = {count(len(rows), 'template')}, {filled:,} of {count(asked, 'scenario')} filled"
    across = 2 if len(rows) > LONG else 1
    half = -(-len(rows) // across)
    figure, panels = new_figure(PAGE, 0.95 + 0.125 * half, n, 1, across)
    for place, axes in enumerate(panels):
        draw_shares(axes, rows[place * half : (place + 1) * half])
    figure.legend(handles=[Patch(**look) for look in KINDS.values()], loc="outside upper left", ncols=2)
    return Plate(
        "Scenarios by template: asked, eligible by their labels, filled",
        n.removeprefix("n = "),
        "scenarios/matches.parquet, scenarios/scenarios.parquet",
        rows,
        figure,
    )
