"""A small workflow, run for real: a copy of the repository, a data set with a few defects, one finished run to copy."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures import row, write_ddti_case, write_stack
from workflow_scripts.files import listing
from workflow_scripts.provenance import ROOT

PARTS = ("Snakefile", "rules", "report", "workflow_scripts", "config", "profiles", "envs", "pyproject.toml", "LICENSE")
CONFIG = """
datasets:
  clinic:
    kind: ddti
    root: data/clinic
    n_chunks: 2
  thyroid-cineclip:
    root: data/clips
    n_chunks: 1
scenarios:
  text: "off"
"""


@dataclass(frozen=True)
class Lab:
    """A folder with the workflow (`repository`) and a place where it runs (`place`: data/, mine.yaml, results/)."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)  # of the environment, beside the least there is

    @property
    def repository(self) -> Path:
        """Return the copy of the repository."""
        return self.folder / "repository"

    @property
    def place(self) -> Path:
        """Return the folder in which the workflow runs."""
        return self.folder / "place"

    @property
    def clinic(self) -> Path:
        """Return the DDTI-shaped data set."""
        return self.place / "data" / "clinic"

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        """Return the command line a user would type."""
        snakemake = str(Path(sys.executable).parent / "snakemake")
        where = ("--snakefile", str(self.repository / "Snakefile"), "--directory", str(self.place))
        return [snakemake, *arguments, "--cores", str(cores), *where, "--configfile", str(self.place / "mine.yaml")]

    def run(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run the workflow from elsewhere, with an environment that is not activated; both streams in stdout."""
        environment = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | self.variables
        return subprocess.run(
            self.command(*arguments, cores=cores),
            cwd="/",
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=300,
        )

    def ran(self, *arguments: str, cores: int = 2) -> Counter[str]:
        """Run the workflow, which must succeed, and count the jobs of each rule."""
        done = self.run(*arguments, cores=cores)
        assert done.returncode == 0, done.stdout[-3000:]
        return jobs(done.stdout)

    def planned(self) -> Counter[str]:
        """Count the jobs of each rule that a run would do, as far as is known before it."""
        done = self.run("--dry-run")
        assert done.returncode == 0, done.stdout[-3000:]
        stats = done.stdout.partition("Job stats:")[2].partition("\ntotal ")[0]
        found = Counter({rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE)})
        del found["all"]
        return found

    def products(self) -> dict[str, bytes]:
        """Return every file that a user reads or a stage passes on."""
        return products(self.place / "results")


def products(results: Path) -> dict[str, bytes]:
    """Return what a run gave, but for provenance (it names versions and code) and the feature database (its pseudonyms
    have a key of each run's own).
    """
    kept = [path for path in sorted(results.rglob("*")) if path.is_file() and not path.name.startswith(".snakemake")]
    names = {path: path.relative_to(results).as_posix() for path in kept}
    apart = ("logs/", "benchmarks/", "cache/", "features/", "report/provenance.json")
    return {name: path.read_bytes() for path, name in names.items() if not name.startswith(apart)}


def jobs(output: str) -> Counter[str]:
    """Count the jobs that a run finished, by rule; the target `all` does no work."""
    return Counter(rule for rule in re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", output) if rule != "all")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return a finished run; tests copy it and leave it alone."""
    lab = Lab(tmp_path_factory.mktemp("finished"))
    lab.repository.mkdir()
    for part in PARTS:
        source, target = ROOT / part, lab.repository / part
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, ignore=ignore) if source.is_dir() else shutil.copy2(source, target)
    for number in range(1, 9):
        write_ddti_case(lab.clinic, number, {1: None}, tirads="2" if number % 2 else "5")
    write_ddti_case(lab.clinic, 20, {1: '[{"points": [{"x": 1, "y'}, tirads="3")
    levels = {1: 2, 2: 2, 3: 5, 4: 5}
    rows = [
        row(f"{k}_", **{"ti-rads_echogenicity": 0 if level == 2 else 3, "ti-rads_shape": 0 if level == 2 else 3})
        | {"age": str(40 + k), "size_x": "3.1", "ti-rads_level": level, "histopath_diagnosis": int(level == 5)}
        for k, level in levels.items()
    ]
    write_stack(lab.place / "data" / "clips", {f"{k}_": 3 for k in levels}, rows, shape=(120, 160))
    (lab.place / "mine.yaml").write_text(CONFIG)
    before = listing(lab.place / "data")
    lab.ran()
    assert listing(lab.place / "data") == before  # read, never written
    return lab


@pytest.fixture
def lab(finished: Lab, tmp_path: Path) -> Lab:
    """Return a copy of the finished run, times kept."""
    shutil.copytree(finished.folder, tmp_path / "lab", symlinks=True)
    return Lab(tmp_path / "lab")


LEARN = """
learn: true
preprocess: {size: [64, 96]}
split: {folds: 2}
model: {encoder: tu-lcnet_050, epochs: 2, batch_size: 4, threads: 1}
"""


def ask(lab: Lab, text: str) -> Lab:
    """Add to the configuration."""
    path = lab.place / "mine.yaml"
    path.write_text(path.read_text() + text)
    return lab


@pytest.fixture(scope="module")
def learnt(finished: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return a finished run with learning; tests copy it and leave it alone."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("learnt") / "lab"
    shutil.copytree(finished.folder, folder)
    lab = ask(Lab(folder), LEARN)
    lab.ran()
    return lab
