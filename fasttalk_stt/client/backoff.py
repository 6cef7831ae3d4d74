"""When to try a lost connection again, and when to give it up. Pure: it is given the time.

At most `max_tries` failures in a row, waits of base, twice base, four times base, each shortened
at random by up to a half, so that the clients of one dead server do not come back at once. A
server that says when it has room again costs no try, only patience.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fasttalk_stt.client.errors import SttError


class Backoff:
    """The waits of one outage. Make a new one for the next."""

    def __init__(
        self,
        began_at_s: float,
        *,
        max_tries: int = 3,
        base_s: float = 0.5,
        patience_s: float = 60.0,
        tries: int = 0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`tries`: failures that count already, from an outage that was not really over.

        `jitter` returns a number from 0 to 1.
        """
        self._gives_up_at_s = began_at_s + patience_s
        self._max_tries = max_tries
        self._base_s = base_s
        self._jitter = jitter
        self._tries = tries

    @property
    def tries(self) -> int:
        """How many waits before a try were granted."""
        return self._tries

    def wait_s(self, failure: SttError, now_s: float) -> float | None:
        """How long to wait before the next try, after this failure; None: give up."""
        if not failure.recoverable:
            return None
        if failure.is_busy and failure.retry_after_s is not None:
            # A little later than asked for: all who were refused were told the same.
            wait_s = max(failure.retry_after_s, 0.0) * (1 + 0.1 * self._jitter())
            wait_s = max(wait_s, self._base_s / 2)
        elif self._tries >= self._max_tries:
            return None
        else:
            wait_s = self._base_s * 2**self._tries * (1 - self._jitter() / 2)
            self._tries += 1
        return wait_s if now_s + wait_s <= self._gives_up_at_s else None
