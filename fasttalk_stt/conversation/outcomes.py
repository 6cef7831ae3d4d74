"""What becomes of closed segments: their outcome is noted, decides about others, or is dropped.

The audio of a segment that will be sent is settled by the `publisher` when it leaves; here only what is
discarded before.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.conversation.barge_in import BargeIn
from fasttalk_stt.conversation.commit import whole_words
from fasttalk_stt.conversation.eager import EagerResults
from fasttalk_stt.conversation.effects import Cancel, Effect, Ready, Say
from fasttalk_stt.conversation.figures import with_numbers
from fasttalk_stt.conversation.ledger import Ledger, Outcome
from fasttalk_stt.conversation.onsets import OnsetRegister
from fasttalk_stt.conversation.publisher import Publisher
from fasttalk_stt.conversation.queue import SegmentQueue
from fasttalk_stt.conversation.segmenter import Segmenter
from fasttalk_stt.conversation.segments import Entry, Failure, Heard


@frozen
class Outcomes:
    """The outcomes of one session's segments, over the parts of the session they touch."""

    timeline: Timeline
    ledger: Ledger
    queue: SegmentQueue
    onsets: OnsetRegister
    barge_in: BargeIn
    eager: EagerResults
    segmenter: Segmenter
    publisher: Publisher

    def resolve(self, entry: Entry, outcome: Heard | Failure, now_s: float) -> list[Effect]:
        """Note an entry's outcome; what was withheld until then is discarded or released."""
        if entry.cancelled:
            return []
        segment = entry.segment
        if isinstance(outcome, Heard):
            if segment.cut_by_drain:
                outcome, entry.end = whole_words(outcome, start=segment.start, edge=segment.end)
            self.segmenter.remember(segment, outcome)
            outcome = with_numbers(outcome)
            entry.is_backchannel = self.is_backchannel(entry, outcome)
        dropped = self.drop(self.barge_in.decide(entry, outcome), now_s)
        if segment.ends_utterance:
            self.barge_in.end(segment.utterance.__eq__)
        self.queue.resolve(entry, outcome, ready_at_s=now_s)
        _let_go(entry)
        return [*dropped, Ready()]

    def drop(self, cancelled: Sequence[Entry], now_s: float) -> list[Effect]:
        """Discard the audio of entries that were cancelled; a flush among them gets its answer."""
        effects: list[Effect] = [Cancel(tuple(cancelled))] if cancelled else []
        for entry in cancelled:
            segment = entry.segment
            self.settle(segment.start, segment.end, Outcome.DISCARDED)
            effects.extend(map(Say, self.eager.take_back_of(segment.speculation, "interrupted")))
            if segment.answers_flush:
                effects.append(Say(self.publisher.empty_answer(entry, now_s)))
            _let_go(entry)
            if segment.ends_utterance:
                self.barge_in.end(segment.utterance.__eq__)
                self.onsets.end(segment.utterance)
                rejection = self.onsets.reject(segment.utterance, "interrupted")
                effects.extend([] if rejection is None else [Say(rejection)])
        return effects

    def is_backchannel(self, entry: Entry, heard: Heard) -> bool:
        """Whether an utterance whose onset was reported only said that the bot may go on."""
        reported = self.onsets.awaits_answer(entry.segment.utterance)
        return reported and self.barge_in.is_backchannel(entry, heard)

    def settle(self, start: int, end: int, outcome: Outcome) -> None:
        """Give pending samples of [start, end) on the pipeline clock their outcome."""
        to_session = self.timeline.to_session
        self.ledger.settle(to_session(start), min(to_session(end), self.ledger.received), outcome)


def _let_go(entry: Entry) -> None:
    """Break the cycle between an entry and its speculation, which holds a request's audio."""
    if entry.segment.speculation is not None:
        entry.segment.speculation.adopted_by = None
