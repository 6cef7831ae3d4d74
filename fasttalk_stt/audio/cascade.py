"""Two detectors in a row: a cheap gate that hears everything, and a judge that it wakes.

While the gate has heard no voice for a while the judge sleeps, and frames have no probability of
voice. Woken, the judge first hears again the last frames it slept through, so that it has settled
when the first frame that counts arrives. Which detectors they are is the caller's choice.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame, VoiceRule, loudness

HANGOVER_SAMPLES = pipeline_samples(0.5)
"""The judge stays awake this long after the gate's last voice: longer than any pause inside words."""
WARM_UP_FRAMES = 16
"""Frames the judge hears again when it wakes.

Measured with Silero behind WebRTC, 95 % of delays behind the first word, and utterances heard of 106
at -30 dB: with 8 frames 199 ms and 102, with 16 207 ms and 104; always awake 217 ms and 105.
"""
GATE_GAIN = 4.0
"""The gate hears everything 12 dB louder: WebRTC's has a floor under which it hears nothing.

Measured, of 8,808 voiced frames of speech at -30 dB it misses 50 without gain and 2 with it, and the
judge is awake in 78 % of noise instead of 72 %.
"""
_GATE_OPENS_AT = 0.5


class Judge(VoiceDetector, Protocol):
    """A detector with frames of one length, which can leave out a part of the stream."""

    @property
    def frame_samples(self) -> int:
        """The length of each of its frames."""

    def skip_to(self, position: int) -> None:
        """Forget what was heard; the next sample pushed is the one at `position`."""


class CascadeVad:
    """The detector of one stream. The rule is the judge's; the gate must bear samples beyond 1."""

    def __init__(self, gate: VoiceDetector, judge: Judge) -> None:
        self._gate = gate
        self._judge = judge
        self._waiting = np.empty(0, dtype=np.float32)
        # As if there had been silence: a judge that begins in the middle of a word may take the whole
        # voice for background. Of 360 beginnings inside utterances 5 lost most of what followed; with
        # it none does.
        silence = np.zeros(judge.frame_samples, dtype=np.float32)
        self._kept = deque([silence] * WARM_UP_FRAMES, maxlen=WARM_UP_FRAMES)
        self._position = 0
        self._open_to = 0
        self._judge_is_awake = False

    def set_sensitivity(self, sensitivity: int) -> None:
        """The judge alone becomes stricter: what the gate misses, nobody hears."""
        self._judge.set_sensitivity(sensitivity)

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return self._judge.rule(bot_is_speaking=bot_is_speaking)

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        size = self._judge.frame_samples
        used = len(samples) - len(samples) % size
        self._waiting = samples[used:].copy()
        whole = [samples[at : at + size] for at in range(0, used, size)]
        opened = [self._is_open(frame, self._position + i * size) for i, frame in enumerate(whole)]
        frames: list[VoiceFrame] = []
        # What is open on end is judged at once: a frame costs the judge less among others.
        for is_open, run in groupby(zip(opened, whole, strict=True), key=itemgetter(0)):
            stretch = [frame for _, frame in run]
            frames.extend(self._judged(stretch) if is_open else self._slept_through(stretch))
        return frames

    def _is_open(self, frame: npt.NDArray[np.float32], start: int) -> bool:
        """Whether the gate lets the frame at `start` through."""
        for heard in self._gate.push(frame * GATE_GAIN):
            if heard.probability >= _GATE_OPENS_AT:
                self._open_to = heard.end + HANGOVER_SAMPLES
        return start < self._open_to

    def _judged(self, stretch: list[npt.NDArray[np.float32]]) -> list[VoiceFrame]:
        if not self._judge_is_awake:
            self._wake()
        self._advance(stretch)
        return self._judge.push(np.concatenate(stretch))

    def _slept_through(self, stretch: list[npt.NDArray[np.float32]]) -> list[VoiceFrame]:
        self._judge_is_awake = False
        first, size = self._position, self._judge.frame_samples
        self._advance(stretch)
        return [
            VoiceFrame(first + i * size, first + (i + 1) * size, 0.0, loudness(frame))
            for i, frame in enumerate(stretch)
        ]

    def _advance(self, stretch: list[npt.NDArray[np.float32]]) -> None:
        self._position += sum(len(frame) for frame in stretch)
        self._kept.extend(frame.copy() for frame in stretch)

    def _wake(self) -> None:
        """Let the judge hear the last frames again; what it says of them is past."""
        kept = np.concatenate(tuple(self._kept))
        self._judge.skip_to(self._position - len(kept))
        self._judge.push(kept)
        self._judge_is_awake = True
