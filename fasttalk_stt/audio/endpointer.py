"""Where speech begins, pauses, resumes and ends: a state machine with hysteresis on both edges.

Voice frames in, events out. All positions are pipeline samples; no clock is read. What is done about
an utterance is `conversation.segmenter`'s business. Decisions about silence are made to the sample,
so they do not depend on how the stream is cut into messages: `advance` tells up to where audio was
heard, beyond the last frame that is complete.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from attrs import define, field, frozen

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule

EVIDENCE_SAMPLES = pipeline_samples(0.032)
"""The length of frame whose log-odds count once."""
LONGEST_EVIDENCE_SAMPLES = pipeline_samples(1.0)
"""Evidence that is neither enough nor gone, as on a murmur at the threshold, must not hold audio."""
_SUREST = 0.999
_NOTHING = 1e-6
"""Sums of floats that should cancel leave less than this."""


@frozen
class EndpointerSettings:
    """`pause_samples` of silence are a pause, `endpoint_silence_samples` end the utterance.

    `max_silence_samples` ends an utterance whose endpoint silence is longer.
    """

    rule: VoiceRule
    pause_samples: int
    endpoint_silence_samples: int
    max_silence_samples: int


@frozen
class SpeechStarted:
    """`onset` is the start of the first frame that spoke for speech, `detected_at` the end of the
    deciding one, `frames` those between. `confidence` 0-1 is their mean probability of voice, `level`
    0-1 their mean loudness."""

    onset: int
    detected_at: int
    confidence: float
    level: float
    frames: tuple[VoiceFrame, ...] = ()


@frozen
class SpeechPaused:
    """Silence since `speech_end` has become a pause: the utterance may be over."""

    speech_end: int
    at: int


@frozen
class SpeechResumed:
    """After a pause of `pause_samples` the same utterance goes on."""

    at: int
    pause_samples: int


@frozen
class SpeechEnded:
    """`speech_end` is the end of the last voiced frame, `decided_at` where the silence sufficed."""

    speech_end: int
    decided_at: int
    reason: Literal["speech_end", "max_silence"]


SpeechEvent = SpeechStarted | SpeechPaused | SpeechResumed | SpeechEnded


@define
class _Evidence:
    """The CUSUM of `VoiceRule`, and the frames it rests on: those since it was last nothing, of the
    last second at most. An onset lies no further back."""

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


class Endpointer:
    """The state machine of one session. Settings may change at any time, also during a pause."""

    def __init__(self, settings: EndpointerSettings) -> None:
        self.settings = settings
        self._evidence = _Evidence()
        self._speaking = False
        self._paused = False
        self._speech_end = 0
        self._heard_to = 0

    @property
    def speech_end(self) -> int:
        """The end of the last voiced frame of the utterance that is open."""
        return self._speech_end

    @property
    def is_open(self) -> bool:
        """Whether an utterance is open, also in a pause."""
        return self._speaking

    @property
    def in_pause(self) -> bool:
        """Whether an utterance is open in which nobody speaks for the moment."""
        return self._paused

    @property
    def candidate_frames(self) -> list[VoiceFrame]:
        """The frames that speak for speech, but not yet enough: of an onset, or of one that resumes."""
        return list(self._evidence.frames)

    def push(self, frame: VoiceFrame) -> list[SpeechEvent]:
        """Take the next frame, in order and without a gap."""
        # What the silence before this frame's end has decided is not undone by the frame.
        events = self.advance(frame.end - 1)
        events += self._while_speaking(frame) if self._speaking else self._while_silent(frame)
        return events + self.advance(frame.end)

    def advance(self, position: int) -> list[SpeechEvent]:
        """All frames that end before or at `position` were pushed, and audio was heard up to it."""
        events: list[SpeechEvent] = []
        if self._speaking:
            events = self._silence_until(position)
        self._heard_to = max(self._heard_to, position)
        return events

    def open(self) -> SpeechStarted:
        """Begin an utterance by decree, as a flush does with speech not yet confirmed.

        `candidate_frames` must not be empty.
        """
        return self._start()

    def reset(self) -> None:
        """Forget the open utterance or candidate; the next frame starts from silence."""
        self._speaking = self._paused = False
        self._evidence.clear()

    def _while_silent(self, frame: VoiceFrame) -> list[SpeechEvent]:
        rule = self.settings.rule
        self._evidence.add(frame, rule.bias)
        if self._evidence.total < rule.onset_evidence:
            return []
        return [self._start()]

    def _start(self) -> SpeechStarted:
        frames = self._evidence.frames
        started = SpeechStarted(
            onset=frames[0].start,
            detected_at=frames[-1].end,
            confidence=sum(frame.probability for frame in frames) / len(frames),
            level=sum(frame.level for frame in frames) / len(frames),
            frames=tuple(frames),
        )
        self._speaking = True
        self._paused = False
        self._speech_end = frames[-1].end
        self._evidence.clear()
        return started

    def _while_speaking(self, frame: VoiceFrame) -> list[SpeechEvent]:
        rule = self.settings.rule
        if not self._paused:
            if frame.probability >= rule.keep_probability:
                self._speech_end = frame.end
            return []
        self._evidence.add(frame, rule.resume_bias)
        if self._evidence.total < rule.resume_evidence:
            return []
        first = self._evidence.frames[0].start
        resumed = SpeechResumed(at=frame.end, pause_samples=max(first - self._speech_end, 0))
        self._paused = False
        self._speech_end = frame.end
        self._evidence.clear()
        return [resumed]

    def _silence_until(self, position: int) -> list[SpeechEvent]:
        """What follows from hearing nothing more up to `position`."""
        settings = self.settings
        events: list[SpeechEvent] = []
        paused_at = self._speech_end + settings.pause_samples
        if not self._paused and position >= paused_at:
            self._paused = True
            self._evidence.clear()
            events.append(SpeechPaused(self._speech_end, max(paused_at, self._heard_to)))
        needed = min(settings.endpoint_silence_samples, settings.max_silence_samples)
        ended_at = self._speech_end + needed
        if position >= ended_at:
            waiting_still = needed < settings.endpoint_silence_samples
            events.append(
                SpeechEnded(
                    speech_end=self._speech_end,
                    decided_at=max(ended_at, self._heard_to),
                    reason="max_silence" if waiting_still else "speech_end",
                )
            )
            # Evidence that somebody speaks again is kept: it counts towards the next onset.
            self._speaking = self._paused = False
        return events
