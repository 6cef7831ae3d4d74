"""Imports WhisperX without the noise, the spinning and the reports home of its dependencies.

Only what is known to be harmless here is silenced, by its text or logger: audio reaches us as
arrays, so a missing FFmpeg says nothing, and WhisperX's own voice detection is not used.
"""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from types import ModuleType

import structlog
from threadpoolctl import threadpool_info, threadpool_limits

from fasttalk_stt.inference.processor import prefer_wide_instructions

_log = structlog.get_logger(__name__)

_HARMLESS_WARNINGS = (
    r"\s*torchcodec is not installed correctly",  # pyannote.audio.core.io, without FFmpeg
    r".*torchaudio\._backend.*deprecated",  # pyannote.audio under torchaudio 2.8
    r".*pkg_resources is deprecated",  # lightning's namespace packages
)
_CHATTY_LOGGERS = ("whisperx", "pyannote", "lightning", "lightning_fabric", "pytorch_lightning")


def import_whisperx() -> ModuleType:
    """Import and return `whisperx.asr`: 6 to 14 s of processor time, 0.9 GB. Call it in a thread.

    The filters stay, since some of the noise comes with the first use. So does the limit of one thread on
    numpy's algebra: a spectrogram is too little work to share, and OpenBLAS's other threads, one for each
    core, would spin for 30 ms after it while the decoder wants these cores (it has its own).
    """
    # pyannote reports its use to its makers unless it is told not to.
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "false")
    for message in _HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    prefer_wide_instructions()
    module = importlib.import_module("whisperx.asr")
    # Of numpy's library and of scipy's, which has come with the import.
    threadpool_limits(limits=1, user_api="blas")
    spinning = [
        library["filepath"]
        for library in threadpool_info()
        if library["user_api"] == "blas" and library["num_threads"] > 1
    ]
    if spinning:
        _log.warning(
            "numpy_keeps_threads",
            libraries=spinning,
            advice="they take the decoder's cores: set OPENBLAS_NUM_THREADS=1",
        )
    return module
