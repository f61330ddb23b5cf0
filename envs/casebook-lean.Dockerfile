# Written by `make lock` from envs/lean.lock (workflow_scripts/write_environments.py): change those.
#   docker build -f envs/casebook-lean.Dockerfile -t casebook-lean .
#   docker run --rm --user "$(id -u):$(id -g)" -v /data:/data:ro -v "$PWD":/study casebook-lean \
#     --cores all --configfile mine.yaml
# Pinned by version. The digest could not be looked up when this was written: append yours as @sha256:...
FROM python:3.11.14-slim-bookworm
COPY envs/lean.lock /opt/casebook/envs/lean.lock
RUN echo '2fcbfe87490dcc52d44683058fa0b308501eac6ddd20aa10d16534a618b15610  /opt/casebook/envs/lean.lock' | sha256sum --check - \
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
