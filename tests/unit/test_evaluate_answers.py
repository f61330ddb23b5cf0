"""A model's answers, scored: as the reader does, with intervals, and beside baselines that never look."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.scenarios.answer_scores import calibration, score_answers
from workflow_scripts.scenarios.answers import Answer, Scenario, read_answers, read_verdict, readers_verdict
from workflow_scripts.scenarios.evaluate_answers import main

ERROR, CORRECT = "ERROR - Treatment does not match imaging", "CORRECT - Treatment matches imaging findings"


def entry(number: int, error: bool, **changes: Any) -> dict[str, Any]:
    kind = {"error_category": "Overtreatment", "erroneous_action": "Thyroidectomy"}
    if not error:
        kind = {"error_category": "Correct Treatment", "appropriate_action": "Biopsy"}
    return {"id": f"scenario_{number:03}", "image_file": f"images/scenario_{number:03}.png", **kind, **changes}


def scenarios(errors: int, appropriate: int, picture: str = "") -> list[Scenario]:
    truths = ["error"] * errors + ["correct"] * appropriate
    return [Scenario(f"s{n}", truth, truth, picture or f"p{n}") for n, truth in enumerate(truths)]


def answered(texts: dict[str, str]) -> dict[str, Answer]:
    return {scenario_id: Answer(1, text, None) for scenario_id, text in texts.items()}


class Desk:
    """A scenarios.json and files of answers; `run` is the command."""

    def __init__(self, folder: Path, entries: Any) -> None:
        self.folder = folder
        (folder / "scenarios.json").write_text(json.dumps(entries))

    def answer(self, *lines: str | dict[str, Any], name: str = "model.jsonl") -> Path:
        path = self.folder / name
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return path

    def run(self, *paths: Path) -> dict[str, Any]:
        out = self.folder / "scores.json"
        named = [text for pair in zip(("--answers", "--against"), map(str, paths), strict=False) for text in pair]
        main(["--scenarios", str(self.folder / "scenarios.json"), *named, "--json", str(out)])
        figures: dict[str, Any] = json.loads(out.read_text())
        return figures


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, [entry(number, error=number % 2 == 1) for number in range(1, 5)])


def whole(texts: dict[int, str] | None = None, **more: Any) -> list[str | dict[str, Any]]:
    right = {number: ERROR if number % 2 else CORRECT for number in range(1, 5)} | (texts or {})
    return [{"id": f"scenario_{number:03}", "answer": text, **more} for number, text in right.items()]


@pytest.mark.parametrize(
    ("text", "ours", "readers"),
    [
        (ERROR, "error", "error"),
        (CORRECT, "correct", "correct"),
        ("**Error**: the correct course is to wait", "error", "error"),
        ("The nodule is benign.\nFinal answer: ERROR", "error", "error"),
        ("Correct - there is no error", "correct", "error"),
        ("INCORRECT", None, "correct"),
        ("There is no ERROR here", None, "error"),
        ("Either ERROR or CORRECT", None, "error"),
        ("The treatment is reasonable", None, "correct"),
        ("", None, "correct"),
    ],
)
def test_a_verdict_is_read_plainly_and_as_the_reader_reads_it(text: str, ours: str | None, readers: str) -> None:
    assert (read_verdict(text), readers_verdict(text)) == (ours, readers)


def test_the_figures_are_those_of_a_worked_example() -> None:
    texts = {f"s{n}": ERROR for n in range(10)} | {f"s{n}": CORRECT for n in range(2, 6)}
    figures = score_answers(scenarios(6, 4), answered(texts))  # 2 of 6 errors called so, 0 of 4 appropriate
    assert [figures[name]["value"] for name in ("accuracy", "sensitivity", "specificity")] == [0.2, 2 / 6, 0]
    assert figures["balanced_accuracy"]["value"] == pytest.approx(1 / 6)
    # Wilson 1927 by hand for 2 of 10: (0.2 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10)
    assert figures["accuracy"]["interval"] == pytest.approx([0.0567, 0.5098], abs=1e-4)
    assert figures["categories"]["error"] == {"n": 6, **figures["sensitivity"]}
    assert figures["as_the_reader"] == {"accuracy": 0.2, "error_detection_rate": 2 / 6, "false_positive_rate": 1}


def test_what_is_not_answered_is_wrong_here_and_with_the_reader() -> None:
    figures = score_answers(scenarios(2, 2), answered({"s0": ERROR, "s2": CORRECT, "s3": "It depends"}))
    assert figures["accuracy"]["value"] == 0.5
    assert figures["said"]["error"]["no answer"] == figures["said"]["correct"]["neither"] == 1
    assert figures["as_the_reader"]["accuracy"] == 0.75  # to its program a text without ERROR is "correct"
    assert score_answers(scenarios(2, 2), answered({}))["as_the_reader"] == {
        "accuracy": 0,
        "error_detection_rate": 0,
        "false_positive_rate": 0,
    }


def test_the_readers_rates_do_not_see_lower_case_as_its_program_does_not() -> None:
    reader = score_answers(scenarios(1, 1), answered({"s0": "Error", "s1": CORRECT}))["as_the_reader"]
    assert reader == {"accuracy": 1, "error_detection_rate": 0, "false_positive_rate": 0}


def test_scenarios_of_one_picture_promise_less_and_the_same_each_time() -> None:
    texts = answered({f"s{n}": ERROR for n in range(20)} | {f"s{n}": CORRECT for n in range(5)})
    apart = scenarios(20, 20)
    shared = [Scenario(s.scenario_id, s.truth, s.category, f"p{n // 5}") for n, s in enumerate(apart)]
    low, high = score_answers(apart, texts)["accuracy"]["interval"]
    wide_low, wide_high = score_answers(shared, texts)["accuracy"]["interval"]
    assert wide_high - wide_low > 1.2 * (high - low)
    assert score_answers(shared[::-1], texts) == score_answers(shared, texts)
    all_right = answered({s.scenario_id: s.truth for s in shared})
    assert score_answers(shared, all_right)["accuracy"]["interval"][0] < 0.95  # a bootstrap alone would promise 1


def test_calibration_of_answers_as_sure_as_they_are_right_and_of_boasters() -> None:
    assert calibration([0.75] * 4, [True, True, True, False]) == {
        "n": 4,
        "mean_confidence": 0.75,
        "accuracy": 0.75,
        "brier": 0.1875,
        "ece": 0,
    }
    boast = calibration([1.0, 1.0, 0.0, 0.0], [True, False, False, False])
    assert (boast["brier"], boast["ece"]) == (0.25, 0.25)
    assert calibration([], [])["brier"] is None


def test_a_good_model_beats_the_baselines_and_a_constant_one_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, [entry(number, error=number % 2 == 1) for number in range(1, 41)])
    ids = [f"scenario_{number:03}" for number in range(1, 41)]
    good = desk.answer(*({"id": i, "answer": CORRECT if int(i[-1]) % 2 == 0 else ERROR} for i in ids))
    constant = desk.answer(*({"id": i, "answer": ERROR} for i in ids), name="constant.jsonl")
    assert desk.run(good)["warnings"] == []
    capsys.readouterr()
    figures = desk.run(good, constant)
    table = capsys.readouterr().out
    assert figures["baselines"]["always 'error'"]["accuracy"]["value"] == 0.5
    assert figures["paired"] == {"first_alone_right": 20, "second_alone_right": 0, "p": pytest.approx(2 * 0.5**20)}
    assert len(figures["warnings"]) == 2
    assert "always 'error' scores as well as constant.jsonl: accuracy 0.50 (the model: 0.50 (0.35 to" in table
    assert "model.jsonl" in table.splitlines()[0]
    assert "always 'correct'" in table.splitlines()[0]


@pytest.mark.parametrize(
    ("errors", "appropriate", "line"),
    [(4, 0, "0 of 4 scenarios are appropriate decisions"), (1, 3, "1 of 4 scenarios are errors"), (2, 4, None)],
)
def test_a_one_sided_set_is_said_to_be_so(tmp_path: Path, errors: int, appropriate: int, line: str | None) -> None:
    desk = Desk(tmp_path, [entry(number, error=number <= errors) for number in range(1, errors + appropriate + 1)])
    figures = desk.run(desk.answer({"id": "scenario_001", "answer": ERROR}))
    said = [warning for warning in figures["warnings"] if "one-sided" in warning]
    assert len(said) == (1 if line else 0)
    assert line is None or line in said[0]
    if not appropriate:
        assert figures["models"]["model.jsonl"]["balanced_accuracy"] == {"value": None, "interval": None}


@pytest.mark.parametrize(
    ("line", "said", "right"),
    [
        ({"id": "scenario_999", "answer": ERROR}, "line 5: 'scenario_999' is none of the scenarios", 4),
        ({"id": "scenario_001", "answer": ERROR}, "lines 1, 5: scenario_001 is answered 2 times", 3),
        ('{"id": "scenario_001", "answer": "ERR', "line 5: broken JSON, not used (Unterminated string", 4),
        ({"id": 1, "answer": ERROR}, "line 5: no object with an id that is a text", 4),
        ({"id": "scenario_001", "answer": None}, "line 5: answer of scenario_001 is null or missing", 4),
        ({"id": "scenario_001", "text": ERROR}, "line 5: answer of scenario_001 is null or missing", 4),
        ("[" * 100_000, "line 5: broken JSON", 4),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_rest_is_scored(
    desk: Desk, caplog: pytest.LogCaptureFixture, line: str | dict[str, Any], said: str, right: int
) -> None:
    model = desk.run(desk.answer(*whole(), line))["models"]["model.jsonl"]
    assert sum(row["right"] for row in model["answers"]) == right
    assert any(said in problem and "model.jsonl" in problem for problem in model["problems"])


@pytest.mark.parametrize("confidence", [85, -0.1, True, "0.9", float("nan"), "\ud800", [1]])
def test_an_impossible_confidence_is_named_and_its_answer_still_counts(desk: Desk, confidence: Any) -> None:
    lines = whole(confidence=0.5)
    lines[1] = {"id": "scenario_002", "answer": CORRECT, "confidence": confidence}
    model = desk.run(desk.answer(*lines))["models"]["model.jsonl"]
    (problem,) = model["problems"]
    assert "line 2: confidence of scenario_002 is" in problem
    assert "expected a number, 0 to 1" in problem
    assert model["accuracy"]["value"] == 1
    assert model["calibration"]["n"] == 3


def test_missing_unclear_and_misread_answers_are_named(desk: Desk) -> None:
    lines = whole({2: "CORRECT - no error found", 3: "INCORRECT"})[:3]
    problems = "\n".join(desk.run(desk.answer(*lines))["models"]["model.jsonl"]["problems"])
    assert "1 of 4 scenarios have no usable answer, and each counts as wrong: scenario_004" in problems
    assert "line 3: the answer to scenario_003 is neither ERROR nor CORRECT" in problems
    assert "line 2: the answer to scenario_002 says CORRECT, but the reader's program takes it as ERROR" in problems


def test_a_byte_order_mark_blank_lines_and_odd_separators_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_bytes('\ufeff{"id": "a", "answer": "ERROR \u2028 b"}\r\n\r\n{"id": "b", "answer": "CORRECT"}'.encode())
    answers, problems = read_answers(path, ["a", "b"])
    assert (sorted(answers), problems) == (["a", "b"], [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"id": "scenario_001"}]', "a JSON list; expected one object a line"),
        (b"", "no usable answer"),
        (b'{"id": "x", "answer": "ERROR"}', "no usable answer"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_answers_stops_with_one_line(desk: Desk, content: bytes, said: str) -> None:
    path = desk.folder / "model.jsonl"
    path.write_bytes(content)
    with pytest.raises(SystemExit, match=said):
        desk.run(path)
    assert not (desk.folder / "scores.json").exists()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"scenarios": []}, "expected a list"),
        ([], "expected a list"),
        (["scenario_001"], "entry 1 is no object with an id"),
        ([entry(1, error=True), entry(1, error=False)], "scenario_001 stands there more than once"),
        ([entry(1, error=True, appropriate_action="x")], "scenario_001.*and not both"),
        ([entry(1, error=True, error_category=None)], "scenario_001.*error_category is missing"),
    ],
)
def test_scenarios_whose_truth_cannot_be_told_stop_with_one_line(tmp_path: Path, entries: Any, said: str) -> None:
    desk = Desk(tmp_path, entries)
    with pytest.raises(SystemExit, match=said):
        desk.run(desk.answer(*whole()))


def test_a_scenarios_json_that_is_cut_off_is_said_to_be_so(desk: Desk) -> None:
    (desk.folder / "scenarios.json").write_text('[{"id": "scenario_001"')
    with pytest.raises(SystemExit, match="no JSON, or cut off"):
        desk.run(desk.answer(*whole()))


def test_pictures_are_told_apart_by_their_hash_where_there_is_one(tmp_path: Path) -> None:
    twins = [
        entry(1, error=True, metadata={"image_sha256": "a"}),
        entry(2, error=False, metadata={"image_sha256": "a"}),
    ]
    desk = Desk(tmp_path, [*twins, entry(3, error=True, image_file="images/x.png"), entry(4, error=False)])
    assert desk.run(desk.answer(*whole()))["models"]["model.jsonl"]["n_pictures"] == 3
