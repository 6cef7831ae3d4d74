"""Whether the other side is still there. Pure: it is given the time.

A half-open connection takes what is written and never answers. So one ping is always under way or
due, and anything that is heard counts as life. A ping keeps its place behind audio, so a client
that has just sent a minute of it at once must wait longer for the answer than one that speaks.
"""

from __future__ import annotations

import json
import math


class Heartbeat:
    """The pings of one connection."""

    def __init__(self, now_s: float, *, interval_s: float = 1.0, timeout_s: float = 5.0) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._next_ping_at_s = now_s + interval_s
        self._expires_at_s = math.inf
        self._lead_s = 0.0
        self._lead_at_s = now_s
        self._grace_s: float | None = None

    @property
    def next_ping_at_s(self) -> float:
        """When the next ping is due; infinity while one is unanswered."""
        return self._next_ping_at_s if self._expires_at_s == math.inf else math.inf

    @property
    def expires_at_s(self) -> float:
        """When the connection is dead if nothing is heard; infinity while no ping is unanswered."""
        return self._expires_at_s

    def sent_audio(self, audio_s: float, now_s: float) -> None:
        """Note audio on its way: what is sent faster than real time lies before the next ping."""
        self._lead_s = self._lead(now_s) + audio_s
        self._lead_at_s = now_s

    def pinged(self, now_s: float) -> None:
        """A ping was sent."""
        self._next_ping_at_s = now_s + self._interval_s
        self._expires_at_s = now_s + self._timeout_s + self._lead(now_s)

    def silenced(self, now_s: float, grace_s: float) -> None:
        """Nothing can be sent any more, so nothing that comes is an answer: it is over at
        `now_s + grace_s` at the latest, time in which we do not listen left out."""
        self._grace_s = grace_s
        self._next_ping_at_s = math.inf
        self._expires_at_s = now_s + grace_s

    def not_listening(self, now_s: float) -> None:
        """What comes waits unread, so that silence means nothing."""
        if self._grace_s is None:
            self.heard(now_s)
        else:
            self._expires_at_s = now_s + self._grace_s

    def heard(self, now_s: float) -> None:
        """Something came, whatever it was."""
        if self._grace_s is not None:
            return
        self._expires_at_s = math.inf
        self._next_ping_at_s = max(self._next_ping_at_s, now_s)

    def _lead(self, now_s: float) -> float:
        return max(0.0, self._lead_s - (now_s - self._lead_at_s))


HEARTBEAT_PREFIX = "heartbeat-"


def heartbeat_ping(number: int) -> str:
    """A ping whose answer is the client's own business."""
    return json.dumps({"type": "ping", "id": f"{HEARTBEAT_PREFIX}{number}"})


def is_heartbeat(ping_id: object) -> bool:
    """Whether a pong answers a `heartbeat_ping`."""
    return isinstance(ping_id, str) and ping_id.startswith(HEARTBEAT_PREFIX)
