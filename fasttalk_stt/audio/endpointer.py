"""Where speech begins, pauses, resumes and ends: a state machine with hysteresis on both edges.

Voice frames in, events out. All positions are pipeline samples; no clock is read. What is done about
an utterance is `conversation.segmenter`'s business. Decisions about silence are made to the sample,
so they do not depend on how the stream is cut into messages: `advance` tells up to where audio was
heard, beyond the last frame that is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from fasttalk_stt.audio.evidence import Evidence, FaintVoice
from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule


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
    deciding one. `confidence` 0-1 is the mean probability of voice between them, `level` 0-1 the mean
    loudness. `frames` are those that may be voice, from the `earliest` on, which lies at or before
    the onset: words may have begun there."""

    onset: int
    detected_at: int
    confidence: float
    level: float
    frames: tuple[VoiceFrame, ...]

    @property
    def earliest(self) -> int:
        return min(self.frames[0].start, self.onset)


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


class Endpointer:
    """The state machine of one session. Settings may change at any time, also during a pause."""

    def __init__(self, settings: EndpointerSettings) -> None:
        self.settings = settings
        self._evidence = Evidence()
        self._sustained = Evidence()
        self._faint = FaintVoice()
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

    @property
    def faint_frames(self) -> list[VoiceFrame]:
        """The latest frames that may be voice: what an onset now would reach back to."""
        return list(self._faint.frames)

    @property
    def doubtful_from(self) -> int | None:
        """Where the earliest frame begins that an onset might still need; None where there is none."""
        doubtful = (self._evidence.frames, self._faint.frames)
        return min((frames[0].start for frames in doubtful if frames), default=None)

    def push(self, frame: VoiceFrame) -> list[SpeechEvent]:
        """Take the next frame, in order and without a gap."""
        # What the silence before this frame's end has decided is not undone by the frame.
        events = self.advance(frame.end - 1)
        self._faint.add(frame, self.settings.rule.faint_probability)
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

        `faint_frames` must not be empty.
        """
        return self._start(self._evidence.frames or self._faint.frames)

    def go_on(self, position: int) -> None:
        """An utterance is open, and was voiced up to `position`."""
        self.reset()
        self._speaking = True
        self._speech_end = self._heard_to = position

    def reset(self) -> None:
        """Forget the open utterance or candidate; the next frame starts from silence."""
        self._speaking = self._paused = False
        self._evidence.clear()
        self._sustained.clear()
        self._faint.clear()

    def _while_silent(self, frame: VoiceFrame) -> list[SpeechEvent]:
        rule = self.settings.rule
        self._evidence.add(frame, rule.bias)
        if self._evidence.total >= rule.onset_evidence:
            return [self._start(self._evidence.frames)]
        self._sustained.add(frame, rule.sustained_bias)
        if self._sustained.total >= rule.sustained_evidence:
            return [self._start(self._sustained.frames)]
        return []

    def _start(self, deciding: Sequence[VoiceFrame]) -> SpeechStarted:
        started = SpeechStarted(
            onset=deciding[0].start,
            detected_at=deciding[-1].end,
            confidence=sum(frame.probability for frame in deciding) / len(deciding),
            level=sum(frame.level for frame in deciding) / len(deciding),
            frames=tuple(self._faint.frames or deciding),
        )
        self._speaking = True
        self._paused = False
        self._speech_end = deciding[-1].end
        self._evidence.clear()
        self._sustained.clear()
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
            self._faint.forget_before(self._speech_end)
        return events
