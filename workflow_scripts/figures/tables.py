"""The tables of a paper: what each holds. How they are written stands in latex.py."""

from collections.abc import Callable

from workflow_scripts.figures.grader import SOURCE as GRADER
from workflow_scripts.figures.grader import learnt_tasks
from workflow_scripts.figures.latex import Table
from workflow_scripts.figures.overlap import METRICS
from workflow_scripts.figures.plate import Estimate, Row, Run
from workflow_scripts.figures.quality import SOURCE as QUALITY
from workflow_scripts.figures.quality import evaluation
from workflow_scripts.figures.sizes import SOURCE as SIZES
from workflow_scripts.figures.sizes import agreement, pair_sizes

ARMS = {  # what a learnt grade rests on, in words
    "all": "picture, measures, clinical",
    "picture": "picture alone",
    "measured": "measures alone",
    "clinical": "clinical columns alone",
    "majority": "always the commonest level",
    "control": "control: picture without nodules",
    "view": "control: size and scale",
}
LEARNT = ("kappa", "within_one", "auc", "ece")
INTERVAL = "In brackets: 95 % interval, bootstrap over groups; a group is what is taken to be one patient."


def tabulate_datasets(run: Run) -> Table:
    """Return what each data set holds, and what of it got through."""
    rows: list[Row] = []
    for name, found in run.summary["datasets"].items():
        counts = {each["what"]: each for each in found["counts"]}
        row: Row = {"dataset": name, "kind": found["kind"], "published": counts["cases"]["published"]}
        row |= found["cases"] | {"patients": counts["patients"]["through"], "frames": found["frames"]["taken"]}
        rows.append(row | {"outlined": found["frames"]["outlined"], "sharing": found["card"]["redistribution"]})
    if len(rows) > 1:
        frames = run.summary["frames"]
        total = {"dataset": "all", "frames": frames["taken"], "outlined": frames["outlined"]}
        rows.append(total | run.summary["cases"])
    columns = {
        "dataset": "Data set", "kind": "Layout", "published": "Published", "in": "Found", "quarantined": "Quarantined",
        "excluded": "Excluded", "not_asked_for": "Not asked for", "out": "Used", "patients": "Patients",
        "frames": "Frames", "outlined": "Outlined", "sharing": "Sharing",
    }  # fmt: skip
    note = "Published to used: cases. Patients, frames, outlined: of the cases used. –: not known."
    return Table("Data sets", "report/summary.json (cases.parquet, cards)", columns, rows, ("dataset",), note)


def tabulate_segmentation(run: Run) -> Table:
    """Return Dice, IoU and HD95 of each model on each data set."""
    rows: list[Row] = []
    for model, found in run.part("segmentation", "no masks were scored")["models"].items():
        parts = found["datasets"] if len(found["datasets"]) == 1 else {**found["datasets"], "all": found["overall"]}
        for name, of in parts.items():
            row: Row = {"model": model, "dataset": name, "frames": of["n_frames"], "groups": of["n_groups"]}
            row |= {metric: Estimate.of(of[metric], "mean") for metric in METRICS}
            row |= {"hd95": Estimate.of(of["hd95"], "mean", 1)}
            rows.append(row | {"gate": of["dice"].get("gate"), "verdict": of["dice"].get("verdict")})
    columns = {
        "model": "Model", "dataset": "Data set", "frames": "Frames", "groups": "Groups", "dice": "Dice", "iou": "IoU",
        "hd95": "HD95, px", "gate": "Dice gate", "verdict": "Verdict",
    }  # fmt: skip
    note = f"Means over frames. {INTERVAL}"
    return Table("Masks against the experts' outlines", "review/scores.json", columns, rows, ("model", "dataset"), note)


def tabulate_comparison(run: Run) -> Table:
    """Return the differences of models on the same frames."""
    compared = run.part("comparison", "fewer than two models were scored on the same frames")["comparisons"]
    rows: list[Row] = [
        {"model": pair["model"], "minus": pair["minus"], "dataset": ", ".join(each["datasets"])}
        | {name: pair["dice"][f"n_{name}"] for name in ("frames", "groups")}
        | {metric: Estimate.of(pair[metric], "difference") for metric in METRICS}
        | {"hd95": Estimate.of(pair["hd95"], "difference", 1)}
        for each in compared
        for pair in each["pairs"]
    ]
    columns = {
        "model": "Model", "minus": "minus", "dataset": "Data sets", "frames": "Frames", "groups": "Groups",
        "dice": "Dice", "iou": "IoU", "hd95": "HD95, px",
    }  # fmt: skip
    keys = ("model", "minus", "dataset")
    note = f"Mean over patients of the difference on the same frames. {INTERVAL}"
    return Table("Models against each other", "review/comparison.json", columns, rows, keys, note)


def tabulate_nodule_size(run: Run) -> Table:
    """Return bias and limits of agreement of the longest diameter."""
    rows: list[Row] = [
        {"model": model, "dataset": name, "unit": unit, "cases": len(found)}
        | {"groups": len({row["group"] for row in found}), **agreement(found)}
        for (name, model, unit), found in pair_sizes(run).items()
    ]
    columns = {
        "model": "Model", "dataset": "Data set", "unit": "Unit", "cases": "Cases", "groups": "Groups", "bias": "Bias",
        "lower_limit": "Lower limit", "upper_limit": "Upper limit",
    }  # fmt: skip
    note = f"Longest diameter of single nodules, model less expert, with limits of agreement. {INTERVAL}"
    return Table("Size of nodules", SIZES, columns, rows, ("model", "dataset", "unit"), note)


def tabulate_quality(run: Run) -> Table:
    """Return how far the estimate of Dice can be trusted."""
    found = evaluation(run)
    sent = found["flagged"]
    row: Row = {"model": found["model"], "frames": found["n_frames"], "groups": found["n_groups"]}
    row |= {name: Estimate(found[name]) for name in ("spearman", "mae")}
    row |= {name: Estimate.of(found[name]) for name in ("auroc", "coverage")}
    row |= {"sent": f"{sent['n_flagged']} of {sent['n_cases']}", "missed": f"{sent['n_bad_missed']} of {sent['n_bad']}"}
    columns = {
        "model": "Model", "frames": "Frames", "groups": "Groups", "spearman": "Spearman", "mae": "MAE",
        "auroc": "AUC", "coverage": "Coverage", "sent": "To review", "missed": "Bad missed",
    }  # fmt: skip
    note = (
        f"Each frame is estimated without its own part. AUC: of masks under a Dice of {found['gate']:g}. Coverage: of"
        f" the {found['level']:.0%} lower bound. To review, bad missed: cases. {INTERVAL}"
    )
    return Table("The estimate of quality", QUALITY, columns, [row], ("model",), note)


def tabulate_grader(run: Run) -> Table:
    """Return how good learnt grades are, by what they rest on."""
    rows: list[Row] = [
        {"task": task, "key": arm, "arm": words, "cases": each["n_cases"], "groups": each["n_groups"]}
        | {name: Estimate.of(figures, digits=2) for name in LEARNT if (figures := each["arms"][arm].get(name))}
        for task, each in learnt_tasks(run, "arms").items()
        for arm, words in ARMS.items()
        if arm in each["arms"]
    ]
    columns = {
        "task": "Task", "arm": "Rests on", "cases": "Cases", "groups": "Groups", "kappa": "Quadratic kappa",
        "within_one": "Within one level", "auc": "AUC", "ece": "Calibration error",
    }  # fmt: skip
    return Table("Learnt grades", GRADER, columns, rows, ("task", "key"), INTERVAL)


TABLES: dict[str, Callable[[Run], Table]] = {
    "datasets": tabulate_datasets,
    "segmentation": tabulate_segmentation,
    "comparison": tabulate_comparison,
    "nodule_size": tabulate_nodule_size,
    "quality": tabulate_quality,
    "grader": tabulate_grader,
}
