"""What the engine answers, and what follows from it: segments get their text, drafts commit words and
become partials, what was asked ahead of an endpoint becomes the segment's text or is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.conversation.arrivals import ArrivalLog
from fasttalk_stt.conversation.effects import Decode, Effect, Hurry, Say
from fasttalk_stt.conversation.finals import partial
from fasttalk_stt.conversation.outcomes import Outcomes
from fasttalk_stt.conversation.segments import (
    NOTHING_HEARD,
    Draft,
    Entry,
    Failure,
    Heard,
    HeardWord,
    Segment,
    Speculation,
)
from fasttalk_stt.protocol.config import SessionConfig


class Answers:
    """The answers to one session's requests, over the parts of the session they touch."""

    def __init__(self, config: SessionConfig, outcomes: Outcomes, arrivals: ArrivalLog) -> None:
        self._config = config
        self._outcomes = outcomes
        self._arrivals = arrivals
        self._segmenter = outcomes.segmenter
        self._queue = outcomes.queue
        self._eager = outcomes.eager
        self._publisher = outcomes.publisher

    def configure(self, config: SessionConfig) -> None:
        """From now on go by this."""
        self._config = config

    def is_stale(self, request: Draft | Speculation) -> bool:
        """Whether nobody wants the answer any more."""
        if isinstance(request, Speculation) and request.adopted_by is not None:
            return request.adopted_by.cancelled
        return request.generation != self._segmenter.generation

    def take_segment(self, segment: Segment, now_s: float) -> list[Effect]:
        """A segment is closed: its text is known, on its way, or to be asked for."""
        entry = self._entry(segment, now_s)
        self._queue.add(entry)
        speculation = segment.speculation
        if speculation is None:
            retracted = map(Say, self._eager.take_back("superseded"))
            if segment.speech is not None:
                return [*retracted, Decode(entry)]
            return [*retracted, *self._outcomes.resolve(entry, NOTHING_HEARD, now_s)]
        self._eager.keep()
        speculation.adopted_by = entry
        if speculation.heard is None:
            return [Hurry(speculation)]
        return self._outcomes.resolve(entry, speculation.heard, now_s)

    def resolve(self, entry: Entry, outcome: Heard | Failure, now_s: float) -> list[Effect]:
        """Note what became of a segment."""
        if isinstance(outcome, Heard):
            self._publisher.add_compute(outcome.compute_ms)
        return self._outcomes.resolve(entry, outcome, now_s)

    def renew(self, draft: Draft) -> None:
        """The engine takes a draft up: let it look at all that is open by now."""
        self._segmenter.looks.renew(draft)

    def resolve_draft(self, draft: Draft, heard: Heard | None, now_s: float) -> list[Effect]:
        """Note what a draft heard (None: it failed): words are committed, a partial may follow."""
        if heard is not None:
            self._publisher.add_compute(heard.compute_ms)
        if self.is_stale(draft):
            return []
        effects: list[Effect] = []
        committed = self._segmenter.looks.commit(draft, heard)
        if committed is not None:
            entry = self._entry(committed.segment, now_s)
            self._queue.add(entry)
            effects.extend(self._outcomes.resolve(entry, committed.heard, now_s))
        if heard is not None:
            n_committed = 0 if committed is None else len(committed.heard.words)
            effects.extend(self._partial(draft.utterance, draft.edge, heard.words[n_committed:]))
        return effects

    def resolve_speculation(
        self, speculation: Speculation, heard: Heard | None, now_s: float
    ) -> list[Effect]:
        """Note what was said before a pause (None: that failed).

        Where the utterance ended meanwhile it is the segment's text; a failure is tried again as the
        segment's own request.
        """
        if heard is not None:
            self._publisher.add_compute(heard.compute_ms)
        if self.is_stale(speculation):
            return []
        entry = speculation.adopted_by
        if entry is not None:
            return [Decode(entry)] if heard is None else self._outcomes.resolve(entry, heard, now_s)
        if heard is None:
            self._segmenter.forget_speculation()
            return []
        speculation.heard = heard
        self._segmenter.consider(speculation)
        segment = speculation.segment
        return [
            *self._tell_eagerly(speculation, heard, now_s),
            *self._partial(segment.utterance, segment.end, heard.words),
        ]

    def judge_turn(self, speculation: Speculation, probability: float) -> None:
        """Note how much the speaker sounded done before a pause (0-1)."""
        speculation.turn_probability = probability
        self._segmenter.consider(speculation)

    def _tell_eagerly(self, speculation: Speculation, heard: Heard, now_s: float) -> list[Effect]:
        """Show the text as it stands at a pause. Only where nothing older is still to be sent, and
        not what may yet be rejected."""
        if not self._config.eager_results or not heard.text or len(self._queue):
            return []
        entry = self._entry(speculation.segment, now_s)
        if self._outcomes.is_backchannel(entry, heard):
            return []
        return [Say(self._eager.show(speculation, entry, heard, now_s))]

    def _partial(self, utterance: int, edge: int, open_words: Sequence[HeardWord]) -> list[Effect]:
        """Show the utterance so far, if asked for. Not while a final is outstanding: its text comes
        first."""
        if not self._config.interim_results or not open_words or self._queue.unresolved():
            return []
        message = partial(
            utterance,
            self._publisher.text_so_far(utterance),
            open_words,
            start=self._segmenter.utterance_start,
            edge=edge,
            timeline=self._outcomes.timeline,
        )
        return [Say(message)]

    def _entry(self, segment: Segment, now_s: float) -> Entry:
        return Entry(
            segment=segment,
            closed_at_s=now_s,
            arrived_at_s=self._arrivals.arrived_at_s(segment.end, now_s),
            chunks=self._arrivals.chunks(segment.start, segment.end),
            end=segment.end,
            with_times=self._config.enable_timestamps,
            report_speech_end=self._config.fasttalk_mode,
            spoken_at_s=self._arrivals.arrived_at_s(min(segment.speech_end, segment.end), now_s),
        )
