"""The segmentation in the report, on small tables made here; scores and flags are those of the commands themselves."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.report_tables import CLIPS, HEIGHT, HOSTILE, KINDS, STILLS, WIDTH, Run, outline, picture
from tests.unit.test_report import Page, numbers
from workflow_scripts.metrics import compare, flag_cases, gather_flags, score_masks, summarise_scores
from workflow_scripts.report.draw_scores import draw_curves, draw_distribution, round_step
from workflow_scripts.report.summarise_segmentation import choose_frames, choose_special, distribute, summarise_folds
from workflow_scripts.report.write_report import shown_gate
from workflow_scripts.tables import cases, folds, history, masks, quarantine, scores
from workflow_scripts.tables.table import planned, read_rows, stream_rows, write_rows

MODEL, GIVEN_MASKS = "unet-resnet18", "given-masks"
SCORED = {
    "models": {MODEL: ["0", "1"], GIVEN_MASKS: ["given"]},
    "datasets": {"clinic-a": [GIVEN_MASKS, MODEL], "clips": [MODEL]},
}
HELD_OUT = {"1": 0, "5": 1, "6": 0, "7": 1, "1234": 0}
Finished = tuple[Run, str, dict[str, Any]]
BECAUSE = f"clinic-a/5 frame 1 ~ clips/7 frame 2 {HOSTILE} (correlation 0.94)"
CARD = {
    "architecture": "Unet", "encoder": "resnet18", "encoder_weights": "none: trained from nothing",
    "input": "grey 64 x 64 pictures", "loss": "Dice + BCE", "trained_on": {"clinic-a": 2, "clips": 1},
    "pictures": {"training": 9, "validation": 3}, "precision": "bfloat16", "device": "cpu",
    "redistribution": "forbidden", "terms": "weights carry the terms of their data",
}  # fmt: skip


def predict(frame: dict[str, Any]) -> np.ndarray:
    """Return the outline of `report_tables`, farther off the later the frame; of frame 39 nothing is found."""
    index = frame["frame_index"]
    return np.roll(outline((HEIGHT, WIDTH)), index // 4, axis=1) * (index != 39)


def train(run: Run, fold: str, epochs: int, best: int) -> None:
    folder = run.results / "model" / MODEL
    rows = [
        {name: (0.5 if epoch == best else 0.25) + k / 100 for k, name in enumerate(history.SCHEMA.names)}
        | {"epoch": epoch}
        for epoch in range(1, epochs + 1)
    ]
    write_rows(folder / f"fold-{fold}.parquet", rows, history.SCHEMA)
    card = CARD | {"held_out_fold": fold, "epochs": {"trained": epochs, "best": best}}
    card["validation"] = {"dice": rows[best - 1]["validation_dice"], "iou": rows[best - 1]["validation_iou"], "n": 3}
    (folder / f"fold-{fold}.json").write_text(json.dumps(card))


def learn(run: Run, scored: dict[str, Any] = SCORED) -> None:
    """Write what the learning stages leave behind: folds, masks, scores, trainings, review."""
    run.scored = scored
    held_out = []
    for name in sorted(scored["datasets"]):
        for row in read_rows(run.results / "datasets" / name / "cases.parquet", cases.SCHEMA):
            if (case := row["case_id"]) in HELD_OUT:
                joined = {"group_id": "clinic-a/5", "joined_because": BECAUSE} if case in ("5", "7") else {}
                where = {"dataset": name, "case_id": case, "fold": HELD_OUT[case]}
                held_out.append({"group_id": f"{name}/{case}", "joined_because": None} | where | joined)
    write_rows(run.results / "model" / "folds.parquet", held_out, folds.SCHEMA)
    train(run, "0", epochs=12, best=7)
    train(run, "1", epochs=1, best=1)
    for name, models in scored["datasets"].items():
        folder = run.results / "datasets" / name
        for model, fold in [(each, fold) for each in models for fold in scored["models"][each]]:
            for frames in planned(folder, "frames"):
                predicted = [
                    {key: frame[key] for key in ("frame_id", "case_id")}
                    | {"model": model, "fold": fold, "mask": picture(predict(frame))}
                    for frame in stream_rows(frames)
                    if fold in ("given", str(HELD_OUT.get(frame["case_id"], 0)))
                ]
                path = folder / "masks" / model / fold / frames.name
                write_rows(path, predicted, masks.SCHEMA)
                plan, fields = (folder / each / frames.name for each in ("chunks", "inputs"))
                split, root = run.results / "model" / "folds.parquet", Path(run.roots[name])
                rows, _ = score_masks.score_masks(frames, plan, fields, path, split, name, root)
                rows = [row | {"corrected": (row["frame_id"], model) == ("1234/0", MODEL)} for row in rows]
                write_rows(folder / "scores" / model / fold / frames.name, rows, scores.SCHEMA)
            for frames in planned(folder, "frames") if model == GIVEN_MASKS else []:
                write_rows(folder / "quarantine" / "import_masks" / GIVEN_MASKS / frames.name, [], quarantine.SCHEMA)
    review(run)


def review(run: Run) -> None:
    spec = json.dumps(run.scored | {"gates": {"dice": 0.8, "iou": 0.7}, "seed": 0})
    asked = ["--datasets", str(run.results / "datasets"), "--spec", spec]
    summarise_scores.main([*asked, "--summary", str(run.results / "review" / "scores.json")])
    flagged = []
    for path in sorted((run.results / "datasets").glob("*/scores/*/*/*.parquet")):
        folder, (model, fold, chunk) = path.parents[3], path.parts[-3:]
        if model in run.scored["models"]:
            flagged.append(str(folder / "flags" / model / fold / chunk))
            own = ["--masks", str(folder / "masks" / model / fold / chunk), "--frames", str(folder / "frames" / chunk)]
            flag_cases.main(["--scores", str(path), *own, "--spec", spec, "--flags", flagged[-1]])
    gather_flags.main(["--chunks", *flagged, "--flags", str(run.results / "review" / "flags.parquet")])
    if any(len(models) > 1 for models in run.scored["datasets"].values()):
        written = [f"--{kind}={run.results / 'review' / 'comparison'}.{kind}" for kind in ("json", "csv")]
        compare.main([*asked, *written])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path, {"clinic-a": STILLS, "clips": CLIPS}, KINDS)
    learn(made)
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a run with its page and its summary, to be looked at and left alone."""
    made = Run(tmp_path_factory.mktemp("run"), {"clinic-a": STILLS, "clips": CLIPS}, KINDS)
    learn(made)
    return made, *made.report()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", Page(page).text)


def test_nothing_scored_leaves_the_page_as_it_was(run: Run, tmp_path: Path) -> None:
    bare = Run(tmp_path / "bare", {"clinic-a": STILLS, "clips": CLIPS}, KINDS)
    run.scored = bare.scored
    page, summary = run.report()
    assert (page, summary) == bare.report()
    assert "segmentation" not in summary
    assert "egmentation" not in page
    assert 'class="overlays"' not in page
    assert "there is nothing to score" in page


def test_every_figure_on_the_page_is_in_the_summary(finished: Finished) -> None:
    _, page, summary = finished
    visible = re.sub(r'<g class="ticks".*?</g>', "", page, flags=re.DOTALL)  # the scales of axes
    known = numbers(json.dumps(summary))
    assert numbers(Page(visible).text) <= known | {round(number, digits) for number in known for digits in (1, 3)}


def test_the_summary_holds_the_scores_as_they_are(finished: Finished) -> None:
    run, _, summary = finished
    written = json.loads((run.results / "review" / "scores.json").read_text())
    for model, figures in written["models"].items():
        assert summary["segmentation"]["models"][model].items() >= figures.items()
    trained = summary["segmentation"]["models"][MODEL]
    assert [(training["fold"], training["best_epoch"]) for training in trained["trainings"]] == [("0", 7), ("1", 1)]
    assert trained["trainings"][0]["card"]["redistribution"] == "forbidden"
    assert sum(trained["distribution"]["dice"]["counts"]) == trained["overall"]["n_frames"] == 45
    assert trained["outlined"] == {"clinic-a": 3, "clips": 42}


def test_the_page_holds_together(finished: Finished) -> None:
    _, page, _ = finished
    found = Page(page)
    assert all(source.startswith("data:image/webp;base64,") or source[1:] in found.ids for source in found.sources)
    assert len(found.ids) == len(set(found.ids))
    labels = {name for names in re.findall(r'aria-labelledby="([^"]*)"', page) for name in names.split()}
    assert labels
    assert labels <= set(found.ids)
    assert HOSTILE not in page


def test_same_tables_same_bytes(finished: Finished) -> None:
    run, *first = finished
    assert run.report("again") == tuple(first)


def test_verdicts_stand_in_words_with_the_policy(finished: Finished) -> None:
    _, page, summary = finished
    text = text_of(page)
    figures = summary["segmentation"]["models"][MODEL]["overall"]["dice"]
    low, high = figures["interval"]
    assert f"mean Dice, 95 % interval {low:.3f} to {high:.3f}; gate 0.80 ? undecided {figures['mean']:.3f}" in text
    assert summary["segmentation"]["empty_policy"] in text
    assert summary["segmentation"]["gate_rule"] in text
    assert "found nothing in 1 frame where the expert outlined something" in text
    assert {"undecided"} == set(re.findall(r'class="tag (pass|fail|undecided)"', page))


def test_what_was_given_may_have_seen_the_patients(finished: Finished) -> None:
    text = text_of(finished[1])
    trained, given = text.split(f" {GIVEN_MASKS} Given, not trained here. ")
    assert "Whether what made these masks has seen these patients is not known" in given
    assert "Each scored frame was predicted by a model that never saw its group" in trained
    assert "Training" not in given.split("Frames and masks")[0]


def test_a_given_model_needs_no_folder_of_models(tmp_path: Path) -> None:
    one = Run(tmp_path / "given", {"clips": CLIPS}, {"clips": "thyroid-cineclip"})
    learn(one, {"models": {"own": ["given"]}, "datasets": {"clips": ["own"]}})
    (one.results / "model" / "folds.parquet").unlink()
    page, summary = one.report()
    assert "Whether what made these masks has seen these patients is not known" in text_of(page)
    assert "folds" not in summary["segmentation"]


def test_flagged_cases_are_drawn_and_listed(finished: Finished) -> None:
    _, page, summary = finished
    flagged = summary["segmentation"]["models"][MODEL]["flagged"]
    assert [(row["case_id"], row["worst_frame_id"]) for row in flagged["rows"]] == [("1234", "1234/39")]
    assert [frame["frame_index"] for frame in flagged["drawn"]] == [39]
    assert text_of(page).count(flagged["rows"][0]["reason"]) == 2
    assert "The model found nothing." in page


def test_outlines_lie_over_pixels_that_are_stored_once(finished: Finished) -> None:
    _, page, summary = finished
    overlays = re.findall(r'<use href="#(pixels-\d+)"/>\s+<path class="outline" d="([^"]*)".*?\n.*?d="([^"]*)"', page)
    frames = summary["segmentation"]["models"]
    assert len(overlays) == sum(
        sum(len(own) for own in each["frames"].values()) + len(each["flagged"]["drawn"]) for each in frames.values()
    )
    assert len(re.findall(r'<image id="pixels-\d+"', page)) == len({name for name, *_ in overlays}) < len(overlays)
    assert all(reference.startswith("M10,10") for _, reference, _ in overlays)
    assert {drawn[:4] for *_, drawn in overlays} >= {"M10,", ""}


def test_figures_per_patient_per_nodule_and_by_stratum(finished: Finished) -> None:
    _, page, summary = finished
    text, figures = text_of(page), summary["segmentation"]["models"][MODEL]
    assert text.count("of them against the outline that a reviewer drew 1") == 1  # of one model
    overall = figures["overall"]
    assert f"Dice {overall['dice']['mean']:.3f}" in text
    assert f"{overall['patients']['dice']['value']:.3f} no interval" not in text
    nodules = overall["n_nodules"]
    assert (nodules["outlined"], nodules["found"], nodules["false"]) == (45, 44, 0)
    assert f"all 45 44 {overall['nodules']['sensitivity']['value']:.3f}" in text
    assert "HD95, mm" not in text  # no spacing is known
    assert [each["name"] for each in figures["strata"]] == ["level", "histology", "size", "nodules", "edge"]
    for stratum in figures["strata"]:
        assert f"{stratum['meaning']} {stratum['parts'][0]['part']} {stratum['parts'][0]['n_frames']}" in text
    assert summary["segmentation"]["matching"] in text
    assert summary["segmentation"]["families"] in text


def test_pictures_with_several_nodules_two_views_or_at_the_edge_are_shown() -> None:
    plain: dict[str, Any] = {"views": 1, "n_outlined": 1, "touches_edge": False}
    changes: list[dict[str, Any]] = [
        {},
        {"views": 2, "n_outlined": 2},
        {"n_outlined": 2},
        {"touches_edge": True},
        {"n_outlined": 3},
        {"views": None},
    ]
    rows = [plain | {"frame_id": str(k)} | change for k, change in enumerate(changes)]
    shown = [(row["special"], row["frame_id"], row["of"]) for row in choose_special(rows)]
    assert shown == [
        ("several nodules", "2", 2),
        ("two views side by side", "1", 1),
        ("at the edge of the field", "3", 1),
    ]
    assert choose_special([plain]) == []


def test_joined_groups_are_listed(finished: Finished) -> None:
    _, page, summary = finished
    (joined,) = summary["segmentation"]["folds"]["joined"]
    assert joined == {"group_id": "clinic-a/5", "fold": 1, "cases": ["clinic-a/5", "clips/7"], "because": BECAUSE}
    assert "Fold 1: 2 cases of 1 group." in text_of(page)
    assert "correlation 0.94" in page
    assert summarise_folds([])["joined"] == []


def test_given_masks_that_were_refused_are_in_quarantine(run: Run) -> None:
    lost = {"case_id": "1", "dataset": "clinic-a", "stage": "import_masks", "status": "partial", "file": "1_1.png"}
    path = run.results / "datasets" / "clinic-a" / "quarantine" / "import_masks" / GIVEN_MASKS / "001.parquet"
    write_rows(path, [lost | {"reason": "another grid", "mend": "resize it"}], quarantine.SCHEMA)
    page, summary = run.report()
    assert "another grid" in page
    assert summary["datasets"]["clinic-a"]["cases"]["partial"] == 1  # the case itself has lost nothing


def test_a_model_without_a_scored_frame_says_so(tmp_path: Path) -> None:
    none = Run(tmp_path / "none", {"clinic-a": {"2": STILLS["2"]}}, {"clinic-a": "ddti"})
    learn(none, {"models": {GIVEN_MASKS: ["given"]}, "datasets": {"clinic-a": [GIVEN_MASKS]}})
    text = text_of(none.report()[0])
    assert "No frame was scored." in text
    assert "mean Dice, 95 % interval not known; gate 0.80 ? undecided not known" in text


@pytest.mark.parametrize(
    ("case_of", "worst", "median", "best"),
    [
        ("", "", "", ""),
        ("a", "0", "", ""),
        ("ab", "0", "", "1"),
        ("abc", "0", "1", "2"),
        ("abcdefghijk", "012", "456", "89A"),
        ("aaaaaaaaabb", "09", "5", "8A"),  # neighbours in a clip are nearly one picture
    ],
)
def test_frames_of_different_cases_are_chosen(case_of: str, worst: str, median: str, best: str) -> None:
    rows = [
        {"dataset": "d", "case_id": case, "frame_id": f"{place:X}", "dice": place / 20, "iou": 0.0}
        for place, case in enumerate(case_of)
    ]
    chosen = {kind: "".join(row["frame_id"] for row in own) for kind, own in choose_frames(rows).items()}
    assert chosen == {"worst": worst, "median": median, "best": best}


def test_a_distribution_counts_every_value_once() -> None:
    counted = distribute([0.0, 0.7, 0.7999999999999, 0.8, 0.81, 1.0], gate=0.8)
    assert (counted["n"], counted["under"], sum(counted["counts"])) == (6, 2, 6)
    assert [counted["counts"][k] for k in (0, 14, 15, 16, 19)] == [1, 1, 1, 2, 1]


def test_the_gate_is_drawn_where_it_lies() -> None:
    drawn = draw_distribution([0] * 16 + [4] + [0] * 3, {"gate": 0.8, "mean": 0.81, "interval": [0.8, 0.85]})
    (bar,) = drawn["bars"]
    assert bar["x"] == drawn["gate"] == drawn["interval"][0] < drawn["mean"]
    assert (bar["y"], bar["height"]) == (drawn["top"], drawn["bottom"] - drawn["top"])
    assert [tick["text"] for tick in drawn["x"]] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    empty = draw_distribution([0] * 20, {"gate": 0.8, "mean": None, "interval": None})
    assert (empty["bars"], empty["mean"], empty["interval"]) == ([], None, [])


def test_curves_run_from_the_first_epoch_to_the_last() -> None:
    rows = [{"epoch": epoch, "loss": 1 / epoch, "validation_loss": 2 / epoch} for epoch in (1, 2, 3, 4)]
    drawn = draw_curves(rows, ["loss"], best=4)
    assert drawn["best"] == drawn["right"]
    assert drawn["lines"]["validation_loss"].startswith(f"M{drawn['left']},{drawn['top']} ")
    assert drawn["marks"]["loss"] > drawn["marks"]["validation_loss"]
    assert [tick["text"] for tick in drawn["x"]] == ["1", "2", "3", "4"]
    once = draw_curves(rows[:1], ["loss"], best=1)
    assert re.fullmatch(r"M(\S+) \1", once["lines"]["loss"])  # a dot


@pytest.mark.parametrize(("top", "step"), [(0.7, 0.2), (1, 0.2), (1.6, 0.5), (4, 1), (60, 20), (49, 10), (1e-4, 2e-5)])
def test_steps_are_round(top: float, step: float) -> None:
    assert round_step(top) == pytest.approx(step)


@pytest.mark.parametrize(("gate", "text"), [(0.8, "0.80"), (0.7, "0.70"), (0.815, "0.815"), (1, "1.00")])
def test_a_gate_is_not_rounded(gate: float, text: str) -> None:
    assert shown_gate(gate) == text
