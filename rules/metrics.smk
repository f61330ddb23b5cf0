"""
From masks to figures: how good, on how many, and which cases to look at.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/, frames/, inputs/, masks/{model}/{fold}/{chunk}.parquet
    <results>/model/folds.parquet, where a model is trained
OUTPUTS:
    <results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet
    <results>/datasets/{dataset}/calcium/{chunk}.parquet, of data sets with outlined calcium
    <results>/review/scores.json
    <results>/review/flags.parquet
"""


rule score_masks:
    """Score the predicted masks of one chunk against the experts' outlines."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        chunk="<results>/datasets/{dataset}/chunks/{chunk}.parquet",
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        masks="<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet",
        folds=lambda wildcards: [] if wildcards.fold == "given" else "<results>/model/folds.parquet",
    output:
        scores="<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet",
    log:
        "<logs>/score_masks/{dataset}/{model}/{fold}/{chunk}.log",
    benchmark:
        "<benchmarks>/score_masks/{dataset}/{model}/{fold}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        code=code("metrics.score_masks"),
    message:
        "Scoring {wildcards.model} on {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.metrics.score_masks"
        " --frames {input.frames:q} --chunk {input.chunk:q} --inputs {input.inputs:q} --masks {input.masks:q}"
        " --folds {input.folds:q} --dataset {wildcards.dataset} --roots {ROOTS:q} --scores {output.scores:q} &> {log:q}"


rule summarise_scores:
    """Summarise the scores with intervals over groups, and hold them against the gates."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
    output:
        summary="<results>/review/scores.json",
    log:
        "<logs>/summarise_scores.log",
    benchmark:
        "<benchmarks>/summarise_scores.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("summarise_scores"),
        code=code("metrics.summarise_scores"),
    message:
        "Summarising the scores"
    shell:
        "python -m workflow_scripts.metrics.summarise_scores"
        " --datasets {RESULTS:q}/datasets --spec {params.spec:q} --summary {output.summary:q} &> {log:q}"


rule compare_models:
    """Compare all that is scored on the frames that all of them scored; each pair by patient."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
    output:
        json="<results>/review/comparison.json",
        csv="<results>/review/comparison.csv",
    log:
        "<logs>/compare_models.log",
    benchmark:
        "<benchmarks>/compare_models.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("compare_models"),
        code=code("metrics.compare_models"),
    message:
        "Comparing what is scored"
    shell:
        "python -m workflow_scripts.metrics.compare_models"
        " --datasets {RESULTS:q}/datasets --spec {params.spec:q} --json {output.json:q} --csv {output.csv:q}"
        " 2>&1 | tee {log:q}"


rule flag_cases:
    """Flag the cases under the gates for review, with the reason in words."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
        masks=indexed("<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet"),
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet"),
    output:
        flags="<results>/review/flags.parquet",
    log:
        "<logs>/flag_cases.log",
    benchmark:
        "<benchmarks>/flag_cases.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("flag_cases"),
        code=code("metrics.flag_cases"),
    message:
        "Flagging cases for review"
    shell:
        "python -m workflow_scripts.metrics.flag_cases"
        " --datasets {RESULTS:q}/datasets --spec {params.spec:q} --flags {output.flags:q} &> {log:q}"


rule score_calcium:
    """Score the calcium of one chunk from the masks that readers drew."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        chunk="<results>/datasets/{dataset}/chunks/{chunk}.parquet",
    output:
        calcium="<results>/datasets/{dataset}/calcium/{chunk}.parquet",
    log:
        "<logs>/score_calcium/{dataset}/{chunk}.log",
    benchmark:
        "<benchmarks>/score_calcium/{dataset}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        code=code("metrics.score_calcium"),
    message:
        "Scoring the calcium of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.metrics.score_calcium"
        " --frames {input.frames:q} --chunk {input.chunk:q} --calcium {output.calcium:q} &> {log:q}"
