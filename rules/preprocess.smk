"""
From frames to pictures that a model may see: field only, cleaned, one size.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/frames/{chunk}.parquet
OUTPUTS:
    <results>/datasets/{dataset}/inputs/{chunk}.parquet
    <results>/datasets/{dataset}/quarantine/preprocess_frames/{chunk}.parquet
"""


rule preprocess_frames:
    """Blank what is outside the ultrasound field, reduce speckle, adjust contrast, bring to one size."""
    input:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        reviews=lambda wildcards: reviewed(wildcards) if config["review"]["train"] else [],
    output:
        inputs="<results>/datasets/{dataset}/inputs/{chunk}.parquet",
        quarantine="<results>/datasets/{dataset}/quarantine/preprocess_frames/{chunk}.parquet",
    log:
        "<logs>/preprocess_frames/{dataset}/{chunk}.log",
    benchmark:
        "<benchmarks>/preprocess_frames/{dataset}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        roots=where(ROOTS),
        spec=spec("preprocess_frames"),
        code=code("preprocess.preprocess_frames"),
    message:
        "Preprocessing frames of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.preprocess.preprocess_frames"
        " --frames {input.frames:q} --reviews {input.reviews:q} --roots {params.roots:q} --dataset {wildcards.dataset}"
        " --spec {params.spec:q} --inputs {output.inputs:q} --quarantine {output.quarantine:q} &> {log:q}"
