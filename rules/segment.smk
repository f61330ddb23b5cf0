"""
From inputs to masks: nobody's patient on both sides.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/, frames/, inputs/
OUTPUTS:
    <results>/model/folds.parquet
    <results>/model/{model}/fold-{fold}.safetensors, fold-{fold}.parquet (history), fold-{fold}.json (card)
    <results>/model/{model}/fold-{fold}.onnx, fold-{fold}.onnx.json (card), on demand
    <results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet
    <results>/datasets/{dataset}/export/{model}/, on demand
"""

WEIGHTS = [GIVEN] if GIVEN else expand("<results>/model/{model}/fold-{fold}.safetensors", model=MODEL, fold=FOLDS)


rule split_cases:
    """Deal the cases with reference masks into folds by patient; groups that share near-duplicate pictures are one."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet", LEARNT),
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet", LEARNT),
        given=config["split"]["given"] or [],
    output:
        folds="<results>/model/folds.parquet",
    log:
        "<logs>/split_cases.log",
    benchmark:
        "<benchmarks>/split_cases.jsonl"
    threads: 1
    resources:
        mem_mb=memory(2),
    params:
        results=where(RESULTS),
        spec=spec("split_cases"),
        code=code("segment.split_cases"),
    message:
        "Splitting by patient"
    shell:
        "python -m workflow_scripts.segment.split_cases"
        " --datasets {params.results:q}/datasets --spec {params.spec:q} --folds {output.folds:q} &> {log:q}"


rule train_model:
    """Train the model that one fold is held out from."""
    input:
        folds="<results>/model/folds.parquet",
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet", LEARNT),
        encoder=[name for name in [config["model"]["encoder_weights"] or ""] if name.endswith(".safetensors")],
    output:
        weights="<results>/model/{model}/fold-{fold}.safetensors",
        history="<results>/model/{model}/fold-{fold}.parquet",
        card="<results>/model/{model}/fold-{fold}.json",
    log:
        "<logs>/train_model/{model}/{fold}.log",
    benchmark:
        "<benchmarks>/train_model/{model}/{fold}.jsonl"
    threads: config["model"]["threads"]
    resources:
        mem_mb=memory(6),
    params:
        results=where(RESULTS),
        local=where(LOCAL),
        spec=spec("train_model"),
        code=code("segment.train_model"),
        cards=cards,
    message:
        "Training {wildcards.model} without fold {wildcards.fold}"
    shell:
        "python -m workflow_scripts.segment.train_model"
        " --datasets {params.results:q}/datasets --folds {input.folds:q} --fold {wildcards.fold}"
        " --spec {params.spec:q} --code {params.code} --state {params.local:q}/cache/training"
        " --weights {output.weights:q} --history {output.history:q} --card {output.card:q} 2>&1 | tee {log:q}"


rule export_masks:
    """Write the model's masks for other systems, as DICOM, NIfTI and PNG; on demand only: `snakemake export_masks`."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet", LEARNT),
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet", LEARNT),
        masks=indexed("<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet", LEARNT, MODEL),
        weights=WEIGHTS if config["learn"] else [],
    output:
        directory(expand("<results>/datasets/{dataset}/export/{model}", dataset=LEARNT, model=MODEL)),
    log:
        "<logs>/export_masks.log",
    benchmark:
        "<benchmarks>/export_masks.jsonl"
    threads: 1
    resources:
        mem_mb=memory(4),
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        model=where(MODEL),
        spec=spec("export_masks"),
        code=code("segment.export_masks"),
    message:
        "Writing the masks for other systems"
    shell:
        "python -m workflow_scripts.segment.export_masks"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --model {params.model:q} --weights {input.weights:q}"
        " --spec {params.spec:q} &> {log:q}"


rule export_onnx:
    """Write the models as ONNX, for programs without torch; made on demand only: `snakemake export_onnx`."""
    input:
        weights=WEIGHTS,
        cards=[] if GIVEN else expand("<results>/model/{model}/fold-{fold}.json", model=MODEL, fold=FOLDS),
    output:
        onnx=expand("<results>/model/{model}/fold-{fold}.onnx", model=MODEL, fold=FOLDS),
        cards=expand("<results>/model/{model}/fold-{fold}.onnx.json", model=MODEL, fold=FOLDS),
    log:
        "<logs>/export_onnx.log",
    threads: 1
    resources:
        mem_mb=memory(3),
    params:
        spec=spec("export_onnx"),
        code=code("segment.export_onnx"),
    message:
        "Writing the models as ONNX"
    shell:
        "python -m workflow_scripts.segment.export_onnx"
        " --weights {input.weights:q} --spec {params.spec:q} --onnx {output.onnx:q} &> {log:q}"


rule export_nnunet:
    """Write the run's split as a raw data set of nnU-Net v2; made on demand only: `snakemake export_nnunet`."""
    input:
        folds="<results>/model/folds.parquet",
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet", LEARNT),
        notices=expand("<results>/datasets/{dataset}/NOTICE.txt", dataset=LEARNT),
    output:
        raw=directory("<results>/nnunet/Dataset001_Casebook"),
    log:
        "<logs>/export_nnunet.log",
    benchmark:
        "<benchmarks>/export_nnunet.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("export_nnunet"),
        code=code("segment.export_nnunet"),
    message:
        "Writing the split for nnU-Net"
    shell:
        "python -m workflow_scripts.segment.export_nnunet"
        " --datasets {params.results:q}/datasets --folds {input.folds:q} --spec {params.spec:q}"
        " --out {params.results:q}/nnunet &> {log:q}"


rule predict_masks:
    """Segment one chunk, each patient with a model that has never seen them."""
    input:
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        weights=WEIGHTS,
        folds=[] if GIVEN else "<results>/model/folds.parquet",
    output:
        masks=expand(
            "<results>/datasets/{dataset}/masks/{model}/{fold}/{chunk}.parquet", fold=FOLDS, allow_missing=True
        ),
    log:
        "<logs>/predict_masks/{dataset}/{model}/{chunk}.log",
    benchmark:
        "<benchmarks>/predict_masks/{dataset}/{model}/{chunk}.jsonl"
    wildcard_constraints:
        model=re.escape(MODEL),
    threads: config["model"]["threads"]
    resources:
        mem_mb=memory(3),
    params:
        folds=FOLDS,
        spec=spec("predict_masks"),
        code=code("segment.predict_masks"),
    message:
        "Segmenting {wildcards.dataset}, chunk {wildcards.chunk}, with {wildcards.model}"
    shell:
        "python -m workflow_scripts.segment.predict_masks"
        " --inputs {input.inputs:q} --folds {input.folds:q} --dataset {wildcards.dataset} --weights {input.weights:q}"
        " --model {wildcards.model:q} --fold {params.folds:q} --spec {params.spec:q} --masks {output.masks:q} &> {log:q}"


rule import_masks:
    """Take the masks that a user already has, so that they are scored like a model's."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        folder=lambda wildcards: DATASETS[wildcards.dataset]["masks"][wildcards.model] or [],
    output:
        masks="<results>/datasets/{dataset}/masks/{model}/given/{chunk}.parquet",
        quarantine="<results>/datasets/{dataset}/quarantine/import_masks/{model}/{chunk}.parquet",
    log:
        "<logs>/import_masks/{dataset}/{model}/{chunk}.log",
    wildcard_constraints:
        model="|".join(IMPORTED) or "given-masks",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        code=code("segment.import_masks"),
        listing=lambda wildcards: [
            sha256(canonical_json(listing(Path(folder))))
            for folder in [DATASETS[wildcards.dataset]["masks"][wildcards.model]]
            if folder
        ],
    message:
        "Reading the masks {wildcards.model} of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.segment.import_masks"
        " --frames {input.frames:q} --inputs {input.inputs:q} --folder {input.folder:q} --dataset {wildcards.dataset}"
        " --model {wildcards.model:q} --masks {output.masks:q} --quarantine {output.quarantine:q} &> {log:q}"


ruleorder: import_masks > predict_masks
