"""One queue in front of the engine, over all connections.

The scheduler's tasks alone call the engine, so a session that no longer wants a result only leaves
its own wait: what was not begun is never computed, what is being computed is left off at the engine's next
step, and its result dropped.
Finals go before speculation, and that before drafts; what waits when a seat of the engine becomes free is
decoded as one batch. Where there are several seats drafts leave the last one free for a while, so that
whoever has finished speaking does not wait for somebody who goes on.
"""

from __future__ import annotations

import math
from enum import IntEnum

import structlog
import trio
from attrs import define, field, frozen

from fasttalk_stt.inference.engine import DecodeRequest, Engine, Hypothesis
from fasttalk_stt.inference.errors import EngineError, NobodyWaitsError

_log = structlog.get_logger(__name__)


DRAFT_PATIENCE_S = 1.0
"""A draft that has waited so long takes the last seat too: the audio it looks at only grows."""


class Priority(IntEnum):
    """What goes first: lower is more urgent."""

    FINAL = 0
    EAGER = 1
    DRAFT = 2


@define(eq=False)
class Urgency:
    """How urgent one request is. It may be raised while the request waits."""

    priority: Priority


@define(eq=False)
class _Job:
    request: DecodeRequest
    urgency: Urgency
    since_s: float = field(factory=trio.current_time)
    done: trio.Event = field(factory=trio.Event)
    result: Hypothesis | EngineError | None = None

    def finish(self, result: Hypothesis | EngineError) -> None:
        self.result = result
        self.done.set()


@frozen
class SchedulerStatistics:
    """`waiting` requests are not begun, `running` are in the engine now."""

    waiting: int
    running: int
    batches: int
    decoded: int
    abandoned: int


class Scheduler:
    """Decodes requests of all sessions on one engine.

    `run` must be running before `decode` can return. `batch_size` is the most requests that are
    decoded together.
    """

    def __init__(self, engine: Engine, *, batch_size: int) -> None:
        self._engine = engine
        self._batch_size = batch_size
        self._jobs: list[_Job] = []
        self._arrival = trio.lowlevel.ParkingLot()
        self._running = 0
        self._free_seats = engine.seats
        self._batches = 0
        self._decoded = 0
        self._abandoned = 0

    @property
    def model_name(self) -> str:
        return self._engine.model_name

    @property
    def supported_languages(self) -> frozenset[str]:
        return self._engine.supported_languages

    def statistics(self) -> SchedulerStatistics:
        return SchedulerStatistics(
            waiting=len(self._jobs),
            running=self._running,
            batches=self._batches,
            decoded=self._decoded,
            abandoned=self._abandoned,
        )

    async def decode(self, request: DecodeRequest, *, urgency: Urgency) -> Hypothesis:
        """Wait for the engine's answer to one request.

        Raises EngineError where the engine failed on it. Cancelling leaves at once, whatever the
        engine is doing.
        """
        job = _Job(request, urgency)
        self._jobs.append(job)
        self._arrival.unpark_all()
        try:
            await job.done.wait()
        finally:
            if not job.done.is_set():
                job.request.interest.is_lost = True
                self._abandoned += 1
                if job in self._jobs:
                    # At once, for its audio's sake: behind urgent jobs it might lie here for long.
                    self._jobs.remove(job)
        if isinstance(job.result, EngineError):
            raise job.result
        if job.result is None:
            raise RuntimeError("a job was done without a result")
        return job.result

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve requests until cancelled. The engine must be loaded."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._engine.seats):
                nursery.start_soon(self._serve_seat)
            task_status.started()

    async def _serve_seat(self) -> None:
        while True:
            batch = self._take_batch()
            if not batch:
                await self._arrival.park()
                continue
            self._free_seats -= 1
            self._running += len(batch)
            try:
                await self._decode(batch)
            finally:
                self._free_seats += 1
                self._running -= len(batch)
                # A draft may have waited for a second seat to be free.
                self._arrival.unpark_all()

    def _take_batch(self) -> list[_Job]:
        """The most urgent jobs, oldest first: those of one urgency that wait together, shared out over
        the seats."""
        if not self._jobs:
            return []
        seats = self._engine.seats
        most_urgent = min(job.urgency.priority for job in self._jobs)
        equals = [job for job in self._jobs if job.urgency.priority == most_urgent]
        if most_urgent is Priority.DRAFT and seats > 1:
            seats -= 1
            waited_s = trio.current_time() - equals[0].since_s
            if self._free_seats == 1 and waited_s < DRAFT_PATIENCE_S:
                return []
        batch = equals[: min(math.ceil(len(equals) / seats), self._batch_size)]
        self._jobs = [job for job in self._jobs if job not in batch]
        return batch

    async def _decode(self, batch: list[_Job]) -> None:
        self._batches += 1
        try:
            hypotheses = await self._engine.decode([job.request for job in batch])
            if len(hypotheses) != len(batch):
                raise EngineError(f"{len(hypotheses)} answers to {len(batch)} requests")
        except NobodyWaitsError as error:
            for job in batch:
                job.finish(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, other sessions must go on
            await self._fail(batch, error)
        else:
            for job, hypothesis in zip(batch, hypotheses, strict=True):
                self._decoded += 1
                job.finish(hypothesis)

    async def _fail(self, batch: list[_Job], error: Exception) -> None:
        """A batch that failed is decoded one by one: only the culprit shall suffer."""
        if len(batch) > 1:
            for job in batch:
                if not job.request.interest.is_lost:
                    await self._decode([job])
            return
        if isinstance(error, EngineError):
            _log.warning("decode failed", error=str(error), error_type=type(error).__name__)
            batch[0].finish(error)
            return
        _log.error("engine raised an unexpected exception", exc_info=error)
        failure = EngineError("the engine raised an unexpected exception")
        failure.__cause__ = error
        batch[0].finish(failure)
