"""
From descriptors to TI-RADS levels with advice.

REQUIRED INPUTS:
    <results>/datasets/{dataset}/chunks/{chunk}.parquet
OUTPUTS:
    <results>/datasets/{dataset}/grades.parquet
    <results>/datasets/{dataset}/quarantine/grade_nodules.parquet
    <results>/datasets/{dataset}/advice.parquet, of data sets with a machine's advice
"""


rule grade_nodules:
    """Grade every case by ACR TI-RADS 2017, and by further systems on demand, with advice and reason."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
    output:
        grades="<results>/datasets/{dataset}/grades.parquet",
        quarantine="<results>/datasets/{dataset}/quarantine/grade_nodules.parquet",
    log:
        "<logs>/grade_nodules/{dataset}.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("grade_nodules"),
        code=code("tirads.grade_nodules"),
    message:
        "Grading {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.tirads.grade_nodules"
        " --chunks {params.results:q}/datasets/{wildcards.dataset}/chunks --spec {params.spec:q}"
        " --grades {output.grades:q} --quarantine {output.quarantine:q} &> {log:q}"


rule compare_advice:
    """Hold what a machine advised against what the physician concluded; who disagrees is to be reviewed."""
    input:
        chunks=indexed("<results>/datasets/{dataset}/chunks/{chunk}.parquet"),
        grades="<results>/datasets/{dataset}/grades.parquet",
    output:
        advice="<results>/datasets/{dataset}/advice.parquet",
    log:
        "<logs>/compare_advice/{dataset}.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        code=code("tirads.compare_advice"),
    message:
        "Comparing advice and conclusions of {wildcards.dataset}"
    shell:
        "python -m workflow_scripts.tirads.compare_advice"
        " --chunks {params.results:q}/datasets/{wildcards.dataset}/chunks --grades {input.grades:q} --advice {output.advice:q} &> {log:q}"
