"""Record what the results rest on: versions, processor, lock, options, code, content; no path, no case, no name."""

import json
import platform
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import h5py
import pyarrow.parquet as pq

from workflow_scripts import command
from workflow_scripts.collections.collection import card, module_name
from workflow_scripts.files import natural, write_beside
from workflow_scripts.imaging.text import available
from workflow_scripts.provenance import ROOT, canonical_json, code_version, file_sha256, sha256
from workflow_scripts.tables import scenarios
from workflow_scripts.tables.table import read_rows

PACKAGES = (
    *("av", "h5py", "nibabel", "numpy", "opencv-python-headless", "openslide-python", "pyarrow", "pydicom"),
    *("python-gdcm", "scikit-image", "scipy", "snakemake"),
)
# What decides which code path numeric libraries take, on x86 and on ARM.
FEATURES = {
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_bf16",
    "amx_bf16",
    "asimd",
    "sve",
}


def record_versions() -> dict[str, Any]:
    """Return the versions of what computes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "casebook": project["version"],
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "hdf5": h5py.version.hdf5_version,
        "ffmpeg": {name: ".".join(map(str, number)) for name, number in av.library_versions.items()},
        "text": available(),
    }


def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str] | str:
    """Return the features of the processor that numerics depend on, or "unknown" where they cannot be read."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    for name, _, value in (line.partition(":") for line in lines):
        if name.strip() in {"flags", "Features"}:
            return sorted(FEATURES & set(value.split()))
    return "unknown"


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the workflow and whether it was changed since; None where git does not keep it."""

    def git(*asked: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *asked], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if not git("ls-files", "Snakefile"):  # unpacked inside somebody else's repository
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def strip_configuration(config: dict[str, Any]) -> dict[str, Any]:
    """Return the merged configuration without folders, cases and patients: a path's last part, and how many of each."""

    def last_part(path: Any) -> Any:
        if isinstance(path, dict):
            return {name: last_part(each) for name, each in path.items()}
        return path and Path(path).name

    datasets = {}
    for name, own in config["datasets"].items():
        datasets[name] = own | {key: last_part(own[key]) for key in ("root", "groups", "masks", "table") if key in own}
        if "accept" in own:
            datasets[name]["accept"] = len(own["accept"])
        if "exclude" in own:
            datasets[name]["exclude"] = {what: len(listed) for what, listed in own["exclude"].items()}
    chosen = config["scenarios"]
    paths = {"templates": [last_part(path) for path in chosen["templates"]], "update": last_part(chosen["update"])}
    model = config["model"] | {key: last_part(config["model"].get(key)) for key in ("weights", "encoder_weights")}
    split = config["split"] | {"given": last_part(config["split"]["given"])}
    verify = {"verify": last_part(config.get("verify"))}
    review = {key: own | {"table": last_part(own["table"])} for key, own in config.items() if key == "review"}
    return (
        config | verify | review | {"datasets": datasets, "scenarios": chosen | paths, "model": model, "split": split}
    )


def record_dataset(folder: Path, kind: str) -> dict[str, Any]:
    """Return what reads a data set, how many cases it holds, and one hash over the content of all."""
    contents = pq.read_table(folder / "cases.parquet", columns=["content_sha256"])["content_sha256"].to_pylist()
    return {
        "kind": kind,
        "version": card(kind).version,
        "code": code_version(module_name(kind)),
        "cases": len(contents),
        "content_sha256": sha256(canonical_json(sorted(contents))),
    }


def record_scenarios(table: Path) -> dict[str, Any]:
    """Return of every scenario whether it was filled, and the hashes of its pixels."""
    rows = sorted(read_rows(table, scenarios.SCHEMA), key=lambda row: natural(row["scenario_id"]))
    return {row["scenario_id"]: {key: row[key] for key in ("status", "image_sha256", "source_sha256")} for row in rows}


def record_provenance(datasets: Path, written: Path, table: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run.

    Parameters
    ----------
    datasets
        Folder with one folder a data set.
    written, table
        scenarios.json, and the table of scenarios.
    spec
        `config`, the merged configuration; `templates_sha256`, a hash of what their files say; `code`, the version of
        every command; `review`, the hash of the review.csv and how many cases it decides in each way, or None.
    """
    config = spec["config"]
    kinds = {name: own.get("kind", name) for name, own in sorted(config["datasets"].items())}
    return {
        "versions": record_versions(),
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "processor_features": processor_features(),
        },
        "lock_sha256": file_sha256(ROOT / "envs" / "requirements.lock"),
        "git": git_state(ROOT),
        "configuration": strip_configuration(config),
        "templates_sha256": spec["templates_sha256"],
        "review": spec.get("review"),
        "code": spec["code"],
        "datasets": {name: record_dataset(datasets / name, kind) for name, kind in kinds.items()},
        "scenarios": record_scenarios(table),
        "scenarios_sha256": file_sha256(written),
    }


def main(argv: list[str] | None = None) -> None:
    """Record the provenance."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--scenarios", type=command.existing, required=True, help="scenarios.json")
    arguments.add_argument("--table", type=command.existing, required=True, help="table of scenarios")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="see record_provenance, as JSON")
    arguments.add_argument("--provenance", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    command.start("record_provenance")
    provenance = record_provenance(args.datasets, args.scenarios, args.table, args.spec)
    with write_beside(args.provenance) as beside:
        beside.write_text(json.dumps(provenance, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
