"""Who speaks while the bot thinks or talks: what that holds back, and whether it meant anything.

Two phases. An onset withholds what is stale: work whose audio began before the conversation entered
its state. The first outcome of the new utterance decides: text discards what it withheld, anything
else lets that go on. A word that only says "go on" is no text in this sense.
"""

from __future__ import annotations

from collections.abc import Callable

from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.queue import SegmentQueue
from fasttalk_stt.conversation.segments import Entry, Failure, Heard


class BargeIn:
    """The interruptions of one session. Positions are pipeline samples."""

    def __init__(self, queue: SegmentQueue, backchannels: Backchannels) -> None:
        self._queue = queue
        self._backchannels = backchannels
        self._state_entered = 0
        self._over_the_bot: set[int] = set()

    def change_context(self, before: Context, after: Context, position: int) -> None:
        """The conversation may have entered another state at `position`."""
        if before.conversation_state != after.conversation_state:
            self._state_entered = position

    def begin(self, utterance: int, context: Context) -> int:
        """Somebody interrupts: withhold what is stale. Returns how many segments that are."""
        if context.bot_is_speaking:
            self._over_the_bot.add(utterance)
        return self._queue.withhold(
            lambda entry: entry.segment.speech_start < self._state_entered, utterance
        )

    def is_backchannel(self, entry: Entry, heard: Heard) -> bool:
        """Whether the whole utterance only said that the bot may go on."""
        segment = entry.segment
        return (
            segment.utterance in self._over_the_bot
            and segment.ends_utterance
            and not self._queue.holds_more_of(entry)
            and self._backchannels.matches(
                heard.text, heard.language, segment.speech_end - segment.speech_start
            )
        )

    def decide(self, entry: Entry, outcome: Heard | Failure) -> list[Entry]:
        """Take the outcome of an entry; returns what is discarded for it, marked as cancelled.

        An utterance that brings no text at first is taken for noise, however it goes on: nothing is
        withheld for longer than it takes to decode its first segment. An empty answer to a flush
        says nothing about it.
        """
        segment = entry.segment
        if segment.answers_flush and segment.speech is None:
            return []
        if isinstance(outcome, Heard) and outcome.text and not entry.is_backchannel:
            return self._queue.cancel(lambda other: segment.utterance in other.withheld_by)
        self._queue.release(segment.utterance.__eq__)
        return []

    def end(self, stale: Callable[[int], bool]) -> None:
        """The utterances for which `stale` holds have their outcome, or were discarded."""
        self._over_the_bot = {u for u in self._over_the_bot if not stale(u)}
        self._queue.release(stale)
