"""What a change rebuilds, and that nothing else is: each line of the design's promise, on the real workflow."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.fixtures import write_ddti_case
from tests.workflow.conftest import Lab

LOOKING_AGAIN = Counter(index_cases=1, plan_chunks=1)
GATHERED = Counter(
    match_scenarios=1,
    grade_nodules=1,
    write_scenarios=1,
    write_exports=1,
    write_lock=1,
    write_report=1,
    write_citations=1,
    record_provenance=1,
)
AFTER = ("write_scenarios", "write_exports", "write_lock", "write_report", "record_provenance")
ONE_CHUNK = Counter(extract_frames=1, preprocess_frames=1)
DAY = 86_400 * 10**9  # ns


def test_nothing_changed_nothing_done(lab: Lab) -> None:
    done = lab.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout
    assert not lab.ran()


def test_touching_every_file_only_looks_again(lab: Lab) -> None:
    now = time.time()
    for path in (lab.place / "data").rglob("*"):
        os.utime(path, (now, now))
    before = lab.products()
    looked = lab.ran()
    assert set(looked) == set(LOOKING_AGAIN)
    assert lab.products() == before
    assert not lab.ran()


def test_a_case_added_changed_removed_rebuilds_one_chunk_a_stage(lab: Lab, finished: Lab) -> None:
    """Whatever the clock says: the change is older than all that is known, and that was made tomorrow."""
    write_ddti_case(lab.clinic, 9, {1: None}, tirads="3")
    assert lab.ran() == LOOKING_AGAIN + ONE_CHUNK + GATHERED
    text = (lab.clinic / "9.xml").read_text()
    (lab.clinic / "9.xml").write_text(text.replace("<tirads>3<", "<tirads>4a<"))
    os.utime(lab.clinic / "9.xml", (0, 0))
    for path in sorted((lab.place / "results").rglob("*")):
        os.utime(path, ns=(path.stat().st_mtime_ns + DAY,) * 2)
    assert lab.ran() == LOOKING_AGAIN + ONE_CHUNK + GATHERED
    (lab.clinic / "9.xml").unlink()
    (lab.clinic / "9_1.jpg").unlink()
    assert lab.ran() == LOOKING_AGAIN + ONE_CHUNK + GATHERED
    assert not lab.ran()
    assert lab.products() == finished.products()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("option", "rerun"),
    [
        (
            "preprocess: {contrast: stretch}",
            {"preprocess_frames", *AFTER},
        ),
        ("  seed: 5  # of scenarios", {"match_scenarios", *AFTER}),
        (
            "frames: middle",
            {"extract_frames", "preprocess_frames", *AFTER},
        ),
    ],
)
def test_an_option_rebuilds_its_stage_and_what_follows(lab: Lab, option: str, rerun: set[str]) -> None:
    (lab.place / "mine.yaml").write_text((lab.place / "mine.yaml").read_text() + option)
    assert set(lab.planned()) == rerun


def test_reordered_and_commented_configuration_rebuilds_nothing(lab: Lab) -> None:
    (lab.place / "mine.yaml").write_text(
        "# the same, said otherwise\ndatasets:\n  thyroid-cineclip: {n_chunks: 1, root: data/clips}\n"
        "  clinic: {root: data/clinic, n_chunks: 2, kind: ddti}\n"
        "scenarios: {text: 'off', seed: 0}\nlimit: null\n"
    )
    assert not lab.ran()


def test_a_data_set_that_moved_is_the_same_data_set(lab: Lab) -> None:
    (lab.place / "data" / "clinic").rename(lab.place / "clinic")
    change(lab.place / "mine.yaml", "root: data/clinic", f"root: {lab.place}/clinic")
    assert not set(lab.ran()) - {"record_provenance"}


def test_a_line_of_logic_rebuilds_the_rules_that_import_it(lab: Lab) -> None:
    scripts = lab.repository / "workflow_scripts"
    change(scripts / "preprocess" / "preprocess_frames.py", '"leave the picture out"', '"leave this picture out"')
    assert set(lab.ran()) == {"preprocess_frames", *AFTER}
    assert not lab.ran()
    ddti = scripts / "collections" / "ddti.py"
    ddti.write_text(ddti.read_text() + "\n\nANOTHER_LINE = 1\n")
    looked = lab.ran()
    assert looked["extract_frames"] == 2  # the chunks of clinic, not those of the clips
    assert looked["index_cases"] == 1


def test_comments_docstrings_formatting_and_checking_out_rebuild_nothing(lab: Lab) -> None:
    scripts = lab.repository / "workflow_scripts"
    for path in scripts.rglob("*.py"):
        path.write_text("# a new comment\n" + path.read_text())
    change(scripts / "frames" / "extract_frames.py", '"""Take the frames of', '"""Take all frames of')
    for path in (lab.repository / "rules").glob("[fimprst]*.smk"):
        change(path, "    log:\n", "    log:\n        # where it is written\n")
    os.utime(lab.repository / "Snakefile")
    assert not lab.ran()
