"""A release holds the recipe, and of data no more than their terms allow."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import rocrate
import yaml

from tests.unit.release_tables import CASE, FREE, KINDS, RESTRICTED, write_results
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import check_config, load_templates
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.provenance import ROOT, canonical_json, file_sha256, pixel_sha256
from workflow_scripts.release.build_release import main

HARNESS = ROOT / ".venv-harness" / "bin"


def build(results: Path, release: Path) -> Path:
    lock = results / "scenarios" / "casebook.lock.json"
    argv = ["--results", str(results), "--lock", str(lock), "--kinds", canonical_json(KINDS)]
    main([*argv, "--release", str(release)])
    return release


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def release(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(results, tmp_path_factory.mktemp("out") / "release")


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def test_holds_of_data_only_what_may_be_passed_on(release: Path) -> None:
    pictures = [pixel_sha256(decode_picture(path.read_bytes())) for path in (release / "data").rglob("*.png")]
    assert pictures == [pixel_sha256(FREE)] != [pixel_sha256(RESTRICTED)]
    folder = release / "data" / "drawn-by-casebook-s-demo"
    assert [entry["id"] for entry in json.loads((folder / "scenarios.json").read_text())] == ["scenario_201"]
    assert "may be passed on" in (folder / "TERMS.md").read_text()
    text = "".join(path.read_text(errors="ignore") for path in release.rglob("*") if path.is_file())
    assert CASE not in text
    assert "berlin" not in text  # the user's own name of a data set


def test_weights_go_only_where_all_that_they_learnt_from_may(release: Path) -> None:
    assert sorted(path.name for path in (release / "models").iterdir()) == ["unet-free"]
    card = json.loads((release / "models" / "unet-free" / "fold-0.json").read_text())
    assert card["trained_on"] == {"ddti": 1}


def test_figures_of_few_patients_are_not_told(release: Path) -> None:
    figures = json.loads((release / "metrics" / "scores.json").read_text())["models"]["unet-clinic"]
    assert figures["overall"]["dice"]["mean"] == pytest.approx(0.81234567)
    assert list(figures["datasets"]) == ["thyroid-cineclip"]
    (part,) = figures["strata"][0]["parts"]
    assert part["part"] == "TR1"
    assert "dice" not in part
    quality = json.loads((release / "metrics" / "quality.json").read_text())
    assert "mae" in quality
    assert "points" not in quality, "no list with a row a frame"
    assert list(quality["reliability"][0]) == ["not_told"]


def test_figures_say_no_more_than_the_release_itself(results: Path, release: Path, tmp_path: Path) -> None:
    assert sorted(path.stem for path in (release / "figures").iterdir()) == ["risk_coverage", "scenario_coverage"]
    copy = shutil.copytree(results, tmp_path / "run")
    quality = copy / "review" / "quality.json"
    few = json.loads(quality.read_text()) | {"n_groups": 3}
    quality.write_text(json.dumps(few))
    assert [path.stem for path in (build(copy, tmp_path / "few") / "figures").iterdir()] == ["scenario_coverage"]


def test_its_configuration_and_templates_run(release: Path) -> None:
    changed = yaml.safe_load((release / "config.yaml").read_text())
    assert changed["preprocess"] == {"speckle": "none"}
    (named,) = changed["scenarios"]["templates"]
    assert load_templates([str(release.parent / named)]) == load_templates(["config/scenarios/thyroid.yaml"])
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["preprocess"] |= changed["preprocess"]
    config["scenarios"] |= changed["scenarios"]
    readme = (release / "README.md").read_text()
    mine = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])
    assert mine.pop("verify") == "release"
    check_config(config | mine)
    assert set(mine["datasets"]) == {"ddti", "thyroid-cineclip"}


def test_readme_and_terms_say_what_is_here_and_how_to_get_the_rest(release: Path) -> None:
    readme, terms = (release / "README.md").read_text(), (release / "TERMS.md").read_text()
    for path in release.iterdir():
        assert path.name in readme or path.name in {"README.md", "CITATIONS.bib"}
    assert "accept the Research Use Agreement" in readme
    assert "10.71718/7m5n-rh16" in readme
    assert "Passing it on: **forbidden**" in terms
    assert "\n\n\n" not in readme + terms


def test_the_same_results_give_the_same_bytes(results: Path, release: Path, tmp_path: Path) -> None:
    assert contents(build(results, tmp_path / "again" / "release")) == contents(release)


def test_stops_with_a_line_each_and_leaves_what_was_there(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(results, tmp_path / "run")
    build(copy, copy / "release")
    before = contents(copy / "release")
    scores = copy / "review" / "scores.json"
    scores.write_text(scores.read_text().replace('"models"', f'"worst": "{CASE}", "models"'))
    with pytest.raises(Refusal) as refusal:
        build(copy, copy / "release")
    assert "1 findings" in str(refusal.value)
    assert "metrics/scores.json: line 41: case_id of a case of clinic-berlin7" in str(refusal.value)
    assert CASE not in str(refusal.value)  # a log may be passed on as well
    assert contents(copy / "release") == before
    assert not list(copy.glob(".release*"))


def test_an_exchanged_picture_is_no_longer_known(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "run")
    (copy / "scenarios" / "images" / "scenario_201.png").write_bytes(encode_png(RESTRICTED))
    with pytest.raises(Refusal, match=r"scenario_201.png: byte 0: a picture"):
        build(copy, copy / "release")
    assert not (copy / "release").exists()


def test_croissant_describes_each_file(release: Path) -> None:
    described = json.loads((release / "croissant.json").read_text())
    hashes = {file["contentUrl"]: file["sha256"] for file in described["distribution"]}
    there = contents(release)
    assert hashes == {name: there[name] for name in there if name not in {"croissant.json", "ro-crate-metadata.json"}}


def harness(program: str, arguments: Sequence[object], check: bool = True) -> str:
    if not (HARNESS / program).is_file():
        pytest.skip(f"{program} is not installed: no validator (make harness)")
    done = subprocess.run([HARNESS / program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_croissant_is_valid_and_its_records_load(release: Path) -> None:
    program = """
import sys, mlcroissant
data = mlcroissant.Dataset(jsonld=sys.argv[1])
print([str(issue) for issues in (data.metadata.issues.errors, data.metadata.issues.warnings) for issue in issues])
print([record["scenarios/status"].decode() for record in data.records("scenarios")])
"""
    problems, records = harness("python", ["-c", program, release / "croissant.json"]).splitlines()[-2:]
    assert problems == "[]"
    assert records == "['filled', 'filled', 'refused']"


# The validator asks the network for the vocabulary of RO-Crate 1.1 and for nothing else: its cache is filled with that
# of the library, in which four terms of Bioschemas have another address since 1.2.
FILL_CACHE = """
import io, sys
from pathlib import Path
import requests, urllib3
from requests_cache import CachedSession
response = requests.Response()
response.status_code, response.url = 200, "https://w3id.org/ro/crate/1.1/context"
content = Path(sys.argv[2]).read_text().replace("https://bioschemas.org/terms/", "https://bioschemas.org/")
for term in ("input", "output"):
    content = content.replace(f"org/{term}\\"", f"org/ComputationalWorkflow#{term}\\"")
response._content = content.encode()
response.headers["Content-Type"] = "application/ld+json"
response.request = requests.Request("GET", response.url).prepare()
response.raw = urllib3.HTTPResponse(io.BytesIO(response._content), headers=response.headers, preload_content=False)
CachedSession(cache_name=sys.argv[1], backend="sqlite", expire_after=-1).cache.save_response(response)
"""


def test_crate_is_a_workflow_run_crate(release: Path, tmp_path: Path) -> None:
    context = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    harness("python", ["-c", FILL_CACHE, tmp_path / "cache", context])
    validate = ["-y", "--disable-color", "validate", "-p", "workflow-run-crate", "-l", "required", "--no-paging"]
    where = ["--offline", "--cache-path", tmp_path / "cache", "-f", "json", "-o", tmp_path / "verdict.json"]
    harness("rocrate-validator", [*validate, *where, release], check=False)
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert [(issue["check"]["identifier"], issue["message"]) for issue in verdict["issues"]] == []
    assert verdict["passed"]
    assert not (skipped := verdict["skipped_checks"]), skipped
