"""The configuration as a user writes it: checked in one place, with one line that says what to do."""

import difflib
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from workflow_scripts.command import Refusal
from workflow_scripts.provenance import ROOT, canonical_json, sha256

SCHEMAS = ROOT / "config" / "schemas"
CARDS = ROOT / "workflow_scripts" / "collections"
# One of each kind of thing that a run writes.
WRITTEN = (
    *("datasets/x/frames/000.parquet", "scenarios/images/x.png", "report/index.html", "logs/x.log"),
    *("review/page/index.html", "review/page/pictures/x.png"),
    *("cache/x.json", "cache/sources/x/x.avi"),
)
OPTIONAL_STAGES = ("grade_nodules", "import_masks", "score_calcium", "compare_advice")  # those that a card may name
OWN = ("table", "columns", "modality", "body_part")  # options of a data set that only some kinds read
GIVEN_MASKS = "given-masks"  # what masks go by that have no name of their own
BUCKET = r"(s3|az)://[\w.-]+(/[^?#]*)?"
TYPES = {"object": "options, indented below it", "string": "a text", "integer": "a whole number", "array": "a list"}
EXAMPLE = """datasets:
  clinic-a:
    kind: ddti
    root: /data/ddti"""


def validator(schema: str) -> Draft202012Validator:
    """Return the validator of one of the schemas in config/schemas."""
    return Draft202012Validator(json.loads((SCHEMAS / schema).read_text(encoding="utf-8")))


def first_fault(schema: str, value: Any) -> str | None:
    """Return in one line where `value` breaks a schema, what was expected, and what may have been meant."""
    faults = sorted(validator(schema).iter_errors(value), key=lambda fault: [str(part) for part in fault.absolute_path])
    return None if not faults else describe_fault(faults[0])


def describe_fault(fault: ValidationError) -> str:
    """Return one line for a fault: where, what is there, what was expected."""
    where = ".".join(str(part) for part in fault.absolute_path)
    if (
        fault.validator == "additionalProperties"
        and isinstance(fault.schema, dict)
        and isinstance(fault.instance, dict)
    ):
        known = list(fault.schema.get("properties", {}))
        unknown = sorted(set(fault.instance) - set(known))[0]
        near = difflib.get_close_matches(unknown, known, 1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        return f"{where + '.' if where else ''}{unknown} is not an option{meant}"
    if fault.validator == "type":
        shown = "empty" if fault.instance is None else repr(fault.instance)
        wanted = fault.validator_value if isinstance(fault.validator_value, list) else [fault.validator_value]
        return f"{where} is {shown}; expected {' or '.join(TYPES.get(str(name), str(name)) for name in wanted)}"
    if "propertyNames" in fault.absolute_schema_path:
        return f"{where or 'datasets'}: {fault.instance!r} is no name; write small letters, digits and hyphens"
    if fault.validator == "oneOf":
        return f"{where}: {json.dumps(fault.instance)} is none of the forms it can have: see config/config.yaml"
    return f"{where}: {fault.message}"


def check_config(config: dict[str, Any]) -> None:
    """Check the merged configuration.

    Raises
    ------
    Refusal
        With the first fault in one line; with an example when no data set is named.
    """
    if fault := first_fault("config.schema.json", config):
        raise Refusal(f"configuration: {fault}")
    if odd := [name for name in config["datasets"] if not isinstance(name, str)]:
        raise Refusal(f"datasets: {odd[0]!r} is a number; write its name in quotes")
    if update := config["scenarios"]["update"]:
        check_update(Path(update))
    if not config["datasets"]:
        raise Refusal(
            "no data set is named; write for example a file mine.yaml with\n\n"
            f"{EXAMPLE}\n\nand run the same command with --configfile mine.yaml"
        )


def check_update(path: Path) -> None:
    """Check, before any work, that the scenarios.json to carry over is one.

    Raises
    ------
    Refusal
        When it is not there, or no list of scenarios.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise Refusal(f"scenarios.update: {path} cannot be read as JSON ({error})") from None
    if not (isinstance(found, list) and all(isinstance(entry, dict) for entry in found)):
        raise Refusal(f"scenarios.update: {path} is no list of scenarios; give a scenarios.json as its reader has it")


def card_file(kind: str) -> Path:
    """Return the card of a kind of data set. The module beside it is not imported: this runs while rules are parsed."""
    return CARDS / f"{kind.replace('-', '_')}.yaml"


def card_of(kind: str) -> dict[str, Any]:
    """Return what a card says."""
    values: dict[str, Any] = yaml.safe_load(card_file(kind).read_text(encoding="utf-8"))
    return values


@cache  # Snakemake asks for each job, and again behind each checkpoint
def card_version(kind: str) -> str:
    """Return a hash of what a card says."""
    return sha256(canonical_json(card_of(kind)))[:16]


def dataset_options(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of every data set, sorted by name: the user's, else the configuration's, else its card's.

    Raises
    ------
    Refusal
        When the kind of a data set is not known, or its folder is not there.
    """
    options = {}
    for name, own in sorted(config["datasets"].items()):
        kind = own.get("kind", name)
        if not card_file(kind).is_file():
            known = ", ".join(sorted(path.stem.replace("_", "-") for path in CARDS.glob("*.yaml")))
            raise Refusal(f"datasets.{name}.kind: {kind} is not known; write one of {known}")
        if "://" in own["root"]:
            if not re.fullmatch(BUCKET, own["root"]):
                raise Refusal(
                    f"datasets.{name}.root: of URLs, s3://bucket/prefix and az://container/prefix can be read, with"
                    " nothing behind the prefix: keys and endpoints come from the environment"
                )
        elif not Path(own["root"]).is_dir():
            raise Refusal(f"datasets.{name}.root: {own['root']} is not a folder; write where the data set lies")
        card = card_of(kind)
        defaults = {
            **{option: card[option] for option in ("stages", "extract", "n_chunks", "outlines", "window")},
            "kind": kind,
            "frames": config["frames"] or card["frames"],
            "groups": None,
            "masks": None,
            "accept": [],
            "exclude": {},
        }
        every = defaults | own
        left_out = {key: [str(one) for one in every["exclude"].get(key, [])] for key in ("cases", "patients", "files")}
        fetch = {"fetch": config["fetch"]} if "compare_advice" in card["stages"] else {}
        masks = {GIVEN_MASKS: every["masks"]} if isinstance(every["masks"], str) else dict(every["masks"] or {})
        if "import_masks" in every["stages"]:  # the data set ships some
            masks.setdefault(GIVEN_MASKS, None)
        options[name] = every | {
            "masks": masks,
            "accept": [str(case_id) for case_id in every["accept"]],
            "exclude": left_out,
            "options": {key: own[key] for key in OWN if key in own} | fetch,
        }
    return options


def refuse_tracked(results: Path, kinds: list[str]) -> None:
    """Refuse to write what may not be passed on to a folder that git would take in.

    Raises
    ------
    Refusal
        When `results` lies in a git work tree that does not ignore what is written there, or git cannot tell.
    """
    restricted = [kind for kind in kinds if card_of(kind)["redistribution"] != "allowed"]
    where = next(folder for folder in results.absolute().parents if folder.is_dir())
    written = [str(results.absolute() / name) for name in WRITTEN]
    try:
        done = subprocess.run(
            ["git", "-C", str(where), "check-ignore", *written],
            env=os.environ | {"LC_ALL": "C"},  # its words are read below
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git, no work tree
        return
    if not restricted or "not a git repository" in done.stderr or len(done.stdout.splitlines()) == len(written):
        return
    why = done.stderr.strip().splitlines()[0] if done.returncode == 128 else "git would track it"
    raise Refusal(
        f"{results.absolute()}: {why}; the terms of {', '.join(restricted)} do not let pictures or rows be passed on."
        " Add the results folder to .gitignore, or run with --directory elsewhere"
    )


def load_templates(paths: list[str]) -> list[dict[str, Any]]:
    """Return the templates of several files or folders of them, checked.

    Raises
    ------
    Refusal
        When a file is missing or not what config/schemas/templates.schema.json asks for, or two templates share a name
        or an id.
    """
    templates: list[dict[str, Any]] = []
    for path in template_files(paths):
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise Refusal(f"{path}: not YAML: {' '.join(str(error).split())}") from None
        if fault := first_fault("templates.schema.json", found):
            raise Refusal(f"{path}: {fault}")
        templates += found["templates"]
    names = [template["name"] for template in templates]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refusal(f"scenarios.templates: {', '.join(twice)} is the name of two templates; give one another name")
    taken: dict[str, str] = {}
    for template in templates:
        for scenario_id in scenario_ids(template):
            if scenario_id in taken:
                both = f"{taken[scenario_id]} and {template['name']}"
                raise Refusal(f"templates {both} both write {scenario_id}; give one another id")
            taken[scenario_id] = template["name"]
    return templates


def template_files(paths: list[str]) -> list[Path]:
    """Return the files of templates: of a folder its YAML files.

    A relative path starts at the folder it runs in, else at the workflow's.

    Raises
    ------
    Refusal
        When there is none of that name.
    """
    files: list[Path] = []
    for text in paths:
        path = next((path for path in (Path(text), ROOT / text) if path.exists()), None)
        found = sorted(path.glob("*.yaml")) if path and path.is_dir() else [path] if path else []
        if not found:
            raise Refusal(f"scenarios.templates: {text} is not a file, nor a folder of YAML files")
        files += found
    return files


def scenario_ids(template: dict[str, Any]) -> list[str]:
    """Return the ids that a template writes: its own and, when it asks for several cases, those that follow."""
    stem, number = template["id"].rsplit("_", 1)
    return [f"{stem}_{int(number) + k:0{len(number)}d}" for k in range(template["count"])]
