"""Which requests are decoded next, and which of them together.

Pure: no clock, no engine. `scheduler` asks it whenever a seat is free; `tools.simulate` asks it about
hundreds of streams that nobody speaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol, TypeVar

from attrs import define

from fasttalk_stt.telemetry.telemetry import RequestKind

COMMIT_PATIENCE_S = 0.5
PARTIAL_PATIENCE_S = 1.0
"""A look that has waited so long takes the last seat too. For commits this lies between the finals, one in 20
of which came 0.57 s behind its endpoint with 0.2 s of patience, and the audio that waits, 4 s with a whole
second (95th percentile; 8 streams of continuous speech, two seats)."""
SAME_LENGTH_S = 6.0
"""Requests up to here are given the same context by the encoder, see `attempts`. A batch is encoded at the
length of its longest, so what is longer is decoded with what is hardly shorter."""
LENGTH_SHARE = 0.75


class Priority(IntEnum):
    """What goes first: lower is more urgent."""

    FINAL = 0
    EAGER = 1
    COMMIT = 2
    PARTIAL = 3
    RECORDING = 4
    """Of a whole file: nobody is in a conversation with it, so it has what the streams leave, never their
    last seat, and gives way to finals while it is decoded, a few times."""


REQUEST_KINDS: Mapping[Priority, RequestKind] = {
    Priority.FINAL: "final",
    Priority.EAGER: "speculation",
    Priority.COMMIT: "commit",
    Priority.PARTIAL: "draft",
    Priority.RECORDING: "recording",
}
"""What operators call them."""

_PATIENCE_S = {
    Priority.COMMIT: COMMIT_PATIENCE_S,
    Priority.PARTIAL: PARTIAL_PATIENCE_S,
    Priority.RECORDING: math.inf,
}
RECORDINGS_AT_A_TIME = 2
"""In a batch: a call that streams may have to wait for must not grow long."""


@define(eq=False)
class Urgency:
    """How urgent one request is. It may be raised while the request waits, at `raised_at_s`. `is_live` is
    not what a client asks for that sends faster than real time."""

    priority: Priority
    raised_at_s: float = 0.0
    is_live: bool = True

    def raise_to(self, priority: Priority, now_s: float) -> None:
        self.priority, self.raised_at_s = priority, now_s


class Job(Protocol):
    """A request that waits, since `since_s`, with so much audio."""

    @property
    def urgency(self) -> Urgency: ...
    @property
    def since_s(self) -> float: ...
    @property
    def duration_s(self) -> float: ...


J = TypeVar("J", bound=Job)


def next_batch(
    jobs: Sequence[J], *, now_s: float, seats: int, free_seats: int, batch_size: int
) -> list[J]:
    """The jobs to decode together in a seat that is free; none where it shall stay free.

    `jobs` wait in the order of their coming. The most urgent go first and of these the oldest, whose
    deadline is the nearest; whoever has had a turn comes again behind all others, so nobody starves.
    With it goes what is as urgent and of a similar length, shared out over the seats, `batch_size` at
    most. Where there are several seats looks leave the last one free for their patience, so
    that whoever has finished speaking does not wait for somebody who goes on.
    """
    if not jobs:
        return []
    most_urgent = min(job.urgency.priority for job in jobs)
    equals = [job for job in jobs if job.urgency.priority == most_urgent]
    oldest = equals[0]
    if most_urgent in _PATIENCE_S and seats > 1:
        seats -= 1
        if free_seats == 1 and now_s < oldest.since_s + _PATIENCE_S[most_urgent]:
            return []
    alike = [job for job in equals if _is_alike(oldest, job)]
    if most_urgent is Priority.RECORDING:
        batch_size = min(batch_size, RECORDINGS_AT_A_TIME)
    return alike[: min(math.ceil(len(alike) / seats), batch_size)]


def patient_until_s(jobs: Sequence[J]) -> float:
    """Until when the first of these looks leaves the last seat free; infinity without any."""
    if not jobs:
        return math.inf
    oldest = min(jobs, key=lambda job: job.urgency.priority)
    return oldest.since_s + _PATIENCE_S.get(oldest.urgency.priority, 0.0)


def _is_alike(one: Job, other: Job) -> bool:
    shorter, longer = sorted((one.duration_s, other.duration_s))
    return longer <= SAME_LENGTH_S or shorter >= LENGTH_SHARE * longer
