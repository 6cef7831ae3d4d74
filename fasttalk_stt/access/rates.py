"""How much at a time: token buckets that are given the time, and what they mean for a connection.

The in-memory storage of the `limits` package was looked at and left: it goes by the wall clock, and
sweeps all its keys in threads that it starts up to 100 times a second while it is used. A bucket is
a dozen lines, exact under a virtual clock, and its memory is bounded here.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Generic, TypeVar

from fasttalk_stt.protocol.errors import RATE_LIMITED, ProtocolError

K = TypeVar("K")

MAX_KEYS = 10_000
"""Addresses or names remembered at a time, some 300 bytes each. Whoever has more addresses than
this is not bounded by a limit of each; the least recently seen is forgotten, which forgives it."""


class Bucket:
    """Holds up to `burst`, is refilled by `rate_per_s`, and starts full. Times are in seconds."""

    __slots__ = ("_at_s", "_burst", "_level", "_rate_per_s")

    def __init__(self, *, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = burst
        self._at_s: float | None = None

    def take(self, amount: float, now_s: float) -> float:
        """Take `amount` if it is there; returns 0, else the seconds until it will be."""
        self._refill(now_s)
        if self._level >= amount:
            self._level -= amount
            return 0.0
        return (amount - self._level) / self._rate_per_s

    def spend(self, amount: float, now_s: float) -> float:
        """Take `amount` whether it is there or not; returns the seconds until the debt is paid."""
        self._refill(now_s)
        self._level -= amount
        return max(0.0, -self._level / self._rate_per_s)

    def is_full(self, now_s: float) -> bool:
        self._refill(now_s)
        return self._level >= self._burst

    def _refill(self, now_s: float) -> None:
        # A clock that went back gives nothing and takes nothing.
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._level = min(self._burst, self._level + passed_s * self._rate_per_s)


class KeyedBuckets(Generic[K]):
    """One bucket for each key, for the most recent MAX_KEYS of them."""

    def __init__(self, *, rate_per_s: float, burst: float, max_keys: int = MAX_KEYS) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[K, Bucket] = OrderedDict()

    def take(self, key: K, now_s: float) -> float:
        """Take one from the key's bucket; see `Bucket.take`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(rate_per_s=self._rate_per_s, burst=self._burst)
        self._buckets.move_to_end(key)
        wait_s = bucket.take(1.0, now_s)
        self._forget(now_s)
        return wait_s

    def _forget(self, now_s: float) -> None:
        """Drop the oldest one while it is full again, and whatever is too much."""
        while self._buckets:
            oldest = next(iter(self._buckets.values()))
            if len(self._buckets) <= self._max_keys and not oldest.is_full(now_s):
                return
            self._buckets.popitem(last=False)

    def __len__(self) -> int:
        return len(self._buckets)


class Verdict(Enum):
    """What becomes of a text message."""

    TAKE = "take"
    TELL = "tell"
    """Drop it and say `rate_limited`: the first of an excess."""
    DROP = "drop"
    PART = "part"
    """The excess goes on: end the connection."""


class Allowance:
    """What one connection may send: `limit_per_s` messages a second, and as many at once; 0: no limit.

    *Text messages* over the limit are dropped, the first of an excess with an answer. When as many as
    a second's have been dropped in one excess, the connection is to end: a flood of 10 times the limit
    lives 0.2 s, one of twice the limit 2 s. An excess is over when the whole burst is there again,
    that is after a second of silence, or longer below the limit.

    *Audio frames* are never dropped, they are held back. One that carries `1/limit_per_s` of audio or more
    (5 ms by default) costs nothing here, since pending audio has its own bound, so a client in
    real time never meets the limit and a replay may be as fast as the server hears. Smaller ones, down to
    empty frames and those outside a session, cost up to a message each: a flood of them is read at
    the limit's pace. `audio` is what the client's key may still send, with its other connections;
    audio beyond it is held back too.
    """

    def __init__(self, limit_per_s: int, audio: Bucket | None = None) -> None:
        self._limit_per_s = limit_per_s
        self._audio = audio
        self._texts = Bucket(rate_per_s=limit_per_s, burst=limit_per_s)
        self._frames = Bucket(rate_per_s=limit_per_s, burst=limit_per_s)
        self._dropped = 0

    def text(self, now_s: float) -> Verdict:
        """Count one text message."""
        if not self._limit_per_s:
            return Verdict.TAKE
        if self._texts.is_full(now_s):
            self._dropped = 0
        if not self._texts.take(1.0, now_s):
            return Verdict.TAKE
        self._dropped += 1
        if self._dropped >= self._limit_per_s:
            return Verdict.PART
        return Verdict.TELL if self._dropped == 1 else Verdict.DROP

    def excess(self) -> ProtocolError:
        """The error of TELL and PART."""
        return ProtocolError(
            RATE_LIMITED,
            f"More than {self._limit_per_s} messages came in a second. Those beyond are dropped, and "
            "if it goes on the connection is closed. Send fewer.",
        )

    def frame(self, audio_s: float, now_s: float) -> float:
        """Count a binary frame with that much audio; returns for how many seconds not to read on."""
        hold_s = 0.0 if self._audio is None else self._audio.spend(audio_s, now_s)
        if not self._limit_per_s:
            return hold_s
        cost = max(0.0, 1.0 - audio_s * self._limit_per_s)
        return max(hold_s, self._frames.spend(cost, now_s))
