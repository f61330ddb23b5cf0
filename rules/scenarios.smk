"""
From cases and frames to scenarios: labels before pixels, and no text that a label does not carry.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/cases.parquet, chunks/, frames/, inputs/, grades.parquet, quarantine/
    the templates that the configuration names
OUTPUTS:
    <results>/scenarios/candidates.parquet, matches.parquet
    <results>/scenarios/scenarios.json, scenarios.parquet, images/, exports/
"""


rule match_scenarios:
    """Say which cases each scenario could take, by their labels alone."""
    input:
        cases=expand("<results>/datasets/{dataset}/cases.parquet", dataset=DATASETS),
    output:
        candidates="<results>/scenarios/candidates.parquet",
        matches="<results>/scenarios/matches.parquet",
    log:
        "<logs>/match_scenarios.log",
    threads: 1
    resources:
        mem_mb=memory(2),
    params:
        files=where(TEMPLATE_FILES),
        spec=spec("match_scenarios"),
        templates=templates,
        code=code("scenarios.match_scenarios"),
    message:
        "Matching cases to scenarios"
    shell:
        "python -m workflow_scripts.scenarios.match_scenarios"
        " --cases {input.cases:q} --spec {params.spec:q} --templates {params.files:q} --candidates {output.candidates:q}"
        " --matches {output.matches:q} &> {log:q}"


rule write_scenarios:
    """Fill the scenarios with real pictures, or refuse them with a reason."""
    input:
        cases=indexed("<results>/datasets/{dataset}/cases.parquet"),
        candidates=indexed("<results>/scenarios/candidates.parquet"),
        matches=indexed("<results>/scenarios/matches.parquet"),
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet"),
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet"),
        grades=indexed("<results>/datasets/{dataset}/grades.parquet", STAGES["grade_nodules"]),
        graded=indexed("<results>/datasets/{dataset}/quarantine/grade_nodules.parquet", STAGES["grade_nodules"]),
        existing=config["scenarios"]["update"] or [],
        locked="<results>/scenarios/locked.json" if config["verify"] else [],
    output:
        scenarios=report(
            "<results>/scenarios/scenarios.json",
            caption="../report/scenarios.rst",
            category="Scenarios",
            labels={"what": "the scenarios"},
        ),
        table="<results>/scenarios/scenarios.parquet",
        images=directory("<results>/scenarios/images"),
    log:
        "<logs>/write_scenarios.log",
    benchmark:
        "<benchmarks>/write_scenarios.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        files=where(TEMPLATE_FILES),
        spec=spec("write_scenarios"),
        templates=templates,
        cards=cards,
        code=code("scenarios.write_scenarios"),
    message:
        "Writing scenarios"
    shell:
        "python -m workflow_scripts.scenarios.write_scenarios"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --candidates {input.candidates:q}"
        " --matches {input.matches:q}"
        " --update {input.existing:q} --locked {input.locked:q}"
        " --spec {params.spec:q} --templates {params.files:q}"
        " --scenarios {output.scenarios:q} --table {output.table:q} --images {output.images:q} &> {log:q}"


rule write_exports:
    """Write the scenarios as the reader's programs and evaluation harnesses read them."""
    input:
        scenarios="<results>/scenarios/scenarios.json",
        table=indexed("<results>/scenarios/scenarios.parquet"),
        images="<results>/scenarios/images",
    output:
        exports=directory("<results>/scenarios/exports"),
    log:
        "<logs>/write_exports.log",
    benchmark:
        "<benchmarks>/write_exports.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        code=code("scenarios.write_exports"),
    message:
        "Writing exports of the scenarios"
    shell:
        "python -m workflow_scripts.scenarios.write_exports"
        " --scenarios {input.scenarios:q} --out {output.exports:q} &> {log:q}"


rule scenarios:
    """The scenarios, their pictures, and their exports."""
    input:
        COPIES,
        "<results>/scenarios/exports",
        "<results>/scenarios/casebook.lock.json",
