"""How much of the engine is taken by what cannot wait, and what follows for newcomers.

Pure: times come in, in seconds of one clock. `scheduler` notes what it did; admission, the cadence of
drafts and `/health` ask.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

from attrs import define, field, frozen

WINDOW_S = 10.0
"""What lies further back says little about the next utterance; in less there are too few of them."""
BUSY_SHARE = 0.4
FULL_SHARE = 0.65
"""Of the seats' time for finals and speculation. Poisson arrivals at one server wait for as long as they
are served at 0.5, twice as long at 0.67 (M/M/1); what is decoded in batches waits less."""
BUSY_LATENCY_SHARE = 0.6
FULL_LATENCY_SHARE = 0.9
"""Of the promised latency, for the 95th percentile."""
FEWEST_ANSWERS = 8
"""Of fewer answers there is no percentile to speak of."""


class Pressure(IntEnum):
    """What the load asks for: nothing; fewer drafts; no more sessions and nothing that is optional."""

    CALM = 0
    BUSY = 1
    FULL = 2


@frozen
class Load:
    """The load of the last WINDOW_S.

    `urgent_share` 0-1 is how much of the seats' time finals and speculation took, `busy_share` that of
    everything. `final_p95_s` is how long finals waited for their answers; None while too few did.
    """

    urgent_share: float
    busy_share: float
    final_p95_s: float | None
    pressure: Pressure


IDLE = Load(urgent_share=0.0, busy_share=0.0, final_p95_s=None, pressure=Pressure.CALM)


@frozen
class _Work:
    began_s: float
    ended_s: float
    is_urgent: bool


@define
class LoadMeter:
    """Notes what the seats did. `promised_s` is the latency that finals are promised; without a promise
    there is no pressure."""

    seats: int
    promised_s: float | None
    _works: deque[_Work] = field(factory=deque, init=False)
    _waits: deque[tuple[float, float]] = field(factory=deque, init=False)

    def worked(self, began_s: float, ended_s: float, *, is_urgent: bool) -> None:
        """A seat decoded one batch."""
        self._works.append(_Work(began_s, ended_s, is_urgent))
        self._forget(ended_s)

    def waited(self, wait_s: float, now_s: float) -> None:
        """A final had its answer after so long."""
        self._waits.append((now_s, wait_s))
        self._forget(now_s)

    def load(self, now_s: float) -> Load:
        """The load as it is now."""
        self._forget(now_s)
        since_s = now_s - WINDOW_S
        urgent_s = busy_s = 0.0
        for work in self._works:
            took_s = work.ended_s - max(work.began_s, since_s)
            busy_s += took_s
            urgent_s += took_s if work.is_urgent else 0.0
        seconds = self.seats * WINDOW_S
        final_p95_s = self._final_p95_s()
        urgent_share = min(urgent_s / seconds, 1.0)
        return Load(
            urgent_share=round(urgent_share, 3),
            busy_share=round(min(busy_s / seconds, 1.0), 3),
            final_p95_s=final_p95_s,
            pressure=self._pressure(urgent_share, final_p95_s),
        )

    def _final_p95_s(self) -> float | None:
        if len(self._waits) < FEWEST_ANSWERS:
            return None
        waits = sorted(wait_s for _, wait_s in self._waits)
        return waits[math.ceil(0.95 * len(waits)) - 1]

    def _pressure(self, urgent_share: float, final_p95_s: float | None) -> Pressure:
        if self.promised_s is None:
            return Pressure.CALM
        latency_share = (final_p95_s or 0.0) / self.promised_s
        if urgent_share >= FULL_SHARE or latency_share >= FULL_LATENCY_SHARE:
            return Pressure.FULL
        if urgent_share >= BUSY_SHARE or latency_share >= BUSY_LATENCY_SHARE:
            return Pressure.BUSY
        return Pressure.CALM

    def _forget(self, now_s: float) -> None:
        since_s = now_s - WINDOW_S
        while self._works and self._works[0].ended_s <= since_s:
            self._works.popleft()
        while self._waits and self._waits[0][0] <= since_s:
            self._waits.popleft()


def headroom_streams(load: Load, *, active: int, free_places: int) -> int:
    """How many more streams like those that are active have room, up to the free places.

    Where hardly anything is decoded nothing is known of what a stream takes: then places alone count.
    """
    if load.pressure is Pressure.FULL:
        return 0
    if not active or load.urgent_share < 0.05:
        return free_places
    return min(int(active * (FULL_SHARE / load.urgent_share - 1)), free_places)
