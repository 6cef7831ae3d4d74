"""Smart Turn v3.2: how likely a speaker is done, judged by the sound of what was said last.

A small Whisper encoder with a classifier (pipecat-ai/smart-turn, BSD-2-Clause), which hears tune and
tempo where a transcript has words alone. Its weights lie inside the package pipecat-ai, which is
installed without its dependencies and never imported. Blocking; `conversation.turn_taking` decides
what a probability means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.models import find_installed_package

WINDOW_S = 8
"""What the model hears; what is longer loses its beginning."""
WINDOW_SAMPLES = WINDOW_S * SAMPLE_RATE_HZ

HOW_TO_INSTALL = "pip install --no-deps pipecat-ai==1.14.0"

_VARIANCE_FLOOR = 1e-7
"""Keeps digital silence finite; transformers' WhisperFeatureExtractor has the same."""

# onnxruntime's and faster-whisper's objects have no types.
Foreign = Any


@frozen
class TurnModelFile:
    """A model file inside an installed package, and the sha256 it must have."""

    package: str
    inside: str
    sha256: str

    def locate(self, find_package: Callable[[str], Path | None]) -> Path:
        """The file, checked. Raises ModelNotFoundError where it is missing or another one."""
        folder = find_package(self.package)
        file = None if folder is None else folder / self.inside
        if file is None or not file.is_file():
            raise ModelNotFoundError(f"Smart Turn is not installed: {HOW_TO_INSTALL}")
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != self.sha256:
            raise ModelNotFoundError(
                f"{file} has sha256 {found[:12]}..., expected {self.sha256[:12]}...; "
                f"reinstall it: {HOW_TO_INSTALL} --force-reinstall"
            )
        return file


SMART_TURN = TurnModelFile(
    package="pipecat",
    inside="audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
    sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
)


class SmartTurn:
    """The model on one thread of the processor; `probability` is safe from several threads.

    `model_file` and `find_package` are seams for tests.
    """

    def __init__(
        self,
        model_file: TurnModelFile = SMART_TURN,
        find_package: Callable[[str], Path | None] = find_installed_package,
    ) -> None:
        self._model_file = model_file
        self._find_package = find_package
        self._session: Foreign = None
        self._spectrogram: Foreign = None

    def load(self) -> None:
        """Load the weights and judge once, so that the first request is no slower.

        Raises ModelNotFoundError where they are not installed or not the published ones, EngineError
        where they do not work.
        """
        file = self._model_file.locate(self._find_package)
        import onnxruntime  # noqa: PLC0415
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        # More threads would compete with the decoder's for the same cores.
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(
                str(file), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base
            raise EngineError(f"Smart Turn does not load: {error}") from error
        self._spectrogram = FeatureExtractor(chunk_length=WINDOW_S)
        self._session = session
        self.probability(np.zeros(SAMPLE_RATE_HZ, dtype=np.float32))

    def probability(self, samples: npt.NDArray[np.float32]) -> float:
        """How likely it is, 0-1, that the speaker is done with what they had to say.

        `samples` is float32[n_samples], mono, -1..1, at 16 kHz: the turn so far and the first
        moments of the silence behind it. Only its last 8 s count. Blocks for 20-80 ms.
        Raises EngineError before `load` and where the model fails.
        """
        if self._session is None:
            raise EngineError("Smart Turn is not loaded: call load() first")
        try:
            # As in training: normalised over the padded window, so the padding is part of the mean.
            features = self._spectrogram(normalised(last_window(samples)), padding=0)
            [probabilities] = self._session.run(
                None, {"input_features": features[np.newaxis].astype(np.float32)}
            )
        except Exception as error:  # its errors have no common base
            raise EngineError(f"Smart Turn failed: {error}") from error
        return float(np.asarray(probabilities).reshape(-1)[0])


def last_window(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The last 8 s of float32[n_samples]; shorter audio gets silence in front: float32[128000]."""
    kept = np.asarray(samples, dtype=np.float32)[-WINDOW_SAMPLES:]
    return np.pad(kept, (WINDOW_SAMPLES - len(kept), 0))


def normalised(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32[n_samples] with mean 0 and variance 1."""
    centred = samples - samples.mean()
    scaled: npt.NDArray[np.float32] = centred / np.sqrt(samples.var() + _VARIANCE_FLOOR)
    return scaled.astype(np.float32)
