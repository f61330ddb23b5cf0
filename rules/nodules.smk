"""
What is measured of outlined nodules, how far it can be trusted, and the feature database.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/, frames/, inputs/, masks/{model}/{fold}/, scores/{model}/{fold}/, grades.parquet
    <results>/model/folds.parquet, where a model is trained
OUTPUTS:
    <results>/datasets/{dataset}/nodules/{chunk}.parquet
    <results>/review/descriptors.json
    <results>/datasets/{dataset}/embeddings/{model}/{fold}/{chunk}.parquet
    <results>/review/grader.json, <results>/datasets/{dataset}/learned_grades.parquet
    <results>/features/
"""


rule measure_nodules:
    """Measure every outlined nodule of one chunk."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        masks=lambda wildcards: [
            f"<results>/datasets/{wildcards.dataset}/masks/{model}/{fold}/{wildcards.chunk}.parquet"
            for model, fold in PREDICTED[wildcards.dataset]
        ],
    output:
        nodules="<results>/datasets/{dataset}/nodules/{chunk}.parquet",
    log:
        "<logs>/measure_nodules/{dataset}/{chunk}.log",
    benchmark:
        "<benchmarks>/measure_nodules/{dataset}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        roots=where(ROOTS),
        code=code("tirads.measure_nodules"),
    message:
        "Measuring the nodules of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.tirads.measure_nodules"
        " --frames {input.frames:q} --inputs {input.inputs:q} --masks {input.masks:q} --roots {params.roots:q}"
        " --dataset {wildcards.dataset} --nodules {output.nodules:q} &> {log:q}"


rule validate_descriptors:
    """Hold the measured descriptors against the radiologist's words."""
    input:
        nodules=indexed("<results>/datasets/{dataset}/nodules/{chunk}.parquet", LEARNT),
        folds="<results>/model/folds.parquet" if config["learn"] and not GIVEN else [],
    output:
        descriptors="<results>/review/descriptors.json",
    log:
        "<logs>/validate_descriptors.log",
    benchmark:
        "<benchmarks>/validate_descriptors.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("validate_descriptors"),
        code=code("tirads.validate_descriptors"),
    message:
        "Holding the measured descriptors against the radiologist's"
    shell:
        "python -m workflow_scripts.tirads.validate_descriptors"
        " --datasets {params.results:q}/datasets --folds {input.folds:q} --spec {params.spec:q}"
        " --descriptors {output.descriptors:q} &> {log:q}"


rule write_features:
    """Write the feature database."""
    input:
        nodules=indexed("<results>/datasets/{dataset}/nodules/{chunk}.parquet", LEARNT),
        scores=indexed("<results>/datasets/{dataset}/scores/{model}/{fold}/{chunk}.parquet", LEARNT),
        quality=QUALITY,
        grades=expand(
            "<results>/datasets/{dataset}/grades.parquet",
            dataset=[name for name in LEARNT if name in STAGES["grade_nodules"]],
        ),
        notices=expand("<results>/datasets/{dataset}/NOTICE.txt", dataset=LEARNT),
    output:
        features=directory("<results>/features"),
    log:
        "<logs>/write_features.log",
    benchmark:
        "<benchmarks>/write_features.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        local=where(LOCAL),
        spec=spec("write_features"),
        cards=cards,
        code=code("features.write_features"),
    message:
        "Writing the feature database"
    shell:
        "python -m workflow_scripts.features.write_features"
        " --datasets {params.results:q}/datasets --cache {params.local:q}/cache --spec {params.spec:q}"
        " --features {output.features:q} &> {log:q}"


rule embed_nodules:
    """Describe each outlined nodule of one chunk by the features of the networks that outline."""
    input:
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        masks=expand(
            "<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet", fold=FOLDS, allow_missing=True
        ),
        weights=WEIGHTS,
        folds=[] if GIVEN else "<results>/model/folds.parquet",
    output:
        embeddings=expand(
            "<results>/datasets/{dataset}/embeddings/{model}/{fold}/{chunk}.parquet", fold=FOLDS, allow_missing=True
        ),
    log:
        "<logs>/embed_nodules/{dataset}/{model}/{chunk}.log",
    benchmark:
        "<benchmarks>/embed_nodules/{dataset}/{model}/{chunk}.jsonl"
    wildcard_constraints:
        model=re.escape(MODEL),
    threads: config["model"]["threads"]
    resources:
        mem_mb=memory(3),
    params:
        folds=FOLDS,
        spec=spec("embed_nodules"),
        code=code("segment.embed_nodules"),
    message:
        "Describing the nodules of {wildcards.dataset}, chunk {wildcards.chunk}, by {wildcards.model}"
    shell:
        "python -m workflow_scripts.segment.embed_nodules"
        " --inputs {input.inputs:q} --masks {input.masks:q} --folds {input.folds:q} --dataset {wildcards.dataset}"
        " --weights {input.weights:q} --model {wildcards.model:q} --fold {params.folds:q} --spec {params.spec:q}"
        " --embeddings {output.embeddings:q} &> {log:q}"


rule train_grader:
    """Learn levels and malignancy from picture, measures and clinical columns; every case graded out of fold."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet", LEARNT),
        nodules=indexed("<results>/datasets/{dataset}/nodules/{chunk}.parquet", LEARNT),
        embeddings=indexed("<results>/datasets/{dataset}/embeddings/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL),
        folds=[] if GIVEN else "<results>/model/folds.parquet",
    output:
        figures="<results>/review/grader.json",
        grades=expand("<results>/datasets/{dataset}/learned_grades.parquet", dataset=LEARNT),
    log:
        "<logs>/train_grader.log",
    benchmark:
        "<benchmarks>/train_grader.jsonl"
    threads: 1
    resources:
        mem_mb=memory(2),
    params:
        results=where(RESULTS),
        spec=spec("train_grader"),
        code=code("tirads.train_grader"),
    message:
        "Learning grades"
    shell:
        "python -m workflow_scripts.tirads.train_grader"
        " --datasets {params.results:q}/datasets --folds {input.folds:q} --spec {params.spec:q}"
        " --figures {output.figures:q} --grades {output.grades:q} &> {log:q}"
