"""Speech into segments: opens and closes utterances, asks for drafts, commits words.

Audio goes in at 16 kHz; `Onset`, `Silence`, `Segment` and `Draft` come out, in the order of the
audio. Every sample is handed out once, as silence or in a segment: `_cursor` is where the audio not
yet handed out begins. It knows nothing of messages, time or other segments' fate; see `session`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.buffer import SampleBuffer
from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechEnded,
    SpeechStarted,
)
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame
from fasttalk_stt.conversation.commit import (
    COMMIT_MARGIN_SAMPLES,
    FORCED_AFTER_SAMPLES,
    SHORTEST_SEGMENT_SAMPLES,
    committable,
    cut_after,
)
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES, RecentWords
from fasttalk_stt.conversation.segments import Draft, Heard, HeardWord, Segment, Speech
from fasttalk_stt.conversation.utterance import (
    OpenUtterance,
    request_audio,
)
from fasttalk_stt.protocol.config import SessionConfig, primary_language
from fasttalk_stt.protocol.server_messages import SegmentReason

PRE_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept before an onset, so that a soft first phoneme is not cut (at least 200 ms promised)."""
POST_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept behind the last voiced frame: soft final consonants are not voiced."""
CANDIDATE_SPEECH_SAMPLES = pipeline_samples(0.06)
"""Unconfirmed speech that a flush or the session's end transcribes rather than drops."""

PAUSE_SAMPLES = pipeline_samples(0.1)
"""Silence in which no draft is begun."""
DRAFT_GROWTH_SAMPLES = pipeline_samples(0.8)
"""New audio that makes another look at the open utterance worthwhile."""
LONGEST_OPEN_SAMPLES = pipeline_samples(26.0)
"""Open audio is cut here whatever the drafts say; a frame of 1 s more still fits the window."""
HOLD_SAMPLES = pipeline_samples(24.0)
"""Open audio of this length waits for the outstanding draft. Above the largest
`buffer_duration` of 20 s, so that a draft was asked for by then."""


@frozen
class SegmenterLimits:
    min_audio_samples: int
    max_silence_samples: int


@frozen
class Onset:
    """An utterance was opened; `started` says where and how surely."""

    utterance: int
    started: SpeechStarted


@frozen
class Silence:
    """Audio in which nothing was said and which no utterance needs any more."""

    start: int
    end: int


@frozen
class Committed:
    """Words of an open utterance that will not change, and the segment they fill."""

    segment: Segment
    heard: Heard


SegmenterEvent = Onset | Silence | Segment | Draft


class Segmenter:
    """The segments of one session."""

    def __init__(
        self, config: SessionConfig, limits: SegmenterLimits, detector: VoiceDetector
    ) -> None:
        self._config = config
        self._limits = limits
        self._context = Context()
        self._buffer = SampleBuffer()
        self._detector = detector
        self._endpointer = Endpointer(self._endpointer_settings())
        self._recent = RecentWords()
        self._open: OpenUtterance | None = None
        self._utterances = 0
        self._cursor = 0
        self._heard_to = 0
        self._deaf_before = 0
        self._generation = 0

    @property
    def open_utterance(self) -> int | None:
        """The number of the utterance that is open."""
        return None if self._open is None else self._open.number

    @property
    def utterance_start(self) -> int:
        """Where the open utterance's first segment begins; the cursor where none is open."""
        return self._cursor if self._open is None else self._open.audio_start

    @property
    def cursor(self) -> int:
        """Where the audio not yet handed out begins."""
        return self._cursor

    @property
    def generation(self) -> int:
        """Drafts of an older generation are stale."""
        return self._generation

    @property
    def waits_for_draft(self) -> bool:
        """Whether hearing more must wait for the outstanding draft: the window is nearly full."""
        if self._open is None or not self._open.draft_outstanding:
            return False
        return self._heard_to - self._cursor >= HOLD_SAMPLES

    def configure(self, config: SessionConfig) -> None:
        """Use a new configuration from the next frame on."""
        language = self._language
        self._config = config
        self._forget_words_unless(language)
        self._detector.set_sensitivity(config.vad_sensitivity)
        self._endpointer.settings = self._endpointer_settings()

    def update_context(self, context: Context) -> None:
        language = self._language
        self._context = context
        self._forget_words_unless(language)
        self._endpointer.settings = self._endpointer_settings()

    def hear(self, samples: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Take the next float32[n_samples] of the stream."""
        self._buffer.append(samples)
        events: list[SegmenterEvent] = []
        if self._config.enable_vad:
            for frame in self._detector.push(samples):
                self._heard_to = frame.end
                if frame.start >= self._deaf_before:
                    events.extend(self._judge(frame))
        else:
            self._heard_to = self._buffer.end
            if self._open is None and self._heard_to > self._cursor:
                self._begin(self._cursor, [])
        events.extend(self._release_silence())
        events.extend(self._look_again())
        self._forget()
        return events

    def flush(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Cut at `end`, the last sample received; `tail` is audio the stream still holds back.

        Exactly one Segment with reason "flush" is among the events.
        """
        if not self._has_speech():
            return [self._empty_flush()]
        return [
            *self._begin_candidate(),
            self._cut(end, "flush", ends_utterance=False, tail=tail),
        ]

    def end(
        self, end: int, tail: npt.NDArray[np.float32], *, cut_by_drain: bool = False
    ) -> list[SegmenterEvent]:
        """Close what is open at the session's end; everything up to `end` is handed out."""
        events: list[SegmenterEvent] = []
        if self._has_speech():
            events.extend(self._begin_candidate())
            events.append(
                self._cut(
                    self._padded_end(end),
                    "session_end",
                    ends_utterance=True,
                    tail=tail,
                    cut_by_drain=cut_by_drain,
                )
            )
        events.extend(self._silence_to(end))
        return events

    def stall(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Close the open utterance as at its endpoint, because no audio comes any more."""
        if self._open is None:
            return []
        segment = self._cut(self._padded_end(end), "speech_end", ends_utterance=True, tail=tail)
        self._endpointer.reset()
        return [segment]

    def discard(self, end: int) -> tuple[int, int]:
        """Drop the open utterance and everything not handed out before `end`; returns its bounds."""
        start, self._cursor = self._cursor, max(self._cursor, end)
        self._deaf_before = self._cursor
        self._generation += 1
        self._open = None
        self._endpointer.reset()
        return start, self._cursor

    def remember(self, segment: Segment, heard: Heard) -> None:
        """A segment's words are known: they serve later requests as context."""
        self._recent.add(segment.start, segment.end, heard.words)

    def commit(self, draft: Draft, heard: Heard | None) -> Committed | None:
        """Take a draft's outcome (None: it failed); returns what it commits, if anything."""
        utterance = self._open
        if utterance is None or draft.generation != self._generation:
            return None
        utterance.draft_outstanding = False
        waited = draft.edge - self._cursor
        if heard is None or waited < pipeline_samples(self._config.buffer_duration):
            return None
        if not heard.words and self._may_drop(waited):
            n_words, end = 0, draft.edge - COMMIT_MARGIN_SAMPLES
        else:
            n_words = committable(
                heard.words, utterance.draft_words, start=self._cursor, edge=draft.edge
            )
            utterance.draft_words = heard.words[n_words:]
            if not n_words:
                return None
            end = cut_after(heard.words, n_words, edge=draft.edge)
        if end - self._cursor < SHORTEST_SEGMENT_SAMPLES:
            utterance.draft_words = heard.words
            return None
        words = heard.words[:n_words]
        # Without a detector no endpoint ends an utterance, so each commit does.
        ends_utterance = not self._config.enable_vad
        segment = self._segment(end, "buffer_full", ends_utterance=ends_utterance, speech=None)
        self._recent.add(segment.start, segment.end, words)
        if ends_utterance:
            self._cursor = end
            self._begin(end, [], draft_words=utterance.draft_words)
        self._advance(end)
        return Committed(
            segment=segment,
            heard=Heard(words, heard.language, heard.language_confidence, heard.compute_ms),
        )

    def _forget_words_unless(self, language: str | None) -> None:
        """Words of one language are no context for another."""
        if language != self._language:
            self._recent = RecentWords()

    def _endpointer_settings(self) -> EndpointerSettings:
        silence_s = self._config.endpoint_silence_ms / 1000 * self._context.endpoint_factor
        return EndpointerSettings(
            endpoint_silence_samples=pipeline_samples(silence_s),
            max_silence_samples=self._limits.max_silence_samples,
            onset_frames=self._context.onset_frames,
        )

    def _judge(self, frame: VoiceFrame) -> list[SegmenterEvent]:
        event = self._endpointer.push(frame)
        if isinstance(event, SpeechStarted):
            onset = max(event.onset, self._cursor)
            silence = self._silence_to(max(onset - PRE_ROLL_SAMPLES, self._cursor))
            self._begin(onset, self._endpointer.voiced_frames)
            return [*silence, Onset(self._utterances, event)]
        if self._open is not None and frame.voiced:
            self._open.voiced_frames.append(frame.start)
        if isinstance(event, SpeechEnded):
            end = min(event.decided_at, event.speech_end + POST_ROLL_SAMPLES)
            return [self._cut(max(end, self._cursor), event.reason, ends_utterance=True)]
        return []

    def _begin(
        self,
        speech_start: int,
        voiced_frames: list[int],
        *,
        draft_words: tuple[HeardWord, ...] = (),
    ) -> None:
        self._utterances += 1
        self._open = OpenUtterance(
            number=self._utterances,
            audio_start=self._cursor,
            speech_start=speech_start,
            draft_edge=self._cursor,
            voiced_frames=voiced_frames,
            draft_words=draft_words,
        )

    def _has_speech(self) -> bool:
        candidate = self._endpointer.candidate_voiced_samples
        return self._open is not None or candidate >= CANDIDATE_SPEECH_SAMPLES

    def _begin_candidate(self) -> list[SegmenterEvent]:
        """Open an utterance on speech that is not confirmed yet."""
        candidate = self._endpointer.candidate_onset
        if self._open is not None or candidate is None:
            return []
        onset = max(candidate, self._cursor)
        silence = self._silence_to(max(onset - PRE_ROLL_SAMPLES, self._cursor))
        self._begin(onset, self._endpointer.voiced_frames)
        return [*silence, Onset(self._utterances, self._endpointer.open())]

    def _padded_end(self, end: int) -> int:
        if not self._config.enable_vad:
            return end
        padded = min(end, self._endpointer.speech_end + POST_ROLL_SAMPLES)
        return max(padded, self._cursor)

    def _empty_flush(self) -> Segment:
        return Segment(
            utterance=self._utterances,
            start=self._cursor,
            end=self._cursor,
            speech_start=self._cursor,
            speech_end=self._cursor,
            reason="flush",
            ends_utterance=False,
            speech=None,
        )

    def _cut(
        self,
        end: int,
        reason: SegmentReason,
        *,
        ends_utterance: bool,
        tail: npt.NDArray[np.float32] | None = None,
        cut_by_drain: bool = False,
    ) -> Segment:
        """Close the open audio at `end` as a segment that is to be decoded, if it is worth it."""
        utterance = self._open
        if utterance is None:
            raise RuntimeError("there is no open utterance to cut")
        worth = utterance.is_worth(
            end - self._cursor,
            reason,
            has_detector=self._config.enable_vad,
            min_audio_samples=self._limits.min_audio_samples,
        )
        speech = self._request(end, tail) if worth else None
        segment = self._segment(
            end, reason, ends_utterance=ends_utterance, speech=speech, cut_by_drain=cut_by_drain
        )
        self._advance(end)
        utterance.draft_outstanding = False
        utterance.draft_words = ()
        if ends_utterance:
            self._open = None
        return segment

    def _request(self, end: int, tail: npt.NDArray[np.float32] | None = None) -> Speech:
        return request_audio(
            self._buffer,
            self._recent,
            self._cursor,
            end,
            tail=tail,
            language=self._language,
            vocabulary=self._config.vocabulary,
        )

    @property
    def _language(self) -> str | None:
        """The session's language, else the context's, else None: to be detected."""
        context = primary_language(self._context.language_context)
        return self._config.language_code or context

    def _segment(
        self,
        end: int,
        reason: SegmentReason,
        *,
        ends_utterance: bool,
        speech: Speech | None,
        cut_by_drain: bool = False,
    ) -> Segment:
        utterance = self._open
        if utterance is None:
            raise RuntimeError("a segment needs an open utterance")
        speech_end = self._endpointer.speech_end if self._config.enable_vad else end
        return Segment(
            utterance=utterance.number,
            start=self._cursor,
            end=end,
            speech_start=utterance.speech_start,
            speech_end=max(speech_end, utterance.speech_start),
            reason=reason,
            ends_utterance=ends_utterance,
            speech=speech,
            cut_by_drain=cut_by_drain,
        )

    def _may_drop(self, waited: int) -> bool:
        """Whether open audio in which no words were found may be let go before it ends.

        A detector that opened on noise must not hold it for ever; without one there is no endpoint
        to wait for.
        """
        return not self._config.enable_vad or waited >= FORCED_AFTER_SAMPLES

    def _advance(self, cursor: int) -> None:
        self._cursor = cursor
        self._generation += 1
        if self._open is not None:
            self._open.draft_edge = max(cursor, self._heard_to)
            self._open.forget_before(cursor)

    def _silence_to(self, position: int) -> list[SegmenterEvent]:
        if position <= self._cursor:
            return []
        start, self._cursor = self._cursor, position
        self._recent.add(start, position, ())
        return [Silence(start, position)]

    def _release_silence(self) -> list[SegmenterEvent]:
        """Hand out silence that can no longer become the pre-roll of an utterance."""
        if self._open is not None or not self._config.enable_vad:
            return []
        onset = self._endpointer.candidate_onset
        return self._silence_to((self._heard_to if onset is None else onset) - PRE_ROLL_SAMPLES)

    def _look_again(self) -> list[SegmenterEvent]:
        utterance = self._open
        if utterance is None:
            return []
        open_samples = self._heard_to - self._cursor
        if open_samples >= LONGEST_OPEN_SAMPLES:
            # Only drafts that keep failing lead here; the segment's own request decides.
            return [self._cut(self._heard_to, "buffer_full", ends_utterance=False)]
        if utterance.draft_outstanding:
            return []
        full = open_samples >= pipeline_samples(self._config.buffer_duration)
        grown = self._heard_to - utterance.draft_edge >= DRAFT_GROWTH_SAMPLES
        if not grown or not (full or self._config.interim_results) or self._in_pause():
            return []
        utterance.draft_outstanding = True
        utterance.draft_edge = self._heard_to
        return [
            Draft(
                utterance=utterance.number,
                generation=self._generation,
                start=self._cursor,
                edge=self._heard_to,
                speech=self._request(self._heard_to),
            )
        ]

    def _in_pause(self) -> bool:
        """Whether the endpoint may be near: a draft begun now would only delay its segment."""
        silence = self._heard_to - self._endpointer.speech_end
        return self._config.enable_vad and silence >= PAUSE_SAMPLES

    def _forget(self) -> None:
        self._buffer.forget_before(self._cursor - CONTEXT_SAMPLES)
