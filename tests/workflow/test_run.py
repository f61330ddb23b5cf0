"""A run as its user sees it: from any folder, to the end, the same on any number of cores, whole after a kill."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.fixtures import extract_spec, index_rows, index_spec, write_ddti_case
from tests.workflow.conftest import LEARN, Lab, ask
from workflow_scripts import command
from workflow_scripts.collections.collection import Source
from workflow_scripts.frames.extract_frames import extract_frames
from workflow_scripts.tables import cases
from workflow_scripts.tables.table import read_rows, write_rows


def fresh(lab: Lab) -> Lab:
    """Throw away what the run has made."""
    shutil.rmtree(lab.place / "results")
    shutil.rmtree(lab.place / ".snakemake")
    return lab


def test_what_a_run_says_and_leaves(finished: Lab) -> None:
    summary = json.loads((finished.place / "results" / "report" / "summary.json").read_text())
    assert (summary["cases"]["in"], summary["cases"]["out"], summary["cases"]["quarantined"]) == (13, 12, 1)
    scenarios = json.loads((finished.place / "results" / "scenarios" / "scenarios.json").read_text())
    assert {"scenario_010", "scenario_020"} <= {scenario["id"] for scenario in scenarios}
    for scenario in scenarios:
        assert (finished.place / "results" / "scenarios" / scenario["image_file"]).is_file()
    assert (finished.place / "results" / "report" / "index.html").stat().st_size > 10_000
    notice = (finished.place / "results" / "datasets" / "thyroid-cineclip" / "NOTICE.txt").read_text()
    assert "Redistribution: forbidden" in notice
    assert "AIMI" in notice


def test_one_core_and_two_cores_and_other_chunks_give_the_same(lab: Lab, finished: Lab) -> None:
    fresh(lab).ran(cores=1)
    assert lab.products() == finished.products()
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(
        text.replace("n_chunks: 1", "n_chunks: 3").replace("n_chunks: 2", "n_chunks: 1")
    )
    lab.ran()

    def gathered(lab: Lab) -> dict[str, bytes]:
        whole = lab.products()
        return {name: data for name, data in whole.items() if name.startswith(("scenarios/", "report/"))}

    assert gathered(lab) == gathered(finished)


def test_the_end_says_where_to_look(lab: Lab) -> None:
    done = fresh(lab).run()
    assert "13 in, 12 out, 1 in quarantine" in done.stdout
    assert f"{lab.place}/results/scenarios/scenarios.json" in done.stdout
    assert f"{lab.place}/results/report/index.html" in done.stdout


def test_a_trial_takes_the_first_cases(lab: Lab) -> None:
    fresh(lab).ran("--config", "limit=2")
    rows = read_rows(lab.place / "results" / "datasets" / "clinic" / "cases.parquet", cases.SCHEMA)
    assert [row["case_id"] for row in rows] == ["1", "2"]


def test_clean_keeps_what_is_to_be_read(lab: Lab) -> None:
    before = lab.products()
    assert lab.ran("clean") == {"clean": 1}
    gone = {name.split("/")[2] for name in before.keys() - lab.products().keys()}
    assert gone == {"frames", "inputs"}
    assert not lab.planned()  # they are made again when something needs them
    mine = lab.place / "mine.yaml"
    mine.write_text(mine.read_text() + "  seed: 1  # of scenarios")
    assert lab.planned()["extract_frames"] == 3


def test_check_says_what_is_wrong_and_ends_with_one_until_it_is_accepted(lab: Lab) -> None:
    (lab.clinic / "7_1.jpg").unlink()
    done = fresh(lab).run("check")
    assert done.returncode == 1
    assert "7.xml: no picture with its case; mend: add 7_1.jpg" in done.stdout
    assert "about" in done.stdout
    assert "free" in done.stdout
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(text.replace("kind: ddti", "kind: ddti\n    accept: [7, '20']"))
    assert lab.run("check").returncode == 0


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{}", "no data set is named"),
        ("datasets: {clinic: {kind: ddti, root: data/nowhere}}", "data/nowhere is not a folder"),
        ("datasets: {clinic: {kind: ddti, root: data/clips}}", "no <n>.xml found; expected a folder with"),
        ("datasets: {thyroid-cineclip: {root: data/clinic}}", "no metadata.csv found; expected dataset.hdf5"),
        ("datasets: {clinic: {kind: ddti, rot: data}}", "rot is not an option; did you mean root?"),
    ],
)
def test_a_wrong_setting_stops_with_one_line(lab: Lab, config: str, expected: str) -> None:
    (lab.place / "mine.yaml").write_text(config)
    done = fresh(lab).run()
    assert done.returncode == 1
    (line,) = {line for line in done.stdout.splitlines() if line.startswith("casebook: ")}
    assert expected in line or expected in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("ignored", ["", "/results/datasets/\n"])
def test_results_that_may_not_be_passed_on_are_not_written_where_git_would_track_them(lab: Lab, ignored: str) -> None:
    subprocess.run(["git", "init", "--quiet", str(lab.place)], check=True)
    (lab.place / ".gitignore").write_text(ignored)
    done = fresh(lab).run()
    assert done.returncode == 1
    assert "git would track it; the terms of ddti, thyroid-cineclip do not let" in done.stdout
    assert not (lab.place / "results").exists()
    (lab.place / ".gitignore").write_text("/results/\n")
    assert lab.run("--dry-run").returncode == 0


ROUNDS, LEARNING, KILLS = (7, 3, 5) if os.environ.get("CASEBOOK_STRESS") else (1, 0, 5)


@pytest.mark.parametrize("number", range(ROUNDS + LEARNING))
def test_a_run_killed_at_any_moment_ends_as_an_undisturbed_one(
    lab: Lab, request: pytest.FixtureRequest, number: int
) -> None:
    """Killed with all its jobs, unlocked, begun again and killed again, each time at a later stage."""
    undisturbed = request.getfixturevalue("finished" if number < ROUNDS else "learnt")
    chance = random.Random(number)
    logs = len(list((undisturbed.place / "results" / "logs").rglob("*.log")))
    fresh(lab if number < ROUNDS else ask(lab, LEARN))
    for begun in sorted(chance.sample(range(1, logs), KILLS)):
        process = subprocess.Popen(
            lab.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        since = time.time()
        while len(at := list((lab.place / "results").glob("logs/**/*.log"))) < begun or not any(
            path.stat().st_mtime > since for path in at
        ):
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1))  # into the job
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert "LockException" in lab.run().stdout
        assert lab.run("--unlock").returncode == 0
    lab.ran()
    assert lab.products() == undisturbed.products()
    assert not lab.ran()


def test_a_folder_that_may_only_be_read_is_refused_before_anything_begins(lab: Lab) -> None:
    root_too = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    lab.place.chmod(0o555)
    done = subprocess.run([*root_too, *lab.command()], cwd="/", capture_output=True, text=True, check=False)
    lab.place.chmod(0o755)
    assert done.returncode == 1
    assert f"{lab.place}: may not be written to; run with --directory elsewhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_that_is_killed_leaves_nothing_half_written(lab: Lab, finished: Lab) -> None:
    """A job dies by SIGKILL while it writes; the run fails, and the same command ends as if nothing had been."""
    fresh(lab)
    script = lab.repository / "workflow_scripts" / "frames" / "extract_frames.py"
    whole = script.read_text()
    dying = "        import os, signal\n        os.kill(os.getpid(), signal.SIGKILL)\n        if void:\n"
    assert "        if void:\n" in whole
    script.write_text(whole.replace("        if void:\n", dying))
    done = lab.run()
    assert done.returncode == 1
    assert " and 2 more: ended without a word, as a job that is killed for want of memory; run with" in done.stdout
    assert not list((lab.place / "results").rglob("frames/[0-9]*.parquet"))
    script.write_text(whole)
    lab.ran()
    assert lab.products() == finished.products()
    assert not list((lab.place / "results").rglob(".*.part"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may take")
def test_no_case_is_given_up_where_memory_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Decoders without memory call a whole picture damaged: the job stops instead, in one line, and writes nothing."""
    write_ddti_case(tmp_path, 1, {1: None})
    found, _ = index_rows(tmp_path, "d", index_spec("ddti"), tmp_path / "cache")
    write_rows(tmp_path / "chunk.parquet", found, cases.SCHEMA)
    (tmp_path / "1_1.jpg").write_bytes(b"what a decoder without memory makes of it")
    source, out = Source(tmp_path, tmp_path / "cache"), tmp_path / "frames.parquet"
    assert extract_frames(tmp_path / "chunk.parquet", source, extract_spec("ddti"), out)
    out.unlink()
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    free = resource.getrlimit(resource.RLIMIT_AS)
    hook, threads = sys.excepthook, pa.cpu_count()
    try:
        command.start("extract_frames")
        resource.setrlimit(resource.RLIMIT_AS, (taken + 100_000_000, free[1]))
        with pytest.raises(MemoryError) as short:
            extract_frames(tmp_path / "chunk.parquet", source, extract_spec("ddti"), out)
        sys.excepthook(short.type, short.value, short.tb)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, free)
        sys.excepthook = hook
        pa.set_cpu_count(threads)
    assert capsys.readouterr().err.splitlines()[-1:] == [
        "casebook: extract_frames: there was not enough memory; run with fewer --cores, or where a job gets more memory"
        " (ulimit -v), and give the same command again"
    ]
    assert not list(tmp_path.glob("*frames*"))


def test_only_candidates_are_extracted_where_that_is_asked(lab: Lab) -> None:
    text = (lab.place / "mine.yaml").read_text()
    (lab.place / "mine.yaml").write_text(text.replace("kind: ddti", "kind: ddti\n    extract: candidates"))
    write_ddti_case(lab.clinic, 21, {1: None}, tirads="3")  # no template asks for this level
    fresh(lab).ran()
    summary = json.loads((lab.place / "results" / "report" / "summary.json").read_text())
    clinic = summary["datasets"]["clinic"]["cases"]
    assert (clinic["in"], clinic["out"], clinic["not_asked_for"]) == (10, 8, 1)
    write_ddti_case(lab.clinic, 22, {1: None}, tirads="5")
    again = lab.ran()
    assert (again["extract_frames"], again["preprocess_frames"]) == (1, 1)
    assert not lab.ran()
