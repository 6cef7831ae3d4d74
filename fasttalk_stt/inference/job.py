"""One request in the scheduler's queue: made anew when a seat takes it up, and finished once.

Knows neither the queue nor the engine. Read `scheduler` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from attrs import define, field

from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.policy import REQUEST_KINDS, Priority, Urgency
from fasttalk_stt.telemetry.telemetry import RequestReport

MOST_TIMES_GIVEN_WAY = 3
"""Then a recording's request is decoded to its end, or steady finals would have it begun anew for ever. A
final that comes meanwhile waits. A guess, not measured."""


@define(eq=False)
class Turn:
    """Whether a request has a seat now: the scheduler says so, and whoever gives up waiting looks."""

    has_seat: bool = False


@define(eq=False)
class Job:
    """A request from its coming to its answer."""

    make_request: Callable[[], DecodeRequest]
    urgency: Urgency
    turn: Turn = field(factory=Turn)
    request: DecodeRequest = field(init=False)
    since_s: float = field(factory=trio.current_time)
    begun_s: float = math.inf
    batch_size: int | None = None
    done: trio.Event = field(factory=trio.Event)
    result: Hypothesis | EngineError | None = None
    gave_way: bool = False
    n_times_given_way: int = 0
    is_abandoned: bool = False

    def __attrs_post_init__(self) -> None:
        self.request = self.make_request()

    @property
    def duration_s(self) -> float:
        """About how long the request will be; a look grows while it waits."""
        if self.urgency.priority not in {Priority.COMMIT, Priority.PARTIAL}:
            return self.request.duration_s
        return self.request.duration_s + trio.current_time() - self.since_s

    def begin(self) -> None:
        self.request = self.make_request()
        self.gave_way = False
        self.turn.has_seat = True
        self.begun_s = trio.current_time()

    @property
    def wait_s(self) -> float:
        """How long it waited for a seat since it was as urgent as it is; it must have begun."""
        return max(self.begun_s - max(self.since_s, self.urgency.raised_at_s), 0.0)

    def report(self) -> RequestReport:
        """What became of it, once nobody waits for it any more."""
        answer = self.result if isinstance(self.result, Hypothesis) else None
        return RequestReport(
            kind=REQUEST_KINDS[self.urgency.priority],
            outcome="decoded" if answer else "left" if self.result is None else "failed",
            audio_s=self.request.duration_s,
            wait_s=None if math.isinf(self.begun_s) else self.wait_s,
            batch_size=self.batch_size,
            compute_s=None if answer is None else answer.compute_ms / 1000,
            alignment_s=None if answer is None else answer.alignment_ms / 1000,
        )

    @property
    def stays(self) -> bool:
        """It has given way as often as it must, and keeps its seat to its end."""
        return self.n_times_given_way >= MOST_TIMES_GIVEN_WAY

    def give_way(self) -> None:
        """Leave it off at the engine's next step; it will be decoded anew. One that stays does not."""
        if self.gave_way or self.stays:
            return
        self.n_times_given_way += 1
        self.gave_way = self.request.interest.is_lost = True
        self.turn.has_seat = False

    def finish(self, result: Hypothesis | EngineError) -> None:
        """Answer it; what comes after it was given up is dropped."""
        if not self.done.is_set():
            self.result = result
            self.done.set()
