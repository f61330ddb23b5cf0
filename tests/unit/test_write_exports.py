"""The exports: read as the reader's programs read them, and by each harness's own loader."""

import base64
import csv
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.export_scenarios import Desk, contents, entry, picture
from tests.unit.test_write_lock import built, one_case
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT
from workflow_scripts.scenarios.evaluate_answers import main as evaluate_answers
from workflow_scripts.scenarios.export_cases import GIVEAWAY, HOW_TO_ANSWER
from workflow_scripts.scenarios.export_reader import make_bill
from workflow_scripts.scenarios.write_exports import main

HARNESS = ROOT / ".venv-harness" / "bin" / "python"
BILLED = {"code": "10005", "service": "A needless aspiration", "charge": 1}
MODALITIES = {"xray", "mri", "ct", "ultrasound", "histopathology"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk") / "scenarios")
    desk.run()
    return desk


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


# The reader's programs, restated from what they read, field by field: a field that they index must be there.


def run_benchmark(selected: Path, answer: str) -> list[dict[str, Any]]:
    """run_clinical_validation_benchmarks.py, its dictionary of scenarios filled from the manifest."""
    manifest = read_json(selected / "manifest.json")
    scenarios = {
        scenario["scenario_id"]: {"id": scenario["scenario_id"], "image_file": image["filename"], **scenario}
        for image in manifest["images"]
        for scenario in image["scenarios"]
    }
    assert all((selected / scenario["image_file"]).is_file() for scenario in scenarios.values())
    results = []
    for scenario in scenarios.values():
        context = scenario["patient_context"]
        prompt = [str(context.get(key, "N/A")) for key in ("age", "gender", "chief_complaint")]
        prompt += [scenario["modality"], scenario["clinical_finding"], scenario["prescribed_treatment"]]
        expected = scenario["expected_determination"]
        results.append(
            {
                "prompt": "\n".join(prompt),
                "correct": ("ERROR" in answer.upper()) == ("ERROR" in expected.upper()),
                "told": (scenario["error_type"], scenario["severity"], scenario["cost_impact"] + 0),
                "attribution": next(i for i in manifest["images"] if i["filename"] == scenario["image_file"]),
            }
        )
    return results


def show_dashboard(selected: Path) -> None:
    """The clinical data sets in pages/production_stability.py."""
    manifest = read_json(selected / "manifest.json")
    for image in manifest["images"]:
        assert image["filename"] == Path(image["filename"]).name
        assert image["modality"].title()
        assert image["diagnosis"].title()
        assert image["dataset"] in manifest["datasets_used"]
        for scenario in image["scenarios"]:
            assert scenario.get("validation_type", "N/A").replace("_", " ").title()
            assert scenario.get("modality", "N/A").title()


def enhance_manifest(selected: Path, known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """enhance_manifest_with_scenarios.py: it overwrites the scenarios of every image."""
    images: list[dict[str, Any]] = read_json(selected / "manifest.json")["images"]
    names = ["validation_type", "modality", "image_type", "patient_context", "clinical_finding", "prescribed_treatment"]
    names += ["expected_determination", "error_type", "severity", "cost_impact"]
    for image in images:
        image["scenarios"] = [
            {"scenario_id": name} | {key: scenario.get(key) for key in names}
            for name, scenario in known.items()
            if scenario.get("image_file") == image["filename"]
        ]
    return images


def play_challenge(base: Path, selected: Path) -> dict[str, dict[str, str]]:
    """data/challenge_scenarios.py, pages/medbilldozer_challenge.py, core/clinical_validator.py."""
    prompts = {}
    for path in base.rglob("*.json"):
        data = read_json(path)
        name, _, _, patient = (
            data[key] for key in ("scenario_id", "patient_name", "patient_avatar", "patient_profile")
        )
        images = [
            {key: image[key] for key in ("file_path", "modality", "finding", "is_abnormal")}
            for image in data["clinical_images"]
        ]
        if bill := data.get("provider_bill", {}):
            lines = [f"{item['service']} ({item['code']}) ${item['charge']:.2f}" for item in bill["items"]]
            assert f"{bill['date']} {bill['provider']} ${bill['total']:.2f} {lines}"
        items = bill["items"] if bill and "items" in bill else []
        treatments = [
            i["service"] for i in items if "therapy" in i["service"].lower() or "treatment" in i["service"].lower()
        ]
        assert data["category"].replace("_", " ").title() + data["difficulty"].title()
        for error in data["clinical_errors"]:
            assert error["id"] + error["severity"] + error["category"] + error["description"]
            assert error.get("potential_savings", 0) >= 0
        for image in images:
            assert (selected / image["file_path"]).is_file()
            asked = [image["finding"], ", ".join(treatments) or "Unknown treatment", data.get("patient_story", "")]
            asked += [str(patient.get(key, "N/A")) for key in ("age", "gender", "chief_complaint", "vital_signs")]
            prompts[name] = {"prompt": "\n".join(asked), "treatment": asked[1], "modality": image["modality"].title()}
    return prompts


def test_the_readers_benchmark_runs_on_the_manifest(desk: Desk) -> None:
    selected = desk.out / "reader" / "selected"
    results = run_benchmark(selected, "ERROR - no")
    assert [each["correct"] for each in results] == ["erroneous_action" in entry for entry in desk.entries]
    assert {each["attribution"]["modality"] for each in results} == MODALITIES
    for each, scenario in zip(results, desk.entries, strict=True):
        assert scenario["ground_truth"] not in each["prompt"]
        assert not GIVEAWAY.search(each["prompt"])
        assert (each["told"][0] == "none") == (scenario["severity_score"] == 0) == (each["told"][1] == "none")
    show_dashboard(selected)


def test_the_manifest_has_the_readers_keys_and_survives_its_own_script(desk: Desk) -> None:
    selected = desk.out / "reader" / "selected"
    manifest = read_json(selected / "manifest.json")
    assert list(manifest) == (
        ["created", "description", "total_images", "modalities", "images", "datasets_used", "updated"]
    )
    (image, *_) = images = manifest["images"]
    keys = "filename modality diagnosis class source_file dataset dataset_url license citation scenarios"
    assert list(image) == keys.split()
    assert manifest["total_images"] == len(images) == sum(d["images_count"] for d in manifest["datasets_used"].values())
    known = {s["scenario_id"]: {"image_file": i["filename"], **s} for i in images for s in i["scenarios"]}
    assert enhance_manifest(selected, known) == images  # every key that it knows, none that it does not
    texts = [scenario["expected_determination"] for scenario in known.values()]
    assert all(("ERROR" in text) != ("CORRECT" in text) and "INCORRECT" not in text for text in texts)


def test_the_readers_challenge_runs_on_the_files_and_finds_the_treatment_in_the_bill(desk: Desk) -> None:
    base = desk.out / "reader" / "challenge_scenarios"
    prompts = play_challenge(base, desk.out / "reader" / "selected")
    assert sorted(prompts) == sorted(scenario["id"] for scenario in desk.entries)
    for scenario in desk.entries:
        asked = prompts[scenario["id"]]
        billed = scenario["metadata"]["procedure"] is not None
        assert asked["treatment"] == ("Treatment ordered: Fine-needle aspiration" if billed else "Unknown treatment")
        assert scenario["description"] in asked["prompt"]
        assert f"Operation {int(scenario['id'][-3:]) - 101}" in asked["prompt"]
        assert scenario["ground_truth"] not in asked["prompt"]
        assert not GIVEAWAY.search(asked["prompt"])
    assert (
        make_bill({"code": "1", "service": "Radiation therapy", "charge": 1})["items"][0]["service"]
        == "Radiation therapy"
    )


def test_what_is_not_known_is_said_so_and_not_made_up(desk: Desk) -> None:
    images = read_json(desk.out / "reader/selected/manifest.json")["images"]
    unknown, known = (images[number]["scenarios"][0]["patient_context"] for number in (0, 1))
    assert unknown == dict.fromkeys(("age", "gender", "chief_complaint"), "not recorded")
    assert known == {"age": 41, "gender": "Male", "chief_complaint": "not recorded"}
    assert (images[0]["dataset_url"], images[1]["dataset_url"]) == ("not recorded", "https://doi.org/10.1/x")
    challenge = read_json(desk.out / "reader/challenge_scenarios/clinical_validation/scenario_101.json")
    assert (challenge["provider_bill"], challenge["insurance_eob"], challenge["malpractice"]) == ({}, {}, None)
    assert challenge["clinical_images"][0]["is_abnormal"] is None
    undertreated = images[6]["scenarios"][0]
    assert (undertreated["error_type"], undertreated["cost_impact"]) == ("undertreatment", 0)


def test_vlmevalkit_gets_the_pictures_and_no_cell_that_a_spreadsheet_computes(desk: Desk) -> None:
    csv.field_size_limit(1 << 30)
    with (desk.out / "vlmevalkit/casebook.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert [int(row["index"]) for row in table] == list(range(1, 15))
    for number, (row, scenario) in enumerate(zip(table, desk.entries, strict=True)):
        assert base64.b64decode(row["image"], validate=True) == encode_png(picture(number))
        assert len(row["image"]) > 64  # a shorter one is taken for the index of another row
        assert row["id"] == scenario["id"]
        assert row["answer"] == ("B" if "erroneous_action" in scenario else "A")
        assert scenario["description"] in row["question"]
        assert not [cell for cell in row.values() if cell[0] in "=+-@\t\r"]


def test_no_question_gives_its_answer(desk: Desk) -> None:
    with (desk.out / "reader/selected/metadata.jsonl").open() as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == len(desk.entries)
    for row, scenario in zip(rows, desk.entries, strict=True):
        assert not re.search("error|correct|appropriate|erroneous|unnecessary", row["question"], re.IGNORECASE)
        assert not [
            said
            for key, said in scenario.items()
            if key in ("title", "ground_truth", "expected_action") and said in row["question"]
        ]


@pytest.mark.parametrize(
    ("key", "text", "refused"),
    [
        ("description", "An inappropriate operation is planned", "'inappropriate', which gives the answer away"),
        ("erroneous_action", "Unnecessary surgery", "the decision says 'Unnecessary'"),
        ("metadata", entry(1, procedure=BILLED)["metadata"], "procedure.service says 'needless'"),
        ("description", "Seen: a fracture. No operation 0", "description holds the whole of expected_action"),
        ("description", "The tip of the terror", None),
    ],
)
def test_a_text_that_gives_the_answer_is_refused(tmp_path: Path, key: str, text: Any, refused: str | None) -> None:
    desk = Desk(tmp_path / "scenarios", 1)
    scenarios = [desk.entries[0] | {key: text}]
    if refused:
        with pytest.raises(SystemExit, match=f"casebook: scenario_101: .*{refused}"):
            desk.run(scenarios)
        assert not desk.out.exists()
    else:
        desk.run(scenarios)


def test_a_question_that_repeats_the_ground_truth_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path / "scenarios", 2)
    truth = desk.entries[0]["ground_truth"]
    desk.run([desk.entries[0] | {"description": f"{truth}. An operation is planned"}, desk.entries[1]])
    assert (
        "1 with the whole ground truth in their question, so no picture is needed: scenario_101"
        in capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def loaded(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every harness's own loader makes of the exports, without a network."""
    if not HARNESS.is_file():
        pytest.skip("no environment of the harnesses: make .venv-harness/.installed")
    folder = tmp_path_factory.mktemp("harness")
    caches = {name: str(folder) for name in ("HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    subprocess.run(
        [HARNESS, ROOT / "tests/unit/harness_loaders.py", folder / "read.json"],
        cwd=desk.out,
        env={**os.environ, **caches, "HF_HUB_OFFLINE": "1"},
        check=True,
        timeout=300,
    )
    found: dict[str, Any] = read_json(folder / "read.json")
    return found


def seen(number: int) -> dict[str, Any]:
    return {"shape": list(picture(number).shape), "sum": int(picture(number).astype(int).sum())}


@pytest.mark.parametrize("form", ["parquet", "imagefolder", "croissant"])
def test_datasets_and_croissant_give_rows_with_pictures(loaded: dict[str, Any], desk: Desk, form: str) -> None:
    rows = loaded["croissant"]["records"] if form == "croissant" else loaded["hugging_face"][form]
    for number, (row, scenario) in enumerate(zip(rows, desk.entries, strict=True)):
        error = "erroneous_action" in scenario
        assert row["image"] == seen(number)
        assert (row["id"], row["answer"]) == (scenario["id"], "ERROR" if error else "CORRECT")
        assert scenario["description"] in row["question"]
        assert (row["age"], row["ground_truth"]) == (scenario["metadata"]["age"], scenario["ground_truth"])


def test_croissant_is_valid_but_for_the_date_that_outputs_do_not_hold(loaded: dict[str, Any]) -> None:
    read = loaded["croissant"]
    assert read["errors"] == []
    assert [warning for warning in read["warnings"] if "datePublished" not in warning] == []
    assert read["conforms_to"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert all(read["rai"].values())


def test_inspect_reads_picture_question_and_target(loaded: dict[str, Any], desk: Desk) -> None:
    for number, (sample, scenario) in enumerate(zip(loaded["inspect"], desk.entries, strict=True)):
        assert (sample["id"], sample["role"], sample["image"]) == (scenario["id"], "user", seen(number))
        assert sample["answer"] == ("ERROR" if "erroneous_action" in scenario else "CORRECT")
        assert scenario["description"] in sample["question"]
        assert sample["question"].endswith(HOW_TO_ANSWER)
        assert sample["ground_truth"] == scenario["ground_truth"]


def test_lm_eval_runs_both_tasks_and_scores_a_model_that_always_says_error(loaded: dict[str, Any], desk: Desk) -> None:
    read, ids = loaded["lm_eval"], [scenario["id"] for scenario in desk.entries]
    assert read["ids"] == {"casebook": ids, "casebook_text": ids}
    assert read["scores"] == [0.5, 0.5]
    assert read["images"] == [seen(number) for number in range(len(ids))]
    assert all(prompt.count("<image>") == 1 for prompt in read["prompts"]["casebook"])
    assert not any("<image>" in prompt for prompt in read["prompts"]["casebook_text"])


def test_pandas_reads_the_vlmevalkit_table_whole(loaded: dict[str, Any], desk: Desk) -> None:
    for row, scenario in zip(loaded["vlmevalkit"], desk.entries, strict=True):
        assert None not in row.values()
        assert scenario["description"] in row["question"]


def test_answers_to_the_exported_ids_can_be_scored(loaded: dict[str, Any], desk: Desk, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": s["id"], "answer": s["answer"]}) + "\n" for s in loaded["inspect"]))
    scores = tmp_path / "scores.json"
    evaluate_answers(
        ["--scenarios", str(desk.folder / "scenarios.json"), "--answers", str(answers), "--json", str(scores)]
    )
    assert "scenario_101" in scores.read_text()


def test_the_same_scenarios_give_the_same_bytes_and_replace_what_was_there(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "elsewhere", 14)
    stale = other.run([entry(13)]) / "reader/selected/stale.png"
    stale.touch()
    again = contents(other.run())
    assert again == contents(desk.out)
    text = b"\n".join(content for name, content in again.items() if not name.endswith((".png", ".parquet", ".tsv")))
    assert str(tmp_path).encode() not in text


def test_entries_of_others_are_not_exported(desk: Desk, tmp_path: Path) -> None:
    mixed = Desk(tmp_path / "scenarios", 2)
    theirs = [{"id": "scenario_001", "metadata": {"nodule_size_mm": 8}}, {"name": "no id"}, {"id": "scenario_101"}]
    mixed.run([*theirs, *mixed.entries])
    assert len(read_json(mixed.out / "reader/selected/manifest.json")["images"]) == 2
    mixed.run(theirs)  # a run in which every scenario was refused
    assert read_json(mixed.out / "reader/selected/manifest.json")["images"] == []


def test_what_an_earlier_run_wrote_and_this_one_did_not_is_not_exported(tmp_path: Path) -> None:
    houses = [built(tmp_path / "before", 10, 20), built(tmp_path / "now", 10)]
    entries, _ = houses[0].run(one_case(10), one_case(20))
    houses[1].run(one_case(10), one_case(20), existing=houses[0].folder / "scenarios" / "scenarios.json")
    out = tmp_path / "exports"
    main(["--scenarios", str(houses[1].folder / "scenarios" / "scenarios.json"), "--out", str(out)])
    assert [entry["id"] for entry in entries] == ["scenario_110", "scenario_120"]
    assert [image["filename"] for image in read_json(out / "reader/selected/manifest.json")["images"]] == [
        "scenario_110.png"
    ]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ("[{", "no JSON in UTF-8, or cut off"),
        ('{"scenarios": []}', "expected a list with scenarios"),
        ([entry(0) | {"title": "half a character: \ud800"}], "no JSON in UTF-8"),
        ([entry(0), entry(0)], "scenario_101 stands there more than once; keep one"),
        ([entry(0) | {"imaging_modality": "PET"}], "scenario_101: imaging_modality: 'PET' is not one of"),
        ([entry(0, age="old")], "scenario_101: metadata.age is 'old'; expected a whole number or null"),
        ([entry(0, image_sha256="0" * 64)], "scenario_101.png: not the picture that scenario_101 names"),
        ([entry(1)], "scenario_102.png: cannot be read: No such file"),
        ([entry(0) | {"image_file": "/etc/passwd"}], "scenario_101: image_file"),
    ],
)
def test_bad_input_is_one_line_and_earlier_exports_survive(tmp_path: Path, entries: Any, says: str) -> None:
    desk = Desk(tmp_path / "scenarios", 1)
    before = contents(desk.run())
    with pytest.raises(SystemExit) as refused:
        desk.run(entries)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert contents(desk.out) == before
    assert not list(desk.folder.glob(".*"))


def test_a_folder_of_something_else_is_not_written_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "scenarios", 1)
    desk.out = desk.folder / "images"
    with pytest.raises(SystemExit, match="holds something other than exports"):
        desk.run()
    assert [path.name for path in desk.out.iterdir()] == ["scenario_101.png"]
