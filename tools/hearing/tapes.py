"""A voice detector's judgements on tape, so that it judges a recording once for many settings.

Its frames depend on the recording alone; what is made of them, the rule and the endpointer, is what
is varied.
"""

from __future__ import annotations

import attrs
from attrs import define, field

from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame, VoiceRule
from tools.hearing.audio import Audio
from tools.hearing.listening import WrapDetector


@define
class Tapes:
    """What a detector said of each recording, to be played again under another rule."""

    _frames: dict[str, list[VoiceFrame]] = field(factory=dict)
    bias: float | None = None

    def playing(self, offset: float = 0.0) -> WrapDetector:
        """Detectors whose rule has `offset` more bias."""

        def wrap(name: str, detector: VoiceDetector) -> VoiceDetector:
            return _TapedDetector(detector, self, name, offset)

        return wrap

    def recorded(self, name: str) -> list[VoiceFrame] | None:
        return self._frames.get(name)

    def record(self, name: str, frames: list[VoiceFrame]) -> None:
        self._frames[name] = frames


class _TapedDetector:
    """A `VoiceDetector`: the first time it asks the real one, later it plays what that said."""

    def __init__(self, detector: VoiceDetector, tapes: Tapes, name: str, offset: float) -> None:
        self._detector = detector
        self._tapes = tapes
        self._offset = offset
        self._tape = tapes.recorded(name)
        self._position = 0
        self._next = 0
        self._new: list[VoiceFrame] = []
        if self._tape is None:
            tapes.record(name, self._new)

    def set_sensitivity(self, sensitivity: int) -> None:
        self._detector.set_sensitivity(sensitivity)

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        rule = self._detector.rule(bot_is_speaking=bot_is_speaking)
        bias = rule.bias + self._offset
        self._tapes.bias = round(bias, 3)
        return attrs.evolve(rule, bias=bias)

    def push(self, samples: Audio) -> list[VoiceFrame]:
        if self._tape is None:
            frames = self._detector.push(samples)
            self._new += frames
            return frames
        self._position += len(samples)
        first = self._next
        while self._next < len(self._tape) and self._tape[self._next].end <= self._position:
            self._next += 1
        return self._tape[first : self._next]
