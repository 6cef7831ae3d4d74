"""Which short frames hold voice: the WebRTC detector over 20 ms frames of the 16 kHz stream.

It judges frames and nothing more; `endpointer` makes speech of them.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
import webrtcvad
from attrs import frozen

from fasttalk_stt.audio.timeline import PIPELINE_RATE_HZ

FRAME_SAMPLES = 320
"""20 ms at 16 kHz, one of the three lengths (10, 20, 30 ms) the WebRTC detector takes."""

_FLOOR_DBFS = -60.0
_S16_PEAK = 32767.0


@frozen
class VoiceFrame:
    """The judgement of one frame: [start, end) in pipeline samples.

    `level` 0-1 is the loudness, linear in dB from -60 dBFS (0) to full scale (1).
    """

    start: int
    end: int
    voiced: bool
    level: float


class VoiceDetector(Protocol):
    """Judges a 16 kHz stream frame by frame; samples that fill no frame wait for the next call."""

    def set_sensitivity(self, sensitivity: int) -> None:
        """0 is easily triggered, 3 strict."""

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        """Take float32[n_samples] and return the judgement of each frame that is complete."""


def loudness(samples: npt.NDArray[np.float32]) -> float:
    """The RMS level of float32[n_samples] on a scale from 0 (-60 dBFS or less) to 1 (0 dBFS)."""
    if not len(samples):
        return 0.0
    mean_square = float(np.dot(samples, samples)) / len(samples)
    if mean_square <= 0.0:
        return 0.0
    dbfs = 10.0 * math.log10(mean_square)
    return min(max(1.0 - dbfs / _FLOOR_DBFS, 0.0), 1.0)


class WebRtcVad:
    """The WebRTC project's detector: cheap, quick, and easily taken in by noise."""

    def __init__(self, sensitivity: int) -> None:
        """`sensitivity` 0-3 is the detector's aggressiveness: 0 is easily triggered, 3 strict."""
        self._detector = webrtcvad.Vad(sensitivity)
        self._waiting = np.empty(0, dtype=np.float32)
        self._position = 0

    def set_sensitivity(self, sensitivity: int) -> None:
        self._detector.set_mode(sensitivity)

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        n_frames = len(samples) // FRAME_SAMPLES
        used = n_frames * FRAME_SAMPLES
        self._waiting = samples[used:].copy()
        pcm = (samples[:used] * _S16_PEAK).astype(np.int16).tobytes()
        frames = []
        for i in range(n_frames):
            frame = samples[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES]
            raw = pcm[i * FRAME_SAMPLES * 2 : (i + 1) * FRAME_SAMPLES * 2]
            start = self._position + i * FRAME_SAMPLES
            frames.append(
                VoiceFrame(
                    start=start,
                    end=start + FRAME_SAMPLES,
                    voiced=self._detector.is_speech(raw, PIPELINE_RATE_HZ),
                    level=loudness(frame),
                )
            )
        self._position += used
        return frames
