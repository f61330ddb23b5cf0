"""
From cases to frames, exactly as they are decoded.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/{chunk}.parquet
    the folder of each data set (read only)
OUTPUTS:
    <results>/datasets/{dataset}/frames/{chunk}.parquet
    <results>/datasets/{dataset}/quarantine/extract_frames/{chunk}.parquet
"""


rule extract_frames:
    """Take the frames of one chunk of cases, with the masks that experts drew."""
    input:
        chunk="<results>/datasets/{dataset}/chunks/{chunk}.parquet",
    output:
        frames="<results>/datasets/{dataset}/frames/{chunk}.parquet",
        quarantine="<results>/datasets/{dataset}/quarantine/extract_frames/{chunk}.parquet",
    log:
        "<logs>/extract_frames/{dataset}/{chunk}.log",
    benchmark:
        "<benchmarks>/extract_frames/{dataset}/{chunk}.jsonl"
    threads: 1
    resources:
        mem_mb=memory(1.5),  # a block of an HDF5 as deep as its chunks, pictures and masks
    params:
        local=where(LOCAL),
        roots=where(ROOTS),
        spec=spec("extract_frames"),
        code=code("frames.extract_frames", reads_collection=True),
    message:
        "Extracting frames of {wildcards.dataset}, chunk {wildcards.chunk}"
    shell:
        "python -m workflow_scripts.frames.extract_frames"
        " --chunk {input.chunk:q} --roots {params.roots:q} --dataset {wildcards.dataset} --spec {params.spec:q}"
        " --cache {params.local:q}/cache --frames {output.frames:q} --quarantine {output.quarantine:q} &> {log:q}"
