"""Between the task that reads and those that consume: bounded, in order, nothing dropped.

An event may be held back until a callback has begun, without keeping the reader from reading on: what
the callback waits for may be among what is still to come.

A cancelled `put` has either appended or not, so nothing is lost or doubled by a connection that
ends while its last message waits here.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio
from attrs import frozen

from fasttalk_stt.client.events import Event, PartialTranscription

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """One side puts and closes, the other gets. What is queued at the close is still got."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: deque[T] = deque()
        self._changed = anyio.Event()
        self._closed = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T) -> None:
        """Append; waits while the queue is full and not closed."""
        while len(self._items) >= self._max_items and not self._closed:
            await self._changed.wait()
        self._items.append(item)
        self._wake()

    async def get(self) -> T:
        """Take the next one; waits for it.

        Raises StopAsyncIteration after the last one, or the error that the queue was closed with.
        """
        while not self._is_ready():
            if self._closed and not self._items:
                if self._error is None:
                    raise StopAsyncIteration
                # Raised at every call: its traceback must not grow.
                raise self._error.with_traceback(None)
            await self._changed.wait()
        item = self._items.popleft()
        self._wake()
        return item

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more will come."""
        if not self._closed:
            self._closed = True
            self._error = error
            self._wake()

    def _is_ready(self) -> bool:
        return bool(self._items)

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@frozen
class _Queued:
    event: Event
    after_call: int


class EventQueue(BoundedQueue[_Queued]):
    """A partial takes the place of the one of its utterance that nobody has seen yet."""

    def __init__(self, max_items: int) -> None:
        super().__init__(max_items)
        self._calls_begun = 0.0

    async def put_event(self, event: Event, *, after_call: int) -> None:
        """As `put`; nobody gets it before so many calls have begun."""
        queued = _Queued(event, after_call)
        last = self._items[-1].event if self._items else None
        if (
            isinstance(event, PartialTranscription)
            and isinstance(last, PartialTranscription)
            and last.data.utterance == event.data.utterance
        ):
            self._items[-1] = queued
        else:
            await self.put(queued)

    async def get_event(self) -> Event:
        """As `get`."""
        return (await self.get()).event

    def calls_begun(self, count: float) -> None:
        """So many callbacks were called up to now; infinity: no more will be."""
        self._calls_begun = count
        self._wake()

    def _is_ready(self) -> bool:
        return bool(self._items) and self._items[0].after_call <= self._calls_begun
