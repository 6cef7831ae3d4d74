"""Faults on purpose: the plan is read strictly, and struck as it says."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.inference.checked import check_hypotheses
from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.errors import (
    BadOutputError,
    EngineError,
    GpuError,
    GpuMemoryExhaustedError,
)
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.faulty import Faults, FaultyEngine, read_faults

REQUESTS = [DecodeRequest(np.full(16_000, 0.1, dtype=np.float32))]


async def struck(plan: str, calls: int) -> list[str]:
    """What each call came to."""
    engine = FaultyEngine(FakeEngine(), Faults(read_faults(plan)))
    found = []
    for _ in range(calls):
        before_s = trio.current_time()
        try:
            answers = await engine.decode(REQUESTS)
            check_hypotheses(REQUESTS, answers)
        except EngineError as error:
            found.append(type(error).__name__)
        else:
            took_s = trio.current_time() - before_s
            found.append(f"after {took_s:g} s" if took_s else "ok")
    return found


async def test_faults_by_the_number_of_the_call(autojump_clock: MockClock) -> None:
    assert await struck("error@2,gpu@3,oom@4-5,slow@6,hang(30s)@7,garbage@8", 9) == [
        "ok",
        EngineError.__name__,
        GpuError.__name__,
        GpuMemoryExhaustedError.__name__,
        GpuMemoryExhaustedError.__name__,
        "after 2 s",
        "after 30 s",
        BadOutputError.__name__,
        "ok",
    ]


async def test_calls_are_counted_over_all_models(autojump_clock: MockClock) -> None:
    faults = Faults(read_faults("error@2"))
    first, second = (FaultyEngine(FakeEngine(), faults) for _ in range(2))
    await first.decode(REQUESTS)
    with pytest.raises(EngineError):
        await second.decode(REQUESTS)


async def test_a_hang_without_a_time_never_returns(autojump_clock: MockClock) -> None:
    engine = FaultyEngine(FakeEngine(), Faults(read_faults("hang@1")))
    with trio.move_on_after(1e6) as scope:
        await engine.decode(REQUESTS)
    assert scope.cancelled_caught


async def test_the_same_seed_strikes_the_same_calls(autojump_clock: MockClock) -> None:
    first = await struck("error:0.3,oom:0.2;seed=7", 60)
    assert first == await struck("error:0.3,oom:0.2;seed=7", 60)
    assert first != await struck("error:0.3,oom:0.2;seed=8", 60)
    assert 8 <= first.count("EngineError") <= 30
    assert 4 <= first.count("GpuMemoryExhaustedError") <= 20


async def test_garbage_is_never_taken_for_a_hypothesis(autojump_clock: MockClock) -> None:
    assert set(await struck("garbage:1", 40)) == {"BadOutputError"}


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "fire:0.1",
        "oom",
        "oom:2",
        "oom(2s):0.1",
        "slow(2):0.1",
        "oom@0",
        "oom@5-3",
        "oom:0.1;x=1",
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_one_line(plan: str) -> None:
    with pytest.raises(ValueError, match="expected faults with commas between") as caught:
        read_faults(plan)
    assert "\n" not in str(caught.value)
