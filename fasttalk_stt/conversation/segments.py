"""What a session asks the engine for, and what it hears back.

A `Segment` will be published: its text is final. A `Draft` looks at an utterance that is still
open; its words may be committed, shown as a partial, or dropped. Positions are pipeline samples.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.server_messages import SegmentReason


@frozen
class HeardWord:
    """A word at [start, end) on the session's pipeline clock, start < end.

    `text` carries the leading space and the punctuation its language gives it. `mark_confidence` 0-1
    is how sure the decoder is of the last mark behind the word, None where it does not say.
    """

    text: str
    start: int
    end: int
    confidence: float
    mark_confidence: float | None = field(default=None, eq=False)


@frozen
class Heard:
    """An engine's answer to a segment or draft; no words mean that nothing was said."""

    words: tuple[HeardWord, ...]
    language: str | None = None
    language_confidence: float | None = None
    compute_ms: float = 0.0
    model: str | None = None

    @property
    def raw_text(self) -> str:
        """The text with the spaces the engine gave it, so that pieces join without new ones."""
        return "".join(word.text for word in self.words)

    @property
    def text(self) -> str:
        return self.raw_text.strip()

    @property
    def stop_confidence(self) -> float | None:
        """How sure the decoder is of the mark the text ends in."""
        return self.words[-1].mark_confidence if self.words else None

    def without_last_word(self) -> Heard:
        return attrs.evolve(self, words=self.words[:-1])

    def without_words(self) -> Heard:
        return attrs.evolve(self, words=())


@frozen
class Failure:
    """A segment that got no text; `error` is what the client is told."""

    error: ProtocolError


NOTHING_HEARD = Heard(words=())


@frozen(eq=False)
class Speech:
    """The audio of a request: float32[n_samples] from `start` on.

    Of these, the first `context_samples` were published before; `context_text` is their text.
    `language` and `vocabulary` are what the session wanted when the audio was heard. `voiced` are the
    stretches [start, end) in which a detector may have heard voice; None where there is no detector.
    """

    start: int
    samples: npt.NDArray[np.float32] = field(repr=False)
    context_samples: int = 0
    context_text: str = ""
    language: str | None = None
    vocabulary: tuple[str, ...] = ()
    voiced: tuple[tuple[int, int], ...] | None = None


@frozen(eq=False)
class Segment:
    """A stretch [start, end) of audio that is settled as one.

    `speech_start` and `speech_end` bound the voiced speech of its utterance. `ends_utterance` marks
    the utterance's last segment. `speech` is None where nothing is to be decoded; `speculation` is
    the request that was made for it in the pause before its end, if any. `level` 0-1 is the mean
    loudness of its voice, None without any. `cut_by_drain` marks a segment whose edge lies in the middle
    of speech: its last word is left unsettled.
    """

    utterance: int
    start: int
    end: int
    speech_start: int
    speech_end: int
    reason: SegmentReason
    ends_utterance: bool
    speech: Speech | None
    speculation: Speculation | None = None
    level: float | None = None
    cut_by_drain: bool = False

    @property
    def answers_flush(self) -> bool:
        return self.reason == "flush"


@define(eq=False)
class Draft:
    """A look at the open utterance up to `edge`, dropped when `generation` is no longer current.

    Until the engine takes it up, `edge` and `speech` are renewed as the utterance goes on.
    `may_commit` says that so much is open that words of it may be committed; otherwise they are only to
    be shown.
    """

    utterance: int
    generation: int
    start: int
    edge: int
    speech: Speech
    may_commit: bool


@define(eq=False)
class Speculation:
    """A request made in a pause: if nobody speaks again, its answer is the segment's text.

    `segment` is the segment as it would be if the utterance ended now. It is dropped when `generation`
    is no longer current, unless a closed segment took it over (`adopted_by`). `heard` is the answer,
    `told` whether the client was shown it. `turn_samples` is float32[n_samples] from the utterance's start to
    the pause, as far as it is kept; `turn_probability` 0-1 is how much its speaker sounds done, None while
    nobody judged that.
    """

    segment: Segment
    generation: int
    turn_samples: npt.NDArray[np.float32] = field(repr=False)
    turn_probability: float | None = None
    heard: Heard | None = None
    told: bool = False
    adopted_by: Entry | None = field(default=None, repr=False)

    @property
    def speech(self) -> Speech:
        if self.segment.speech is None:
            raise RuntimeError("a speculation without speech")
        return self.segment.speech


@define(eq=False)
class Entry:
    """A segment on its way from closed to sent, with its times on the monotonic clock in seconds.

    `end` may move before the segment's own end where the last word is left unsettled. `with_times`
    and `report_speech_end` are the session's wishes when the segment was closed. An entry waits for
    what the utterances in `withheld_by`, which interrupt the bot, have to say. `is_backchannel` marks
    words that only said "go on". `spoken_at_s` is when the last sample of the utterance's speech arrived.
    """

    segment: Segment
    closed_at_s: float
    arrived_at_s: float
    chunks: int
    end: int
    with_times: bool
    report_speech_end: bool
    spoken_at_s: float = 0.0
    requested_at_s: float = 0.0
    ready_at_s: float = 0.0
    outcome: Heard | Failure | None = None
    cancelled: bool = False
    withheld_by: set[int] = field(factory=set)
    is_backchannel: bool = False
