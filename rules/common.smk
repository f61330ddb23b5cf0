"""
What all rules share: the checked configuration, the parameters and the code that a result rests on, and the way to
inputs behind the checkpoint. No rules.

REQUIRED INPUTS:
    the merged configuration
"""

import json
import re
from pathlib import Path

from workflow_scripts.command import Refusal
from workflow_scripts.configuration import (
    OPTIONAL_STAGES,
    card_version,
    check_config,
    dataset_options,
    load_templates,
    template_files,
    refuse_tracked,
)
from workflow_scripts.decisions import DECISIONS, read_decisions
from workflow_scripts.files import in_bytes, listing, refuse_read_only, set_back, space_of
from workflow_scripts.provenance import canonical_json, chunk_of, code_version, file_sha256, sha256

check_config(config)
DATASETS = dataset_options(config)
TEMPLATE_FILES = [os.path.abspath(path) for path in template_files(config["scenarios"]["templates"])]
TEMPLATES = load_templates(TEMPLATE_FILES)
KINDS = {name: options["kind"] for name, options in DATASETS.items()}
# Which data sets get the stages that not every one gets: as their cards say, and where there is something to learn.
STAGES = {
    stage: [name for name, options in DATASETS.items() if stage in options["stages"]] for stage in OPTIONAL_STAGES
}
LEARNT = [name for name, options in DATASETS.items() if options["outlines"] == config["model"]["target"]]
if config["learn"] and not LEARNT:
    raise Refusal(
        f"learn: true, but of no data set is `outlines` what `model.target` is ({config['model']['target']}); write"
        f" outlines: {config['model']['target']} under each in which a model shall outline it"
    )
# What predicts masks of each data set: (model, fold) pairs. A fold's model predicts only those whom it has never seen.
GIVEN = config["model"]["weights"]
MODEL = Path(GIVEN).stem if GIVEN else f"{config['model']['architecture']}-{config['model']['encoder']}".lower()
FOLDS = (
    ["given"]
    if GIVEN
    else [str(k) for k in range(config["split"]["folds"] if config["split"]["cross_validate"] else 1)]
)
PREDICTED = {
    name: ([(MODEL, fold) for fold in FOLDS] if config["learn"] and name in LEARNT else [])
    + [(masks, "given") for masks in sorted(options["masks"])]
    for name, options in DATASETS.items()
}
IMPORTED = sorted({masks for options in DATASETS.values() for masks in options["masks"]})
if config["learn"] and MODEL in IMPORTED:
    raise Refusal(f"datasets: masks are named {MODEL}, as the model of this run is; give them another name")
SCORED = {
    "datasets": {name: sorted({model for model, _ in pairs}) for name, pairs in PREDICTED.items()},
    "models": {
        model: sorted({fold for pairs in PREDICTED.values() for other, fold in pairs if other == model})
        for model in sorted({model for pairs in PREDICTED.values() for model, _ in pairs})
    },
}
OWN_SCORED = {"model": MODEL, "models": {MODEL: FOLDS}, "datasets": {name: [MODEL] for name in LEARNT}}
MODELLED = bool(config["learn"] and LEARNT)  # a model predicts: its masks can be measured, estimated, graded
COMMANDS = set()  # every command that a rule runs
LOCAL = workflow.pathvars.apply("<results>")
refuse_read_only(Path.cwd(), Path(LOCAL))
refuse_tracked(Path(LOCAL), sorted(set(KINDS.values())))
# Where commands find the results: with results in a bucket (--default-storage-provider), where Snakemake puts its copies.
BUCKET = workflow.storage_registry.default_storage_provider
RESULTS = (
    os.path.abspath(
        BUCKET.object(f"{workflow.storage_settings.default_storage_prefix.rstrip('/')}/{LOCAL}").local_path()
    )
    if BUCKET
    else LOCAL
)
if workflow.is_main_process and not BUCKET and (ahead := set_back(Path(LOCAL))):
    logger.warning(
        f"The clock was set back: {LOCAL} was {ahead:.0f} s ahead of it. The times of its files are set back too."
    )
# A data set in a bucket is read from its copy on this machine.
SOURCES = {name: options["root"] for name, options in DATASETS.items() if "://" in options["root"]}
for name in SOURCES:
    DATASETS[name]["root"] = f"{LOCAL}/cache/sources/{name}"
    if not Path(DATASETS[name]["root"]).is_dir():  # the copy was deleted
        Path(f"{DATASETS[name]['root']}.fetched").unlink(missing_ok=True)
COPIES = [f"{DATASETS[name]['root']}.fetched" for name in SOURCES]  # targets: without one, its copy is made anew
# What reviewers decided, and of it what concerns the cases that stay, by data set and chunk.
REVIEW = os.path.abspath(config["review"]["table"]) if config["review"]["table"] else []
DECIDED = read_decisions(Path(REVIEW), DATASETS) if REVIEW else []
DECIDED.sort(key=lambda one: (one.dataset, one.case_id))
REVIEWED = {}
for one in DECIDED:
    if one.decision != "exclude":
        of = one.dataset, chunk_of(one.case_id, DATASETS[one.dataset]["n_chunks"])
        REVIEWED.setdefault(of, []).append(one.version())
# Where the data lie is no parameter: a data set that moved is the same data set.
ROOTS = canonical_json({name: os.path.abspath(options["root"]) for name, options in DATASETS.items()})


def spec(rule):
    """Return a params function: the parameters of a rule, and no others, as one canonical JSON text."""

    def parameters(wildcards):
        own = DATASETS[wildcards.dataset] if "dataset" in wildcards.keys() else None
        return canonical_json(
            {
                "index_cases": lambda: {
                    **{name: own[name] for name in ("kind", "groups", "exclude", "options")},
                    "limit": config["limit"],
                },
                "match_scenarios": lambda: {"seed": config["scenarios"]["seed"]},
                "plan_chunks": lambda: {"n_chunks": own["n_chunks"], "extract": own["extract"]},
                "extract_frames": lambda: {
                    name: own[name] for name in ("kind", "frames", "outlines", "window", "options")
                },
                "preprocess_frames": lambda: config["preprocess"],
                "split_cases": lambda: {
                    "datasets": LEARNT,
                    "folds": config["split"]["folds"],
                    "seed": config["split"]["seed"],
                    "given": config["split"]["given"],
                    "cross_validate": config["split"]["cross_validate"],
                },
                "train_model": lambda: {
                    **{
                        name: value
                        for name, value in config["model"].items()
                        if not name.startswith(("weights", "test_time_augmentation"))
                    },
                    "kinds": {name: KINDS[name] for name in LEARNT},
                    "preprocess": config["preprocess"],
                },
                "export_masks": lambda: {"datasets": LEARNT, "folds": FOLDS, "outlines": config["model"]["target"]},
                "grade_nodules": lambda: config["grades"],
                "export_onnx": lambda: {
                    "preprocess": config["preprocess"],
                    "sha256": config["model"]["weights_sha256"],
                },
                "predict_masks": lambda: {
                    "preprocess": config["preprocess"],
                    "mirrored": config["quality"]["mirrored"],
                    "test_time_augmentation": config["model"]["test_time_augmentation"],
                    "threads": config["model"]["threads"],
                    "sha256": config["model"]["weights_sha256"],
                },
                "validate_descriptors": lambda: {"datasets": LEARNT, "seed": config["split"]["seed"]},
                "write_features": lambda: {
                    "datasets": {
                        name: {
                            "kind": KINDS[name],
                            "grades": name in STAGES["grade_nodules"],
                            "scores": PREDICTED[name],
                            "quality": [pair for pair in PREDICTED[name] if pair[0] == MODEL],
                        }
                        for name in LEARNT
                    }
                },
                "fit_quality": lambda: OWN_SCORED
                | {
                    "level": config["quality"]["level"],
                    "gate": config["gates"]["dice"],
                    "seed": config["split"]["seed"],
                },
                "estimate_quality": lambda: {"gate": config["gates"]["dice"]},
                "monitor_batches": lambda: OWN_SCORED,
                "embed_nodules": lambda: {
                    "threads": config["model"]["threads"],
                    "sha256": config["model"]["weights_sha256"],
                },
                "train_grader": lambda: {
                    "datasets": LEARNT,
                    "model": MODEL,
                    "folds": FOLDS,
                    "seed": config["split"]["seed"],
                },
                "summarise_scores": lambda: SCORED | {"gates": config["gates"], "seed": config["split"]["seed"]},
                "export_nnunet": lambda: {"datasets": LEARNT, "target": config["model"]["target"]},
                "write_review_page": lambda: SCORED
                | {"datasets": {name: models for name, models in SCORED["datasets"].items() if models}},
                "compare": lambda: SCORED | {"seed": config["split"]["seed"]},
                "flag_cases": lambda: {"gates": config["gates"]},
                "write_scenarios": lambda: {"kinds": KINDS, "text": config["scenarios"]["text"]},
                "locate_frames": lambda: {"kinds": KINDS},
                "write_lock": lambda: {
                    "config": {
                        name: value for name, value in config.items() if name not in ("datasets", "verify", "review")
                    },
                    "datasets": {
                        name: {option: own[option] for option in ("kind", "frames", "outlines", "window", "options")}
                        for name, own in DATASETS.items()
                    },
                    "code": {name: code_version(f"workflow_scripts.{name}") for name in sorted(COMMANDS)},
                },
                "write_report": lambda: {"kinds": KINDS, "limit": config["limit"], "stages": STAGES}
                | {"sections": SECTIONS, "own": OWN_SCORED}
                | SCORED,
                "write_citations": lambda: KINDS,
                "build_release": lambda: KINDS,
                "record_provenance": lambda: {
                    "config": config,
                    "templates_sha256": sha256(canonical_json(TEMPLATES)),
                    "review": (
                        {"sha256": file_sha256(Path(REVIEW))}
                        | {name: sum(one.decision == name for one in DECIDED) for name in DECISIONS}
                        if REVIEW
                        else None
                    ),
                    "code": {name: code_version(f"workflow_scripts.{name}") for name in sorted(COMMANDS)},
                },
                "check": lambda: {
                    name: options | {"size": config["preprocess"]["size"]} for name, options in DATASETS.items()
                },
            }[rule]()
        )

    return parameters


def where(things):
    """Return a params function that says where things lie: as it asks for the input, Snakemake does not compare it."""
    return lambda wildcards, input: things


def code(module, reads_collection=False):
    """Return a params function: the code of a command, and of the module that is found by its data set's kind."""

    COMMANDS.add(module)

    def version(wildcards):
        found = [KINDS[wildcards.dataset]] if reads_collection else []
        return code_version(
            f"workflow_scripts.{module}",
            *(f"workflow_scripts.collections.{kind.replace('-', '_')}" for kind in found),
        )

    return version


def fetched(wildcards):
    """What says that the copy of a bucket is whole; nothing for a folder of one's own."""
    return f"{DATASETS[wildcards.dataset]['root']}.fetched" if wildcards.dataset in SOURCES else []


def source(wildcards):
    """A hash over what there is in a bucket."""
    from workflow_scripts.ingest.fetch_source import source_version  # needs the storage plugins

    return source_version(SOURCES[wildcards.dataset], Path(fetched(wildcards)))


def reviewed(wildcards):
    """The table of what reviewers decided on a chunk; nothing where nobody looked."""
    known = (wildcards.dataset, wildcards.chunk) in REVIEWED
    return f"<results>/datasets/{wildcards.dataset}/reviews/{wildcards.chunk}.parquet" if known else []


def all_reviewed(wildcards):
    """The tables of what reviewers decided, of all chunks; waits for the plans."""
    return [
        f"<results>/datasets/{dataset}/reviews/{chunk}.parquet"
        for dataset, chunk in sorted(REVIEWED)
        if chunk in planned(dataset)
    ]


def templates(wildcards):
    """What the files of templates say: too much for an argument of a command, which reads them again."""
    return canonical_json(TEMPLATES)


def cards(wildcards):
    """What the cards say of the data sets that a rule reads."""
    names = [wildcards.dataset] if "dataset" in wildcards.keys() else DATASETS
    return canonical_json({name: card_version(KINDS[name]) for name in names})


def planned(dataset):
    """The chunks of a data set; waits for the checkpoint."""
    chunks = checkpoints.plan_chunks.get(dataset=dataset).output.chunks
    if BUCKET:  # a job takes its copies away
        chunks.flags["storage_object"].retrieve_object()
    return sorted(path.stem for path in Path(chunks).glob("*.parquet"))


def indexed(pattern, datasets=list(DATASETS), model=None):
    """Return an input function: `pattern` for one data set, or for several, and each chunk that its plan names.

    A pattern with a model is of all that predicted, or of the one `model`.

    It waits behind the plan: a gathered rule that named these files outright would run again each time the index and
    the plan only look again.
    """

    def behind_the_plan(wildcards):
        found = []
        for dataset in [wildcards.dataset] if "dataset" in wildcards.keys() else datasets:
            chunks = planned(dataset)
            for chunk in chunks if "{chunk}" in pattern else [None]:
                for name, fold in PREDICTED[dataset] if "{model}" in pattern else [(None, None)]:
                    if model in (None, name):
                        found.append(pattern.format(dataset=dataset, chunk=chunk, model=name, fold=fold))
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
        space = space_of(results)
        most = ", ".join(f"{stage} {in_bytes(count)}" for stage, count in list(space.items())[:4])
        logger.info(
            f"\nCases: {cases['in']} in, {cases['out']} out, {cases['quarantined']} in quarantine"
            f"{', %d not asked for' % cases['not_asked_for'] if cases['not_asked_for'] else ''} (reasons in the report)"
            f"\nScenarios: {results / 'scenarios' / 'scenarios.json'}"
            f"\nReport:    {results / 'report' / 'index.html'}"
            f"\nSpace:     {in_bytes(sum(space.values()))} ({most}); `snakemake clean` frees what can be made again"
        )


def say_what_to_do(log):
    """Say once more, below all that Snakemake prints, what each command said that failed, at the end of its log; and
    which said nothing, as one that the system kills. `log`: Snakemake's own."""
    told = "".join(Path(path).read_text(encoding="utf-8", errors="replace") for path in log)
    ended = set(re.findall(r"^Finished jobid: (\d+)", told, re.MULTILINE))  # tried again, and well at last
    failed = re.findall(r"^    jobid: (\d+)\n(?:    .*\n)*?    log: (.+?) \(check log file", told, re.MULTILINE)
    said, silent = [], []
    # Of several logs the first is the command's, the others are a cluster's; one in a bucket is not read.
    for path in sorted({Path(logs.split(", ")[0]) for job, logs in failed if job not in ended}):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        _, refused, why = f"\n{text}".partition("\ncasebook: ")
        if refused:
            said.append(f"casebook: {why.rstrip()}")
        elif not re.search(r"^(Traceback|\S+: error:)", text, re.MULTILINE):
            silent.append(path)
    if silent:
        more = f" and {len(silent) - 1} more" if silent[1:] else ""
        mend = "run with fewer --cores, or where a job gets more memory, and give the same command again"
        said.append(
            f"casebook: {silent[0]}{more}: ended without a word, as a job that is killed for want of memory; {mend}"
        )
    for words in dict.fromkeys(said):  # of a thousand chunks that say one thing, one
        logger.error(words)
