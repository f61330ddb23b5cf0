"""The figures of a model's answers: rates with intervals, calibration, and what the reader's own program would say."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from workflow_scripts.files import natural
from workflow_scripts.scenarios.answers import Answer, Scenario, read_verdict, readers_verdict

RESAMPLES, SEED = 2000, 0
BINS = 10
RATES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity")
POLICY = (
    "Every scenario counts. One without a usable answer, and one whose answer is neither ERROR nor CORRECT, counts as"
    " wrong. Sensitivity: errors called so; specificity: appropriate decisions called so; balanced accuracy: the mean"
    " of the two."
)
INTERVAL = (
    "95 % by Wilson (of balanced accuracy: its two combined after Zou and Donner 2008); where scenarios share a"
    f" picture, widened to the percentile bootstrap of {RESAMPLES} resamples of pictures if that is wider."
)
READER = (
    "As scripts/run_clinical_validation_benchmarks.py of medbilldozer (5887afb): an answer is an error if ERROR stands"
    " anywhere in it, else correct; a scenario without answer is never right, nor a detection or a false positive."
)


def score_answers(scenarios: Sequence[Scenario], answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Return every figure of one model's answers; null where there is nothing to say.

    Parameters
    ----------
    scenarios
        All that were asked; one that has no answer counts as wrong.
    answers
        The usable answers by scenario.
    """
    scenarios = sorted(scenarios, key=lambda scenario: natural(scenario.scenario_id))
    rows = [_row(scenario, answers.get(scenario.scenario_id)) for scenario in scenarios]
    categories = sorted({scenario.category for scenario in scenarios})
    of = {name: [each for each in zip(scenarios, rows, strict=True) if each[0].category == name] for name in categories}
    stated = [row for row in rows if row["confidence"] is not None]
    return {
        "n": len(rows),
        "n_pictures": len({scenario.picture for scenario in scenarios}),
        "said": {
            truth: {
                said: sum((row["truth"], row["said"]) == (truth, said) for row in rows)
                for said in ("error", "correct", "neither", "no answer")
            }
            for truth in ("error", "correct")
        },
        **rates_with_intervals(scenarios, [row["right"] for row in rows]),
        "categories": {
            name: {
                "n": len(each),
                **rates_with_intervals([scenario for scenario, _ in each], [row["right"] for _, row in each])[
                    "accuracy"
                ],
            }
            for name, each in of.items()
        },
        "calibration": calibration([row["confidence"] for row in stated], [row["right"] for row in stated]),
        "as_the_reader": score_as_reader(scenarios, answers),
        "answers": rows,
    }


def rates_with_intervals(scenarios: Sequence[Scenario], right: Sequence[bool]) -> dict[str, dict[str, Any]]:
    """Return accuracy, balanced accuracy, sensitivity and specificity, each as value and interval; see `INTERVAL`.

    Balanced accuracy of independent halves: the distances of the two Wilson ends from their values, added in squares
    and halved (MOVER; Zou and Donner, Stat Med 2008;27:1693).
    """
    names, group = np.unique([scenario.picture for scenario in scenarios], return_inverse=True)
    error = np.array([scenario.truth == "error" for scenario in scenarios])
    kinds = np.column_stack([error & right, error, ~error & right, ~error]).astype(int)
    counts = kinds.sum(axis=0)
    values = {name: float(value) for name, value in _rates(counts).items()}
    bounds = {
        "sensitivity": _wilson(counts[0], counts[1]),
        "specificity": _wilson(counts[2], counts[3]),
        "accuracy": _wilson(counts[0] + counts[2], len(error)),
    }
    halves = np.array([bounds[name] - values[name] for name in ("sensitivity", "specificity")])
    bounds["balanced_accuracy"] = values["balanced_accuracy"] + np.hypot(*halves) / 2 * [-1, 1]
    if len(names) < len(error):
        of_pictures = np.column_stack([np.bincount(group, column) for column in kinds.T])
        generator = np.random.default_rng(SEED)
        draws = [of_pictures[generator.integers(len(names), size=len(names))].sum(axis=0) for _ in range(RESAMPLES)]
        for name, drawn in _rates(np.array(draws)).items():
            if not np.isnan(values[name]):
                low, high = np.nanpercentile(drawn, [2.5, 97.5])
                bounds[name] = np.array([min(low, bounds[name][0]), max(high, bounds[name][1])])
    return {
        name: {"value": None, "interval": None}
        if np.isnan(values[name])
        else {"value": values[name], "interval": bounds[name].clip(0, 1).tolist()}
        for name in RATES
    }


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Return how far stated confidence is from being right, over the answers that state it.

    Brier score: mean squared distance of confidence from 1 (right) or 0 (wrong). ECE: mean distance of confidence from
    accuracy over 10 bins of equal width, weighted by their answers (Guo et al. 2017); with few answers it is too high.
    """
    if not confidence:
        return {"n": 0, "mean_confidence": None, "accuracy": None, "brier": None, "ece": None}
    stated, truth = np.array(confidence), np.array(right, dtype=float)
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    return {
        "n": len(stated),
        "mean_confidence": float(stated.mean()),
        "accuracy": float(truth.mean()),
        "brier": float(np.square(stated - truth).mean()),
        "ece": float(np.abs(np.bincount(bins, stated - truth)).sum() / len(stated)),
    }


def score_as_reader(scenarios: Sequence[Scenario], answers: Mapping[str, Answer]) -> dict[str, float | None]:
    """Return the three figures of the reader's own program; see `READER`. Its two rates do not see lower case."""
    given = [(each.truth, answers[each.scenario_id].text) for each in scenarios if each.scenario_id in answers]
    n_errors = sum(each.truth == "error" for each in scenarios)

    def flagged(truth: str, n: int) -> float | None:
        return sum(of == truth and "ERROR" in text for of, text in given) / n if n else None

    return {
        "accuracy": sum(truth == readers_verdict(text) for truth, text in given) / len(scenarios),
        "error_detection_rate": flagged("error", n_errors),
        "false_positive_rate": flagged("correct", len(scenarios) - n_errors),
    }


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return on how many scenarios only one of two models is right, and the exact p of McNemar's test."""
    pairs = [(one["right"], other["right"]) for one, other in zip(first["answers"], second["answers"], strict=True)]
    alone, other_alone = pairs.count((True, False)), pairs.count((False, True))
    p = float(binomtest(alone, alone + other_alone).pvalue) if alone + other_alone else 1.0
    return {"first_alone_right": alone, "second_alone_right": other_alone, "p": p}


def _row(scenario: Scenario, answer: Answer | None) -> dict[str, Any]:
    said = "no answer" if answer is None else read_verdict(answer.text) or "neither"
    return {
        "id": scenario.scenario_id,
        "truth": scenario.truth,
        "said": said,
        "right": said == scenario.truth,
        "confidence": answer.confidence if answer else None,
    }


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rates of (..., 4) counts: errors called so, errors, appropriate called so, appropriate."""
    hits, errors, kept, appropriate = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(invalid="ignore"):
        sensitivity, specificity = hits / errors, kept / appropriate
    return {
        "accuracy": (hits + kept) / (errors + appropriate),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
    }


def _wilson(right: int, n: int) -> np.ndarray:
    found = binomtest(int(right), int(n)).proportion_ci(method="wilson") if n else (np.nan, np.nan)
    return np.array([found[0], found[1]])
