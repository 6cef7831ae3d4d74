"""What probes and newcomers are told when the engine is stuck or rests."""

from __future__ import annotations

import pytest
from attrs import define, field

from fasttalk_stt.inference.breaker import BreakerReport
from fasttalk_stt.inference.errors import EngineUnavailableError
from fasttalk_stt.inference.resilience import BreakerReports
from fasttalk_stt.inference.scheduler import SchedulerStatistics
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.service.engine_health import EngineHealth
from fasttalk_stt.service.readiness import Readiness, ReadinessState

CLOSED = BreakerReport("closed", 0, 0.0, None)


@define
class Engine:
    """Stuck for so long, with this breaker open."""

    stuck: float = 0.0
    opened: EngineUnavailableError | None = None
    seats: SchedulerStatistics = field(default=SchedulerStatistics(0, 1, 0, 0, 0, 1, 1))

    def stuck_s(self) -> float:
        return self.stuck

    def statistics(self) -> SchedulerStatistics:
        return self.seats

    def open_breaker(self) -> EngineUnavailableError | None:
        return self.opened

    def reports(self) -> BreakerReports:
        return BreakerReports(CLOSED, CLOSED)


def health(engine: Engine) -> EngineHealth:
    return EngineHealth(engine, engine, stuck_limit_s=15, dead_limit_s=120)


@pytest.mark.parametrize(
    ("stuck_s", "is_ready", "is_alive"),
    [(0, True, True), (14.9, True, True), (15, False, True), (120, False, False)],
)
def test_a_stuck_engine_is_first_not_ready_and_then_dead(
    stuck_s: float, is_ready: bool, is_alive: bool
) -> None:
    subject = health(Engine(stuck=stuck_s))
    assert (subject.trouble() is None, subject.is_alive) == (is_ready, is_alive)


def test_an_open_breaker_keeps_newcomers_out_for_as_long_as_it_is_open() -> None:
    engine = Engine(opened=EngineUnavailableError("GPU: no", retry_after_s=212, is_gpu=True))
    readiness = Readiness(health(engine).trouble)
    readiness.move(ReadinessState.READY)
    assert not readiness.is_ready
    assert readiness.reasons() == ["GPU: no"]
    with pytest.raises(ProtocolError, match="GPU: no") as caught:
        readiness.check_model()
    assert (caught.value.kind.code, caught.value.retry_after_s) == ("service_unavailable", 212)
    engine.opened = None
    assert readiness.is_ready
    readiness.check_model()


def test_before_it_is_loaded_that_is_what_is_told() -> None:
    readiness = Readiness(health(Engine(stuck=99)).trouble)
    assert readiness.reasons() == ["the model is still loading"]


def test_the_report_names_both_breakers_and_the_seats() -> None:
    report = health(Engine()).report()
    assert report["seats"] == {"total": 1, "stuck": 1}
    assert report["breakers"]["gpu"]["state"] == "closed"
    assert set(report["breakers"]) == {"gpu", "transcription"}
