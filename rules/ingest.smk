"""
From a folder to a table of cases, and from the table to chunks of work.

REQUIRED INPUTS:
    the folder of each data set (read only)
OUTPUTS:
    <results>/datasets/{dataset}/cases.parquet
    <results>/datasets/{dataset}/quarantine/index_cases.parquet
    <results>/datasets/{dataset}/chunks/{chunk}.parquet
"""


rule index_cases:
    """List every case of a data set with its labels and where its pixels lie."""
    input:
        groups=lambda wildcards: DATASETS[wildcards.dataset]["groups"] or [],
    output:
        cases="<results>/datasets/{dataset}/cases.parquet",
        quarantine="<results>/datasets/{dataset}/quarantine/index_cases.parquet",
        notice="<results>/datasets/{dataset}/NOTICE.txt",
    log:
        "<logs>/index_cases/{dataset}.log",
    benchmark:
        "<benchmarks>/index_cases/{dataset}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("index_cases"),
        code=code("ingest.index_cases", reads_collection=True),
        cards=cards,
        listing=lambda wildcards: sha256(canonical_json(listing(Path(DATASETS[wildcards.dataset]["root"])))),
    message:
        "Indexing {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.ingest.index_cases"
        " --roots {ROOTS:q} --dataset {wildcards.dataset} --spec {params.spec:q} --cache {RESULTS:q}/cache"
        " --cases {output.cases:q} --quarantine {output.quarantine:q} --notice {output.notice:q} &> {log:q}"


checkpoint plan_chunks:
    """Deal the cases that go through into chunks: all of them, or those that scenarios may take."""
    input:
        cases="<results>/datasets/{dataset}/cases.parquet",
        candidates=lambda wildcards: (
            "<results>/scenarios/candidates.parquet" if DATASETS[wildcards.dataset]["extract"] == "candidates" else []
        ),
    output:
        chunks=directory("<results>/datasets/{dataset}/chunks"),
    log:
        "<logs>/plan_chunks/{dataset}.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("plan_chunks"),
        code=code("ingest.plan_chunks"),
    message:
        "Planning {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.ingest.plan_chunks"
        " --dataset {wildcards.dataset} --cases {input.cases:q} --candidates {input.candidates:q} --spec {params.spec:q}"
        " --out {output.chunks:q} &> {log:q}"


rule check:
    """Look at the data before a long run: what was found, what is wrong, how much space the results will take."""
    input:
        cases=expand("<results>/datasets/{dataset}/cases.parquet", dataset=DATASETS),
        quarantine=expand("<results>/datasets/{dataset}/quarantine/index_cases.parquet", dataset=DATASETS),
    log:
        "<logs>/check_datasets.log",
    params:
        spec=spec("check"),
    message:
        "What was found"
    shell:
        "python -m workflow_scripts.ingest.check_datasets"
        " --datasets {RESULTS:q}/datasets --roots {ROOTS:q} --spec {params.spec:q} 2>&1 | tee {log:q}"
