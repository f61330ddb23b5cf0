"""Run the workflow once for each recipe of a list, and gather the scores into one table.

A recipe is what differs from a configuration that all share. Each has a results folder of its own, in which Snakemake
goes on where it was: the same command again does only what is missing. A recipe that fails does not stop the others.
All are held to the folds of the first, and its difference to the first is taken by patient.
"""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import shorten
from typing import Any

import yaml

from workflow_scripts import command
from workflow_scripts.configuration import check_config
from workflow_scripts.files import write_beside
from workflow_scripts.metrics.paired import Row
from workflow_scripts.metrics.recipe_table import Run, as_markdown, in_words, read_run, table_row, write_table
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import folds
from workflow_scripts.tables.table import read_rows

FILES = (("split", "given"), ("scenarios", "update"))  # options that are a path
OF_DATASET = ("root", "groups", "masks")


def merged(base: Any, changes: Any) -> Any:
    """Return options with changes laid over them: mappings key by key, all else replaced, as Snakemake does it."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base[key], value) if key in base else value for key, value in changes.items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds options."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise command.Refusal(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise command.Refusal(f"{path}: expected options, as `learn: true`, found {found!r}")
    return found


def absolute(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose relative paths start here: each recipe runs in a folder of its own."""

    def place(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: place(path) for key, path in value.items()}
        return os.path.abspath(value) if isinstance(value, str) and "://" not in value else value

    config = config | {
        "datasets": {
            name: own | {key: place(own[key]) for key in OF_DATASET if key in own}
            for name, own in config["datasets"].items()
        }
    }
    for section, key in FILES:
        if config.get(section, {}).get(key):
            config[section] = config[section] | {key: place(config[section][key])}
    if templates := config.get("scenarios", {}).get("templates"):  # else looked for at the workflow
        found = [place(name) if Path(name).exists() else name for name in templates]
        config["scenarios"] = config["scenarios"] | {"templates": found}
    return config


def read_recipes(path: Path, base: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return what each recipe changes, and its whole configuration, checked before anything runs.

    Raises
    ------
    Refusal
        When a recipe is no set of options, asks for one that does not exist, or is named as no folder can be.
    """
    recipes = read_yaml(path).get("recipes")
    if not (isinstance(recipes, dict) and recipes):
        raise command.Refusal(f"{path}: expected `recipes:` with a name and its options each, as `fpn: {{model: …}}`")
    defaults = read_yaml(ROOT / "config" / "config.yaml")
    found = {}
    for name, changes in recipes.items():
        if not (isinstance(name, str) and re.fullmatch(r"[\w-]+", name) and isinstance(changes, dict)):
            raise command.Refusal(
                f"{path}: {name}: write a name of letters, digits and hyphens, and its options in {{}}"
            )
        config = merged(merged(base, changes), {"learn": True, "model": {"weights": None}})
        try:
            check_config(merged(defaults, config))
        except command.Refusal as refusal:
            raise command.Refusal(f"{path}: recipe {name}: {str(refusal).removeprefix('casebook: ')}") from None
        found[name] = changes, absolute(config)
    return found


def run(config: dict[str, Any], folder: Path, cores: str) -> str | None:
    """Run the workflow up to its report in `folder`; return None, or why it failed in one line."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=True)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    asked = ["report", "--cores", cores, "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    with (folder / "run.log").open("w", encoding="utf-8") as log:
        arguments = [sys.executable, "-m", "snakemake", *asked, "--configfile", str(folder / "recipe.yaml")]
        process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # it got the signal too, and puts its lock away
            raise
    if not code:
        return None
    said = (folder / "run.log").read_text(encoding="utf-8", errors="replace").splitlines()
    for begins in ("casebook: ", "Error in rule ", ""):
        if lines := [line.strip() for line in said if line.strip() and line.startswith(begins)]:
            break
    return shorten((lines[0] if begins else lines[-1]).removeprefix("casebook: "), 200, placeholder=" …")


def keep_split(results: Path, path: Path) -> None:
    """Write the folds of a run as a CSV that others can be given; a new time alone would train them anew."""
    rows = read_rows(results / "model" / "folds.parquet", folds.SCHEMA)
    text = io.StringIO()
    writer = csv.DictWriter(text, ("dataset", "case_id", "fold"), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if not (path.is_file() and path.read_text(encoding="utf-8") == text.getvalue()):
        with write_beside(path) as beside:
            beside.write_text(text.getvalue(), encoding="utf-8")


def compare_recipes(recipes: Path, base: Path, out: Path, cores: str) -> list[Row]:
    """Run every recipe, and return the rows of the table, which is written anew after each."""
    log = command.start("compare_recipes")
    asked = read_recipes(recipes, read_yaml(base))
    rows: list[Row] = []
    first: Run | None = None
    for number, (name, (changes, config)) in enumerate(asked.items(), 1):
        folder, split = out / name, config.get("split", {})
        log.info("%d of %d: %s; progress in %s", number, len(asked), name, folder / "run.log")
        if first and not split.get("given") and "split" not in changes:
            config = config | {"split": split | {"given": str((out / "split.csv").absolute())}}
        row: Row = {"recipe": name, "differs": in_words(changes) or "nothing: the base"}
        if failed := run(config, folder, cores):
            if first is None:  # with folds of their own the others could not be compared, and would be trained anew
                raise command.Refusal(f"compare_recipes: {name}, which the others are held against, failed: {failed}")
            log.warning("%s failed: %s", name, failed)
            rows.append(row | {"failed": failed})
        else:
            found = read_run(folder / "results")
            if first is None:
                first = found
                keep_split(folder / "results", out / "split.csv")
            rows.append(row | table_row(found, first, split.get("seed", 0)))
        write_table(out, rows)
    return rows


def main(argv: list[str] | None = None) -> None:
    """Run recipes, print the table, and write it; a recipe that failed makes the command fail at its end."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--recipes", type=command.existing, required=True, help="YAML: each recipe and what differs")
    arguments.add_argument("--base", type=command.existing, required=True, help="the configuration that all share")
    arguments.add_argument("--out", type=Path, required=True, help="folder for the table, and one folder a recipe")
    arguments.add_argument("--cores", default="all", help="as of snakemake; default: all")
    args = arguments.parse_args(argv)
    rows = compare_recipes(args.recipes, args.base, args.out, args.cores)
    print(as_markdown(rows), end="")
    if failed := [row["recipe"] for row in rows if "failed" in row]:
        raise command.Refusal(f"compare_recipes: {', '.join(failed)} failed; the reasons are in the table above")


if __name__ == "__main__":
    main()
