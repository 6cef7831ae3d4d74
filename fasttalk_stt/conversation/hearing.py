"""From samples to speech events: the voice detector and the endpointer of one session, together.

`segmenter` asks it what was heard and where the utterance stands; it knows nothing of utterances'
numbers or segments, and of words only what they say about the end of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechEnded,
    SpeechEvent,
    SpeechResumed,
    SpeechStarted,
)
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.turn_taking import (
    NO_CLUES,
    EndpointerMode,
    PauseHabit,
    TurnClues,
    endpoint_silence_samples,
    soonest_endpoint_samples,
)
from fasttalk_stt.protocol.config import SessionConfig

CANDIDATE_SPEECH_SAMPLES = pipeline_samples(0.06)
"""Unconfirmed speech that a flush or the session's end transcribes rather than drops."""
ANSWER_SAMPLES = pipeline_samples(0.3)
"""Transcription starts in a pause so long before the endpoint: tiny.en takes 0.14 s on a core, 0.2 s for
long utterances."""
SHORTEST_PAUSE_SAMPLES = pipeline_samples(0.032)
"""One frame of Silero."""
LONGEST_PAUSE_SAMPLES = pipeline_samples(0.2)
"""With more of the silence the decoder makes fewer mistakes in the last word, and fewer requests are for
nothing: measured on 52 recordings, 13.7 % of words are wrong where it starts after 64 ms, 13.1 % after
200 ms, with half as many requests (tiny.en)."""
EAGER_PAUSE_SAMPLES = pipeline_samples(0.064)
"""Whoever wants results before the endpoint wants them soon."""
LEAK_BELOW_LEVEL = 0.25
"""15 dB on the scale of `VoiceFrame.level`. While the bot speaks, voice so far below the speaker's usual
level is taken for the bot's own, out of a loudspeaker. A guess, not measured on real leaks."""
_LEVEL_MEMORY = 0.7
VOICED_PROBABILITY = 0.5
"""A frame of an unconfirmed onset counts as voice from here on."""


class Hearing:
    """`heard_to` is how far the stream was judged, in pipeline samples."""

    def __init__(
        self,
        config: SessionConfig,
        detector: VoiceDetector,
        *,
        mode: EndpointerMode,
        max_silence_samples: int,
    ) -> None:
        self._config = config
        self._context = Context()
        self._detector = detector
        self._mode = mode
        self._max_silence_samples = max_silence_samples
        self._clues = NO_CLUES
        self._habit = PauseHabit()
        self._usual_level: float | None = None
        self._endpointer = Endpointer(self._settings())
        self._deaf_before = 0
        self.heard_to = 0

    def adjust(self, config: SessionConfig, context: Context) -> None:
        """Judge by this configuration and context from the next frame on."""
        self._config, self._context = config, context
        self._detector.set_sensitivity(config.vad_sensitivity)
        self._endpointer.settings = self._settings()

    def consider(self, clues: TurnClues) -> None:
        """Something is known of the open pause that tells how long it may last."""
        self._clues = clues
        self._endpointer.settings = self._settings()

    def push(self, samples: npt.NDArray[np.float32]) -> Iterator[VoiceFrame | SpeechEvent]:
        """Judge float32[n_samples]: each frame that is complete, and then the events it brought."""
        for judged in self._detector.push(samples):
            frame = self._without_leak(judged)
            self.heard_to = frame.end
            if frame.start >= self._deaf_before:
                events = self._endpointer.push(frame)
                yield frame
                yield from self._learn(events)

    def advance(self, position: int) -> Iterator[SpeechEvent]:
        """Audio was heard up to `position`; what fills no frame yet can still be silence."""
        yield from self._learn(self._endpointer.advance(position))

    def learn_level(self, level: float) -> None:
        """Words were heard that were spoken at this mean level, 0-1."""
        if self._context.bot_is_speaking:
            return
        usual = level if self._usual_level is None else self._usual_level
        self._usual_level = _LEVEL_MEMORY * usual + (1 - _LEVEL_MEMORY) * level

    def reset(self, deaf_before: int = 0) -> None:
        """Start from silence, and ignore what lies before `deaf_before`."""
        self._endpointer.reset()
        self.consider(NO_CLUES)
        self._deaf_before = max(self._deaf_before, deaf_before)

    def go_on(self, position: int) -> None:
        """An utterance was open at `position` when the hearing began: whoever spoke goes on."""
        self._endpointer.go_on(position)

    def open_by_decree(self) -> SpeechStarted:
        """Take the unconfirmed onset for one; `has_candidate` must hold."""
        return self._endpointer.open()

    @property
    def has_candidate(self) -> bool:
        """Whether an onset is under way that is not confirmed, but more than a click."""
        faint = self._endpointer.faint_frames
        voiced = [frame for frame in faint if frame.probability >= VOICED_PROBABILITY]
        return sum(frame.end - frame.start for frame in voiced) >= CANDIDATE_SPEECH_SAMPLES

    @property
    def silent_to(self) -> int:
        """Up to where nothing can be voice any more, while no utterance is open."""
        doubtful_from = self._endpointer.doubtful_from
        return self.heard_to if doubtful_from is None else doubtful_from

    @property
    def speech_end(self) -> int:
        """The end of the open utterance's last voiced frame."""
        return self._endpointer.speech_end

    @property
    def in_pause(self) -> bool:
        """Whether the open utterance may be near its endpoint."""
        return self._endpointer.in_pause

    @property
    def is_quiet(self) -> bool:
        """Whether in that pause nothing speaks for speech again."""
        return self.in_pause and not self._endpointer.candidate_frames

    def is_voiced(self, frame: VoiceFrame) -> bool:
        """Whether a frame inside an utterance counts as voice."""
        return frame.probability >= self._endpointer.settings.rule.keep_probability

    def may_be_voiced(self, frame: VoiceFrame) -> bool:
        """Whether words may have been said in a frame inside an utterance."""
        return frame.probability >= self._endpointer.settings.rule.faint_probability

    def _learn(self, events: list[SpeechEvent]) -> list[SpeechEvent]:
        """What was known of a pause is void when it is over; how long it was tells of the speaker."""
        for event in events:
            if isinstance(event, SpeechResumed) and event.pause_samples >= LONGEST_PAUSE_SAMPLES:
                # Of all sessions the same, whenever their speculation begins.
                self._habit.add(event.pause_samples)
            if isinstance(event, SpeechEnded):
                self._habit.add_end(self._clues)
            if isinstance(event, SpeechResumed | SpeechEnded):
                self.consider(NO_CLUES)
        return events

    def _without_leak(self, frame: VoiceFrame) -> VoiceFrame:
        """The frame, or no voice where it would open an utterance on what the bot says."""
        usual = self._usual_level
        if usual is None or not self._context.bot_is_speaking or self._endpointer.is_open:
            return frame
        is_leak = frame.level < usual - LEAK_BELOW_LEVEL
        return attrs.evolve(frame, probability=0.0) if is_leak else frame

    def _settings(self) -> EndpointerSettings:
        return EndpointerSettings(
            rule=self._detector.rule(bot_is_speaking=self._context.bot_is_speaking),
            pause_samples=self._pause_samples(),
            endpoint_silence_samples=endpoint_silence_samples(
                self._plain_silence_samples,
                self._mode,
                self._context.expected_response_type,
                self._clues,
                self._habit,
            ),
            max_silence_samples=self._max_silence_samples,
        )

    def _pause_samples(self) -> int:
        """The silence after which the utterance may be over, so that its text is asked for."""
        if self._config.eager_results:
            return EAGER_PAUSE_SAMPLES
        soonest = soonest_endpoint_samples(
            self._plain_silence_samples, self._mode, self._context.expected_response_type
        )
        return min(max(soonest - ANSWER_SAMPLES, SHORTEST_PAUSE_SAMPLES), LONGEST_PAUSE_SAMPLES)

    @property
    def _plain_silence_samples(self) -> int:
        return pipeline_samples(self._config.endpoint_silence_ms / 1000)
