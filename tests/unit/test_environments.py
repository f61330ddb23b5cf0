"""The recipes in envs/ say what the locks say, and the locks fit the machines that the docs name."""

from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from workflow_scripts.provenance import ROOT
from workflow_scripts.write_environments import LOCKS, PARTS, PYTHON, environments, main, pins

ENVS = ROOT / "envs"
MACHINES = {
    "Linux x86-64": {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
    },
    "Linux aarch64": {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "aarch64",
    },
    "macOS arm64": {
        "sys_platform": "darwin",
        "platform_system": "Darwin",
        "os_name": "posix",
        "platform_machine": "arm64",
    },
}
PYTHONS = ("3.11", "3.12", "3.13")
CUDA = ("cuda-", "nvidia-", "triton")


def required(lines: list[str]) -> list[Requirement]:
    return [Requirement(line.split(" --hash")[0]) for line in lines]


def locked(lock: str) -> list[str]:
    return pins((ENVS / lock).read_text(encoding="utf-8"))


def chosen(lock: str, machine: str, python: str) -> list[str]:
    """Return the pins of a lock that a machine installs."""
    facts = {**MACHINES[machine], "python_version": python, "python_full_version": f"{python}.9"}
    return [
        f"{each.name}{each.specifier}"
        for each in required(locked(lock))
        if not each.marker or each.marker.evaluate(facts)
    ]


def test_the_files_are_those_that_the_locks_give() -> None:
    for name, text in environments(ENVS):
        assert (ENVS / name).read_text(encoding="utf-8") == text, f"{name} is older than its lock: make lock"


def test_a_changed_lock_changes_every_file_of_its_kind_and_no_other(tmp_path: Path) -> None:
    for lock in LOCKS.values():
        (tmp_path / lock).write_bytes((ENVS / lock).read_bytes())
    with (tmp_path / "lean.lock").open("a", encoding="utf-8") as file:
        file.write("zipp==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n    # via nothing\n")
    main(["--envs", str(tmp_path)])
    changed = {name for name, _ in environments(ENVS) if (tmp_path / name).read_bytes() != (ENVS / name).read_bytes()}
    assert changed == {"casebook-lean.Dockerfile", "casebook-lean.def", "casebook-lean.yml"}
    assert "- zipp==1.0 ; sys_platform == 'linux' --hash=sha256:00\n" in (tmp_path / "casebook-lean.yml").read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_conda_names_every_pin_with_its_hashes_and_the_containers_python(name: str) -> None:
    python, pip, section = yaml.safe_load((ENVS / f"{name}.yml").read_text(encoding="utf-8"))["dependencies"]
    strict, *lines = section["pip"]
    assert (python, pip, strict) == (f"python={PYTHON}", "pip", "--require-hashes")
    assert lines == locked(LOCKS[name])
    lock = (ENVS / LOCKS[name]).read_text(encoding="utf-8")
    assert sum(line.count("--hash=sha256:") for line in lines) == lock.count("--hash=sha256:")
    assert all("--hash=sha256:" in line for line in lines)
    assert len(lines) == sum(line[0] not in " #" for line in lock.splitlines() if line)
    for recipe in ("Dockerfile", "def"):
        assert f"python:{PYTHON}-slim" in (ENVS / f"{name}.{recipe}").read_text(encoding="utf-8")


def test_both_container_recipes_take_the_same_steps() -> None:
    for name in LOCKS:
        docker, apptainer = ((ENVS / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("Dockerfile", "def"))
        steps = docker.split("RUN ")[1].split("\nCOPY")[0].split(" \\\n && ")
        assert steps == apptainer.split("set -e\n    ")[1].split("\n\n")[0].split("\n    ")
        assert all(f"\n    {part} /opt/casebook/{part}\n" in apptainer for part in PARTS)


def test_an_image_holds_the_recipe_and_no_data() -> None:
    assert all((ROOT / part).exists() for part in PARTS)
    assert not {".", "results", "demo", ".git", ".venv"} & set(PARTS)
    for name in LOCKS:
        lines = (ENVS / f"{name}.Dockerfile").read_text(encoding="utf-8").splitlines()
        copied = {line.split()[1] for line in lines if line.startswith("COPY")}
        assert copied == {*PARTS, f"envs/{LOCKS[name]}"}
        assert lines.index("USER casebook") > max(i for i, line in enumerate(lines) if line.startswith("RUN"))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_gets_one_version_of_each_and_cuda_only_where_it_is(machine: str, python: str) -> None:
    full, lean = (chosen(lock, machine, python) for lock in LOCKS.values())
    assert len({pin.split("==")[0] for pin in full}) == len(full)
    assert set(lean) < set(full), "lean.lock holds what requirements.lock does not"
    names = {pin.split("==")[0] for pin in full}
    assert {"torch", "openvino", "onnxruntime", "opencv-python-headless", "snakemake"} <= names
    assert any(name.startswith(CUDA) for name in names) == machine.startswith("Linux")
    assert not [pin for pin in lean if pin.startswith(("torch", *CUDA))]
