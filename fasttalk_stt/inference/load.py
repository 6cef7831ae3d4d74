"""How much of the engine is taken by what it owes, and what follows for newcomers.

Pure: times come in, in seconds of one clock. `scheduler` notes what it did; admission, the efforts of
sessions and `/health` ask.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

from attrs import define, field, frozen

WINDOW_S = 10.0
"""What lies further back says little about the next utterance; in less there are too few of them."""
BUSY_SHARE = 0.5
FULL_SHARE = 0.8
"""Of the seats' time for finals, speculation and commits. Finals go first and wait for their own kind and
for what is being decoded; commits fill what they leave, and with nothing left audio waits for ever."""
BUSY_WAIT_SHARE = 0.25
FULL_WAIT_SHARE = 0.5
"""Of the promised latency, for the 95th percentile of how long finals wait for a seat."""
FEWEST_WAITS = 8
"""Of fewer waits there is no percentile to speak of."""
REQUEST_WEIGHT = 0.05
"""Of the latest batch in what a request is held to take."""
LEAST_SHARE = 0.05
"""Of the seats' time. Where less is decoded nothing is known of what a stream takes."""
ROUNDING = 1e-9
REQUESTS_PER_STREAM_S = 0.7
"""What somebody asks for who speaks without end: a commit in 1.7 s, a final in 7 s (recordings of read speech
one behind the other)."""


class Pressure(IntEnum):
    """What the load asks for: nothing; fewer looks; no more sessions, and no speculation."""

    CALM = 0
    BUSY = 1
    FULL = 2


@frozen
class Crowd:
    """`active` streams. `seen` is how many of them the load shows: one that came within the window counts
    for the part of it since."""

    active: int
    seen: float


NOBODY = Crowd(0, 0.0)


@frozen
class Load:
    """The load of the last WINDOW_S.

    `owed_share` 0-1 is how much of the seats' time finals, speculation and commits of clients in real
    time took, `busy_share` that of everything. `final_wait_p95_s` is how long finals waited for a seat;
    None while too few did. `request_share` is how much of a second of all seats one request takes; None
    before the first.
    """

    owed_share: float
    busy_share: float
    final_wait_p95_s: float | None
    request_share: float | None
    pressure: Pressure

    def stream_share(self, crowd: Crowd) -> float:
        """How much of the seats' time one more stream takes: as much as one of the crowd did over the
        window, and at most what somebody takes who speaks without end."""
        without_end = REQUESTS_PER_STREAM_S * (self.request_share or 0.0)
        if crowd.seen < 1 or self.owed_share < LEAST_SHARE:
            return without_end
        return min(self.owed_share / crowd.seen, without_end)

    def expected_share(self, crowd: Crowd) -> float:
        """The `owed_share` once all of the crowd have been there for the whole window."""
        return self.owed_share + (crowd.active - crowd.seen) * self.stream_share(crowd)


IDLE = Load(
    owed_share=0.0,
    busy_share=0.0,
    final_wait_p95_s=None,
    request_share=None,
    pressure=Pressure.CALM,
)


def headroom_streams(load: Load, crowd: Crowd, *, free_places: int) -> int:
    """How many more streams like those of the crowd have room, up to the free places."""
    if load.pressure is Pressure.FULL:
        return 0
    each = load.stream_share(crowd)
    if not each:
        return free_places
    room = max(FULL_SHARE - load.expected_share(crowd), 0.0)
    return min(int(room / each + ROUNDING), free_places)


@frozen
class _Work:
    began_s: float
    ended_s: float
    is_owed: bool


@define
class LoadMeter:
    """Notes what the seats did. `promised_s` is the latency that finals are promised; without a promise
    their waits make no pressure."""

    seats: int
    promised_s: float | None
    _works: deque[_Work] = field(factory=deque, init=False)
    _waits: deque[tuple[float, float]] = field(factory=deque, init=False)
    _request_s: float | None = field(default=None, init=False)

    def expect(self, request_s: float) -> None:
        """A request takes about so long; what is decoded corrects it."""
        self._request_s = request_s or None

    def worked(self, began_s: float, ended_s: float, *, is_owed: bool, n_requests: int = 1) -> None:
        """A seat decoded one batch, of `n_requests` that tell how long one takes."""
        self._works.append(_Work(began_s, ended_s, is_owed))
        if n_requests:
            took_s = (ended_s - began_s) / n_requests
            before_s = took_s if self._request_s is None else self._request_s
            self._request_s = before_s + (took_s - before_s) * REQUEST_WEIGHT
        self._forget(ended_s)

    def waited(self, wait_s: float, now_s: float) -> None:
        """A final had a seat after so long."""
        self._waits.append((now_s, wait_s))
        self._forget(now_s)

    def load(self, now_s: float) -> Load:
        """The load as it is now."""
        self._forget(now_s)
        since_s = now_s - WINDOW_S
        owed_s = busy_s = 0.0
        for work in self._works:
            took_s = work.ended_s - max(work.began_s, since_s)
            busy_s += took_s
            owed_s += took_s if work.is_owed else 0.0
        seconds = self.seats * WINDOW_S
        wait_p95_s = self._wait_p95_s()
        owed_share = min(owed_s / seconds, 1.0)
        return Load(
            owed_share=round(owed_share, 3),
            busy_share=round(min(busy_s / seconds, 1.0), 3),
            final_wait_p95_s=wait_p95_s,
            request_share=None if self._request_s is None else self._request_s / self.seats,
            pressure=self._pressure(owed_share, wait_p95_s),
        )

    def _wait_p95_s(self) -> float | None:
        if len(self._waits) < FEWEST_WAITS:
            return None
        waits = sorted(wait_s for _, wait_s in self._waits)
        return waits[math.ceil(0.95 * len(waits)) - 1]

    def _pressure(self, owed_share: float, wait_p95_s: float | None) -> Pressure:
        wait_share = 0.0
        if self.promised_s is not None and wait_p95_s is not None:
            wait_share = wait_p95_s / self.promised_s
        if owed_share >= FULL_SHARE or wait_share >= FULL_WAIT_SHARE:
            return Pressure.FULL
        if owed_share >= BUSY_SHARE or wait_share >= BUSY_WAIT_SHARE:
            return Pressure.BUSY
        return Pressure.CALM

    def _forget(self, now_s: float) -> None:
        since_s = now_s - WINDOW_S
        while self._works and self._works[0].ended_s <= since_s:
            self._works.popleft()
        while self._waits and self._waits[0][0] <= since_s:
            self._waits.popleft()
