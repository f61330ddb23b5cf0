"""
From masks to figures: how good, on how many, and which cases to look at.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/, frames/, inputs/, masks/{model}/{fold}/{chunk}.parquet
    <results>/model/folds.parquet, where a model is trained
OUTPUTS:
    <results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet
    <results>/datasets/{dataset}/calcium/{chunk}.parquet, of data sets with outlined calcium
    <results>/review/scores.json
    <results>/datasets/{dataset}/flags/{model}/{fold}/{chunk}.parquet, <results>/review/flags.parquet
    <results>/model/{model}/quality.json, <results>/review/quality.json
    <results>/datasets/{dataset}/quality/{model}/{fold}/{chunk}.parquet
    <results>/review/monitoring.parquet
    <results>/review/comparison.json, comparison.csv, where several models are scored
"""

# What estimates the quality of this run's masks: fitted here, or beside the weights that were given, or nothing.
ESTIMATOR = f"<results>/model/{MODEL}/quality.json"
if GIVEN:
    ESTIMATOR = [str(path) for path in Path(GIVEN).parent.glob("quality.json")]
QUALITY = indexed("<results>/datasets/{dataset}/quality/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL)


rule score_masks:
    """Score the predicted masks of one chunk against the experts' outlines."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        chunk="<results>/datasets/{dataset}/chunks/{chunk}.parquet",
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        masks="<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet",
        folds=lambda wildcards: [] if wildcards.fold == "given" else "<results>/model/folds.parquet",
        reviews=reviewed,
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
        roots=where(ROOTS),
        code=code("metrics.score_masks"),
    message:
        "Scoring {wildcards.model} on {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.metrics.score_masks"
        " --frames {input.frames:q} --chunk {input.chunk:q} --inputs {input.inputs:q} --masks {input.masks:q}"
        " --folds {input.folds:q} --reviews {input.reviews:q} --dataset {wildcards.dataset} --roots {params.roots:q}"
        " --scores {output.scores:q} &> {log:q}"


rule summarise_scores:
    """Summarise the scores with intervals over groups, and hold them against the gates."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
    output:
        summary=report(
            "<results>/review/scores.json",
            caption="../report/scores.rst",
            category="Quality",
            labels={"what": "means, intervals, gates and strata"},
        ),
    log:
        "<logs>/summarise_scores.log",
    benchmark:
        "<benchmarks>/summarise_scores.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("summarise_scores"),
        code=code("metrics.summarise_scores"),
    message:
        "Summarising the scores"
    shell:
        "python -m workflow_scripts.metrics.summarise_scores"
        " --datasets {params.results:q}/datasets --spec {params.spec:q} --summary {output.summary:q} &> {log:q}"


rule compare:
    """Compare all that is scored on the frames that all of them scored; each pair by patient."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet"),
    output:
        json="<results>/review/comparison.json",
        csv=report(
            "<results>/review/comparison.csv",
            caption="../report/comparison.rst",
            category="Quality",
            labels={"what": "models side by side"},
        ),
    log:
        "<logs>/compare.log",
    benchmark:
        "<benchmarks>/compare.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("compare"),
        code=code("metrics.compare"),
    message:
        "Comparing what is scored"
    shell:
        "python -m workflow_scripts.metrics.compare"
        " --datasets {params.results:q}/datasets --spec {params.spec:q} --json {output.json:q} --csv {output.csv:q}"
        " 2>&1 | tee {log:q}"


rule flag_cases:
    """Flag the cases of one chunk under the gates for review as its scores arrive, with the reason in words."""
    input:
        scores="<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet",
        masks="<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet",
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        reviews=reviewed,
    output:
        flags="<results>/datasets/{dataset}/flags/{model}/{fold}/{chunk}.parquet",
    log:
        "<logs>/flag_cases/{dataset}/{model}/{fold}/{chunk}.log",
    benchmark:
        "<benchmarks>/flag_cases/{dataset}/{model}/{fold}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("flag_cases"),
        code=code("metrics.flag_cases"),
    message:
        "Flagging cases of {wildcards.dataset}, chunk {wildcards.chunk}, for review"
    shell:
        "python -m workflow_scripts.metrics.flag_cases"
        " --scores {input.scores:q} --masks {input.masks:q} --frames {input.frames:q} --reviews {input.reviews:q}"
        " --spec {params.spec:q} --flags {output.flags:q} &> {log:q}"


rule gather_flags:
    """Gather the flagged cases of all chunks, the worst first."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/flags/{model}/{fold}/{chunk}.parquet"),
    output:
        flags="<results>/review/flags.parquet",
    log:
        "<logs>/gather_flags.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        code=code("metrics.gather_flags"),
    message:
        "Gathering the flagged cases"
    shell:
        "python -m workflow_scripts.metrics.gather_flags"
        " --chunks {input.chunks:q} --flags {output.flags:q} &> {log:q}"


rule fit_quality:
    """Fit an estimate of a mask's quality without a reference, and say how far it holds."""
    input:
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL),
        masks=indexed("<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL),
    output:
        estimator=f"<results>/model/{MODEL}/quality.json",
        summary="<results>/review/quality.json",
    log:
        "<logs>/fit_quality.log",
    benchmark:
        "<benchmarks>/fit_quality.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("fit_quality"),
        code=code("metrics.fit_quality"),
    message:
        "Fitting an estimate of quality"
    shell:
        "python -m workflow_scripts.metrics.fit_quality"
        " --datasets {params.results:q}/datasets --spec {params.spec:q}"
        " --estimator {output.estimator:q} --summary {output.summary:q} &> {log:q}"


rule estimate_quality:
    """Estimate how good the masks of one chunk are, and say which to look at."""
    input:
        masks="<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet",
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        estimator=ESTIMATOR,
        folds=[] if GIVEN else "<results>/model/folds.parquet",
    output:
        quality="<results>/datasets/{dataset}/quality/{model}/{fold}/{chunk}.parquet",
    log:
        "<logs>/estimate_quality/{dataset}/{model}/{fold}/{chunk}.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        spec=spec("estimate_quality"),
        code=code("metrics.estimate_quality"),
    message:
        "Estimating the quality of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.metrics.estimate_quality"
        " --masks {input.masks:q} --frames {input.frames:q} --estimator {input.estimator:q} --folds {input.folds:q}"
        " --dataset {wildcards.dataset} --spec {params.spec:q} --quality {output.quality:q} &> {log:q}"


rule monitor_batches:
    """Add a row for what arrived since the last run: how good, how sure, how its pictures look."""
    input:
        quality=QUALITY,
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL),
        weights=WEIGHTS,
        estimator=ESTIMATOR,
    output:
        monitoring=update("<results>/review/monitoring.parquet"),
    log:
        "<logs>/monitor_batches.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("monitor_batches"),
        code=code("metrics.monitor_batches"),
    message:
        "Adding to the table of batches"
    shell:
        "python -m workflow_scripts.metrics.monitor_batches"
        " --datasets {params.results:q}/datasets --weights {input.weights:q} --estimator {input.estimator:q}"
        " --spec {params.spec:q} --monitoring {output.monitoring:q} &> {log:q}"


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
