"""Whether the engine can serve: its breakers, and calls that do not return.

Asked whenever somebody wants to know; there is no task that watches. `readiness` asks before every
upgrade, the probes of an orchestrator every few seconds.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs
from attrs import frozen

from fasttalk_stt.inference.errors import EngineUnavailableError
from fasttalk_stt.inference.resilience import BreakerReports
from fasttalk_stt.inference.scheduler import SchedulerStatistics
from fasttalk_stt.telemetry.telemetry import RequestKind

STUCK_RETRY_S = 10.0


class ResilienceLike(Protocol):
    """What is asked of `inference.resilience.Resilience`."""

    def reports(self) -> BreakerReports: ...
    def open_breaker(self) -> EngineUnavailableError | None: ...


class SchedulerLike(Protocol):
    """What is asked of `inference.scheduler.Scheduler`."""

    def statistics(self) -> SchedulerStatistics: ...
    def waiting(self) -> dict[RequestKind, int]: ...
    def stuck_s(self) -> float: ...


@frozen
class Trouble:
    """Why no new connection is taken, in a sentence, and when to ask again."""

    reason: str
    retry_after_s: float


@frozen
class EngineHealth:
    """Of one engine. After `stuck_limit_s` with every seat in a call that does not return the server is not
    ready, after `dead_limit_s` it is to be restarted."""

    scheduler: SchedulerLike
    resilience: ResilienceLike
    stuck_limit_s: float
    dead_limit_s: float

    def trouble(self) -> Trouble | None:
        """What keeps the engine from serving now; None while it serves."""
        stuck_s = self.scheduler.stuck_s()
        if stuck_s >= self.stuck_limit_s:
            return Trouble(f"the model has not answered for {stuck_s:.0f} s", STUCK_RETRY_S)
        opened = self.resilience.open_breaker()
        return None if opened is None else Trouble(str(opened), opened.retry_after_s)

    @property
    def is_alive(self) -> bool:
        """Whether there is hope without a restart."""
        return self.scheduler.stuck_s() < self.dead_limit_s

    def report(self) -> dict[str, Any]:
        """For `/health`."""
        statistics = self.scheduler.statistics()
        return {
            "breakers": attrs.asdict(self.resilience.reports()),
            "seats": {"total": statistics.seats, "stuck": statistics.stuck},
        }
