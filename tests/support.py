"""Fakes and helpers that several test folders share."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule, loudness
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.resilience import Resilience
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.service.engine_health import EngineHealth

NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)

FRAME_SAMPLES = 320
"""A frame of LevelDetector: 20 ms."""

LOUD = 0.1
"""An amplitude that LevelDetector and the fake engine take for speech."""


class LevelDetector:
    """A voice detector that takes everything above -40 dBFS for voice.

    100 ms of it open an utterance, 140 ms while the bot speaks, 40 ms resume one.
    """

    def __init__(self, sensitivity: int = 2) -> None:
        self.sensitivity = sensitivity
        self._waiting = np.empty(0, dtype=np.float32)
        self._position = 0

    def set_sensitivity(self, sensitivity: int) -> None:
        self.sensitivity = sensitivity

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return VoiceRule(
            bias=0.0,
            onset_evidence=9.3 if bot_is_speaking else 6.5,
            resume_evidence=2.6,
            keep_probability=0.5,
        )

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        waiting = np.concatenate((self._waiting, samples))
        frames = []
        while len(waiting) >= FRAME_SAMPLES:
            level = loudness(waiting[:FRAME_SAMPLES])
            start = self._position
            self._position += FRAME_SAMPLES
            probability = 0.9 if level > 1 / 3 else 0.1
            frames.append(VoiceFrame(start, self._position, probability, level))
            waiting = waiting[FRAME_SAMPLES:]
        self._waiting = waiting
        return frames


def sound(
    seconds: float, amplitude: float = LOUD, rate_hz: int = 16_000
) -> npt.NDArray[np.float32]:
    """A tone of 440 Hz: loud to both fakes, at any rate."""
    phase = 2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(phase)).astype(np.float32)


def silence(seconds: float, rate_hz: int = 16_000) -> npt.NDArray[np.float32]:
    return np.zeros(round(seconds * rate_hz), dtype=np.float32)


def engine_health() -> EngineHealth:
    """The health of an engine that nobody asks anything."""
    scheduler = Scheduler(FakeEngine(), batch_size=1)
    resilience = Resilience.of(scheduler, gpu_threshold=3, transcription_threshold=5)
    return EngineHealth(scheduler, resilience, stuck_limit_s=15.0, dead_limit_s=120.0)
