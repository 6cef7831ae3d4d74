"""Between the task that reads and those that consume: bounded, in order, nothing dropped.

A cancelled `put` has either appended or not, so nothing is lost or doubled by a connection that
ends while its last message waits here.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio

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
        while not self._items:
            if self._closed:
                raise self._error or StopAsyncIteration
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

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


class EventQueue(BoundedQueue[Event]):
    """A partial takes the place of the one of its utterance that nobody has seen yet."""

    async def put(self, event: Event) -> None:
        if isinstance(event, PartialTranscription) and self._items:
            last = self._items[-1]
            if (
                isinstance(last, PartialTranscription)
                and last.data.utterance == event.data.utterance
            ):
                self._items[-1] = event
                return
        await super().put(event)
