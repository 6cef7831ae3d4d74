# Two targets from one base:
#
#   docker build -t fasttalk-stt .                                             for a GPU, 8.7 GB
#   docker build -t fasttalk-stt:cpu --target cpu --build-arg TORCH_CPU_INDEX=URL .       about 2.7 GB
#
# TORCH_CPU_INDEX is the package index of PyTorch's CPU builds, as its install page gives it for pip
# (or your own mirror of it). Without it the cpu target takes what pip's own index has: on ARM that is
# a CPU build too, on x86 it is CUDA's, which works and is as large as the other target.
#
# docs/deployment.md tells how to run them. `python -m tools.rehearse_image` builds a target and tries
# what is promised here.

# One base for both, and none of CUDA's: the wheels that whisperx pins (torch 2.8) bring cuBLAS, cuDNN
# 9 and the rest of CUDA 12.8 themselves, and the driver is the host's, mounted by the NVIDIA container
# runtime, which reads the variables at the end of this file. On hosts whose driver is older than CUDA
# 12, take the base that has the forward-compatibility driver:
#   --build-arg BASE_IMAGE=nvidia/cuda:12.8.1-base-ubuntu24.04
# Nothing below depends on the version of Python (3.11 to 3.13).
ARG BASE_IMAGE=debian:12.12-slim

# Extras of pyproject.toml. `embedded` (350 MB) lets the server start without a model hub, `tracing` is for
# TRACES=otlp; --build-arg EXTRAS= leaves both out. With them come the weights of Smart Turn, for ENDPOINTER=smart: one
# file of a framework whose dependencies are not wanted. Each stage that wants it says so: not every builder
# lets stages inherit it.
ARG EXTRAS=[embedded,tracing]


FROM ${BASE_IMAGE} AS system
# The base is pinned, its security updates are not. tini, since a first process that is Python ignores
# SIGTERM until it has a handler for it: while a model is downloaded, say.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 fasttalk \
    && useradd --system --uid 10001 --gid fasttalk --create-home fasttalk \
    && install --directory --owner=fasttalk --group=fasttalk /models


FROM system AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/fasttalk
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_PROGRESS_BAR=off \
    PATH=/opt/fasttalk/bin:$PATH
WORKDIR /build
# The dependencies are made from an empty package of the same metadata, and the package itself comes
# later, in a layer of its own: a change of the source makes, pushes and pulls that one alone.
COPY pyproject.toml constraints.txt ./
RUN mkdir fasttalk_stt \
    && touch fasttalk_stt/__init__.py README.md LICENSE


# Compiled without a look at the times of the sources: copying between stages and layers may round them, and
# then a server whose root is read-only compiles half of its libraries anew at each start (twice the
# processor time of the imports).
FROM build AS dependencies-cuda
ARG EXTRAS
RUN pip install --no-compile --constraint constraints.txt ".${EXTRAS}" \
    && if [ -n "${EXTRAS}" ]; then pip install --no-compile --no-deps --constraint constraints.txt pipecat-ai; fi \
    && pip uninstall --yes fasttalk-stt \
    && python -m compileall -qq -f -j 0 --invalidation-mode unchecked-hash /opt/fasttalk/lib \
    # CTranslate2 opens cuBLAS and cuDNN by their names alone: a path to them without Python's version.
    && ln -s "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia" /opt/fasttalk/nvidia


FROM build AS dependencies-cpu
ARG EXTRAS
ARG TORCH_CPU_INDEX=
# whisperx asks for Triton on every Linux; it compiles for GPUs only (600 MB).
RUN if [ -n "${TORCH_CPU_INDEX}" ]; then \
        grep -E '^torch(audio|vision)?==' constraints.txt > torch.txt \
        && pip install --no-compile --no-deps --index-url "${TORCH_CPU_INDEX}" --requirement torch.txt; \
    fi \
    && pip install --no-compile --constraint constraints.txt ".${EXTRAS}" \
    && if [ -n "${EXTRAS}" ]; then pip install --no-compile --no-deps --constraint constraints.txt pipecat-ai; fi \
    && pip uninstall --yes fasttalk-stt triton \
    && python -m compileall -qq -f -j 0 --invalidation-mode unchecked-hash /opt/fasttalk/lib \
    && if pip show --quiet nvidia-cublas-cu12 2> /dev/null; then \
        echo "WARNING: this torch is CUDA's: give --build-arg TORCH_CPU_INDEX=URL for an image of 2.7 GB"; \
    fi


FROM build AS package
COPY README.md LICENSE ./
COPY fasttalk_stt ./fasttalk_stt
RUN pip wheel --no-deps --wheel-dir /dist .


FROM system AS runtime
# The server reads it from its working directory.
COPY hypercorn.toml /home/fasttalk/
# /models holds what is downloaded or unpacked once; keep it in a volume. All else that is written goes
# to /tmp: the root may be read-only where that is a tmpfs.
ENV PATH=/opt/fasttalk/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MODEL_CACHE=/models \
    HF_HOME=/models/huggingface \
    TORCH_HOME=/models/torch \
    MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /home/fasttalk
VOLUME /models
# 8000: clients. 9091: operators, keep it private.
EXPOSE 8000 9091
# Live, not ready: readiness is for who sends clients or waits for them (/health/ready, which docker-compose.yml
# asks). While a model is downloaded for the first time nothing answers; the long start period forgives that, and
# ends with the first answer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20m --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('WEBSOCKET_PORT', '8000') + '/health/live', timeout=4)"]
# SIGTERM drains for at most DRAIN_TIMEOUT (20 s): give `docker stop` more than its 10 s, as in
# `docker stop --time 35`, and an orchestrator's grace period likewise.
ENTRYPOINT ["tini", "--", "fasttalk-stt"]
CMD ["serve"]
LABEL org.opencontainers.image.title="Fasttalk STT" \
      org.opencontainers.image.description="Real-time speech-to-text server for conversational AI" \
      org.opencontainers.image.licenses="Apache-2.0"


FROM runtime AS cpu
COPY --from=dependencies-cpu /opt/fasttalk /opt/fasttalk
RUN --mount=type=bind,from=package,source=/dist,target=/dist \
    pip install --no-deps --no-index --no-cache-dir --no-compile /dist/*.whl \
    && python -m compileall -qq -f -j 0 --invalidation-mode unchecked-hash /opt/fasttalk/lib/python3*/site-packages/fasttalk_stt
ENV DEVICE=cpu
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001


FROM runtime AS cuda
COPY --from=dependencies-cuda /opt/fasttalk /opt/fasttalk
RUN --mount=type=bind,from=package,source=/dist,target=/dist \
    pip install --no-deps --no-index --no-cache-dir --no-compile /dist/*.whl \
    && python -m compileall -qq -f -j 0 --invalidation-mode unchecked-hash /opt/fasttalk/lib/python3*/site-packages/fasttalk_stt
# What the NVIDIA container runtime reads: which GPUs, which of the driver's libraries, and the oldest
# driver with which these wheels work (any of CUDA 12, by its minor version compatibility). Without a
# GPU this image runs on the CPU.
ENV LD_LIBRARY_PATH=/opt/fasttalk/nvidia/cublas/lib:/opt/fasttalk/nvidia/cudnn/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_REQUIRE_CUDA="cuda>=12.0"
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
