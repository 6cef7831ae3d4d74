"""The segments of a session between closed and sent, in the order of their audio.

Results may come in any order; they leave from the head only. Whoever is cancelled leaves at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fasttalk_stt.conversation.segments import Entry, Failure, Heard


class SegmentQueue:
    """Every entry is in here from its closing until it was taken to be sent or cancelled."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def resolve(self, entry: Entry, outcome: Heard | Failure, *, ready_at_s: float) -> None:
        """Note an entry's outcome; the first one counts, and none after a cancel."""
        if entry.outcome is None and not entry.cancelled:
            entry.outcome = outcome
            entry.ready_at_s = ready_at_s

    def take_ready(self) -> Entry | None:
        """Remove and return the head if it has its outcome and is not withheld."""
        if (
            self._entries
            and self._entries[0].outcome is not None
            and not self._entries[0].withheld_by
        ):
            return self._entries.popleft()
        return None

    def withhold(self, stale: Callable[[Entry], bool], utterance: int) -> int:
        """Let the entries for which `stale` holds wait for what this utterance says; returns how many
        there are."""
        waiting = [entry for entry in self._entries if stale(entry)]
        for entry in waiting:
            entry.withheld_by.add(utterance)
        return len(waiting)

    def release(self, over: Callable[[int], bool]) -> None:
        """Let nothing wait any more for utterances that are `over`."""
        for entry in self._entries:
            entry.withheld_by = {u for u in entry.withheld_by if not over(u)}

    def holds_more_of(self, entry: Entry) -> bool:
        """Whether other segments of the entry's utterance are still to be sent."""
        return any(
            other is not entry and other.segment.utterance == entry.segment.utterance
            for other in self._entries
        )

    def cancel(self, stale: Callable[[Entry], bool]) -> list[Entry]:
        """Remove the entries for which `stale` holds; returns them, marked as cancelled."""
        cancelled = [entry for entry in self._entries if stale(entry)]
        for entry in cancelled:
            entry.cancelled = True
        self._entries = deque(entry for entry in self._entries if not entry.cancelled)
        return cancelled

    def unresolved(self) -> int:
        """How many entries still wait for their outcome."""
        return sum(1 for entry in self._entries if entry.outcome is None)

    def text(self, utterance: int) -> str:
        """The text of one utterance's resolved entries, as the engine spaced it."""
        return "".join(
            entry.outcome.raw_text
            for entry in self._entries
            if entry.segment.utterance == utterance and isinstance(entry.outcome, Heard)
        )
