"""Code and content as inputs: what changes a hash, and what does not."""

import os
from pathlib import Path

import pytest

from workflow_scripts import provenance
from workflow_scripts.command import Refusal
from workflow_scripts.files import listing, natural, write_beside, write_folder_beside
from workflow_scripts.provenance import ContentHashes, canonical_json, code_version, sha256

COMMAND = '''"""A command."""
from workflow_scripts.part import double

def main(x):
    """Double it."""
    return double(x)  # twice
'''
PART = '''"""A part."""
TABLE = "table.yaml"
def double(x):
    return x + x
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "workflow_scripts"
    folder.mkdir()
    (folder / "command.py").write_text(COMMAND)
    (folder / "part.py").write_text(PART)
    (folder / "other.py").write_text("x = 1\n")
    (folder / "table.yaml").write_text("a: 1\nb: 2\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return folder


def version() -> str:
    provenance.local_imports.cache_clear()
    provenance.normalised_source.cache_clear()
    return code_version("workflow_scripts.command")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("command.py", "# twice", "# two times"),
        ("command.py", "Double it", "Twice it"),
        ("command.py", "return double(x)", "return double( x )"),
        ("part.py", "A part", "One part"),
        ("table.yaml", "a: 1\nb: 2", "# reordered\nb: 2\na: 1"),
        ("other.py", "1", "2"),
    ],
)
def test_what_means_the_same_keeps_the_version(package: Path, name: str, old: str, new: str) -> None:
    before = version()
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))
    assert version() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("command.py", "return double(x)", "return double(x) + 1"),
        ("part.py", "x + x", "x + x + x"),
        ("table.yaml", "b: 2", "b: 3"),
    ],
)
def test_a_line_of_logic_changes_it_through_imports_and_tables(package: Path, name: str, old: str, new: str) -> None:
    before = version()
    (package / name).write_text((package / name).read_text().replace(old, new))
    assert version() != before


def test_a_misspelt_module_is_refused() -> None:
    with pytest.raises(ValueError, match="no module workflow_scripts.nothing"):
        code_version("workflow_scripts.nothing")


def test_the_grading_table_is_part_of_the_grading_code() -> None:
    files = {path.name for path in provenance.imported_files(("workflow_scripts.tirads.grade_nodules",))}
    assert {"grade_nodules.py", "engine.py", "acr_2017.yaml", "grades.py"} <= files
    assert not files & {"ddti.py", "thyroid_cineclip.py", "ultrasound.py"}


def test_canonical_json_has_one_text() -> None:
    assert canonical_json({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


def test_content_is_read_again_only_when_size_or_time_changed(tmp_path: Path) -> None:
    path, cache = tmp_path / "a.txt", tmp_path / "cache" / "hashes.json"
    path.write_text("one")
    asked: list[str] = []

    def read() -> str:
        asked.append("read")
        return path.read_text()

    def again() -> str:
        hashes = ContentHashes(tmp_path, cache)
        value = hashes.of(path, "part", read)
        hashes.save()
        return value

    assert (again(), again(), len(asked)) == ("one", "one", 1)
    path.write_text("two!")
    assert (again(), len(asked)) == ("two!", 2)
    cache.write_text("{broken")
    assert (again(), len(asked)) == ("two!", 3)


def test_a_listing_sees_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("1")
    before = listing(tmp_path)
    assert [name for name, _, _ in before] == ["b/x"]
    os.utime(tmp_path / "b" / "x", ns=(1, 1))
    assert listing(tmp_path) != before


def test_numbers_count_in_names() -> None:
    assert sorted(["10_2", "9_1", "10_10", "a", "10_1"], key=natural) == ["9_1", "10_1", "10_2", "10_10", "a"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.write_text("old")
    with pytest.raises(RuntimeError), write_beside(target) as beside:
        beside.write_text("ne")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("name", ["..", ".", "../here"])
def test_no_folder_is_replaced_that_holds_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = tmp_path / "there" / "here"
    here.mkdir(parents=True)
    (here / "own.txt").write_text("x")
    monkeypatch.chdir(here)
    with pytest.raises(Refusal, match="would be replaced as a whole"), write_folder_beside(Path(name)):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "here", "own.txt"]


def test_a_name_that_is_not_utf8_is_hashed_and_kept(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xe9.txt")
    path.write_text("x")
    for _ in range(2):
        hashes = ContentHashes(tmp_path, tmp_path / "cache.json")
        assert hashes.of(path) == sha256("x")
        hashes.save()
