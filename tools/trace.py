"""What happened in one session, as its client saw it: every frame sent, every message received.

A trace is plain data with a monotonic clock in seconds. It draws no conclusions: `session_checks`
says whether the server kept its contract, `outcome` turns it into figures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

Message = Mapping[str, Any]
"""One JSON message of the server."""


@frozen
class SentFrame:
    """The moment `at_s` at which the sample before `end_sample` had left, with all before it."""

    at_s: float
    end_sample: int


@frozen
class Arrival:
    """A message and when it arrived."""

    at_s: float
    message: Message


@frozen
class SessionTrace:
    """One session from `start_session` to the last message.

    `failure` is None, or one line that says why the session did not come to its `session_ended`.
    `lag_ms` is by how much the sender fell behind its schedule at worst (back-pressure, or a busy
    client); 0 without a schedule.
    """

    rate_hz: int
    duration_ms: float
    sent: tuple[SentFrame, ...] = field(repr=False)
    arrivals: tuple[Arrival, ...] = field(repr=False)
    began_at_s: float
    ended_at_s: float
    lag_ms: float
    failure: str | None

    @property
    def wall_s(self) -> float:
        return self.ended_at_s - self.began_at_s

    @property
    def complete(self) -> bool:
        """True where all audio was sent and the session came to its end."""
        return self.failure is None

    def of_type(self, kind: str) -> Iterator[Arrival]:
        """The arrivals of one message type, in order."""
        return (arrival for arrival in self.arrivals if arrival.message.get("type") == kind)

    def first(self, kind: str) -> Message | None:
        """The first message of a type, or None."""
        return next((arrival.message for arrival in self.of_type(kind)), None)

    @property
    def transcriptions(self) -> list[Arrival]:
        return list(self.of_type("transcription"))

    @property
    def text(self) -> str:
        """All final text of the session."""
        parts = (arrival.message["data"]["text"].strip() for arrival in self.transcriptions)
        return " ".join(part for part in parts if part)

    def sent_at_s(self, position_ms: float) -> float:
        """When the sample at `position_ms` of the session's clock had been sent.

        A position beyond the end (by rounding) counts as the end. Raises ValueError when nothing
        was sent.
        """
        if not self.sent:
            raise ValueError("no audio was sent in this session")
        sample = position_ms * self.rate_hz / 1000
        index = bisect_left(self.sent, sample, key=lambda frame: frame.end_sample)
        return self.sent[min(index, len(self.sent) - 1)].at_s
