"""Compare the scored models: one table on the frames that all of them scored, and for each pair what differs."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.metrics.paired import INTERVAL, METRICS, Row, compare, patients_of
from workflow_scripts.metrics.scored import scored_chunks

WORDS = {"dice": "Dice", "iou": "IoU", "hd95": "HD95 [pixel]"}
COUNTS = ("n_frames", "n_patients", "n_groups", "better", "worse", "equal")
COLUMNS = ("datasets", "model", "minus", "metric", "value", "low", "high", *COUNTS)


def compare_models(datasets: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the comparisons: one for the data sets that the same models were scored on.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    spec
        `models`: the folds of each model; `datasets`: the models that each data set is scored with; `seed`.

    Raises
    ------
    ValueError
        When no data set is scored with two models.
    """
    shown = sorted(spec["models"], key=lambda model: ("given" in spec["models"][model], model))  # trained here first
    of_models: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, models in sorted(spec["datasets"].items()):
        of_models[tuple(model for model in shown if model in models)].append(name)
    if not any(len(models) > 1 for models in of_models):
        raise ValueError(
            f"compare: {', '.join(shown) or 'nothing'} is scored, and no data set with two models; name masks under"
            " datasets.<name>.masks (docs/comparing.md)"
        )
    found = []
    for models, names in of_models.items():
        if len(models) < 2:
            continue
        own = spec | {"datasets": {name: spec["datasets"][name] for name in names}}
        scores = {model: [row for *_, rows in scored_chunks(datasets, own, model) for row in rows] for model in models}
        found.append({"datasets": names, **compare(scores, patients_of(datasets, names), spec["seed"])})
    return {"interval": INTERVAL, "comparisons": found}


def say_left_out(comparison: Mapping[str, Any]) -> str:
    """Return how many frames are compared, how many are left out, and why."""
    lost = comparison["n_frames_of_any"] - comparison["n_frames"]
    why = [
        f"{about[key]} {word} {about['model']}"
        for about in comparison["models"]
        for key, word in (("n_not_scored", "not scored by"), ("n_both_empty", "with both masks empty with"))
        if about[key]
    ]
    told = "{n_frames} frames of {n_patients} patients in {n_groups} groups".format(**comparison)
    return f"{told}; {lost} left out" + (f" ({', '.join(why)})" if why else "")


def shown(value: float | None, interval: list[float] | None, metric: str, sign: str = "") -> str:
    """Return a figure with its interval: pixels with one decimal, others with three."""
    form = f"{sign}.{1 if metric == 'hd95' else 3}f"
    if value is None:
        return "none"
    span = "no interval" if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"
    return f"{value:{form}} ({span})"


def as_text(comparison: Mapping[str, Any]) -> str:
    """Return one comparison as plain text."""
    wide = max(len(about["model"]) for about in comparison["models"])
    lines = [f"{', '.join(comparison['datasets'])}: {say_left_out(comparison)}"]
    if not comparison["n_frames"]:
        return f"{lines[0]}\n  nothing in common: predict the same fold, or give masks of the same frames"
    for about in comparison["models"]:
        figures = [f"{WORDS[name]} {shown(about[name]['mean'], about[name]['interval'], name)}" for name in METRICS]
        lines.append(f"  {about['model']:{wide}}  {'  '.join(figures)}")
    for pair in comparison["pairs"]:
        for name in METRICS:
            figure = pair[name]
            lines.append(
                f"  {pair['model']} - {pair['minus']}: {WORDS[name]}"
                f" {shown(figure['difference'], figure['interval'], name, '+')},"
                f" better in {figure['better']} groups, worse in {figure['worse']}, equal in {figure['equal']}"
            )
    return "\n".join(lines)


def as_rows(comparison: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the figures of one comparison as rows of a CSV: of a model, then of a model minus another."""
    datasets = " ".join(comparison["datasets"])
    for about in [*comparison["models"], *comparison["pairs"]]:
        for metric in METRICS:
            figure = about[metric]
            low, high = figure["interval"] or (None, None)
            row = {"datasets": datasets, "model": about["model"], "minus": about.get("minus"), "metric": metric}
            row |= {"value": figure.get("difference", figure.get("mean")), "low": low, "high": high}
            yield row | {key: figure[key] for key in COUNTS if key in figure}


def main(argv: list[str] | None = None) -> None:
    """Compare all models, print the table, and write it."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="models, data sets, seed as JSON")
    arguments.add_argument("--json", type=Path, required=True, help="JSON to write")
    arguments.add_argument("--csv", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    command.start("compare")
    try:
        found = compare_models(args.datasets, args.spec)
    except ValueError as error:
        raise command.Refusal(str(error)) from None
    with write_beside(args.json) as beside:
        beside.write_text(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    with write_beside(args.csv) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for comparison in found["comparisons"] for row in as_rows(comparison))
    print("\n\n".join(as_text(comparison) for comparison in found["comparisons"]))


if __name__ == "__main__":
    main()
