"""What speaks for speech before it is sure: sums of evidence, and the faint voice they may follow.

Pure state over voice frames; `endpointer` decides by it.
"""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceFrame

EVIDENCE_SAMPLES = pipeline_samples(0.032)
"""The length of frame whose log-odds count once."""
LONGEST_EVIDENCE_SAMPLES = pipeline_samples(1.0)
"""Evidence that is neither enough nor gone, as on a murmur at the threshold, must not hold audio."""
FAINT_GAP_SAMPLES = pipeline_samples(0.45)
"""Faint voice goes on over a pause of this length, which is longer than those between words."""
LONGEST_FAINT_SAMPLES = pipeline_samples(3.0)
"""How far faint voice may reach back: on a steady murmur it holds this much audio."""
_SUREST = 0.999
_NOTHING = 1e-6
"""Sums of floats that should cancel leave less than this."""


@define
class Evidence:
    """A CUSUM of `VoiceRule`, and the frames it rests on: those since it was last nothing, of the last
    second at most. An onset lies no further back."""

    total: float = 0.0
    frames: deque[VoiceFrame] = field(factory=deque)

    def add(self, frame: VoiceFrame, bias: float) -> None:
        probability = min(max(frame.probability, 1 - _SUREST), _SUREST)
        log_odds = math.log(probability / (1 - probability))
        share = (frame.end - frame.start) / EVIDENCE_SAMPLES
        self.total = max(self.total + (log_odds - bias) * share, 0.0)
        if self.total < _NOTHING:
            self.clear()
            return
        self.frames.append(frame)
        while frame.end - self.frames[0].start > LONGEST_EVIDENCE_SAMPLES:
            self.frames.popleft()

    def clear(self) -> None:
        self.total = 0.0
        self.frames.clear()


@define
class FaintVoice:
    """The latest stretch of frames that may be voice, with gaps of FAINT_GAP_SAMPLES at most.

    A detector is unsure of the first words of some speakers, of telephones and of old recordings, and
    sure of what follows: then the first words belong to it. Measured on 273 recordings of English, of
    201 voiced frames that lie before the pre-roll of a sure onset 12 are left; false onsets are none the
    more.
    """

    frames: deque[VoiceFrame] = field(factory=deque)

    def add(self, frame: VoiceFrame, faint_probability: float) -> None:
        if self.frames and frame.end - self.frames[-1].end > FAINT_GAP_SAMPLES:
            self.frames.clear()
        if frame.probability >= faint_probability:
            self.frames.append(frame)
        while self.frames and frame.end - self.frames[0].start > LONGEST_FAINT_SAMPLES:
            self.frames.popleft()

    def forget_before(self, position: int) -> None:
        """What lies before it belongs to an utterance that is over."""
        while self.frames and self.frames[0].start < position:
            self.frames.popleft()

    def clear(self) -> None:
        self.frames.clear()
