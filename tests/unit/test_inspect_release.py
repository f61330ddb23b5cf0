"""Nothing of a restricted set gets through the gate, and nothing else is stopped by it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.unit.planted_leaks import PLANTS, make_clean, try_leak
from tests.unit.release_tables import KINDS
from workflow_scripts.command import Refusal
from workflow_scripts.provenance import canonical_json
from workflow_scripts.release.inspect_release import inspect_release, main
from workflow_scripts.release.known import Known
from workflow_scripts.release.texts import Reader


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Known]:
    return make_clean(tmp_path_factory.mktemp("clean"))


def test_a_clean_release_passes(clean: tuple[Path, Path, Known]) -> None:
    _, release, known = clean
    assert inspect_release(release, known) == []


@pytest.mark.parametrize("name", PLANTS)
def test_no_leak_passes(name: str, clean: tuple[Path, Path, Known], tmp_path: Path) -> None:
    results, release, known = clean
    findings = try_leak(name, results, release, known, tmp_path)
    assert any(re.search(PLANTS[name][1], finding.what) for finding in findings), findings


def test_a_number_of_a_patient_is_not_found_in_the_hashes_of_a_lock() -> None:
    reader = Reader(Known(runs={"204812": "case_id"}))
    assert not list(reader.look(f'"tile_sha256": ["a204812{"b" * 9}", "{"c" * 57}204812d"]', ""))
    assert list(reader.look("a204812b", ""))


def test_by_hand_it_prints_a_line_each_and_ends_with_1(
    clean: tuple[Path, Path, Known], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, release, _ = clean
    lock = str(results / "scenarios" / "casebook.lock.json")
    argv = ["--results", str(results), "--lock", lock, "--kinds", canonical_json(KINDS)]
    main([*argv, "--release", str(release)])
    copy = shutil.copytree(release, tmp_path / "release")
    (copy / "notes.txt").write_text("on 2019-03-04\nsaw patient00417\n")
    capsys.readouterr()
    with pytest.raises(Refusal, match="2 findings"):
        main([*argv, "--release", str(copy)])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "notes.txt: line 2: case_id of a case of clinic-berlin7"
    assert second == "notes.txt: line 1: a date or a time"
