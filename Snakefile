"""
Casebook: clinical imaging data sets in, benchmark scenarios with verified ground truth out.

    (fetch_source ->) index_cases -> match_scenarios -> plan_chunks -> extract_frames -> preprocess_frames
    (-> split_cases -> train_model -> predict_masks -> score, measure, grade) -> write_scenarios -> write_report -> build_release
`config/config.yaml` documents every option; `README.md` says how to begin.
"""

import os
import sys

# The interpreter that runs the workflow runs its commands: without an activated environment, from any folder.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join([workflow.basedir, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
)
sys.path.insert(0, workflow.basedir)


configfile: os.path.join(workflow.basedir, "config", "config.yaml")


# Used with `--sdm apptainer` alone; envs/casebook.def builds it (docs/environments.md).
container: os.path.join(workflow.basedir, "envs", "casebook.sif")


pathvars:
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


report: os.path.join(workflow.basedir, "report", "workflow.rst")


wildcard_constraints:
    dataset=r"[a-z0-9][a-z0-9-]*",
    chunk=r"\d{3}",
    model=r"[^/]+",
    fold=r"\d+|given",


include: "rules/common.smk"
include: "rules/ingest.smk"
include: "rules/frames.smk"
include: "rules/preprocess.smk"
include: "rules/segment.smk"
include: "rules/metrics.smk"
include: "rules/tirads.smk"
include: "rules/nodules.smk"
include: "rules/scenarios.smk"
include: "rules/report.smk"
include: "rules/review.smk"
include: "rules/release.smk"


rule all:
    """Scenarios, report and provenance."""
    default_target: True
    input:
        COPIES,
        "<results>/scenarios/casebook.lock.json",
        "<results>/report/index.html",
        "<results>/report/CITATIONS.md",
        "<results>/report/provenance.json",


onsuccess:
    say_where_to_look()


onerror:
    say_what_to_do(log)
