# Written by `make lock` from envs/lean.lock (workflow_scripts/write_environments.py): change those.
#   docker build -f envs/casebook-lean.Dockerfile -t casebook-lean .
#   docker run --rm --user "$(id -u):$(id -g)" -v /data:/data:ro -v "$PWD":/study casebook-lean \
#     --cores all --configfile mine.yaml
# Pinned by version. The digest could not be looked up when this was written: append yours as @sha256:...
FROM python:3.11.14-slim-bookworm
COPY envs/lean.lock /opt/casebook/envs/lean.lock
RUN echo 'e903e5d2d0e2c603d62733f085e92bb845f41784b3770b10504d4fae28ed3fd8  /opt/casebook/envs/lean.lock' | sha256sum --check - \
 && python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /opt/casebook/envs/lean.lock
COPY CITATION.cff /opt/casebook/CITATION.cff
COPY LICENSE /opt/casebook/LICENSE
COPY Snakefile /opt/casebook/Snakefile
COPY config /opt/casebook/config
COPY envs /opt/casebook/envs
COPY profiles /opt/casebook/profiles
COPY pyproject.toml /opt/casebook/pyproject.toml
COPY rules /opt/casebook/rules
COPY workflow_scripts /opt/casebook/workflow_scripts
RUN useradd casebook && install -d -o casebook /study
USER casebook
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp
WORKDIR /study
ENTRYPOINT ["snakemake", "--snakefile", "/opt/casebook/Snakefile"]
