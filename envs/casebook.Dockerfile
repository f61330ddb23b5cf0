# Written by `make lock` from envs/requirements.lock (workflow_scripts/write_environments.py): change those.
#   docker build -f envs/casebook.Dockerfile -t casebook .
#   docker run --rm --user "$(id -u):$(id -g)" -v /data:/data:ro -v "$PWD":/study casebook \
#     --cores all --configfile mine.yaml
# Pinned by version. The digest could not be looked up when this was written: append yours as @sha256:...
FROM python:3.11.14-slim-bookworm
COPY envs/requirements.lock /opt/casebook/envs/requirements.lock
RUN echo '011999bc0abeb350a384da5adac6552c775b486db8029c2222bdf0eb92307212  /opt/casebook/envs/requirements.lock' | sha256sum --check - \
 && python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /opt/casebook/envs/requirements.lock
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
