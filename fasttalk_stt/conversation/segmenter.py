"""Speech into segments: opens and closes utterances, asks for drafts, commits words, speculates.

Audio goes in at 16 kHz; `Onset`, `Silence`, `Segment`, `Draft`, `Speculation` and `Resumed` come out,
in the order of the audio. Every sample is handed out once, as silence or in a segment: `_cursor` is
where the audio not yet handed out begins. It knows nothing of messages, time or other segments' fate;
see `session`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.endpointer import (
    SpeechEnded,
    SpeechEvent,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame
from fasttalk_stt.conversation.commit import FORCED_AFTER_SAMPLES, choose_cut
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.hearing import Hearing
from fasttalk_stt.conversation.requests import RequestMaker
from fasttalk_stt.conversation.segmenter_events import (
    Committed,
    Onset,
    Resumed,
    SegmenterEvent,
    Silence,
)
from fasttalk_stt.conversation.segments import (
    Draft,
    Heard,
    HeardWord,
    Segment,
    Speculation,
    Speech,
)
from fasttalk_stt.conversation.turn_taking import EndpointerMode, TurnClues
from fasttalk_stt.conversation.utterance import OpenUtterance
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.server_messages import SegmentReason

PRE_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept before an onset, so that a soft first phoneme is not cut (at least 200 ms promised)."""
POST_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept behind the last voiced frame: soft final consonants are not voiced."""
DRAFT_GROWTH_SAMPLES = pipeline_samples(0.8)
"""New audio that makes another look at the open utterance worthwhile."""
LONGEST_OPEN_SAMPLES = pipeline_samples(26.0)
"""Open audio is cut here whatever the drafts say; a frame of 1 s more still fits the window."""
HOLD_SAMPLES = pipeline_samples(24.0)
"""Open audio of this length waits for the outstanding draft. Above the largest
`buffer_duration` of 20 s, so that a draft was asked for by then."""


@frozen
class SegmenterLimits:
    """What the operator set for all sessions. Shorter audio than `min_audio_samples` is not worth a
    request; `endpointer` is how ends of utterances are judged."""

    min_audio_samples: int
    max_silence_samples: int
    endpointer: EndpointerMode = "silence"


class Segmenter:
    """The segments of one session."""

    def __init__(
        self, config: SessionConfig, limits: SegmenterLimits, detector: VoiceDetector
    ) -> None:
        self._config = config
        self._limits = limits
        self._context = Context()
        self._requests = RequestMaker(config)
        self._hearing = Hearing(
            config,
            detector,
            mode=limits.endpointer,
            max_silence_samples=limits.max_silence_samples,
        )
        self._open: OpenUtterance | None = None
        self._utterances = 0
        self._cursor = 0
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
        """Drafts and speculations of an older generation are stale."""
        return self._generation

    @property
    def waits_for_draft(self) -> bool:
        """Whether hearing more must wait for the outstanding draft: the window is nearly full."""
        if self._open is None or not self._open.draft_outstanding:
            return False
        return self._hearing.heard_to - self._cursor >= HOLD_SAMPLES

    def configure(self, config: SessionConfig) -> None:
        """Use a new configuration from the next frame on."""
        self._config = config
        self._adjust()

    def update_context(self, context: Context) -> None:
        self._context = context
        self._adjust()

    def hear(self, samples: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Take the next float32[n_samples] of the stream."""
        self._requests.append(samples)
        events: list[SegmenterEvent] = []
        if self._config.enable_vad:
            for heard in self._hearing.push(samples):
                events.extend(self._judge(heard))
            for event in self._hearing.advance(self._requests.buffered_to):
                events.extend(self._judge(event))
        else:
            self._hearing.heard_to = self._requests.buffered_to
            if self._open is None and self._hearing.heard_to > self._cursor:
                self._begin(self._cursor, [])
        events.extend(self._release_silence())
        events.extend(self._look_again())
        self._requests.forget_before(self._cursor)
        return events

    def flush(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Cut at `end`, the last sample received; `tail` is audio the stream still holds back.

        Exactly one Segment with reason "flush" is among the events.
        """
        if not self._has_speech():
            return [self._empty_flush()]
        return [
            *self._begin_candidate(),
            self._cut(end, "flush", ends_utterance=False, tail=tail, adopts=self._hearing.is_quiet),
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
                    adopts=self._hearing.is_quiet,
                )
            )
        events.extend(self._silence_to(end))
        return events

    def stall(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Close the open utterance as at its endpoint, because no audio comes any more."""
        if self._open is None:
            return []
        segment = self._cut(
            self._padded_end(end),
            "speech_end",
            ends_utterance=True,
            tail=tail,
            adopts=self._hearing.is_quiet,
        )
        self._hearing.reset()
        return [segment]

    def discard(self, end: int) -> None:
        """Drop the open utterance and everything not handed out before `end`."""
        self._cursor = max(self._cursor, end)
        self._generation += 1
        self._open = None
        self._hearing.reset(deaf_before=self._cursor)

    def remember(self, segment: Segment, heard: Heard) -> None:
        """A segment's words are known: they serve later requests as context."""
        self._requests.remember(segment.start, segment.end, heard.words)

    def consider(self, speculation: Speculation) -> None:
        """More is known of an open pause: what was said before it, or how that sounded."""
        if self._open is None or speculation.generation != self._generation:
            return
        heard = speculation.heard
        if heard is not None:
            self._open.draft_words = heard.words
        self._hearing.consider(
            TurnClues(
                text=None if heard is None else heard.text,
                language=None if heard is None else heard.language,
                turn_probability=speculation.turn_probability,
            )
        )

    def forget_speculation(self) -> None:
        """It failed: the segment will be asked for when it is closed."""
        if self._open is not None:
            self._open.speculation = None

    def commit(self, draft: Draft, heard: Heard | None) -> Committed | None:
        """Take a draft's outcome (None: it failed); returns what it commits, if anything."""
        utterance = self._open
        if utterance is None or draft.generation != self._generation:
            return None
        utterance.draft_outstanding = False
        waited = draft.edge - self._cursor
        if heard is None or waited < pipeline_samples(self._config.buffer_duration):
            return None
        cut = choose_cut(
            heard.words,
            utterance.draft_words,
            start=self._cursor,
            edge=draft.edge,
            # Without a detector there is no endpoint to wait for.
            drop_wordless=not self._config.enable_vad or waited >= FORCED_AFTER_SAMPLES,
        )
        utterance.draft_words = heard.words[cut.n_words :]
        if cut.end == self._cursor:
            return None
        words, end = heard.words[: cut.n_words], cut.end
        # Without a detector no endpoint ends an utterance, so each commit does.
        ends_utterance = not self._config.enable_vad
        segment = self._segment(end, "buffer_full", ends_utterance=ends_utterance, speech=None)
        self._requests.remember(segment.start, segment.end, words)
        if ends_utterance:
            self._cursor = end
            self._begin(end, [], draft_words=utterance.draft_words)
        self._advance(end)
        return Committed(
            segment=segment,
            heard=Heard(words, heard.language, heard.language_confidence, heard.compute_ms),
        )

    def _adjust(self) -> None:
        self._requests.adjust(self._config, self._context)
        self._hearing.adjust(self._config, self._context)

    def _judge(self, heard: VoiceFrame | SpeechEvent) -> list[SegmenterEvent]:
        if isinstance(heard, SpeechStarted):
            return self._begin_onset(heard)
        utterance = self._open
        if utterance is None:
            return []
        match heard:
            case VoiceFrame():
                if self._hearing.is_voiced(heard):
                    utterance.voiced_frames.append(heard)
            case SpeechPaused(at=at):
                return self._speculate(utterance, at)
            case SpeechResumed():
                # What was made of the pause is void.
                self._generation += 1
                utterance.speculation = None
                return [Resumed(utterance.number)]
            case SpeechEnded():
                end = max(min(heard.decided_at, heard.speech_end + POST_ROLL_SAMPLES), self._cursor)
                return [self._cut(end, heard.reason, ends_utterance=True, adopts=True)]
        return []

    def _speculate(self, utterance: OpenUtterance, at: int) -> list[SegmenterEvent]:
        """Ask for what was said before this pause: it may be all of the utterance."""
        # A draft that comes back during the pause would only cut in two what is about to be final.
        self._generation += 1
        utterance.draft_outstanding = False
        worth = self._is_worth(utterance, at, "speech_end")
        if not worth:
            return []
        utterance.speculation = Speculation(
            segment=self._segment(at, "speech_end", ends_utterance=True, speech=self._request(at)),
            generation=self._generation,
            turn_start=utterance.audio_start,
        )
        return [utterance.speculation]

    def _begin(
        self,
        speech_start: int,
        voiced_frames: list[VoiceFrame],
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
        return self._open is not None or self._hearing.has_candidate

    def _begin_candidate(self) -> list[SegmenterEvent]:
        """Open an utterance on speech that is not confirmed yet."""
        if self._open is not None:
            return []
        return self._begin_onset(self._hearing.open_by_decree())

    def _begin_onset(self, started: SpeechStarted) -> list[SegmenterEvent]:
        voiced_frames = [frame for frame in started.frames if self._hearing.is_voiced(frame)]
        onset = max(started.onset, self._cursor)
        silence = self._silence_to(max(onset - PRE_ROLL_SAMPLES, self._cursor))
        self._begin(onset, voiced_frames)
        return [*silence, Onset(self._utterances, started)]

    def _padded_end(self, end: int) -> int:
        if not self._config.enable_vad:
            return end
        padded = min(end, self._hearing.speech_end + POST_ROLL_SAMPLES)
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
        adopts: bool = False,
    ) -> Segment:
        """Close the open audio at `end` as a segment that is to be decoded, if it is worth it.

        `adopts` says that nobody spoke since the last speculation, which then is the segment's.
        """
        utterance = self._open
        if utterance is None:
            raise RuntimeError("there is no open utterance to cut")
        speculation = utterance.speculation if adopts else None
        speech = None
        if speculation is not None:
            speech = speculation.speech
        elif self._is_worth(utterance, end, reason):
            speech = self._request(end, tail)
        segment = self._segment(
            end,
            reason,
            ends_utterance=ends_utterance,
            speech=speech,
            speculation=speculation,
            # In a pause the last word is whole.
            cut_by_drain=cut_by_drain and speculation is None,
        )
        self._advance(end)
        utterance.draft_outstanding = False
        utterance.draft_words = ()
        utterance.speculation = None
        if ends_utterance:
            self._open = None
        return segment

    def _is_worth(self, utterance: OpenUtterance, end: int, reason: SegmentReason) -> bool:
        return utterance.is_worth(
            end - self._cursor,
            reason,
            has_detector=self._config.enable_vad,
            min_audio_samples=self._limits.min_audio_samples,
        )

    def _request(self, end: int, tail: npt.NDArray[np.float32] | None = None) -> Speech:
        has_detector = self._config.enable_vad and self._open is not None
        voiced = self._open.voiced if has_detector and self._open is not None else None
        return self._requests.speech(self._cursor, end, voiced=voiced, tail=tail)

    def _segment(
        self,
        end: int,
        reason: SegmentReason,
        *,
        ends_utterance: bool,
        speech: Speech | None,
        speculation: Speculation | None = None,
        cut_by_drain: bool = False,
    ) -> Segment:
        utterance = self._open
        if utterance is None:
            raise RuntimeError("a segment needs an open utterance")
        speech_end = self._hearing.speech_end if self._config.enable_vad else end
        return Segment(
            utterance=utterance.number,
            start=self._cursor,
            end=end,
            speech_start=utterance.speech_start,
            speech_end=max(speech_end, utterance.speech_start),
            reason=reason,
            ends_utterance=ends_utterance,
            speech=speech,
            speculation=speculation,
            cut_by_drain=cut_by_drain,
        )

    def _advance(self, cursor: int) -> None:
        self._cursor = cursor
        self._generation += 1
        if self._open is not None:
            self._open.draft_edge = max(cursor, self._hearing.heard_to)
            self._open.forget_before(cursor)

    def _silence_to(self, position: int) -> list[SegmenterEvent]:
        if position <= self._cursor:
            return []
        start, self._cursor = self._cursor, position
        self._requests.remember(start, position, ())
        return [Silence(start, position)]

    def _release_silence(self) -> list[SegmenterEvent]:
        """Hand out silence that can no longer become the pre-roll of an utterance."""
        if self._open is not None or not self._config.enable_vad:
            return []
        return self._silence_to(self._hearing.silent_to - PRE_ROLL_SAMPLES)

    def _look_again(self) -> list[SegmenterEvent]:
        utterance = self._open
        if utterance is None:
            return []
        open_samples = self._hearing.heard_to - self._cursor
        if open_samples >= LONGEST_OPEN_SAMPLES:
            # Only drafts that keep failing lead here; the segment's own request decides.
            return [self._cut(self._hearing.heard_to, "buffer_full", ends_utterance=False)]
        if utterance.draft_outstanding:
            return []
        full = open_samples >= pipeline_samples(self._config.buffer_duration)
        grown = self._hearing.heard_to - utterance.draft_edge >= DRAFT_GROWTH_SAMPLES
        # Near an endpoint a draft would only delay the segment that is about to be closed.
        in_pause = self._config.enable_vad and self._hearing.in_pause
        if not grown or in_pause or not (full or self._config.interim_results):
            return []
        utterance.draft_outstanding = True
        utterance.draft_edge = self._hearing.heard_to
        return [
            Draft(
                utterance=utterance.number,
                generation=self._generation,
                start=self._cursor,
                edge=self._hearing.heard_to,
                speech=self._request(self._hearing.heard_to),
            )
        ]
