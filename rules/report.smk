"""
What came out, to look at and to prove.

REQUIRED INPUTS:
    everything above
OUTPUTS:
    <results>/report/index.html, summary.json
    <results>/report/CITATIONS.md, CITATIONS.bib
    <results>/report/provenance.json
    <results>/figures/, on demand
"""

TRAINED = FOLDS if config["learn"] and not GIVEN else []  # the folds whose models this run trains
# The sections on what was learnt, and the files that each is made of.
SECTION_FILES = {
    "comparison": ["comparison.json"],
    "quality": ["monitoring.parquet"] + ([] if GIVEN else ["quality.json"]),
    "descriptors": ["descriptors.json"],
    "grader": ["grader.json"],
}
SECTIONS = (["comparison"] if any(len(names) > 1 for names in SCORED["datasets"].values()) else []) + (
    ["quality"] if MODELLED else []
)
if MODELLED and config["model"]["target"] == "nodule":
    SECTIONS += ["descriptors", "grader"]
MASKS = indexed("<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet")


rule write_report:
    """Write one self-contained page, and every figure in it as JSON."""
    input:
        scenarios="<results>/scenarios/scenarios.parquet",
        texts="<results>/scenarios/scenarios.json",
        matches=indexed("<results>/scenarios/matches.parquet"),
        images="<results>/scenarios/images",
        cases=indexed("<results>/datasets/{dataset}/cases.parquet"),
        found=indexed("<results>/datasets/{dataset}/quarantine/index_cases.parquet"),
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet"),
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet"),
        extracted=indexed("<results>/datasets/{dataset}/quarantine/extract_frames/{chunk}.parquet"),
        preprocessed=indexed("<results>/datasets/{dataset}/quarantine/preprocess_frames/{chunk}.parquet"),
        grades=indexed("<results>/datasets/{dataset}/grades.parquet", STAGES["grade_nodules"]),
        graded=indexed("<results>/datasets/{dataset}/quarantine/grade_nodules.parquet", STAGES["grade_nodules"]),
        calcium=indexed("<results>/datasets/{dataset}/calcium/{chunk}.parquet", STAGES["score_calcium"]),
        advice=indexed("<results>/datasets/{dataset}/advice.parquet", STAGES["compare_advice"]),
        review=["<results>/review/scores.json", "<results>/review/flags.parquet"] if SCORED["models"] else [],
        reviews=all_reviewed,
        sections=[f"<results>/review/{name}" for section in SECTIONS for name in SECTION_FILES[section]],
        quality=QUALITY if MODELLED else [],
        learned=expand(
            "<results>/datasets/{dataset}/learned_grades.parquet", dataset=LEARNT if "grader" in SECTIONS else []
        ),
        masks=MASKS,
        imported=lambda wildcards: [
            str(path.parents[3] / "quarantine" / "import_masks" / path.parts[-3] / path.name)
            for path in map(Path, MASKS(wildcards))
            if path.parts[-3] in IMPORTED
        ],
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
        folds="<results>/model/folds.parquet" if TRAINED else [],
        histories=expand("<results>/model/{model}/fold-{fold}.parquet", model=MODEL, fold=TRAINED),
        trained=expand("<results>/model/{model}/fold-{fold}.json", model=MODEL, fold=TRAINED),
    output:
        page=report(
            "<results>/report/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"what": "the whole report"},
        ),
        summary=report(
            "<results>/report/summary.json",
            caption="../report/summary.rst",
            category="Report",
            labels={"what": "every figure of the report"},
        ),
    log:
        "<logs>/write_report.log",
    benchmark:
        "<benchmarks>/write_report.jsonl"
    threads: 1
    resources:
        mem_mb=memory(2),
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        spec=spec("write_report"),
        cards=cards,
        code=code("report.write_report"),
    message:
        "Writing the report"
    shell:
        "python -m workflow_scripts.report.write_report"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --scenarios {input.scenarios:q} --spec {params.spec:q}"
        " --review {params.results:q}/review --reviews {input.reviews:q} --models {params.results:q}/model"
        " --page {output.page:q} --summary {output.summary:q} &> {log:q}"


# What the figures of a paper are drawn from besides the report: sizes of nodules, and recipes that were compared.
MEASURED = [name for name, pairs in PREDICTED.items() if pairs and DATASETS[name]["outlines"] == "nodule"]


rule draw_figures:
    """Draw the figures of a paper, and write its tables."""
    input:
        summary="<results>/report/summary.json",
        nodules=indexed("<results>/datasets/{dataset}/nodules/{chunk}.parquet", MEASURED),
        recipes=[path for path in [f"{RESULTS}/recipes/recipes.csv"] if os.path.isfile(path)],
    output:
        figures=report(
            directory("<results>/figures"),
            caption="../report/figures.rst",
            category="Figures",
            patterns=["{name}.svg"],
            labels={"what": "{name}"},
        ),
    log:
        "<logs>/draw_figures.log",
    benchmark:
        "<benchmarks>/draw_figures.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        code=code("figures.draw_figures"),
    message:
        "Drawing the figures"
    shell:
        "python -m workflow_scripts.figures.draw_figures --results {params.results:q} --out {output.figures:q} &> {log:q}"


rule write_citations:
    """Write what to cite and whom to acknowledge, of exactly the data sets that were used."""
    input:
        cases=indexed("<results>/datasets/{dataset}/cases.parquet"),
    output:
        text=report(
            "<results>/report/CITATIONS.md",
            caption="../report/citations.rst",
            category="Provenance",
            labels={"what": "what to cite"},
        ),
        bibtex="<results>/report/CITATIONS.bib",
    log:
        "<logs>/write_citations.log",
    localrule: True  # shorter than a job's start
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("write_citations"),
        code=code("report.write_citations"),
        cards=cards,
    message:
        "Writing the citations"
    shell:
        "python -m workflow_scripts.report.write_citations"
        " --datasets {params.results:q}/datasets --spec {params.spec:q} --text {output.text:q} --bibtex {output.bibtex:q} &> {log:q}"


rule record_provenance:
    """Record versions, lock, configuration, code and content: what the results rest on."""
    input:
        page="<results>/report/index.html",
        exports=indexed("<results>/scenarios/exports"),
        features="<results>/features" if "grader" in SECTIONS else [],
        scenarios="<results>/scenarios/scenarios.json",
        table="<results>/scenarios/scenarios.parquet",
        cases=indexed("<results>/datasets/{dataset}/cases.parquet"),
    output:
        provenance=report(
            "<results>/report/provenance.json",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"what": "what the results rest on"},
        ),
    log:
        "<logs>/record_provenance.log",
    localrule: True  # shorter than a job's start
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("record_provenance"),
        code=code("report.record_provenance"),
        cards=cards,
        lock=file_sha256(Path(workflow.basedir) / "envs" / "requirements.lock"),
    message:
        "Recording the provenance"
    shell:
        "python -m workflow_scripts.report.record_provenance"
        " --datasets {params.results:q}/datasets --scenarios {input.scenarios:q} --table {input.table:q} --spec {params.spec:q}"
        " --provenance {output.provenance:q} &> {log:q}"


rule report:
    """The report and its figures."""
    input:
        COPIES,
        "<results>/report/index.html",
        "<results>/report/CITATIONS.md",


rule figures:
    """The figures and tables of a paper."""
    input:
        COPIES,
        "<results>/figures",


rule clean:
    """Delete frames, inputs and states of trainings, which can be made again; all that is to be read stays."""
    log:
        "<logs>/clean.log",
    localrule: True
    params:
        results=where(RESULTS),
        local=where(LOCAL),
    message:
        "Deleting frames, inputs and states of trainings"
    shell:
        "rm -rf {params.results:q}/datasets/*/frames {params.results:q}/datasets/*/inputs {params.local:q}/cache/training"
        " &> {log:q}"
