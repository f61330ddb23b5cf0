"""
What may leave the building, and whether one's own data give what a release has.

REQUIRED INPUTS:
    everything above
OUTPUTS:
    <results>/scenarios/casebook.lock.json
    <results>/scenarios/locked.json, <results>/report/verify.json, on demand
    <results>/release/, on demand
"""

RELEASED = Path(config["verify"] or "")
LOCKED = next((file_sha256(path) for path in (RELEASED, RELEASED / "casebook.lock.json") if path.is_file()), "")


rule write_lock:
    """Write with what another holder of the data proves that they have rebuilt the same scenarios."""
    input:
        scenarios="<results>/scenarios/scenarios.json",
        table=indexed("<results>/scenarios/scenarios.parquet"),
        images="<results>/scenarios/images",
    output:
        lock="<results>/scenarios/casebook.lock.json",
    log:
        "<logs>/write_lock.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        files=where(TEMPLATE_FILES),
        spec=spec("write_lock"),
        templates=templates,
        cards=cards,
        code=code("release.write_lock"),
        lock=file_sha256(Path(workflow.basedir) / "envs" / "requirements.lock"),
    message:
        "Writing the lock"
    shell:
        "python -m workflow_scripts.release.write_lock"
        " --scenarios {params.results:q}/scenarios --spec {params.spec:q} --templates {params.files:q}"
        " --lock {output.lock:q} &> {log:q}"


rule locate_frames:
    """Look for the frames that a release's lock names, so that its scenarios are made of the same cases."""
    input:
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet"),
    output:
        cases="<results>/scenarios/locked.json",
    log:
        "<logs>/locate_frames.log",
    threads: 1
    resources:
        mem_mb=memory(1),
    params:
        results=where(RESULTS),
        spec=spec("locate_frames"),
        code=code("release.locate_frames"),
        release=config["verify"] or "",
        lock=LOCKED,
    message:
        "Looking for the release's frames"
    shell:
        "python -m workflow_scripts.release.locate_frames"
        " --release {params.release:q} --datasets {params.results:q}/datasets --spec {params.spec:q}"
        " --cases {output.cases:q} &> {log:q}"


rule verify:
    """Say whether one's own data gave a release's scenarios: `--config verify=<release>`; ends with 1 unless they did."""
    input:
        scenarios="<results>/scenarios/scenarios.json",
        table="<results>/scenarios/scenarios.parquet",
        images="<results>/scenarios/images",
        candidates="<results>/scenarios/candidates.parquet",
        frames=indexed("<results>/datasets/{dataset}/frames/{chunk}.parquet"),
        inputs=indexed("<results>/datasets/{dataset}/inputs/{chunk}.parquet"),
    log:
        "<logs>/verify_release.log",
    localrule: True  # it prints to who asked
    params:
        results=where(RESULTS),
        roots=where(ROOTS),
        files=where(TEMPLATE_FILES),
        spec=spec("write_lock"),
        release=config["verify"] or "",
    message:
        "Comparing the scenarios with a release's"
    shell:
        "python -m workflow_scripts.release.verify_release"
        " --release {params.release:q} --scenarios {params.results:q}/scenarios --candidates {input.candidates:q}"
        " --datasets {params.results:q}/datasets --roots {params.roots:q} --spec {params.spec:q} --templates {params.files:q}"
        " --report {params.results:q}/report/verify.json 2>&1 | tee {log:q}"


rule build_release:
    """Build the folder that may leave the building; it gets its name only if nothing restricted is found in it."""
    input:
        lock="<results>/scenarios/casebook.lock.json",
        scenarios="<results>/scenarios/scenarios.json",
        table="<results>/scenarios/scenarios.parquet",
        images="<results>/scenarios/images",
        citations=["<results>/report/CITATIONS.md", "<results>/report/CITATIONS.bib"],
        cases=indexed("<results>/datasets/{dataset}/cases.parquet"),
        found=indexed("<results>/datasets/{dataset}/quarantine/index_cases.parquet"),
        calcium=indexed("<results>/datasets/{dataset}/calcium/{chunk}.parquet", STAGES["score_calcium"]),
        review=["<results>/review/scores.json"] if SCORED["models"] else [],
        sections=[
            f"<results>/review/{name}"
            for section in SECTIONS
            for name in SECTION_FILES[section]
            if name.endswith(".json")
        ],
        trained=expand(
            "<results>/model/{model}/fold-{fold}.{kind}", model=MODEL, fold=TRAINED, kind=["json", "safetensors"]
        ),
    output:
        release=directory("<results>/release"),
    log:
        "<logs>/build_release.log",
    benchmark:
        "<benchmarks>/build_release.jsonl"
    threads: 1
    resources:
        mem_mb=memory(2),
    params:
        results=where(RESULTS),
        spec=spec("build_release"),
        cards=cards,
        code=code("release.build_release"),
    message:
        "Building the release, and looking for what may not leave"
    shell:
        "python -m workflow_scripts.release.build_release"
        " --results {params.results:q} --lock {input.lock:q} --kinds {params.spec:q} --release {output.release:q} &> {log:q}"


rule release:
    """What may leave the building: inspected, or not there."""
    input:
        COPIES,
        "<results>/release",
