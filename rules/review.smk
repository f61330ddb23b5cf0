"""
From flagged cases to a page on which they are decided, and from what was decided back into the run.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/, frames/, inputs/, masks/, scores/, <results>/review/flags.parquet
    the review.csv that the page saved (review.table), if there is one
OUTPUTS:
    <results>/datasets/{dataset}/reviews/{chunk}.parquet, of chunks whose cases were decided
    <results>/review/page/, on demand
"""

SHOWN = [name for name, pairs in PREDICTED.items() if pairs]  # data sets with masks to look at


rule read_reviews:
    """Take what reviewers decided on the cases of one chunk."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
    output:
        reviews="<results>/datasets/{dataset}/reviews/{chunk}.parquet",
    log:
        "<logs>/read_reviews/{dataset}/{chunk}.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        review=where(REVIEW),
        n_chunks=lambda wildcards: DATASETS[wildcards.dataset]["n_chunks"],
        code=code("review.read_reviews"),
        decided=lambda wildcards: sha256(canonical_json(REVIEWED[wildcards.dataset, wildcards.chunk])),
    message:
        "Reading the reviews of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.review.read_reviews"
        " --review {params.review:q} --frames {input.frames:q} --dataset {wildcards.dataset} --n-chunks {params.n_chunks}"
        " --reviews {output.reviews:q} &> {log:q}"


rule write_review_page:
    """Write the page on which the flagged cases are decided; made on demand only: `snakemake review`."""
    input:
        flags="<results>/review/flags.parquet" if SCORED["models"] else [],
        cases=indexed("<results>/datasets/{dataset}/cases.parquet", SHOWN),
        notices=indexed("<results>/datasets/{dataset}/NOTICE.txt", SHOWN),
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet", SHOWN),
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet", SHOWN),
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet", SHOWN),
        masks=indexed("<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet"),
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
        quality=QUALITY if MODELLED else [],
        grades=indexed(
            "<results>/datasets/{dataset}/grades.parquet", [name for name in STAGES["grade_nodules"] if name in SHOWN]
        ),
        learned=expand(
            "<results>/datasets/{dataset}/learned_grades.parquet", dataset=LEARNT if "grader" in SECTIONS else []
        ),
    output:
        page=directory("<results>/review/page"),
    log:
        "<logs>/write_review_page.log",
    benchmark:
        "<benchmarks>/write_review_page.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        review=where(REVIEW),
        spec=spec("write_review_page"),
        code=code("review.write_review_page"),
        reviewed=file_sha256(Path(REVIEW)) if REVIEW else None,
    message:
        "Writing the review page"
    shell:
        "python -m workflow_scripts.review.write_review_page"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --spec {params.spec:q} --flags {input.flags:q}"
        " --review {params.review:q} --page {output.page:q} &> {log:q}"


rule review:
    """The page on which flagged cases are decided: results/review/page/index.html."""
    input:
        COPIES,
        "<results>/review/page",
