"""Score a model's answers to scenarios, beside two baselines that never look: always "error", and always "correct".

The answers are JSON objects, one a line: {"id": "scenario_010", "answer": "ERROR - ...", "confidence": 0.9}. The
confidence may be left out; it is the probability, 0 to 1, that the model gives its own answer to be right.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.scenarios.answer_scores import BINS, INTERVAL, POLICY, RATES, READER, compare, score_answers
from workflow_scripts.scenarios.answers import Answer, Scenario, read_answers, read_scenarios

LEAST_SHARE = 1 / 3
"""Share of the scenarios that errors, and appropriate decisions, must each have, or the set is one-sided."""
BASELINES = {"always 'error'": "ERROR", "always 'correct'": "CORRECT"}


def warnings_of(name: str, model: dict[str, Any], baselines: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return a line for each baseline that does not lie below the interval of the model."""
    found = []
    for baseline, figures in baselines.items():
        reached = [
            f"{rate.replace('_', ' ')} {figures[rate]['value']:.2f} (the model: {_told(model[rate])})"
            for rate in ("accuracy", "balanced_accuracy")
            if model[rate]["value"] is not None and figures[rate]["value"] >= model[rate]["interval"][0]
        ]
        if reached:
            found.append(
                f"for all that these scenarios can tell, {baseline} scores as well as {name}: {', '.join(reached)}"
            )
    return found


def warnings_of_set(scenarios: Sequence[Scenario]) -> list[str]:
    """Return a line where a set of scenarios is one-sided."""
    for truth, kind in (("error", "errors"), ("correct", "appropriate decisions")):
        number = sum(scenario.truth == truth for scenario in scenarios)
        if number / len(scenarios) < LEAST_SHARE:
            return [
                f"the set is one-sided: {number} of {len(scenarios)} scenarios are {kind}, so always saying the other"
                f" scores {1 - number / len(scenarios):.2f}; add {kind}"
            ]
    return []


def as_table(columns: Mapping[str, dict[str, Any]]) -> str:
    """Return the figures as text, one column a model or baseline."""
    first = next(iter(columns.values()))
    n_of = {truth: sum(said.values()) for truth, said in first["said"].items()}
    labels = {
        "accuracy": f"accuracy (n={first['n']})",
        "balanced_accuracy": "balanced accuracy",
        "sensitivity": f"sensitivity, errors (n={n_of['error']})",
        "specificity": f"specificity, appropriate (n={n_of['correct']})",
    }
    rows = [["", *columns]]
    rows += [[labels[name], *(_told(each[name]) for each in columns.values())] for name in RATES]
    for name, figure in first["categories"].items():
        rows.append([f"  {name} (n={figure['n']})", *(_told(each["categories"][name]) for each in columns.values())])
    for said in ("neither", "no answer"):
        told = [str(sum(of[said] for of in each["said"].values())) for each in columns.values()]
        rows.append([f"answers: {said}", *told])
    for name, label in (("brier", "Brier score"), ("ece", f"ECE, {BINS} bins")):
        calibrated = [each["calibration"] for each in columns.values()]
        rows.append([label, *(f"{each[name]:.3f} (n={each['n']})" if each["n"] else "-" for each in calibrated)])
    for name in first["as_the_reader"]:
        told = [_number(each["as_the_reader"][name]) for each in columns.values()]
        rows.append([f"the reader's {name.replace('_', ' ')}", *told])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _told(figure: dict[str, Any]) -> str:
    return "-" if figure["value"] is None else "{:.2f} ({:.2f} to {:.2f})".format(figure["value"], *figure["interval"])


def main(argv: list[str] | None = None) -> None:
    """Score one file of answers, or two and compare them."""
    arguments = command.parser(__doc__)
    arguments.add_argument(
        "--scenarios", type=command.existing, required=True, help="the scenarios.json that was asked"
    )
    arguments.add_argument("--answers", type=command.existing, required=True, help="a model's answers, JSONL")
    arguments.add_argument("--against", type=command.existing, help="another model's answers, to compare with")
    arguments.add_argument("--json", type=Path, help="JSON to write, with every figure and every verdict")
    args = arguments.parse_args(argv)
    log = command.start("evaluate_answers")
    scenarios = read_scenarios(args.scenarios)
    ids = [scenario.scenario_id for scenario in scenarios]
    paths = [path for path in (args.answers, args.against) if path]
    models = {}
    for path in paths:
        answers, problems = read_answers(path, ids)
        for problem in problems:
            log.warning(problem)
        if not answers:
            raise command.Refusal(
                f"{path}: no usable answer to any scenario of {args.scenarios}; is it of another set?"
            )
        name = path.name if len({path.name for path in paths}) == len(paths) else str(path)
        models[name] = score_answers(scenarios, answers) | {"problems": problems}
    baselines = {
        name: score_answers(scenarios, dict.fromkeys(ids, Answer(0, text, None))) for name, text in BASELINES.items()
    }
    paired = compare(*models.values()) if len(models) == 2 else None
    warnings = warnings_of_set(scenarios)
    for name, model in models.items():
        warnings += warnings_of(name, model, baselines)

    print(as_table(models | baselines), *(textwrap.fill(text, 100) for text in (POLICY, INTERVAL, READER)), sep="\n\n")
    if paired:
        first, second = models
        print(
            f"\nOnly {first} is right on {paired['first_alone_right']} scenarios, only {second} on"
            f" {paired['second_alone_right']}: p = {paired['p']:.3g} (McNemar, exact; takes scenarios as independent)"
        )
    for warning in warnings:
        print(f"\nWARNING: {warning}")
    if args.json:
        figures: dict[str, Any] = {
            "policy": POLICY,
            "interval": INTERVAL,
            "reader": READER,
            "models": models,
            "baselines": baselines,
        }
        figures |= {"paired": paired, "warnings": warnings}
        with write_beside(args.json) as beside:
            beside.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
