"""The audio that was heard and not yet handed out: every sample leaves once, as silence or in a segment.

`cursor` is where it begins. `segmenter` decides what leaves, when and as what; this keeps the books:
the cursor, the open utterance, its number, and the generation that makes requests stale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES
from fasttalk_stt.conversation.requests import RequestMaker
from fasttalk_stt.conversation.segmenter_events import Silence
from fasttalk_stt.conversation.segments import HeardWord, Segment, Speculation, Speech
from fasttalk_stt.conversation.utterance import OpenUtterance
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.server_messages import SegmentReason

GOING_ON_SAMPLES = pipeline_samples(1.0)
"""Whoever speaks again within this goes on with what was said, which then is context. Behind a longer
silence it is not: it would double the time to the text of an utterance, and helps little."""


class OpenAudio:
    """`utterance` is the open one, `utterances` how many there were; all positions are pipeline samples.
    Requests carry up to `context_samples` of what was said before.

    `generation` grows whenever something was handed out or a pause began or ended: what was asked of the
    engine before then is stale.
    """

    def __init__(self, config: SessionConfig, *, min_audio_samples: int) -> None:
        self._config = config
        self._min_audio_samples = min_audio_samples
        self._requests = RequestMaker(config)
        self.utterance: OpenUtterance | None = None
        self.utterances = 0
        self.cursor = 0
        self.generation = 0
        self.context_samples: int = CONTEXT_SAMPLES
        self._context_from = 0
        self._speech_end = 0

    @property
    def heard_to(self) -> int:
        """Where the audio that was heard ends."""
        return self._requests.buffered_to

    def adjust(self, config: SessionConfig, context: Context) -> None:
        """Ask by these from now on."""
        self._config = config
        self._requests.adjust(config, context)

    def append(self, samples: npt.NDArray[np.float32]) -> None:
        self._requests.append(samples)

    def remember(self, start: int, end: int, words: tuple[HeardWord, ...]) -> None:
        """What was said in [start, end), which was handed out, is known."""
        self._requests.remember(start, end, words)

    def forget(self) -> None:
        """Let go of audio that is too old to be of use."""
        self._requests.forget_before(self.cursor)

    def go_on(self, start: int, words: tuple[HeardWord, ...]) -> None:
        """Everything before `start` was handed out elsewhere; these were its latest words."""
        self.cursor = start
        if words:
            self.remember(words[0].start, start, words)
            self._speech_end = words[-1].end

    def begin(self, speech_start: int, *, heard_from: int) -> OpenUtterance:
        """Open an utterance at the cursor; faint voice may have been heard before it was sure."""
        if self._config.enable_vad and heard_from - self._speech_end > GOING_ON_SAMPLES:
            self._context_from = self.cursor
        self.utterances += 1
        self.utterance = OpenUtterance(
            number=self.utterances,
            audio_start=self.cursor,
            speech_start=speech_start,
            draft_edge=self.cursor,
        )
        return self.utterance

    def silence_to(self, position: int) -> list[Silence]:
        """Hand out everything before `position` as silence."""
        if position <= self.cursor:
            return []
        start, self.cursor = self.cursor, position
        self.remember(start, position, ())
        return [Silence(start, position)]

    def discard_to(self, position: int) -> None:
        """Drop the open utterance and everything before `position`."""
        self.cursor = max(self.cursor, position)
        self.generation += 1
        self.utterance = None

    def speculate(self, end: int, speech_end: int) -> Speculation | None:
        """Ask for the open audio up to `end`, as if the utterance ended here; None if not worth it."""
        utterance = self._utterance
        self.generation += 1
        # Coming back in the pause it would only cut in two what is about to be final.
        self._drop_draft(utterance)
        utterance.speculation = None
        if self._is_worth(end, "speech_end"):
            utterance.speculation = Speculation(
                segment=self.segment(
                    end, "speech_end", speech_end=speech_end, speech=self.request(end)
                ),
                generation=self.generation,
                turn_samples=self._requests.heard(utterance.audio_start, end),
            )
        return utterance.speculation

    def resume(self) -> None:
        """Speech goes on: what was made of the pause is void, and so is a look from before it."""
        self.generation += 1
        self._drop_draft(self._utterance)
        self._utterance.speculation = None

    def cut(
        self,
        end: int,
        reason: SegmentReason,
        *,
        speech_end: int,
        ends_utterance: bool,
        tail: npt.NDArray[np.float32] | None = None,
        cut_by_drain: bool = False,
        adopts: bool = False,
    ) -> Segment:
        """Hand out the audio up to `end` as a segment that is to be decoded, if it is worth it.

        `adopts` says that the pause goes on in which a speculation was made. Then it is the segment's,
        which ends where it was made: what follows stays for the next utterance.
        """
        utterance = self._utterance
        speculation = utterance.speculation if adopts else None
        speech = None
        if speculation is not None:
            speech = speculation.speech
            end = speculation.segment.end
        elif self._is_worth(end, reason):
            speech = self.request(end, tail)
        segment = self.segment(
            end,
            reason,
            speech_end=speech_end,
            ends_utterance=ends_utterance,
            speech=speech,
            speculation=speculation,
            # In a pause the last word is whole.
            cut_by_drain=cut_by_drain and speculation is None,
        )
        self.advance(end)
        self._speech_end = speech_end
        utterance.draft = None
        utterance.speculation = None
        if ends_utterance:
            self.utterance = None
        return segment

    def advance(self, cursor: int) -> None:
        """Everything before `cursor` was handed out in a segment."""
        self.cursor = cursor
        self.generation += 1
        if self.utterance is not None:
            self.utterance.draft_edge = max(cursor, self.utterance.draft_edge)
            self.utterance.forget_before(cursor)

    def request(self, end: int, tail: npt.NDArray[np.float32] | None = None) -> Speech:
        """A request for the open audio up to `end`; `tail` follows what was heard."""
        voiced = self._utterance.maybe_voiced if self._config.enable_vad else None
        return self._requests.speech(
            self.cursor,
            end,
            context_from=self._context_from,
            voiced=voiced,
            context_samples=self.context_samples,
            tail=tail,
        )

    def segment(
        self,
        end: int,
        reason: SegmentReason,
        *,
        speech_end: int,
        speech: Speech | None,
        ends_utterance: bool = True,
        speculation: Speculation | None = None,
        cut_by_drain: bool = False,
    ) -> Segment:
        """The open audio up to `end`, described as a segment; it is not handed out by that."""
        utterance = self._utterance
        return Segment(
            utterance=utterance.number,
            start=self.cursor,
            end=end,
            speech_start=utterance.speech_start,
            speech_end=max(speech_end, utterance.speech_start),
            reason=reason,
            ends_utterance=ends_utterance,
            speech=speech,
            speculation=speculation,
            level=utterance.level,
            cut_by_drain=cut_by_drain,
        )

    def empty_flush(self) -> Segment:
        """The answer to a flush where nothing was said."""
        return Segment(
            utterance=self.utterances,
            start=self.cursor,
            end=self.cursor,
            speech_start=self.cursor,
            speech_end=self.cursor,
            reason="flush",
            ends_utterance=False,
            speech=None,
        )

    def _drop_draft(self, utterance: OpenUtterance) -> None:
        """Nobody takes its answer any more; should speech go on, the next look is due at once."""
        if utterance.draft is not None:
            utterance.draft = None
            utterance.draft_edge = self.cursor

    @property
    def _utterance(self) -> OpenUtterance:
        if self.utterance is None:
            raise RuntimeError("no utterance is open")
        return self.utterance

    def _is_worth(self, end: int, reason: SegmentReason) -> bool:
        return self._utterance.is_worth(
            end - self.cursor,
            reason,
            has_detector=self._config.enable_vad,
            min_audio_samples=self._min_audio_samples,
        )
