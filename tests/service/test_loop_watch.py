"""Steps of tasks that keep the event loop."""

from __future__ import annotations

import trio
from attrs import define
from structlog.testing import capture_logs

from fasttalk_stt.service.loop_watch import LoopWatch


@define
class HandClock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_slow_steps_are_counted_and_the_slowest_is_named() -> None:
    clock = HandClock()
    watch = LoopWatch(clock)

    async def compute(took_s: float) -> None:
        await trio.lowlevel.checkpoint()
        clock.now_s += took_s

    with watch.watching(), capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            for took_s in (0.004, 0.007, 0.06, 0.02):
                nursery.start_soon(compute, took_s, name=f"computes {took_s}")
    assert watch.statistics.slow_steps == 3
    assert watch.statistics.slowest_ms == 60.0
    assert watch.statistics.slowest_task == "computes 0.06"
    assert [(line["event"], line["task"]) for line in logs] == [("slow_step", "computes 0.06")]


async def test_nothing_is_watched_outside() -> None:
    clock = HandClock()
    watch = LoopWatch(clock)
    with watch.watching():
        await trio.lowlevel.checkpoint()
    clock.now_s += 1.0
    await trio.lowlevel.checkpoint()
    assert watch.statistics.slow_steps == 0
