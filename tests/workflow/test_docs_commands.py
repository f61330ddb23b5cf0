"""The commands of the README and of docs/: each is run here, or its table says where it is run.

What is checked how:

- docs/tutorial.md: every command is run, in order, in a copy of the repository, and prints what the page says that it
  prints. Left out are the blocks marked `elsewhere`: clone and `make demo`, which CI does.
- every other command of Snakemake: its arguments are read by Snakemake's own parser, where a flag that does not exist
  fails; its targets are planned (`-n`), all in one run, on the README's own examples. They are not run here.
- every other command of Casebook (`python -m …`): its arguments are read by the command's own parser, and no further. A
  flag that does not exist, a value that it does not take, or an argument that is missing fails; a file need not exist.
- a module or a target that is named within a line, without arguments: it exists. No more.
- `make …`: the target stands in the Makefile. No more.
- what is not ours (ELSEWHERE): it is known by name. No more.
"""

import argparse
import ast
import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import PARTS
from workflow_scripts.collections.collection import PHANTOM_MARK, phantom_mark
from workflow_scripts.command import existing
from workflow_scripts.demo.make_demo_data import write_ddti
from workflow_scripts.provenance import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {
    "apptainer": "by nobody: tests/unit/test_environments.py holds its recipe against Docker's",
    "cd": "a word of the shell",
    "cp": "a word of the shell",
    "docker": "by hand, when envs/ changes; tests/unit/test_environments.py holds the recipe against the locks",
    "exec": "a word of the shell",
    "export": "a word of the shell",
    "generate-slurm-partition-config": "comes with Snakemake's plugin for Slurm; needs a Slurm with partitions",
    "git": "CI clones",
    "latexmk": "by hand: LaTeX is not in the lock",
    "lm_eval": "tests/unit/harness_loaders.py loads its tasks; the command needs a model",
    "head": "a word of the shell",
    "ls": "a word of the shell",
    "mkdir": "a word of the shell",
    "nnUNetv2_plan_and_preprocess": "by hand: nnU-Net is not in the lock",
    "nnUNetv2_train": "by hand: nnU-Net is not in the lock",
    "npm": "by hand, for the tests on Azure",
    "pip": "`make setup` does this with uv; by hand, when the lock changes",
    "read": "a word of the shell",
    "scancel": "tests/workflow/test_slurm.py cancels in its own way",
    "squeue": "tests/workflow/test_slurm.py asks in its own way",
    "uv": "`make setup` does this",
    "venv": "`make setup` does this",
}
"""What is not ours, and where it is run."""
OURS = {"snakemake", "python", "python3", "make"}
FENCE = re.compile(r"^ *```(\w*) ?(.*)$")
CONFIGURATIONS = {"mine.yaml", "study/mine.yaml", "config/demo.yaml", "release/config.yaml"}
"""The configurations that the pages tell one to write, or that are there."""


@dataclass(frozen=True)
class Block:
    """Some lines of a page that are set as code: their language, what is said beside it, and where they stand."""

    page: str
    line: int
    language: str
    info: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return every block of code of a page: between fences, or indented by four and more."""
    found, inside = list[Block](), list[str]()
    fence: re.Match[str] | None = None
    name = page.relative_to(ROOT).as_posix()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if match := FENCE.match(line):
            if fence:
                found.append(Block(name, number - len(inside), fence[1], fence[2], "\n".join(inside)))
            fence, inside = (None if fence else match), []
        elif fence:
            inside.append(line.strip() if line.startswith(" " * 3) and fence[0].startswith(" ") else line)
        elif line.startswith(" " * 4):
            found.append(Block(name, number, "", "indented", line.strip()))
    return found


def programs(line: str) -> list[list[str]]:
    """Part a line of a shell into its commands, each as its words without what is set before it."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # an apostrophe: no command
        return []
    parted = [[]] if words else list[list[str]]()
    for word in words:
        if word in ("&&", "|", "||", ";"):
            parted.append([])
        elif parted[-1] or not re.match(r"[A-Z_]+=", word):
            parted[-1].append(word.rstrip(";"))
    return [part for part in parted if part]


def program(words: list[str]) -> str:
    """Return what a command calls, without its folder; of `python -m pip` it is pip."""
    name = words[0].rpartition("/")[2]
    return words[2] if name in ("python", "python3") and words[1:2] == ["-m"] and "." not in words[2] else name


def commands() -> list[tuple[str, list[str]]]:
    """Return every command of the pages with its place: of blocks of code, and of code within lines."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            shell = block.language in ("bash", "console", "sh")
            if not shell and block.language:
                continue
            for line in block.text.replace("\\\n", " ").splitlines():
                for words in programs(line):
                    if shell or program(words) in OURS | set(ELSEWHERE):
                        found.append((f"{block.page}:{block.line}", words))
        for text in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8")):
            for words in programs(text)[:1]:
                if len(words) > 1 and program(words) in OURS:
                    found.append((page.relative_to(ROOT).as_posix(), words))
    return found


COMMANDS = commands()


def of(*names: str) -> list[Any]:
    """Return the commands that call one of some programs, each once, as parameters of a test."""
    once = {shlex.join(words): (where, words) for where, words in COMMANDS if program(words) in names}
    return [pytest.param(words, id=f"{where} {text[:60]}") for text, (where, words) in once.items()]


def test_every_command_is_ours_or_in_the_table() -> None:
    assert not [(where, words[0]) for where, words in COMMANDS if program(words) not in OURS | set(ELSEWHERE)]
    assert len(of("snakemake")) > 10
    assert len(of("python")) > 10


def snakemake_reads(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return the arguments of a command of Snakemake as it reads them."""
    from snakemake.cli import parse_args

    monkeypatch.chdir(ROOT)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            read: argparse.Namespace = parse_args(words[1:])[1]
    except SystemExit as left:
        if left.code == 0:  # --help, --version
            return argparse.Namespace(targets=set(), configfile=[])
        raise AssertionError(said.getvalue()[-500:]) from None
    return read


@pytest.mark.parametrize("words", of("snakemake"))
def test_snakemake_takes_the_arguments(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read = snakemake_reads(words, monkeypatch)
    names = {path.as_posix().removeprefix("../colleague/") for path in read.configfile or []}
    assert names <= CONFIGURATIONS, "Snakemake takes every word after --configfile for a configuration"


def test_snakemake_knows_the_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All targets of the pages are planned at once, with the README's examples on one data set as the configuration."""
    targets = set[str]().union(*(snakemake_reads(case.values[0], monkeypatch).targets for case in of("snakemake")))
    targets.discard("TARGET")
    assert {"check", "release", "compare"} <= targets
    mine: dict[str, Any] = {"datasets": {"clinic-a": {}}}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for text in re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        example = yaml.safe_load(text)
        if list(example) == ["learn"]:
            mine |= example
        elif list(example) == ["datasets"] and list(example["datasets"]) == ["clinic-a"]:
            mine["datasets"]["clinic-a"] |= example["datasets"]["clinic-a"]
    assert set(mine["datasets"]["clinic-a"]) >= {"kind", "masks"}
    mine["datasets"]["clinic-a"]["root"] = str(tmp_path / "ddti")
    mine["datasets"]["clinic-a"]["masks"] = str(tmp_path / "masks")
    (tmp_path / "masks").mkdir()
    write_ddti(tmp_path / "ddti", 0)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    done = subprocess.run(
        [Path(sys.executable).with_name("snakemake"), "-n", *sorted(targets), "--snakefile", ROOT / "Snakefile",
         "--directory", tmp_path, "--configfile", tmp_path / "mine.yaml"],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]


class Read(BaseException):
    """The parser of a command has read its arguments: go no further."""


def ours_reads(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a command of ours read its arguments, and stop there; what it refuses is an AssertionError."""
    module = importlib.import_module(words[2])
    if len(words) == 3:  # named, not given
        assert hasattr(module, "main")
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, argv: list[str] | None = None) -> None:
        for action in parser._actions:
            if action.type is existing:  # the reader has the file, and we have not
                action.type = Path
        parse(parser, argv)
        raise Read

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", words[2:])
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            module.main()
    except Read:
        return
    except SystemExit as left:
        if left.code:  # 0: --help
            raise AssertionError(said.getvalue()[-500:]) from None


@pytest.mark.parametrize("words", of("python", "python3"))
def test_a_command_of_ours_takes_the_arguments(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if words[1] == "-c":
        ast.parse(words[2])
    else:
        assert words[1] == "-m"
        ours_reads(words, monkeypatch)


def test_a_flag_that_does_not_exist_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="--cors"):
        snakemake_reads(["snakemake", "--cors", "all", "--configfile", "mine.yaml"], monkeypatch)
    for arguments in ("--scenarios a.json --answers b.jsonl --jsonl c.json", "--scenarios a.json"):
        with pytest.raises(AssertionError, match="--jsonl|--answers"):
            ours_reads(["python", "-m", "workflow_scripts.scenarios.evaluate_answers", *arguments.split()], monkeypatch)


@pytest.mark.parametrize("words", of("make"))
def test_make_knows_the_target(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words[1:]:
        name, given, _ = word.partition("=")
        if given:
            assert re.search(rf"^{name} [?:]?=|\b{name}\b", makefile, re.MULTILINE), word
        else:
            known = rf"^{re.escape(word)}:" if word != ".venv-harness/.installed" else r"^\$\(HARNESS\):"
            assert re.search(known, makefile, re.MULTILINE), word


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """Every file that the page gives is written, every command run as it stands, every line it shows looked for."""
    casebook = tmp_path / "casebook"
    casebook.mkdir()
    for part in PARTS:
        source, target, ignore = ROOT / part, casebook / part, shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, ignore=ignore) if source.is_dir() else shutil.copy2(source, target)
    (casebook / ".venv").symlink_to(sys.prefix)
    write_ddti(casebook / "demo" / "data" / "ddti", 0)
    (casebook / "demo" / "data" / "ddti" / PHANTOM_MARK).write_text(phantom_mark(casebook / "demo" / "data" / "ddti"))
    environment = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    printed = ""
    for block in blocks(ROOT / "docs" / "tutorial.md"):
        where = f"{block.page}:{block.line}"
        if block.info == "elsewhere":
            continue
        if name := re.match(r"file=(\S+)", block.info):
            (casebook / name[1]).write_text(block.text + "\n", encoding="utf-8")
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-ec", block.text],
                cwd=casebook, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            printed = done.stdout
            ends = int(block.info.removeprefix("ends=") or 0)
            assert done.returncode == ends, (where, printed[-2000:])
        else:
            assert block.language == "text", (
                f"{where}: a block of the tutorial is a command, a file, or what is printed"
            )
            for line in block.text.splitlines():
                assert line.replace("…/casebook", str(casebook)) in printed, (where, line, printed[-2000:])
