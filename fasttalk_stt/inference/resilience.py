"""What stands between sessions and an engine that fails: retries, circuit breakers, deadlines.

One for all connections. A segment is tried, tried again while that can succeed, and counted once, as
a success or as one failure of the GPU or of the model. What is only looked at (drafts, speculation) is not
tried again, its failures are not counted, and it is not asked for while a breaker is open. `scheduler`
decides when something is decoded, `breaker` whether it may be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import structlog
import trio
from attrs import field, frozen

from fasttalk_stt.inference.breaker import BreakerReport, BreakerState, CircuitBreaker
from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    GpuError,
    NobodyWaitsError,
)
from fasttalk_stt.inference.job import Turn
from fasttalk_stt.inference.policy import Priority, Urgency
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.telemetry.telemetry import NO_TELEMETRY, Telemetry

MOST_RETRIES = 2
BASE_DELAY_S = 1.0
JITTER = 0.25
"""Of a delay, more or less, so that segments that failed together do not come together again."""
RECORDING_PATIENCE_S = 10.0
"""How long a recording waits for a breaker. For a seat it may wait far longer."""
TRIAL_S = 4.0
"""As long as a short call may take before it counts as stuck."""
GPU_OPEN_S = 300.0
TRANSCRIPTION_OPEN_S = 120.0

_log = structlog.get_logger(__name__)

MakeRequest = Callable[[], DecodeRequest]


@frozen
class BreakerReports:
    """Both breakers, for `/health`."""

    gpu: BreakerReport
    transcription: BreakerReport


@frozen
class _Admission:
    """What one segment was admitted by: whether it is the trial of a breaker."""

    gpu: bool
    transcription: bool

    @property
    def is_trial(self) -> bool:
        return self.gpu or self.transcription


@frozen
class Resilience:
    """Decodes for all sessions of a server."""

    scheduler: Scheduler
    gpu: CircuitBreaker
    transcription: CircuitBreaker
    rng: random.Random = field(factory=random.Random)
    telemetry: Telemetry = NO_TELEMETRY
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    _told: dict[str, str] = field(factory=dict, init=False, eq=False)

    @classmethod
    def of(
        cls,
        scheduler: Scheduler,
        *,
        gpu_threshold: int,
        transcription_threshold: int,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> Resilience:
        """With breakers that open after so many failures in a row."""
        return cls(
            scheduler,
            CircuitBreaker(gpu_threshold, GPU_OPEN_S),
            CircuitBreaker(transcription_threshold, TRANSCRIPTION_OPEN_S),
            telemetry=telemetry,
        )

    def reports(self) -> BreakerReports:
        now_s = trio.current_time()
        return BreakerReports(self.gpu.report(now_s), self.transcription.report(now_s))

    def open_breaker(self) -> EngineUnavailableError | None:
        """Why nothing is tried now and for how long; None while something is."""
        now_s = trio.current_time()
        for name, breaker in (("GPU", self.gpu), ("transcription", self.transcription)):
            if breaker.state(now_s) is BreakerState.OPEN:
                remaining_s = breaker.remaining_s(now_s)
                cause = breaker.report(now_s).last_cause
                return EngineUnavailableError(
                    f"the {name} breaker is open for another {remaining_s:.0f} s: {cause}",
                    retry_after_s=remaining_s,
                    is_gpu=breaker is self.gpu,
                )
        return None

    async def decode_look(self, make_request: MakeRequest, *, urgency: Urgency) -> Hypothesis:
        """Decode what may be decoded again later. Raises EngineError, at once while a breaker is open or
        on trial."""
        now_s = trio.current_time()
        for breaker in (self.gpu, self.transcription):
            if breaker.state(now_s) is not BreakerState.CLOSED:
                raise EngineUnavailableError(
                    "a circuit breaker is open",
                    retry_after_s=breaker.remaining_s(now_s),
                    is_gpu=breaker is self.gpu,
                )
        hypothesis = await self.scheduler.decode(make_request, urgency=urgency)
        # Most segments get their text from a look, so without this no failures would be in a row.
        for breaker in (self.gpu, self.transcription):
            breaker.succeeded(is_trial=False)
        return hypothesis

    async def decode_segment(
        self, make_request: MakeRequest, *, urgency: Urgency, deadline_s: float
    ) -> Hypothesis:
        """Decode a segment by `deadline_s`, with retries.

        Raises EngineUnavailableError where a breaker stays open for longer, EngineTimeoutError at the
        deadline, and the error of the last try where it failed. Cancelling leaves at once.
        """
        n_retries = 0
        while True:
            latest_s = deadline_s
            if urgency.priority is Priority.RECORDING:
                latest_s = min(deadline_s, trio.current_time() + RECORDING_PATIENCE_S)
            admission = await self._wait_admission(latest_s)
            # A trial is in everybody's interest: nobody may leave it waiting behind the others.
            if admission.is_trial:
                self.scheduler.hurry(urgency, Priority.FINAL)
            outcome = await self._try(make_request, urgency, deadline_s, admission)
            if isinstance(outcome, Hypothesis):
                return outcome
            delay_s = BASE_DELAY_S * 2**n_retries * self.rng.uniform(1 - JITTER, 1 + JITTER)
            if n_retries == MOST_RETRIES or not self._may_retry(admission, deadline_s - delay_s):
                self._note_failure(outcome, admission)
                raise outcome
            n_retries += 1
            self.telemetry.retried()
            _log.info("retry", after_s=round(delay_s, 1), error=str(outcome))
            await trio.sleep(delay_s)

    def _may_retry(self, admission: _Admission, latest_s: float) -> bool:
        """A trial is one try; with the GPU's breaker open, or behind `latest_s`, another is for nothing."""
        now_s = trio.current_time()
        is_closed = self.gpu.state(now_s) is BreakerState.CLOSED
        return is_closed and not admission.is_trial and now_s < latest_s

    async def _try(
        self,
        make_request: MakeRequest,
        urgency: Urgency,
        deadline_s: float,
        admission: _Admission,
    ) -> Hypothesis | EngineError:
        """One try. A success is noted; a failure is returned, since it may not be the last."""
        outcome: Hypothesis | EngineError | None = None
        try:
            outcome = await self._ask(make_request, urgency, deadline_s)
        finally:
            if isinstance(outcome, Hypothesis):
                self.gpu.succeeded(is_trial=admission.gpu)
                self.transcription.succeeded(is_trial=admission.transcription)
            elif outcome is None:
                self.gpu.withdrawn(is_trial=admission.gpu)
                self.transcription.withdrawn(is_trial=admission.transcription)
            self._tell_moves()
            self._news.unpark_all()
        return outcome

    async def _ask(
        self, make_request: MakeRequest, urgency: Urgency, deadline_s: float
    ) -> Hypothesis | EngineError:
        """What the engine answers or fails with. Raises EngineTimeoutError where no seat was free in
        time: then there was too much to do, and nothing is broken."""
        turn = Turn()
        try:
            with trio.move_on_at(deadline_s):
                return await self.scheduler.decode(make_request, urgency=urgency, turn=turn)
        except NobodyWaitsError:
            raise
        except EngineError as error:
            return error
        if not turn.has_seat and not self.scheduler.stuck_s():
            raise EngineTimeoutError("no seat was free in time")
        return EngineTimeoutError("the engine did not answer in time")

    def _check_time(self, left_s: float, breakers: Sequence[CircuitBreaker]) -> None:
        """Raises EngineUnavailableError for who would be the trial and has no time to be a fair one: a model
        that works would seem broken for minutes more."""
        now_s = trio.current_time()
        needed_s = min(TRIAL_S, self.scheduler.longest_call_s / 2)
        for breaker in breakers:
            if breaker.state(now_s) is BreakerState.HALF_OPEN and left_s < needed_s:
                raise EngineUnavailableError(
                    "a circuit breaker is half-open, and there is no time for its trial",
                    retry_after_s=BASE_DELAY_S,
                    is_gpu=breaker is self.gpu,
                )

    def _note_failure(self, error: EngineError, admission: _Admission) -> None:
        now_s = trio.current_time()
        if isinstance(error, GpuError):
            self.gpu.failed(str(error), now_s, is_trial=admission.gpu)
            self.transcription.withdrawn(is_trial=admission.transcription)
        else:
            self.gpu.withdrawn(is_trial=admission.gpu)  # it says nothing of the GPU
            self.transcription.failed(str(error), now_s, is_trial=admission.transcription)
        self._tell_moves()
        self._news.unpark_all()
        opened = self.open_breaker()
        if opened is not None:
            _log.error("breaker_open", reason=str(opened))

    def _tell_moves(self) -> None:
        """Report what has changed since. That a breaker's time is over is noticed by whoever tries next."""
        now_s = trio.current_time()
        for name, breaker in (("gpu", self.gpu), ("transcription", self.transcription)):
            state = breaker.state(now_s).value
            if self._told.get(name, BreakerState.CLOSED.value) != state:
                self._told[name] = state
                self.telemetry.breaker_moved(name, state)

    async def _wait_admission(self, deadline_s: float) -> _Admission:
        """Wait until both breakers let somebody try."""
        while True:
            self._tell_moves()
            now_s = trio.current_time()
            breakers = (self.gpu, self.transcription)
            if all(breaker.admits(now_s) for breaker in breakers):
                self._check_time(deadline_s - now_s, breakers)
                return _Admission(*(breaker.enter(now_s) for breaker in breakers))
            longest = max(breakers, key=lambda breaker: breaker.remaining_s(now_s))
            remaining_s = longest.remaining_s(now_s)
            if now_s >= deadline_s or now_s + remaining_s > deadline_s:
                raise EngineUnavailableError(
                    "a circuit breaker is open",
                    retry_after_s=max(remaining_s, BASE_DELAY_S),
                    is_gpu=longest is self.gpu,
                )
            # Half-open, somebody else is on trial, and will tell.
            until_s = now_s + remaining_s if remaining_s else deadline_s
            with trio.move_on_at(until_s):
                await self._news.park()
