"""The account of every sample: pending, transcribed, silence or discarded, exactly one of them.

This is the only bookkeeping of outcomes. `audio_committed_ms`, the totals of `session_ended`,
back-pressure and resume read it. It is settled where results are sent, in order; speculative work
never touches it. Positions are samples on the session clock.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum
from itertools import pairwise

from attrs import frozen

from fasttalk_stt.protocol.server_messages import AudioAccount


class Outcome(Enum):
    TRANSCRIBED = "transcribed"
    SILENCE = "silence"
    DISCARDED = "discarded"


@frozen
class Totals:
    """Samples by outcome; they sum to `received`."""

    received: int
    transcribed: int
    silence: int
    discarded: int
    pending: int

    def account(self, rate_hz: int) -> AudioAccount:
        """The totals in milliseconds, rounded so that the parts still sum to the whole.

        Each bound of the cumulated sum is rounded down, so that no millisecond is lost or doubled.
        """
        bounds = [0]
        running = 0
        for part in (self.transcribed, self.silence, self.discarded, self.pending):
            running += part
            bounds.append(running * 1000 // rate_hz)
        transcribed, silence, discarded, pending = (high - low for low, high in pairwise(bounds))
        return AudioAccount(
            received_ms=bounds[-1],
            transcribed_ms=transcribed,
            silence_ms=silence,
            discarded_ms=discarded,
            unsettled_ms=pending,
        )


class Ledger:
    """Knows for each sample received whether and how it was settled.

    Memory is bounded by the number of disjoint settled stretches ahead of `committed`, and these by
    the bound on pending audio.
    """

    def __init__(self, *, received: int = 0, committed: int = 0) -> None:
        """Audio is received from the position `received` on. What lies before `committed` had its
        outcome elsewhere and does not count."""
        self._received = received
        self._counted_from = committed
        self._committed = committed
        # Disjoint settled stretches [start, end) beyond `_committed`, sorted, none adjacent.
        self._ahead: list[tuple[int, int]] = []
        self._totals = dict.fromkeys(Outcome, 0)

    @property
    def received(self) -> int:
        """The position up to which audio was received."""
        return self._received

    @property
    def counted(self) -> int:
        """The samples received that count."""
        return max(self._received - self._counted_from, 0)

    @property
    def committed(self) -> int:
        """All samples before this position are settled."""
        return self._committed

    @property
    def pending(self) -> int:
        """Samples received and not settled."""
        return self.counted - sum(self._totals.values())

    def receive(self, n_samples: int) -> None:
        """Advance the clock by samples that are pending from now on."""
        self._received += n_samples

    def settle(self, start: int, end: int, outcome: Outcome) -> int:
        """Give every pending sample in [start, end) its outcome; returns how many there were.

        Samples that are settled already keep the outcome they have. Raises ValueError where the
        interval reaches beyond what was received.
        """
        if end > self._received:
            raise ValueError(f"settling up to {end}, but only {self._received} were received")
        start = max(start, self._committed)
        if end <= start:
            return 0
        first = bisect_left(self._ahead, start, key=lambda stretch: stretch[1])
        last = first
        new_start, new_end, already = start, end, 0
        while last < len(self._ahead) and self._ahead[last][0] <= end:
            low, high = self._ahead[last]
            already += max(0, min(high, end) - max(low, start))
            new_start, new_end = min(new_start, low), max(new_end, high)
            last += 1
        self._ahead[first:last] = [(new_start, new_end)]
        settled = end - start - already
        self._totals[outcome] += settled
        if self._ahead[0][0] <= self._committed:
            self._committed = self._ahead.pop(0)[1]
        return settled

    def totals(self) -> Totals:
        return Totals(
            received=self.counted,
            transcribed=self._totals[Outcome.TRANSCRIBED],
            silence=self._totals[Outcome.SILENCE],
            discarded=self._totals[Outcome.DISCARDED],
            pending=self.pending,
        )
