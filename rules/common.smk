"""
What every rule shares: the checked configuration, the parameters and the code that a result rests on, and the way to
inputs behind the checkpoint. No rules.

REQUIRED INPUTS:
    the merged configuration
"""

import json
from pathlib import Path

from workflow_scripts.configuration import card_version, check_config, dataset_options, load_templates
from workflow_scripts.files import listing
from workflow_scripts.provenance import canonical_json, code_version, file_sha256, sha256

check_config(config)
DATASETS = dataset_options(config)
TEMPLATES = load_templates(config["scenarios"]["templates"])
KINDS = {name: options["kind"] for name, options in DATASETS.items()}
CARDS = {name: card_version(kind) for name, kind in KINDS.items()}
RESULTS = workflow.pathvars.apply("<results>")
# Where the data lie is no parameter: a data set that moved is the same data set.
ROOTS = canonical_json({name: os.path.abspath(options["root"]) for name, options in DATASETS.items()})


def spec(rule, dataset=None):
    """The parameters of a rule, and no others, as one canonical JSON text."""
    own = DATASETS.get(dataset, {})
    return canonical_json(
        {
            "index_cases": lambda: {"kind": own["kind"], "limit": config["limit"], "groups": own["groups"]},
            "match_scenarios": lambda: {"templates": TEMPLATES, "seed": config["scenarios"]["seed"]},
            "plan_chunks": lambda: {"n_chunks": own["n_chunks"], "extract": own["extract"]},
            "extract_frames": lambda: {"kind": own["kind"], "frames": own["frames"]},
            "preprocess_frames": lambda: config["preprocess"],
            "grade_nodules": lambda: {},
            "write_scenarios": lambda: {"templates": TEMPLATES, "kinds": KINDS},
            "write_report": lambda: {"kinds": KINDS},
            "record_provenance": lambda: config,
            "check": lambda: {name: options | {"size": config["preprocess"]["size"]} for name, options in DATASETS.items()},
        }[rule]()
    )


def code(module, dataset=None):
    """The code of a command, and of the module that is found by its data set's kind."""
    found = [f"workflow_scripts.{module}"]
    if dataset:
        found.append(f"workflow_scripts.collections.{KINDS[dataset].replace('-', '_')}")
    return code_version(*found)


def plan(dataset):
    """The folder with the chunks of a data set; waits for the checkpoint."""
    return Path(checkpoints.plan_chunks.get(dataset=dataset).output.chunks)


def indexed(pattern):
    """Return an input function: `pattern` for one data set, or for all, and each chunk that its plan names.

    It waits behind the plan: a gathered rule that named these files outright would run again each time the index and
    the plan only look again.
    """

    def behind_the_plan(wildcards):
        found = []
        for dataset in [wildcards.dataset] if "dataset" in wildcards.keys() else DATASETS:
            chunks = sorted(path.stem for path in plan(dataset).glob("*.parquet"))
            for chunk in chunks if "{chunk}" in pattern else [None]:
                found.append(pattern.format(dataset=dataset, chunk=chunk))
        return sorted(set(found))

    return behind_the_plan


def memory(gigabytes):
    """Memory in MB, more of it when a cluster's job is tried again."""
    return lambda wildcards, attempt: int(1000 * gigabytes * attempt)


def say_where_to_look():
    """Say at the end of a run what it gave, and where."""
    results = Path(RESULTS).resolve()
    summary = results / "report" / "summary.json"
    if summary.is_file():
        cases = json.loads(summary.read_text(encoding="utf-8"))["cases"]
        print(
            f"\nCases: {cases['in']} in, {cases['out']} out, {cases['quarantined']} in quarantine (reasons in the report)"
            f"\nScenarios: {results / 'scenarios' / 'scenarios.json'}"
            f"\nReport:    {results / 'report' / 'index.html'}",
            file=sys.stderr,
        )
