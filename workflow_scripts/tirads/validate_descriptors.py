"""Hold what was measured of nodules against what a radiologist said of them: descriptor by descriptor, out of fold.

A descriptor is read from the columns that stand for it by one logistic regression, which learns from other groups than
those it is tried on. A case counts once, with the medians over its expert's outlines.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.tables import cases, folds, nodules
from workflow_scripts.tables.table import planned, read_many, read_rows, stream_rows
from workflow_scripts.tirads.agreement import INTERVAL, agreement, kappa_of, verdict

# The measured columns that stand for a descriptor. No size and no place is among them: large nodules may be spongiform
# more often, but that is not seen in them.
READ_FROM = {
    "composition": ("cystic_share", "heterogeneity", "echogenicity", "relative_grey"),
    "echogenicity": ("echogenicity", "relative_grey", "cystic_share"),
    "shape": ("tall_over_wide",),
    "margin": ("margin_irregularity", "circularity", "border_contrast"),
    "foci": ("bright_foci", "bright_share", "focus_diameter", "shadow"),
}
# Words that are spelt in two ways, or that pixels are not asked to tell apart.
SAME = {
    "composition": {"cystic": "predominantly cystic"},
    "margin": {"well defined smooth": "well defined", "ill- defined": "ill defined"}
    | dict.fromkeys(("microlobulated", "macrolobulated", "spiculated"), "lobulated or spiculated"),
    "foci": {"microcalcifications": "microcalcification", "macrocalcifications": "macrocalcification"},
}
SPLITS = 5
FEWEST = 10  # groups of which a word must be said, to be learnt
METHOD = (
    f"Logistic regression on standardised columns, classes weighted alike, out of fold over {SPLITS} folds of whole"
    f" groups; words said of fewer than {FEWEST} groups are left out. A case counts once: the medians over its"
    f" outlines. Intervals: {INTERVAL}."
)

Row = Mapping[str, Any]


def words_of(rows: Iterable[Row], descriptor: str) -> dict[str, str]:
    """Return what a radiologist said of a descriptor, by case: words where the data set has any, else ACR points."""
    rows = list(rows)
    same = SAME.get(descriptor, {})
    if said := {row["case_id"]: row[descriptor].strip() for row in rows if row[descriptor]}:
        return {case: same.get(word, word) for case, word in said.items()}
    points = {row["case_id"]: row[f"{descriptor}_points"] for row in rows}
    return {case: f"{n} point{'s' if n != 1 else ''} (ACR)" for case, n in points.items() if n is not None}


def medians(measured: Iterable[Row], columns: Sequence[str]) -> dict[str, list[float]]:
    """Return the medians of some columns over the outlines of each case that has a value of every one."""
    outlines: dict[str, list[list[float | None]]] = defaultdict(list)
    for row in measured:
        outlines[row["case_id"]].append([row[name] for name in columns])
    found = {}
    for case, rows in outlines.items():
        values = np.array(rows, float)
        if not np.isnan(values).all(axis=0).any():
            found[case] = np.nanmedian(values, axis=0).tolist()
    return found


def validate(
    measured: Iterable[Row], said: Mapping[str, str], groups: Mapping[str, str], columns: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return how well some measured columns tell what was said of a descriptor.

    Parameters
    ----------
    measured
        Rows of `nodules`: the expert's outlines.
    said
        The radiologist's word by case.
    groups
        The group of each case: whoever must stay on one side.
    columns
        The columns of `nodules` to read the word from.
    seed
        Of the folds and of the bootstrap.

    Returns
    -------
    dict
        `n`, `groups`, `columns`, `left_out` (cases by word, and those without a measured outline); where there is
        enough to learn from also `classes`, the figures of `agreement`, `alone` (kappa of each column by itself) and
        `verdict`.
    """
    found = medians(measured, columns)
    usable = sorted(case for case in said if case in found)
    counts = Counter(said[case] for case in usable)
    holders = Counter(word for word, _ in {(said[case], groups[case]) for case in usable})
    classes = sorted(word for word in counts if holders[word] >= FEWEST)
    used = [case for case in usable if said[case] in classes]
    left_out = {word: n for word, n in sorted(counts.items()) if word not in classes}
    result: dict[str, Any] = {
        "n": len(used),
        "groups": len({groups[case] for case in used}),
        "columns": list(columns),
        "left_out": left_out | ({"(no outline measured)": n} if (n := len(said) - len(usable)) else {}),
    }
    if len(classes) < 2:
        return result
    values = np.array([found[case] for case in used])
    truth = np.array([classes.index(said[case]) for case in used])
    group = np.unique([groups[case] for case in used], return_inverse=True)[1]
    result |= {"classes": classes} | agreement(truth, read_out_of_fold(values, truth, group, seed), group, seed)
    if len(columns) > 1:
        for k, name in enumerate(columns):
            table = np.zeros((len(classes), len(classes)))
            np.add.at(table, (truth, read_out_of_fold(values[:, [k]], truth, group, seed).argmax(axis=1)), 1)
            result.setdefault("alone", {})[name] = float(kappa_of(table))
    return result | {"verdict": verdict(result["kappa"])}


def read_out_of_fold(values: np.ndarray, truth: np.ndarray, group: np.ndarray, seed: int) -> np.ndarray:
    """Return the probability (n, k) of each class by a model that saw no case of the group, from values (n, c)."""
    learner = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    splits = StratifiedGroupKFold(SPLITS, shuffle=True, random_state=seed)
    scores: np.ndarray = cross_val_predict(learner, values, truth, groups=group, cv=splits, method="predict_proba")
    return scores


def validate_descriptors(datasets: Path, spec: Mapping[str, Any], held_out: Path | None) -> dict[str, Any]:
    """Return the figures of every data set.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    spec
        `datasets`: the names of those with outlines and descriptors; `seed`.
    held_out
        The table of folds, whose groups are joined where pictures nearly repeat; None where nothing was trained.
    """
    joined = read_rows(held_out, folds.SCHEMA) if held_out else []
    found: dict[str, Any] = {}
    for name in sorted(spec["datasets"]):
        rows = read_many(planned(datasets / name, "chunks"), cases.SCHEMA)
        groups = {row["case_id"]: f"{name}/{row['group_id']}" for row in rows}
        groups |= {row["case_id"]: row["group_id"] for row in joined if row["dataset"] == name}
        wanted = ["case_id", "outlined_by", *sorted({column for columns in READ_FROM.values() for column in columns})]
        measured = [
            row
            for path in planned(datasets / name, "nodules")
            for row in stream_rows(path, wanted)
            if row["outlined_by"] == nodules.EXPERT
        ]
        found[name] = {
            "label_source": sorted({row["label_source"] for row in rows}),
            "outlines": len(measured),
            "descriptors": {
                descriptor: validate(measured, said, groups, columns, spec["seed"])
                for descriptor, columns in READ_FROM.items()
                if (said := words_of(rows, descriptor))
            },
        }
    return {"method": METHOD, "datasets": found}


def main(argv: list[str] | None = None) -> None:
    """Validate the measured descriptors of all data sets."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--folds", type=command.existing, nargs="?", help="table of folds, if there is one")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="data sets, seed as JSON")
    arguments.add_argument("--descriptors", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("validate_descriptors")
    summary = validate_descriptors(args.datasets, args.spec, args.folds)
    with write_beside(args.descriptors) as beside:
        beside.write_text(json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, figures in summary["datasets"].items():
        for descriptor, found in figures["descriptors"].items():
            log.info("%s, %s: %s (n = %d)", name, descriptor, found.get("verdict", "too few cases"), found["n"])


if __name__ == "__main__":
    main()
