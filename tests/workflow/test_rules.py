"""The house: every rule has what it must have, and its command bears its name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import Lab
from workflow_scripts.provenance import ROOT

TARGETS = {"check", "clean", "scenarios", "report", "figures", "release", "review", "verify"}
TEXT = {path: path.read_text() for path in sorted((ROOT / "rules").glob("*.smk"))}
RULES = {
    match[1]: match[0]
    for text in TEXT.values()
    for match in re.finditer(r"^(?:rule|checkpoint) (\w+):\n(?:    .*\n|\n)+", text, re.MULTILINE)
}


def test_there_are_rules() -> None:
    assert {"index_cases", "plan_chunks", "extract_frames", "write_report"} <= set(RULES)


@pytest.mark.parametrize("name", sorted(set(RULES) - TARGETS))
def test_a_rule_is_whole_and_its_command_has_its_name(name: str) -> None:
    body = RULES[name]
    for part in ('"""', "output:", "log:", "threads:", "resources:", "params:", "code=code(", "message:", "shell:"):
        assert part in body, part
    modules = list((ROOT / "workflow_scripts").glob(f"*/{name}.py"))
    assert len(modules) == 1
    dotted = f"{modules[0].parent.name}.{name}"
    assert f'code("{dotted}"' in body
    assert f"python -m workflow_scripts.{dotted}" in body
    assert "&> {log:q}" in body or "| tee {log:q}" in body  # what takes long is seen while it works


@pytest.mark.parametrize("path", sorted(TEXT), ids=lambda path: path.name)
def test_a_file_of_rules_opens_with_its_contract(path: Path) -> None:
    assert TEXT[path].startswith('"""\n')
    assert "REQUIRED INPUTS:" in TEXT[path].split('"""')[1]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflow_scripts").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_dependencies_run_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT / "workflow_scripts").parts
    # predict_image goes the whole way with one picture, through several stages.
    room = parts[0] if len(parts) > 1 and path.stem != "predict_image" else ""
    rooms = {"ingest", "frames", "preprocess", "segment", "metrics", "tirads", "scenarios", "report", "figures", "demo"}
    rooms |= {"review"}
    forbidden = {"tables": rooms | {"collections", "imaging"}, "imaging": rooms | {"collections"}, "collections": rooms}
    imported = set(re.findall(r"^\s*(?:from|import) workflow_scripts\.(\w+)", path.read_text(), re.MULTILINE))
    assert not imported & forbidden.get(room, rooms - {room} if room in rooms else set())
    assert "import snakemake" not in path.read_text()


def test_the_snakefile_is_a_table_of_contents() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 80


def test_parsing_reads_no_heavy_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import workflow_scripts.configuration, workflow_scripts.files,"
        " workflow_scripts.decisions,"
        " workflow_scripts.provenance; print([m for m in ('numpy', 'cv2', 'pyarrow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_snakemake_has_nothing_to_say_of_the_workflow(finished: Lab) -> None:
    done = finished.run("--lint")
    assert done.returncode == 0, done.stdout[-2000:]


def test_no_line_names_a_registry_or_a_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git work tree")
    hosts = re.compile(r"pypi" + r"\.org|pythonhosted|index-url|debian" + r"\.org|npmjs")
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".svg"} or not path.is_file() or path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8")
        found = [line for line in text.splitlines() if hosts.search(line) and "--no-emit-index-url" not in line]
        assert not found, (name, found[:3])


def test_the_schema_of_the_configuration_is_json() -> None:
    for path in (ROOT / "config" / "schemas").glob("*.json"):
        assert json.loads(path.read_text())["$schema"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
