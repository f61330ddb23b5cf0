"""Write the container recipes and conda files in envs/ from the locks.

`make lock` calls it. A recipe holds the SHA-256 of its lock and is not built with another one; a conda file holds every
pin of its lock with marker and hashes, so that it can be copied anywhere and installs the same files.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import file_sha256

PYTHON = "3.11.14"  # what the tests run on is 3.11; every pin exists for 3.12 and 3.13 as well
BASE = f"python:{PYTHON}-slim-bookworm"
LOCKS = {"casebook": "requirements.lock", "casebook-lean": "lean.lock"}
# What runs, by name: never a folder of data, results, or a configuration of yours that lies beside them.
PARTS = (
    "CITATION.cff",
    "LICENSE",
    "Snakefile",
    "config",
    "envs",
    "profiles",
    "pyproject.toml",
    "rules",
    "workflow_scripts",
)
HEAD = "# Written by `make lock` from envs/{lock} (workflow_scripts/write_environments.py): change those."
BASE_NOTE = "# Pinned by version. The digest could not be looked up when this was written: append yours as @sha256:..."

DOCKERFILE = """{head}
#   docker build -f envs/{name}.Dockerfile -t {name} .
#   docker run --rm --user "$(id -u):$(id -g)" -v /data:/data:ro -v "$PWD":/study {name} \\
#     --cores all --configfile mine.yaml
{base_note}
FROM {base}
COPY envs/{lock} /opt/casebook/envs/{lock}
RUN {steps}
{parts}
RUN useradd casebook && install -d -o casebook /study
USER casebook
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp
WORKDIR /study
ENTRYPOINT ["snakemake", "--snakefile", "/opt/casebook/Snakefile"]
"""
APPTAINER = """{head}
#   apptainer build {name}.sif envs/{name}.def
#   apptainer run --bind /data {name}.sif --cores all --configfile mine.yaml
{base_note}
Bootstrap: docker
From: {base}

%files
{parts}

%post
    set -e
    {steps}

%environment
    export PATH=/opt/venv/bin:$PATH

%runscript
    exec snakemake --snakefile /opt/casebook/Snakefile "$@"
"""
CONDA = """{head}
#   conda env create -f envs/{name}.yml
# Python comes from conda-forge, the rest from the lock: conda-forge builds other files under other names and versions.
name: {name}
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python={python}
  - pip
  - pip:
      - --require-hashes
{pins}
"""


def pins(lock: str) -> list[str]:
    """Return each requirement of a lock's text on one line: name, version, marker, hashes; without comments."""
    return re.sub(r" *\\\n *", " ", re.sub(r"^ *#.*\n?", "", lock, flags=re.MULTILINE)).split("\n")[:-1]


def environments(envs: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of every generated file, from the locks in the folder `envs`."""
    for name, lock in LOCKS.items():
        steps = (
            f"echo '{file_sha256(envs / lock)}  /opt/casebook/envs/{lock}' | sha256sum --check -",
            "python3 -m venv /opt/venv",
            f"/opt/venv/bin/pip install --no-cache-dir --require-hashes -r /opt/casebook/envs/{lock}",
        )
        about = {
            "name": name,
            "lock": lock,
            "head": HEAD.format(lock=lock),
            "base": BASE,
            "base_note": BASE_NOTE,
            "python": PYTHON,
        }
        copies = "\n".join(f"COPY {part} /opt/casebook/{part}" for part in PARTS)
        yield f"{name}.Dockerfile", DOCKERFILE.format(**about, steps=" \\\n && ".join(steps), parts=copies)
        files = "\n".join(f"    {part} /opt/casebook/{part}" for part in PARTS)
        yield f"{name}.def", APPTAINER.format(**about, steps="\n    ".join(steps), parts=files)
        listed = "\n".join(f"      - {pin}" for pin in pins((envs / lock).read_text(encoding="utf-8")))
        yield f"{name}.yml", CONDA.format(**about, pins=listed)


def main(argv: list[str] | None = None) -> None:
    """Write the files beside the locks."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--envs", type=command.existing, required=True, help="folder of the locks; files go there")
    args = arguments.parse_args(argv)
    for name, text in environments(args.envs):
        with write_beside(args.envs / name) as beside:
            beside.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
