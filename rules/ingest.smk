"""
From a folder to a table of cases, and from the table to chunks of work.

REQUIRED INPUTS:
    the folder of each data set (read only), or its bucket
OUTPUTS:
    <results>/cache/sources/{dataset}.fetched
    <results>/datasets/{dataset}/cases.parquet
    <results>/datasets/{dataset}/quarantine/index_cases.parquet
    <results>/datasets/{dataset}/chunks/{chunk}.parquet
"""


rule fetch_source:
    """Copy a data set that lies in a bucket to this machine: what is new or changed there, and no more."""
    output:
        fetched="<results>/cache/sources/{dataset}.fetched",
    log:
        "<logs>/fetch_source/{dataset}.log",
    localrule: True  # a cluster's nodes often have no way out
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        local=where(LOCAL),
        url=lambda wildcards: SOURCES[wildcards.dataset],
        code=code("ingest.fetch_source"),
        source=source,
    message:
        "Fetching {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.ingest.fetch_source"
        " --url {params.url:q} --folder {params.local:q}/cache/sources/{wildcards.dataset} --fetched {output.fetched:q}"
        " 2>&1 | tee {log:q}"


rule index_cases:
    """List every case of a data set with its labels and where its pixels lie."""
    input:
        source=fetched,
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
        mem_mb=memory(2),
    params:
        local=where(LOCAL),
        roots=where(ROOTS),
        review=where(REVIEW),
        spec=spec("index_cases"),
        code=code("ingest.index_cases", reads_collection=True),
        cards=cards,
        reviewed=lambda wildcards: [
            sha256(canonical_json(one.version() if one.decision == "exclude" else one.case_id))
            for one in DECIDED
            if one.dataset == wildcards.dataset
        ],
        listing=lambda wildcards: (
            None if fetched(wildcards) else sha256(canonical_json(listing(Path(DATASETS[wildcards.dataset]["root"]))))
        ),
    message:
        "Indexing {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.ingest.index_cases"
        " --roots {params.roots:q} --dataset {wildcards.dataset} --spec {params.spec:q} --cache {params.local:q}/cache"
        " --review {params.review:q} --cases {output.cases:q} --quarantine {output.quarantine:q}"
        " --notice {output.notice:q} &> {log:q}"


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
    localrule: True  # shorter than a job's start
    threads: 1
    resources:
        mem_mb=memory(2),
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
    localrule: True  # it prints to who asked
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        spec=spec("check"),
    message:
        "What was found"
    shell:
        "python -m workflow_scripts.ingest.check_datasets"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --spec {params.spec:q} 2>&1 | tee {log:q}"
