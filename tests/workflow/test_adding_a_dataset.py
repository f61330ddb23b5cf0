"""The page that says how to add a data set: followed to the letter, it gives one that works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2

from tests.fixtures import scan
from workflow_scripts.provenance import ROOT

PAGE = ROOT / "docs" / "adding-a-dataset.md"
MADE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_toy_of_the_page_goes_through_the_workflow(tmp_path: Path) -> None:
    """Everything the page says is done to a copy of the repository, and the copy is run."""
    copy = tmp_path / "casebook"
    copy.mkdir()
    for name in ("Snakefile", "pyproject.toml", "rules", "workflow_scripts", "config", "profiles", "envs", "docs"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, copy / name)
    files = dict(MADE.findall(PAGE.read_text(encoding="utf-8")))
    assert len(files) == 2
    for name, text in files.items():
        (copy / name).write_text(text, encoding="utf-8")
    schema = copy / "config" / "schemas" / "config.schema.json"
    schema.write_text(schema.read_text(encoding="utf-8").replace('"tn3k"', '"tn3k",\n              "toy-films"'))
    films = tmp_path / "films"
    (films / "films").mkdir(parents=True)
    lines = ["file,patient,finding"]
    for number in range(4):
        cv2.imwrite(str(films / "films" / f"{number}.png"), scan(number)[0])
        lines.append(f"{number}.png,p{number // 2},{'10'[number % 2]}")
    (films / "labels.csv").write_text("\n".join([*lines, "9.png,p9,1"]), encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"datasets: {{toy-films: {{root: {films}}}}}\n", encoding="utf-8")
    run = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", str(copy / "Snakefile")]
    run += ["--workflow-profile", str(copy / "profiles" / "default"), "--directory", str(tmp_path / "run")]
    done = subprocess.run(
        [*run, "--logger", "rich", "--configfile", str(mine)],  # whose bars must leave the last words readable
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "Cases: 5 in, 4 out, 1 in quarantine" in done.stderr
    page = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.write_datasets_page", "--out", str(tmp_path / "page.md")],
        cwd=copy, check=True, capture_output=True,
    )  # fmt: skip
    assert page.returncode == 0
    assert "## toy-films" in (tmp_path / "page.md").read_text(encoding="utf-8")
