"""Silero VAD v6: how sure a small recurrent network is of a human voice, every 32 ms.

The weights (MIT) come inside the package faster-whisper, which is located and not imported. They are
loaded once for all connections; what a stream has heard is the stream's own. A judgement takes
0.15 ms of one core and is made where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule, loudness
from fasttalk_stt.audio.voice_rules import silero_rule
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.models import find_installed_package

FRAME_SAMPLES = 512
"""32 ms at 16 kHz, the only length the network takes."""
CONTEXT_SAMPLES = 64
"""What the network sees again of the frame before."""

PACKAGE = "faster_whisper"
ASSET = "assets/silero_vad_v6.onnx"
HOW_TO_INSTALL = "pip install 'faster-whisper>=1.2.1'"

_STATE_SHAPE = (1, 1, 128)

# onnxruntime's objects have no types.
Foreign = Any


@frozen(eq=False)
class SileroState:
    """What a stream leaves behind: float32[64] of samples and the network's memory."""

    context: npt.NDArray[np.float32]
    h: npt.NDArray[np.float32]
    c: npt.NDArray[np.float32]

    @classmethod
    def fresh(cls) -> SileroState:
        """Before anything was heard."""
        return cls(
            context=np.zeros(CONTEXT_SAMPLES, dtype=np.float32),
            h=np.zeros(_STATE_SHAPE, dtype=np.float32),
            c=np.zeros(_STATE_SHAPE, dtype=np.float32),
        )


class SileroModel:
    """The network on one thread of the processor; `judge` is safe from several threads.

    `find_package` is a seam for tests.
    """

    def __init__(self, find_package: Callable[[str], Path | None] = find_installed_package) -> None:
        self._find_package = find_package
        self._session: Foreign = None

    def load(self) -> None:
        """Load the weights (0.1 s) and judge once, so that the first frame is no slower.

        Raises ModelNotFoundError where the weights or onnxruntime are not installed, EngineError
        where they do not work.
        """
        file = self._locate()
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError as error:
            raise ModelNotFoundError(
                "Silero VAD needs onnxruntime: pip install onnxruntime"
            ) from error

        options = onnxruntime.SessionOptions()
        # One frame is too little work to share, and more threads would spin on the decoder's cores.
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EngineError(f"Silero VAD does not load: {error}") from error
        self.judge(np.zeros((1, FRAME_SAMPLES), dtype=np.float32), SileroState.fresh())

    def judge(
        self, frames: npt.NDArray[np.float32], state: SileroState
    ) -> tuple[npt.NDArray[np.float32], SileroState]:
        """The probability of voice, float32[n], of each of float32[n, 512], and the state behind.

        The frames follow each other and `state`. Raises EngineError before `load` and where the
        network fails.
        """
        if self._session is None:
            raise EngineError("Silero VAD is not loaded: call load() first")
        tails = np.concatenate((state.context[np.newaxis], frames[:, -CONTEXT_SAMPLES:]))
        inputs = np.concatenate((tails[:-1], frames), axis=1)
        try:
            probabilities, h, c = self._session.run(
                None, {"input": inputs, "h": state.h, "c": state.c}
            )
        except Exception as error:
            raise EngineError(f"Silero VAD failed: {error}") from error
        judged: npt.NDArray[np.float32] = np.asarray(probabilities, dtype=np.float32).reshape(-1)
        return judged, SileroState(context=tails[-1], h=h, c=c)

    def _locate(self) -> Path:
        folder = self._find_package(PACKAGE)
        file = None if folder is None else folder / ASSET
        if file is None or not file.is_file():
            raise ModelNotFoundError(
                f"Silero VAD is not installed ({PACKAGE}/{ASSET} is missing): {HOW_TO_INSTALL}"
            )
        return file


class SileroVad:
    """The detector of one stream, on a model that is loaded."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, model: SileroModel, sensitivity: int) -> None:
        self._model = model
        self._sensitivity = sensitivity
        self._waiting = np.empty(0, dtype=np.float32)
        self._position = 0
        self._state = SileroState.fresh()

    def set_sensitivity(self, sensitivity: int) -> None:
        self._sensitivity = sensitivity

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return silero_rule(self._sensitivity, bot_is_speaking=bot_is_speaking)

    def skip_to(self, position: int) -> None:
        """Forget what was heard; the next sample pushed is the one at `position`."""
        self._waiting = np.empty(0, dtype=np.float32)
        self._position = position
        self._state = SileroState.fresh()

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        n_frames = len(samples) // FRAME_SAMPLES
        used = n_frames * FRAME_SAMPLES
        self._waiting = samples[used:].copy()
        if not n_frames:
            return []
        frames = samples[:used].reshape(n_frames, FRAME_SAMPLES)
        probabilities, self._state = self._model.judge(frames, self._state)
        start = self._position
        self._position += used
        return [
            VoiceFrame(
                start=start + i * FRAME_SAMPLES,
                end=start + (i + 1) * FRAME_SAMPLES,
                probability=float(probability),
                level=loudness(frame),
            )
            for i, (frame, probability) in enumerate(zip(frames, probabilities, strict=True))
        ]
