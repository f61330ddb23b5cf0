"""Scenarios rebuilt by another holder of the data: other names, folders, chunks and cores, and what `verify` says."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml

from tests.fixtures import row, write_ddti_case, write_stack
from tests.workflow.conftest import Lab
from workflow_scripts.provenance import ROOT

LOCK = "results/scenarios/casebook.lock.json"
CLIPS = {"1_": 3, "2_": 2, "3_": 3, "4_": 2}
AGES = {"1_": 41, "2_": 42, "3_": 43, "4_": 44}
STILLS = {1: 51, 2: 52}
NAMES = [f"scenario_{age}" for age in (141, 142, 143, 144, 151, 152)]


def template(age: int) -> dict[str, Any]:
    """Return a template that one case alone can take: a defect of one scenario leaves the others as they are."""
    return {
        "name": f"of-age-{age}",
        "id": f"scenario_1{age}",
        "count": 1,
        "kind": "error",
        "where": {"age": {"at_least": age, "below": age + 1}},
        "frame": "largest_mask",
        "title": "Thyroid Ultrasound",
        "imaging_modality": "Ultrasound",
        "error_category": "Overtreatment",
        "severity_score": 4,
        "description": "Thyroid ultrasound of a patient aged {age}.",
        "ground_truth": "The patient is {age}.",
        "erroneous_action": "Surgery",
        "malpractice_risk": "Medium - Surgery without need",
        "expected_action": "None",
    }


def write_clips(folder: Path, clips: dict[str, int]) -> None:
    """Write a data set without loss, whose first clips are the same however many follow."""
    rows = [row(key, age=str(AGES[key])) for key in clips]
    write_stack(folder, clips, rows, shape=(120, 160))


def holder(folder: Path, clips: str, stills: str, chunks: int, root: str) -> Lab:
    """Return a place with the same two data sets, under names and in folders of its holder's choosing."""
    lab = Lab(folder)
    (lab.place / root).mkdir(parents=True)
    lab.repository.symlink_to(ROOT)
    write_clips(lab.place / root / "clips", CLIPS)
    for number, age in STILLS.items():
        write_ddti_case(lab.place / root / "stills", number, {1: None}, age=str(age))
    (lab.place / "templates.yaml").write_text(
        yaml.safe_dump({"templates": [template(int(name[-2:])) for name in NAMES]})
    )
    config = {
        "datasets": {
            clips: {"kind": "thyroid-cineclip", "root": f"{root}/clips", "n_chunks": chunks},
            stills: {"kind": "ddti", "root": f"{root}/stills", "n_chunks": chunks},
        },
        "scenarios": {"templates": ["templates.yaml"], "text": "off"},
    }
    (lab.place / "mine.yaml").write_text(yaml.safe_dump(config))
    return lab


def lock_of(lab: Lab) -> Path:
    return lab.place / LOCK


def verify(lab: Lab, release: Path) -> tuple[int, dict[str, Any], str]:
    """Rebuild on one core and verify, and return how it ended, the report, and what was said."""
    report = lab.place / "results" / "report" / "verify.json"
    report.unlink(missing_ok=True)
    done = lab.run(LOCK, "verify", "--config", f"verify={release}", cores=1)
    assert report.is_file(), done.stdout[-3000:]
    return done.returncode, json.loads(report.read_text()), done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a release; of it, only the lock takes part."""
    lab = holder(tmp_path_factory.mktemp("theirs"), "clinic-a", "clinic-b", 3, "data")
    lab.ran(LOCK, cores=2)
    folder = tmp_path_factory.mktemp("release")
    shutil.copy(lock_of(lab), folder)
    return folder


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory, release: Path) -> Lab:
    """Return what another holder has rebuilt and verified; tests copy it."""
    lab = holder(tmp_path_factory.mktemp("mine"), "a-stack", "zz-films", 1, "far/away")
    code, report, _ = verify(lab, release)
    assert (code, report["counts"]) == (0, {"identical": len(NAMES)})
    return lab


@pytest.fixture
def mine(rebuilt: Lab, tmp_path: Path) -> Lab:
    shutil.copytree(rebuilt.folder, tmp_path / "mine", symlinks=True)
    return Lab(tmp_path / "mine")


def test_other_names_folders_chunks_and_cores_give_the_same_lock(rebuilt: Lab, release: Path) -> None:
    ours, theirs = lock_of(rebuilt).read_text(), (release / "casebook.lock.json").read_text()
    assert ours == theirs
    assert list(json.loads(ours)["scenarios"]) == NAMES
    for name in ("clinic", "stack", "films", "away"):
        assert name not in ours


def test_one_altered_frame_and_one_case_gone_are_told_apart_and_end_with_one(mine: Lab, release: Path) -> None:
    clips = mine.place / "far" / "away" / "clips"
    write_clips(clips, {key: CLIPS[key] for key in ("1_", "2_", "3_")})
    with h5py.File(clips / "dataset.hdf5", "r+") as file:
        for frame in range(3):  # of the first clip, whichever is taken
            file["image"][frame, 30:34, 40:44] ^= 64
    code, report, said = verify(mine, release)
    verdicts = {name: one["verdict"] for name, one in report["scenarios"].items()}
    odd = {"scenario_141": "pixels differ", "scenario_144": "source missing"}
    assert verdicts == dict.fromkeys(NAMES, "identical") | odd
    assert 1 <= report["scenarios"]["scenario_141"]["tiles"] <= 4, "4 x 4 pixels lie in four tiles at most"
    assert code == 1
    assert "2 of 6 scenarios are not as the release has them" in said
    assert "scenario_144  source missing" in said


def test_cases_that_the_release_did_not_have_change_nothing(mine: Lab, release: Path) -> None:
    for number in range(3, 9):
        write_ddti_case(mine.place / "far" / "away" / "stills", number, {1: None}, age=str(STILLS[1]))
    code, report, _ = verify(mine, release)
    assert (code, report["counts"]) == (0, {"identical": len(NAMES)}), "the locked frame is tried first"


def test_a_run_with_other_options_says_so(mine: Lab, release: Path) -> None:
    with (mine.place / "mine.yaml").open("a") as file:
        file.write("frames: middle\n")
    code, report, said = verify(mine, release)
    assert code == 1
    differ = [f'data sets of kind {kind}: frames: "all" there, "middle" here' for kind in ("ddti", "thyroid-cineclip")]
    assert report["options"] == differ
    assert f"Your run used other options or templates: {'; '.join(differ)}" in said
    missing = [one for one in report["scenarios"].values() if one["verdict"] == "source missing"]
    assert missing
    assert all(f"most likely by {differ[1]}" in one["why"] for one in missing), "and a still has but one frame"
