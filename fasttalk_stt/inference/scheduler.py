"""One queue in front of the engine, over all connections.

The scheduler's tasks alone call the engine, so a session that no longer wants a result only leaves
its own wait: what was not begun is never computed, what is being computed is left off at the engine's next
step, and its result dropped.
What is decoded next, and what together, `policy` decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import structlog
import trio
from attrs import frozen

from fasttalk_stt.inference.call_limit import LONGEST_CALL_S, call_limit_s
from fasttalk_stt.inference.checked import check_hypotheses
from fasttalk_stt.inference.engine import DecodeRequest, Engine, Hypothesis
from fasttalk_stt.inference.errors import EngineError, EngineTimeoutError, NobodyWaitsError
from fasttalk_stt.inference.giving_way import Recordings, apart
from fasttalk_stt.inference.job import Job, Turn
from fasttalk_stt.inference.load import Load, LoadMeter
from fasttalk_stt.inference.policy import (
    REQUEST_KINDS,
    Priority,
    Urgency,
    next_batch,
    patient_until_s,
)
from fasttalk_stt.telemetry.telemetry import NO_TELEMETRY, RequestKind, Telemetry

_log = structlog.get_logger(__name__)

LOAD_EVERY_S = 0.5
LONGEST_MOVE_S = 120.0
"""A large model from a slow disk; a load that takes longer hangs."""
SHORTEST_LOOK_S = 0.1


@frozen
class SchedulerStatistics:
    """`waiting` requests are not begun, `running` are in the engine now. Of `seats`, `stuck` wait for a call
    that takes too long."""

    waiting: int
    running: int
    batches: int
    decoded: int
    abandoned: int
    seats: int
    stuck: int


class Scheduler:
    """Decodes requests of all sessions on one engine.

    `run` must be running before `decode` can return. `batch_size` is the most requests that are
    decoded together, never more than are worth it to the engine. `promised_s` is how long a final may
    wait, 95 of 100; None: nothing follows from how long they wait. `longest_call_s` is when a call is taken
    for stuck at the latest, not counting what `moving_s` has grown by meanwhile: the time for which models
    were being loaded.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        batch_size: int,
        promised_s: float | None = None,
        longest_call_s: float = LONGEST_CALL_S,
        moving_s: Callable[[], float] = lambda: 0.0,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._longest_call_s = longest_call_s
        self._moving_s = moving_s
        self._stuck_since_s: dict[object, float] = {}
        self._batch_size = min(batch_size, engine.batch_size)
        self._jobs: list[Job] = []
        self._recordings = Recordings()
        self._arrival = trio.lowlevel.ParkingLot()
        self._running = 0
        self._free_seats = engine.seats
        self._meter = LoadMeter(engine.seats, promised_s)
        self._load = self._meter.load(-math.inf)
        self._load_known_s = -math.inf
        self._batches = 0
        self._decoded = 0
        self._abandoned = 0

    @property
    def model_name(self) -> str:
        return self._engine.model_name

    @property
    def longest_call_s(self) -> float:
        """After which a call is taken for stuck, however much it decodes."""
        return self._longest_call_s

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
            seats=self._engine.seats,
            stuck=len(self._stuck_since_s),
        )

    def waiting(self) -> dict[RequestKind, int]:
        """How many requests of each kind wait for a seat."""
        kinds = Counter(REQUEST_KINDS[job.urgency.priority] for job in self._jobs)
        return {kind: kinds[kind] for kind in REQUEST_KINDS.values()}

    def stuck_s(self) -> float:
        """For how long every seat has been stuck in a call that does not return; 0 while one works."""
        if len(self._stuck_since_s) < self._engine.seats:
            return 0.0
        return trio.current_time() - max(self._stuck_since_s.values())

    def load(self) -> Load:
        """The load of the last seconds, looked at twice a second."""
        now_s = trio.current_time()
        if now_s - self._load_known_s >= LOAD_EVERY_S:
            self._load, self._load_known_s = self._meter.load(now_s), now_s
        return self._load

    async def decode(
        self,
        make_request: Callable[[], DecodeRequest],
        *,
        urgency: Urgency,
        turn: Turn | None = None,
    ) -> Hypothesis:
        """Wait for the engine's answer to one request.

        `make_request` is called now and again when the engine takes the request up, which then is for
        what it gives: a look at something that grows sees all of it. `turn` is kept up to date with whether
        it has a seat. Raises EngineError where the engine failed on it. Cancelling leaves at once, whatever
        the engine is doing.
        """
        job = Job(make_request, urgency, turn or Turn())
        self._jobs.append(job)
        self._arrival.unpark_all()
        self._make_way(urgency)
        try:
            await job.done.wait()
        finally:
            if not job.done.is_set():
                job.request.interest.is_lost = job.is_abandoned = True
                self._abandoned += 1
                if job in self._jobs:
                    # At once, for its audio's sake: behind urgent jobs it might lie here for long.
                    self._jobs.remove(job)
            self._telemetry.request_done(job.report())
        if isinstance(job.result, EngineError):
            raise job.result
        if job.result is None:
            raise RuntimeError("a job was done without a result")
        return job.result

    def hurry(self, urgency: Urgency, priority: Priority) -> None:
        """Make a request that waits more urgent."""
        urgency.raise_to(priority, trio.current_time())
        self._arrival.unpark_all()
        self._make_way(urgency)

    def _make_way(self, urgency: Urgency) -> None:
        """Have recordings leave their seats to a final that else would find none."""
        if urgency.priority is Priority.FINAL:
            self._recordings.make_way(self._jobs, self._free_seats)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve requests until cancelled. The engine must be loaded."""
        self._meter.expect(self._engine.request_s)
        async with trio.open_nursery() as nursery:
            for _ in range(self._engine.seats):
                nursery.start_soon(self._serve_seat, nursery)
            task_status.started()

    async def _serve_seat(self, nursery: trio.Nursery) -> None:
        while True:
            batch = self._take_batch()
            if not batch:
                with trio.move_on_at(patient_until_s(self._jobs)):
                    await self._arrival.park()
                continue
            self._free_seats -= 1
            self._running += len(batch)
            urgency = batch[0].urgency
            is_owed = urgency.is_live and urgency.priority is not Priority.PARTIAL
            began_s = trio.current_time()
            try:
                with self._recordings.seated(batch):
                    await self._call(batch, nursery)
            finally:
                ended_s = trio.current_time()
                self._telemetry.batch_done(len(batch), ended_s - began_s)
                self._meter.worked(
                    began_s,
                    ended_s,
                    is_owed=is_owed,
                    # A recording's requests are far longer than a stream's.
                    n_requests=0 if urgency.priority is Priority.RECORDING else len(batch),
                )
                self._free_seats += 1
                self._running -= len(batch)
                # A look may have waited for a second seat to be free.
                self._arrival.unpark_all()

    def _take_batch(self) -> list[Job]:
        batch = next_batch(
            self._jobs,
            now_s=trio.current_time(),
            seats=self._engine.seats,
            free_seats=self._free_seats,
            batch_size=self._batch_size,
        )
        batch = apart(batch)
        self._jobs = [job for job in self._jobs if job not in batch]
        begun = [job for job in batch if self._begin(job)]
        for job in begun:
            job.batch_size = len(begun)
        return begun

    def _begin(self, job: Job) -> bool:
        try:
            job.begin()
        except Exception as error:  # noqa: BLE001 - one session's fault, and the others must go on
            _log.error("request_not_made", exc_info=error)
            failure = EngineError("the request could not be made")
            failure.__cause__ = error
            job.finish(failure)
            return False
        self._note_wait(job)
        return True

    async def _call(self, batch: list[Job], nursery: trio.Nursery) -> None:
        """Decode a batch. Where that takes too long its requests are given up, not the call: the seat
        waits for its end, since the model is still busy with it, and then is there again."""
        returned = trio.Event()

        async def decode() -> None:
            try:
                await self._decode(batch)
            finally:
                returned.set()

        nursery.start_soon(decode)
        began_s, moved_before_s = trio.current_time(), self._moving_s()
        limit_s = left_s = call_limit_s(
            batch, request_s=self._engine.request_s, longest_s=self._longest_call_s
        )
        while left_s > 0:
            with trio.move_on_after(max(left_s, SHORTEST_LOOK_S)):
                await returned.wait()
            if returned.is_set():
                return
            moved_s = min(self._moving_s() - moved_before_s, LONGEST_MOVE_S)
            left_s = limit_s + moved_s - (trio.current_time() - began_s)
        _log.error("call_stuck", after_s=round(limit_s, 1), requests=len(batch))
        self._stuck_since_s[returned] = trio.current_time() - limit_s
        try:
            for job in batch:
                job.request.interest.is_lost = True
                job.finish(EngineTimeoutError(f"the engine did not answer within {limit_s:.1f} s"))
            await returned.wait()
        finally:
            del self._stuck_since_s[returned]
        _log.warning("call_returned")

    async def _decode(self, batch: list[Job]) -> None:
        self._batches += 1
        try:
            hypotheses = await self._engine.decode([job.request for job in batch])
            check_hypotheses([job.request for job in batch], hypotheses)
        except NobodyWaitsError as error:
            for job in batch:
                if job.gave_way:
                    self._wait_again(job)
                elif job.request.interest.is_lost or len(batch) == 1:
                    job.finish(error)
                else:
                    await self._decode([job])
        except Exception as error:  # noqa: BLE001 - whatever it is, other sessions must go on
            await self._fail(batch, error)
        else:
            for job, hypothesis in zip(batch, hypotheses, strict=True):
                if job.gave_way:
                    # An answer with no interest in it may have been left half done.
                    self._wait_again(job)
                    continue
                self._decoded += 1
                job.finish(hypothesis)

    def _wait_again(self, job: Job) -> None:
        """Put back what gave way, at the place that it had, unless nobody waits for it any more."""
        if job.is_abandoned or job.done.is_set():
            return
        self._jobs = sorted([*self._jobs, job], key=lambda each: each.since_s)
        self._arrival.unpark_all()

    def _note_wait(self, job: Job) -> None:
        urgency = job.urgency
        if urgency.is_live and urgency.priority is Priority.FINAL:
            self._meter.waited(job.wait_s, job.begun_s)

    async def _fail(self, batch: list[Job], error: Exception) -> None:
        """A batch that failed is decoded one by one: only the culprit shall suffer."""
        if len(batch) > 1:
            for job in batch:
                if job.gave_way:
                    self._wait_again(job)
                elif not job.request.interest.is_lost:
                    await self._decode([job])
            return
        if isinstance(error, EngineError):
            _log.warning("decode_failed", error=str(error), error_type=type(error).__name__)
            batch[0].finish(error)
            return
        _log.error("engine_raised_unexpectedly", exc_info=error)
        failure = EngineError("the engine raised an unexpected exception")
        failure.__cause__ = error
        batch[0].finish(failure)
