"""The workflow on a real Slurm: it gives what a run here gives, also when a job, or the controller, falls over."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.slurm import Cluster, slurm_in, wait_until
from tests.workflow.conftest import Lab, jobs
from workflow_scripts.provenance import ROOT

FRAMES = [f"results/datasets/clinic/frames/{chunk}.parquet" for chunk in ("000", "001")]
# A test waits for jobs of seconds; and there is no accounting, so that `squeue` must know how they ended.
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--slurm-status-command", "squeue")
PARTITIONS = "partitions: {cpu: {max_runtime: 240, max_gpu: 0}, gpu: {max_runtime: 1440, max_gpu: 1}}"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a Slurm on this machine."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the lean lock has no plugin for Slurm")
    with slurm_in(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture(scope="session")
def local(cluster: Cluster, finished: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return a run of the clinic alone, on this machine; tests copy it and leave it alone."""
    lab = Lab(tmp_path_factory.mktemp("local") / "lab", dict(cluster.variables))
    shutil.copytree(finished.folder, lab.folder, symlinks=True)
    shutil.rmtree(lab.place / "results")
    (lab.place / "mine.yaml").write_text(
        "datasets: {clinic: {kind: ddti, root: data/clinic, n_chunks: 2}}\nscenarios: {text: 'off'}"
    )
    (lab.place / "partitions.yaml").write_text(PARTITIONS)
    lab.ran()
    return lab


@dataclass(frozen=True)
class Run:
    """A run of the workflow whose jobs go to Slurm."""

    cluster: Cluster
    out: Path
    process: subprocess.Popen[bytes]

    def jobs(self) -> list[dict[str, str]]:
        """Return what the controller knows of its jobs; they bear its name."""
        name = re.search(r"SLURM run ID: (\S+)", self.out.read_text())
        return [job for job in self.cluster.jobs() if name and job["JobName"] == name[1]]

    def working(self) -> bool:
        """Say whether its jobs have begun, all of them."""
        assert self.process.poll() is None, self.out.read_text()[-3000:]
        return {job["JobState"] for job in self.jobs()} == {"RUNNING"}

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait(600)


@pytest.fixture
def lab(local: Lab, tmp_path: Path) -> Lab:
    """Return a copy of the finished run, times kept."""
    shutil.copytree(local.folder, tmp_path / "lab", symlinks=True)
    partitions = {"SNAKEMAKE_SLURM_PARTITIONS": str(tmp_path / "lab" / "place" / "partitions.yaml")}
    return Lab(tmp_path / "lab", local.variables | partitions)


@pytest.fixture
def begin(lab: Lab, cluster: Cluster) -> Iterator[Callable[..., Run]]:
    """Return what begins a run on the cluster, as a user does who has no environment activated."""
    begun: list[Run] = []

    def begin_run(*arguments: str) -> Run:
        out = lab.folder / f"out-{len(begun)}"
        variables = {"HOME": os.environ["HOME"], "LANG": "C.UTF-8"} | lab.variables
        with out.open("wb") as stream:
            command = lab.command("--workflow-profile", "slurm", *QUICK, *arguments)
            process = subprocess.Popen(command, cwd="/", env=variables, stdout=stream, stderr=subprocess.STDOUT)
        begun.append(Run(cluster, out, process))
        return begun[-1]

    yield begin_run
    for run in begun:
        run.process.kill()
        run.process.wait()


def test_a_run_on_slurm_gives_what_a_run_here_gives(lab: Lab, local: Lab, begin: Callable[..., Run]) -> None:
    """The same bytes, chunks as an array, memory and time as asked for, and nothing left to do here."""
    shutil.rmtree(lab.place / "results")
    shutil.rmtree(lab.place / ".snakemake")
    run = begin("--slurm-array-jobs", "extract_frames")
    assert run.ended() == 0, run.out.read_text()[-3000:]
    assert lab.products() == local.products()
    submitted = run.jobs()
    assert {job["JobState"] for job in submitted} == {"COMPLETED"}
    assert {job["Partition"] for job in submitted} == {"cpu"}
    chunks = [job for job in submitted if job["Comment"].startswith("rule_extract_frames")]
    assert sorted(job["ArrayTaskId"] for job in chunks) == ["1", "2"]
    assert {(job["MinMemoryNode"], job["TimeLimit"]) for job in chunks} == {("1501M", "02:00:00")}
    assert not lab.ran()


def test_a_job_that_takes_too_much_memory_is_tried_again_with_more(
    lab: Lab, local: Lab, begin: Callable[..., Run]
) -> None:
    """And with more time."""
    rules = lab.repository / "rules" / "frames.smk"
    rules.write_text(rules.read_text().replace("memory(1.5)", "memory(0.3)"))
    (lab.place / FRAMES[0]).unlink()
    run = begin(FRAMES[0])
    assert run.ended() == 0, run.out.read_text()[-3000:]
    tried = [(job["MinMemoryNode"], job["TimeLimit"]) for job in run.jobs()]
    assert tried[:2] == [("300M", "02:00:00"), ("600M", "04:00:00")]
    assert [job["JobState"] == "COMPLETED" for job in run.jobs()] == [False] * (len(tried) - 1) + [True]
    assert lab.products() == local.products()


def test_a_run_whose_job_was_cancelled_goes_on_where_it_was(
    lab: Lab, local: Lab, cluster: Cluster, begin: Callable[..., Run]
) -> None:
    """One job is taken away: the other ends well, the run with 1, and the next run makes what is missing."""
    for name in FRAMES:
        (lab.place / name).unlink()
    run = begin(*FRAMES, "--retries", "0")
    wait_until(lambda: len(run.jobs()) == 2 and run.working(), 120)
    cluster.ask("scancel", run.jobs()[0]["JobId"])
    assert run.ended() == 1
    assert [(lab.place / name).exists() for name in FRAMES].count(True) == 1
    run = begin(*FRAMES)
    assert run.ended() == 0, run.out.read_text()[-3000:]
    assert jobs(run.out.read_text()) == {"extract_frames": 1}
    assert lab.products() == local.products()


def test_a_job_with_a_card_goes_where_cards_are_and_outlives_the_controller(
    lab: Lab, local: Lab, cluster: Cluster, begin: Callable[..., Run]
) -> None:
    """The controller is there again before Snakemake asks: without accounting it would lose sight of the job."""
    log = lab.place / "results" / "logs" / "extract_frames" / "clinic" / "000.log"
    log.unlink()
    (lab.place / FRAMES[0]).unlink()
    run = begin("--slurm-init-seconds-before-status-checks", "40", FRAMES[0], "--set-resources", "extract_frames:gpu=1")
    wait_until(log.exists, 120)
    cluster.stop("slurmctld")
    cluster.start("slurmctld", "-D")
    assert run.ended() == 0, run.out.read_text()[-3000:]
    (job,) = run.jobs()
    assert (job["Partition"], job["TresPerJob"]) == ("gpu", "gres:gpu:1")
    assert lab.products() == local.products()


def test_the_profile_says_all_that_the_default_says() -> None:
    """One takes the place of the other."""
    slurm, default = (yaml.safe_load((ROOT / "profiles" / n / "config.yaml").read_text()) for n in ("slurm", "default"))
    assert default.items() <= slurm.items()
