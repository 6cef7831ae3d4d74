"""A voice detector that tells how long it takes."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame, VoiceRule
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry


@frozen
class TimedDetector:
    """A `VoiceDetector`: judges as `detector` does, and reports the time of each call."""

    detector: VoiceDetector
    telemetry: ConnectionTelemetry

    def set_sensitivity(self, sensitivity: int) -> None:
        self.detector.set_sensitivity(sensitivity)

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return self.detector.rule(bot_is_speaking=bot_is_speaking)

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        began_s = perf_counter()
        frames = self.detector.push(samples)
        self.telemetry.voice_judged(perf_counter() - began_s)
        return frames
