"""What a figure of a paper is: a drawing, its data as rows, and on how many it rests."""

import csv
import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = "style.yaml"
COLUMN, PAGE = 3.5, 7.2  # widths in inches
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
FORMATS = {  # without what would differ from run to run, or from release to release of matplotlib
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}

ON_WHITE: dict[str, Any] = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6}  # a text among points

Row = dict[str, Any]


class Missing(Exception):
    """The run does not have what a figure is drawn from; its text says what is missing."""


class Estimate(NamedTuple):
    """A value with the ends of its 95 % interval; None is not known."""

    value: float | None
    low: float | None = None
    high: float | None = None
    digits: int = 3  # behind the point, as it is shown

    @classmethod
    def of(cls, found: dict[str, Any], name: str = "value", digits: int = 3) -> "Estimate":
        """Take a figure of the summary: the value under `name`, and its `interval`."""
        low, high = found["interval"] or (None, None)
        return cls(found[name], low, high, digits)

    def shown(self) -> str:
        """Return it as people read it: 0.740 (0.717 to 0.761)."""
        if self.value is None:
            return "–"
        form = f".{self.digits}f"
        ends = "" if self.low is None or self.high is None else f" ({self.low:{form}} to {self.high:{form}})"
        return f"{self.value:{form}}{ends}".replace("-", "−")


@dataclass(frozen=True)
class Plate:
    """One figure."""

    caption: str  # what it shows
    n: str  # on how many it rests
    source: str  # the tables it is drawn from, relative to the results
    rows: Sequence[Row]  # what is drawn
    figure: Figure


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, and every figure of its report."""

    results: Path
    summary: dict[str, Any]

    @classmethod
    def read(cls, results: Path) -> "Run":
        """Read the summary of a run."""
        return cls(results, json.loads((results / "report" / "summary.json").read_text(encoding="utf-8")))

    def part(self, name: str, missing: str) -> dict[str, Any]:
        """Return a part of the summary.

        Raises
        ------
        Missing
            When the run does not have it.
        """
        found: dict[str, Any] | None = self.summary.get(name)
        if not found:
            raise Missing(missing)
        return found


def paper_style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and saved."""
    own = yaml.safe_load(Path(__file__).with_name(STYLE).read_text(encoding="utf-8"))
    return style.context(["default", own])


def new_figure(width: float, height: float, n: str, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure (inches) that says on how many it rests, and its panels, row by row."""
    figure = Figure(figsize=(width, height))
    figure.supxlabel(n, x=0.995, ha="right", fontsize=6, color=GREY)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def legend_above(axes: Axes, title: str, columns: int = 2) -> None:
    """Put the legend above a panel, under its title: there it hides no point."""
    axes.legend(
        title=title, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1), alignment="left", borderaxespad=0.3,
        borderpad=0, title_fontsize=7, columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as `path` with each of the endings; the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once: the same in all formats
    for ending, metadata in FORMATS.items():
        figure.savefig(path.with_suffix(f".{ending}"), metadata=metadata)


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Write rows as CSV; an estimate takes three columns."""
    flat = [flatten(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)


def flatten(row: Row) -> Row:
    """Return a row whose estimates are three columns each: the value, and the ends of its interval."""
    flat: Row = {}
    for name, cell in row.items():
        if isinstance(cell, Estimate):
            flat |= {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
        else:
            flat[name] = cell
    return flat


def count(n: int, what: str) -> str:
    """Return a number with its noun: 1 case, 2 cases."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
