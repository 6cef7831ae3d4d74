"""Sees how long the tasks of a Trio run keep the others waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import structlog
import trio
from attrs import frozen

logger = structlog.get_logger(__name__)

SLOW_MS = 5.0
"""What no step may take: 100 streams have a frame every 0.3 ms, and each waits for the one before."""
LOGGED_MS = 50.0
"""A step this slow is heard by clients, so the operator is told, of each that is slower than any before."""


@frozen
class LoopStatistics:
    """`slow_steps` took SLOW_MS and more; the slowest of them, in milliseconds, and whose it was."""

    slow_steps: int = 0
    slowest_ms: float = 0.0
    slowest_task: str | None = None


class LoopWatch(trio.abc.Instrument):
    """Times each step of each task, from one of its checkpoints to the next. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._began_s: float | None = None
        self.statistics = LoopStatistics()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the run that this is called in, during the block."""
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: Any) -> None:
        self._began_s = self._clock()

    def after_task_step(self, task: Any) -> None:
        if self._began_s is None:
            return  # the step in which the watch began
        took_ms = 1000 * (self._clock() - self._began_s)
        if took_ms < SLOW_MS:
            return
        known = self.statistics
        is_slowest = took_ms > known.slowest_ms
        self.statistics = LoopStatistics(
            slow_steps=known.slow_steps + 1,
            slowest_ms=round(took_ms, 1) if is_slowest else known.slowest_ms,
            slowest_task=task.name if is_slowest else known.slowest_task,
        )
        if is_slowest and took_ms >= LOGGED_MS:
            logger.warning("slow_step", task=task.name, took_ms=round(took_ms, 1))
