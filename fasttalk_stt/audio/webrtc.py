"""The WebRTC project's detector over 20 ms frames: cheap, quick, and easily taken in by noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import webrtcvad

from fasttalk_stt.audio.timeline import PIPELINE_RATE_HZ
from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule, loudness

FRAME_SAMPLES = 320
"""20 ms at 16 kHz, one of the three lengths (10, 20, 30 ms) the WebRTC detector takes."""
VOICED_PROBABILITY = 0.9
UNVOICED_PROBABILITY = 0.1
"""The detector says yes or no; these stand for its two answers."""

_S16_PEAK = 32767.0

# A voiced frame of 20 ms adds 1.37 of evidence: five of them (100 ms) open an utterance, seven
# (140 ms) while the bot speaks. The shortest answers ("no", "yes") have more, clicks have less.
_RULE = VoiceRule(bias=0.0, onset_evidence=6.5, resume_evidence=2.6, keep_probability=0.5)
_RULE_WHILE_BOT_SPEAKS = VoiceRule(
    bias=0.0, onset_evidence=9.3, resume_evidence=2.6, keep_probability=0.5
)


class WebRtcVad:
    """The detector of one stream."""

    def __init__(self, sensitivity: int) -> None:
        """`sensitivity` 0-3 is the detector's aggressiveness: 0 is easily triggered, 3 strict."""
        self._detector = webrtcvad.Vad(sensitivity)
        self._waiting = np.empty(0, dtype=np.float32)
        self._position = 0

    def set_sensitivity(self, sensitivity: int) -> None:
        self._detector.set_mode(sensitivity)

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return _RULE_WHILE_BOT_SPEAKS if bot_is_speaking else _RULE

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        n_frames = len(samples) // FRAME_SAMPLES
        used = n_frames * FRAME_SAMPLES
        self._waiting = samples[used:].copy()
        pcm = (np.clip(samples[:used], -1.0, 1.0) * _S16_PEAK).astype(np.int16).tobytes()
        frames = []
        for i in range(n_frames):
            frame = samples[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES]
            raw = pcm[i * FRAME_SAMPLES * 2 : (i + 1) * FRAME_SAMPLES * 2]
            voiced = self._detector.is_speech(raw, PIPELINE_RATE_HZ)
            start = self._position + i * FRAME_SAMPLES
            frames.append(
                VoiceFrame(
                    start=start,
                    end=start + FRAME_SAMPLES,
                    probability=VOICED_PROBABILITY if voiced else UNVOICED_PROBABILITY,
                    level=loudness(frame),
                )
            )
        self._position += used
        return frames
