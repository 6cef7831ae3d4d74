"""Speech into segments: opens and closes utterances, asks for drafts, commits words, speculates.

Audio goes in at 16 kHz; `Onset`, `Silence`, `Segment`, `Draft`, `Speculation` and `Resumed` come out,
in the order of the audio. `open_audio` keeps the books of what was handed out. It knows nothing of
messages, time or other segments' fate; see `session`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.effort import Effort
from fasttalk_stt.conversation.hearing import Hearing
from fasttalk_stt.conversation.looks import Looks
from fasttalk_stt.conversation.open_audio import OpenAudio
from fasttalk_stt.conversation.segmenter_events import (
    Onset,
    Resumed,
    SegmenterEvent,
)
from fasttalk_stt.conversation.segments import (
    Heard,
    HeardWord,
    Segment,
    Speculation,
)
from fasttalk_stt.conversation.turn_taking import EndpointerMode, TurnClues
from fasttalk_stt.conversation.utterance import OpenUtterance
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.server_messages import SegmentReason

PRE_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept before an onset, so that a soft first phoneme is not cut (at least 200 ms promised)."""
POST_ROLL_SAMPLES = pipeline_samples(0.3)
"""Audio kept behind the last voiced frame: soft final consonants are not voiced."""
HOLD_SAMPLES = pipeline_samples(24.0)
"""Open audio of this length waits for the outstanding draft. Above the largest
`buffer_duration` of 20 s, so that a draft was asked for by then."""


@frozen
class SegmenterLimits:
    """What the operator set for all sessions. Shorter audio than `min_audio_samples` is not worth a
    request; `endpointer` is how ends of utterances are judged. With `speculates` their text is asked for
    in the pause before, without it at the endpoint."""

    min_audio_samples: int
    max_silence_samples: int
    endpointer: EndpointerMode = "silence"
    speculates: bool = True


class Segmenter:
    """The segments of one session; `looks` are those at the utterance that is open."""

    def __init__(
        self, config: SessionConfig, limits: SegmenterLimits, detector: VoiceDetector
    ) -> None:
        self._config = config
        self._context = Context()
        self._speculates = limits.speculates
        self._audio = OpenAudio(config, min_audio_samples=limits.min_audio_samples)
        self._hearing = Hearing(
            config,
            detector,
            mode=limits.endpointer,
            max_silence_samples=limits.max_silence_samples,
        )
        self.looks = Looks(config, self._audio, self._hearing)

    def spend(self, effort: Effort) -> None:
        """Ask no more of the engine than this from now on."""
        self.looks.effort = effort
        self._audio.context_samples = effort.context_samples

    def go_on(
        self, start: int, *, utterances: int, is_open: bool, words: tuple[HeardWord, ...]
    ) -> None:
        """What lies before `start`, and so many utterances, were handed out by another server; the latest
        words of it are known.

        With `is_open` the last of them goes on there, whether or not its voice is heard again.
        """
        audio, hearing = self._audio, self._hearing
        audio.go_on(start, words)
        audio.utterances = utterances
        hearing.reset(deaf_before=start)
        if is_open:
            audio.utterances -= 1
            audio.begin(start, heard_from=start)
            hearing.go_on(start)

    def skip_utterances(self, up_to: int) -> None:
        """Numbers up to this one are used; none of them is open."""
        self._audio.utterances = max(self._audio.utterances, up_to)

    @property
    def latest_utterance(self) -> int:
        """The number of the last utterance that was opened."""
        return self._audio.utterances

    @property
    def heard_to(self) -> int:
        """Up to where the stream was judged."""
        return self._hearing.heard_to

    @property
    def open_utterance(self) -> int | None:
        """The number of the utterance that is open."""
        utterance = self._audio.utterance
        return None if utterance is None else utterance.number

    @property
    def utterance_start(self) -> int:
        """Where the open utterance's first segment begins; the cursor where none is open."""
        utterance = self._audio.utterance
        return self._audio.cursor if utterance is None else utterance.audio_start

    @property
    def cursor(self) -> int:
        """Where the audio not yet handed out begins."""
        return self._audio.cursor

    @property
    def generation(self) -> int:
        """Drafts and speculations of an older generation are stale."""
        return self._audio.generation

    @property
    def waits_for_draft(self) -> bool:
        """Whether hearing more must wait for the outstanding draft: the window is nearly full."""
        utterance = self._audio.utterance
        if utterance is None or utterance.draft is None:
            return False
        return self._hearing.heard_to - self._audio.cursor >= HOLD_SAMPLES

    def configure(self, config: SessionConfig) -> None:
        """Use a new configuration from the next frame on."""
        self._config = config
        self._adjust()

    def update_context(self, context: Context) -> None:
        self._context = context
        self._adjust()

    def hear(self, samples: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Take the next float32[n_samples] of the stream."""
        audio, hearing = self._audio, self._hearing
        audio.append(samples)
        events: list[SegmenterEvent] = []
        if self._config.enable_vad:
            for heard in hearing.push(samples):
                events.extend(self._judge(heard))
            for event in hearing.advance(audio.heard_to):
                events.extend(self._judge(event))
        else:
            hearing.heard_to = audio.heard_to
            if audio.utterance is None and audio.heard_to > audio.cursor:
                audio.begin(audio.cursor, heard_from=audio.cursor)
        events.extend(self._release_silence())
        events.extend(self.looks.again())
        audio.forget()
        return events

    def flush(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Cut at `end`, the last sample received; `tail` is audio the stream still holds back.

        Exactly one Segment with reason "flush" is among the events.
        """
        if not self._has_speech() or end < self._audio.cursor:
            return [self._audio.empty_flush()]
        events = self._begin_candidate()
        segment = self._audio.cut(
            end,
            "flush",
            speech_end=self._speech_end(end),
            ends_utterance=False,
            tail=tail,
            adopts=self._hearing.is_quiet,
        )
        return [*events, segment]

    def end(
        self, end: int, tail: npt.NDArray[np.float32], *, cut_by_drain: bool = False
    ) -> list[SegmenterEvent]:
        """Close what is open at the session's end; everything up to `end` is handed out."""
        events: list[SegmenterEvent] = []
        if self._has_speech():
            events.extend(self._begin_candidate())
            events.append(self._close(end, "session_end", tail, cut_by_drain=cut_by_drain))
        events.extend(self._audio.silence_to(end))
        return events

    def stall(self, end: int, tail: npt.NDArray[np.float32]) -> list[SegmenterEvent]:
        """Close the open utterance as at its endpoint, because no audio comes any more."""
        if self._audio.utterance is None:
            return []
        segment = self._close(end, "speech_end", tail)
        self._hearing.reset()
        return [segment]

    def discard(self, end: int) -> None:
        """Drop the open utterance and everything not handed out before `end`."""
        self._audio.discard_to(end)
        self._hearing.reset(deaf_before=self._audio.cursor)

    def remember(self, segment: Segment, heard: Heard) -> None:
        """A segment's words are known: they serve later requests as context, and it was a speaker who
        was so loud."""
        self._audio.remember(segment.start, segment.end, heard.words)
        if heard.words and segment.level is not None:
            self._hearing.learn_level(segment.level)

    def consider(self, speculation: Speculation) -> None:
        """More is known of an open pause: what was said before it, or how that sounded."""
        utterance = self._audio.utterance
        if utterance is None or speculation.generation != self._audio.generation:
            return
        heard = speculation.heard
        self._hearing.consider(
            TurnClues(
                # No words tell nothing: "um" may have been dropped for its thin evidence.
                text=heard.text if heard is not None and heard.words else None,
                language=None if heard is None else heard.language,
                turn_probability=speculation.turn_probability,
                stop_confidence=None if heard is None else heard.stop_confidence,
            )
        )

    def forget_speculation(self) -> None:
        """It failed: the segment will be asked for when it is closed."""
        if self._audio.utterance is not None:
            self._audio.utterance.speculation = None

    def _adjust(self) -> None:
        self.looks.configure(self._config)
        self._audio.adjust(self._config, self._context)
        self._hearing.adjust(self._config, self._context)

    def _judge(self, heard: VoiceFrame | SpeechEvent) -> list[SegmenterEvent]:
        audio = self._audio
        if isinstance(heard, SpeechStarted):
            return self._begin_onset(heard)
        if audio.utterance is None:
            return []
        match heard:
            case VoiceFrame():
                self._note_voice(audio.utterance, [heard])
            case SpeechPaused(speech_end=speech_end, at=at) if self._may_speculate:
                speculation = audio.speculate(at, speech_end)
                return [] if speculation is None else [speculation]
            case SpeechResumed():
                audio.resume()
                return [Resumed(audio.utterance.number)]
            case SpeechEnded(speech_end=speech_end, decided_at=decided_at, reason=reason):
                end = max(min(decided_at, speech_end + POST_ROLL_SAMPLES), audio.cursor)
                return [
                    audio.cut(end, reason, speech_end=speech_end, ends_utterance=True, adopts=True)
                ]
        return []

    def _has_speech(self) -> bool:
        return self._audio.utterance is not None or self._hearing.has_candidate

    def _begin_candidate(self) -> list[SegmenterEvent]:
        """Open an utterance on speech that is not confirmed yet."""
        if self._audio.utterance is not None:
            return []
        return self._begin_onset(self._hearing.open_by_decree())

    def _begin_onset(self, started: SpeechStarted) -> list[SegmenterEvent]:
        audio = self._audio
        silence = audio.silence_to(max(started.earliest - PRE_ROLL_SAMPLES, audio.cursor))
        utterance = audio.begin(
            max(started.onset, audio.cursor), heard_from=max(started.earliest, audio.cursor)
        )
        self._note_voice(utterance, (f for f in started.frames if f.start >= audio.cursor))
        return [*silence, Onset(audio.utterances, started)]

    def _note_voice(self, utterance: OpenUtterance, frames: Iterable[VoiceFrame]) -> None:
        for frame in frames:
            if self._hearing.may_be_voiced(frame):
                utterance.faint_frames.append(frame)
            if self._hearing.is_voiced(frame):
                utterance.voiced_frames.append(frame)

    def _close(
        self,
        end: int,
        reason: SegmentReason,
        tail: npt.NDArray[np.float32],
        *,
        cut_by_drain: bool = False,
    ) -> Segment:
        """End the open utterance though no endpoint was heard; `end` is all that was received."""
        if self._config.enable_vad:
            end = min(end, self._hearing.speech_end + POST_ROLL_SAMPLES)
        end = max(end, self._audio.cursor)
        return self._audio.cut(
            end,
            reason,
            speech_end=self._speech_end(end),
            ends_utterance=True,
            tail=tail,
            cut_by_drain=cut_by_drain,
            adopts=self._hearing.is_quiet,
        )

    def _speech_end(self, end: int) -> int:
        """Where voice ended in audio that is cut at `end`; nobody knows without a detector."""
        return self._hearing.speech_end if self._config.enable_vad else end

    def _release_silence(self) -> Sequence[SegmenterEvent]:
        """Hand out silence that can no longer become the pre-roll of an utterance."""
        if self._audio.utterance is not None or not self._config.enable_vad:
            return []
        return self._audio.silence_to(self._hearing.silent_to - PRE_ROLL_SAMPLES)

    @property
    def _may_speculate(self) -> bool:
        return self._speculates and self.looks.effort.speculates
