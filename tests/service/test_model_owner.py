from __future__ import annotations

import pytest
import trio

from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.service.model_owner import own_model
from fasttalk_stt.service.readiness import Readiness, ReadinessState


class BrokenEngine(FakeEngine):
    async def load(self) -> None:
        raise EngineError("the weights are damaged")


class BrokenScheduler:
    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(1)
        raise RuntimeError("a bug")


async def test_ready_only_once_the_model_is_loaded(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    engine, readiness = FakeEngine(load_s=12), Readiness()
    nursery.start_soon(own_model, engine, Scheduler(engine, batch_size=1), readiness)
    await trio.sleep(11.9)
    assert readiness.state is ReadinessState.LOADING
    await trio.sleep(0.2)
    assert readiness.is_ready


async def test_model_that_does_not_load_is_a_failure() -> None:
    engine, readiness = BrokenEngine(), Readiness()
    with pytest.raises(ExceptionGroup) as caught:
        await own_model(engine, Scheduler(engine, batch_size=1), readiness)
    assert caught.group_contains(EngineError, match="damaged")
    assert readiness.state is ReadinessState.FAILED


async def test_death_of_the_scheduler_is_a_failure(
    autojump_clock: trio.testing.MockClock,
) -> None:
    readiness = Readiness()
    with pytest.raises(ExceptionGroup):
        await own_model(FakeEngine(), BrokenScheduler(), readiness)
    assert readiness.state is ReadinessState.FAILED


async def test_cancelling_is_no_failure(autojump_clock: trio.testing.MockClock) -> None:
    engine, readiness = FakeEngine(), Readiness()
    with trio.move_on_after(1):
        await own_model(engine, Scheduler(engine, batch_size=1), readiness)
    assert readiness.state is ReadinessState.READY


async def test_a_default_language_the_model_lacks_stops_the_start(
    autojump_clock: trio.testing.MockClock,
) -> None:
    readiness = Readiness()
    engine = FakeEngine()
    with pytest.RaisesGroup(pytest.RaisesExc(EngineError, match="LANGUAGE=sv: the model fake")):
        await own_model(engine, Scheduler(engine, batch_size=1), readiness, language="sv")
    assert readiness.state is ReadinessState.FAILED
