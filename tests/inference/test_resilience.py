"""Retries, deadlines and breakers around the scheduler, without a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    GpuError,
)
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.policy import Priority, Urgency
from fasttalk_stt.inference.resilience import (
    BASE_DELAY_S,
    GPU_OPEN_S,
    JITTER,
    MOST_RETRIES,
    TRANSCRIPTION_OPEN_S,
    Resilience,
)
from fasttalk_stt.inference.scheduler import Scheduler

GPU_THRESHOLD = 3
TRANSCRIPTION_THRESHOLD = 5


class Failing(FakeEngine):
    """Fails with what lies in `faults`, one a call, and then no more."""

    def __init__(self) -> None:
        super().__init__(cost_s=lambda _: 0.1)
        self.faults: list[EngineError] = []
        self.calls_s: list[float] = []

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.calls_s.append(trio.current_time())
        if self.faults:
            raise self.faults.pop(0)
        return await super().decode(requests)


def request() -> DecodeRequest:
    return DecodeRequest(np.full(16_000, 0.1, dtype=np.float32))


@asynccontextmanager
async def serving(engine: FakeEngine) -> AsyncIterator[Resilience]:
    scheduler = Scheduler(engine, batch_size=1, longest_call_s=5.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        yield Resilience.of(
            scheduler,
            gpu_threshold=GPU_THRESHOLD,
            transcription_threshold=TRANSCRIPTION_THRESHOLD,
        )
        nursery.cancel_scope.cancel()


async def segment(resilience: Resilience, *, within_s: float = 10.0) -> Hypothesis:
    return await resilience.decode_segment(
        request, urgency=Urgency(Priority.FINAL), deadline_s=trio.current_time() + within_s
    )


async def segment_after(resilience: Resilience, delay_s: float) -> None:
    await trio.sleep(delay_s)
    await segment(resilience)


async def fail(engine: Failing, resilience: Resilience, error: type[EngineError]) -> None:
    """Have one segment fail with all its retries."""
    engine.faults = [error("on purpose") for _ in range(MOST_RETRIES + 1)]
    with pytest.raises(error):
        await segment(resilience)
    assert not engine.faults


async def test_a_segment_is_tried_again_with_growing_pauses(autojump_clock: MockClock) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        engine.faults = [EngineError("once"), GpuError("twice")]
        assert (await segment(resilience)).words
    first_s, second_s = np.diff(engine.calls_s)
    assert abs(first_s - BASE_DELAY_S) <= JITTER * BASE_DELAY_S
    assert abs(second_s - 2 * BASE_DELAY_S) <= JITTER * 2 * BASE_DELAY_S


async def test_it_is_not_tried_again_where_the_deadline_comes_before(
    autojump_clock: MockClock,
) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        engine.faults = [EngineError("once")]
        with pytest.raises(EngineError, match="once"):
            await segment(resilience, within_s=0.5)
    assert len(engine.calls_s) == 1


@pytest.mark.parametrize(
    ("error", "threshold", "open_s", "is_gpu"),
    [
        (GpuError, GPU_THRESHOLD, GPU_OPEN_S, True),
        (EngineError, TRANSCRIPTION_THRESHOLD, TRANSCRIPTION_OPEN_S, False),
    ],
)
async def test_segments_that_fail_in_a_row_open_the_breaker_of_their_kind(
    error: type[EngineError],
    threshold: int,
    open_s: float,
    is_gpu: bool,
    autojump_clock: MockClock,
) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        for _ in range(threshold - 1):
            await fail(engine, resilience, error)
        assert resilience.open_breaker() is None
        await segment(resilience)
        for _ in range(threshold):
            assert resilience.open_breaker() is None
            await fail(engine, resilience, error)
        opened_s = trio.current_time()
        opened = resilience.open_breaker()
        assert opened is not None
        assert opened.is_gpu is is_gpu
        assert opened.retry_after_s == pytest.approx(open_s)

        before = len(engine.calls_s)
        with pytest.raises(EngineUnavailableError) as caught:
            await segment(resilience)
        assert caught.value.is_gpu is is_gpu
        with pytest.raises(EngineUnavailableError):
            await resilience.decode_look(request, urgency=Urgency(Priority.PARTIAL))
        assert len(engine.calls_s) == before
        assert trio.current_time() == opened_s, "both were told at once"

        # One whose deadline is behind the breaker's end waits for it, and is the trial.
        assert (await segment(resilience, within_s=open_s + 5)).words
        assert trio.current_time() == pytest.approx(opened_s + open_s + 0.1)
        states = {resilience.reports().gpu.state, resilience.reports().transcription.state}
        assert states == {"closed"}


async def test_half_open_the_others_wait_for_the_trial(autojump_clock: MockClock) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        for _ in range(GPU_THRESHOLD):
            await fail(engine, resilience, GpuError)
        await trio.sleep(GPU_OPEN_S)
        engine.faults = [GpuError("the trial's")]
        outcomes: list[object] = []

        async def ask() -> None:
            try:
                outcomes.append(await segment(resilience))
            except EngineError as error:
                outcomes.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert sorted(type(each).__name__ for each in outcomes) == [
            "EngineUnavailableError",
            "EngineUnavailableError",
            "GpuError",
        ]
        assert not engine.faults, "the trial was one try"


async def test_who_has_no_time_is_no_trial(autojump_clock: MockClock) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        for _ in range(GPU_THRESHOLD):
            await fail(engine, resilience, GpuError)
        await trio.sleep(GPU_OPEN_S)
        before = len(engine.calls_s)
        with pytest.raises(EngineUnavailableError, match="no time"):
            await segment(resilience, within_s=0.2)
        assert len(engine.calls_s) == before
        assert resilience.reports().gpu.state == "half_open"
        assert (await segment(resilience)).words
        assert resilience.reports().gpu.state == "closed"


async def test_a_recording_on_trial_waits_behind_nobody(autojump_clock: MockClock) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        for _ in range(GPU_THRESHOLD):
            await fail(engine, resilience, GpuError)
        await trio.sleep(GPU_OPEN_S)
        urgency = Urgency(Priority.RECORDING)
        hypothesis = await resilience.decode_segment(
            request, urgency=urgency, deadline_s=trio.current_time() + 10
        )
        assert hypothesis.words
        assert urgency.priority is Priority.FINAL


async def test_an_engine_that_is_only_busy_breaks_nothing(autojump_clock: MockClock) -> None:
    engine = FakeEngine(cost_s=lambda _: 4.0)
    async with serving(engine) as resilience, trio.open_nursery() as nursery:
        nursery.start_soon(segment, resilience)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2 * TRANSCRIPTION_THRESHOLD):
            with pytest.raises(EngineTimeoutError, match="no seat"):
                await segment(resilience, within_s=0.2)
        assert resilience.open_breaker() is None


async def test_what_gave_way_has_not_been_left_without_an_answer(autojump_clock: MockClock) -> None:
    engine = FakeEngine(cost_s=lambda _: 4.0)
    async with serving(engine) as resilience, trio.open_nursery() as nursery:
        for _ in range(2 * TRANSCRIPTION_THRESHOLD):
            nursery.start_soon(segment_after, resilience, 1.0)
            with pytest.raises(EngineTimeoutError, match="no seat"):
                await resilience.decode_segment(
                    request,
                    urgency=Urgency(Priority.RECORDING),
                    deadline_s=trio.current_time() + 2.0,
                )
            await trio.sleep(10.0)
        assert resilience.open_breaker() is None


async def test_a_look_is_asked_once_and_its_failure_not_counted(autojump_clock: MockClock) -> None:
    engine = Failing()
    async with serving(engine) as resilience:
        for _ in range(2 * TRANSCRIPTION_THRESHOLD):
            engine.faults = [EngineError("a look's")]
            with pytest.raises(EngineError, match="a look's"):
                await resilience.decode_look(request, urgency=Urgency(Priority.PARTIAL))
        assert len(engine.calls_s) == 2 * TRANSCRIPTION_THRESHOLD
        assert resilience.open_breaker() is None
