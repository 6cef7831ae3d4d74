"""Smaller models take over where memory ends, and give way again."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError, GpuMemoryExhaustedError
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.fallback import (
    LONGEST_RETURN_S,
    RETURN_AFTER_S,
    FallbackEngine,
    FallbackStatistics,
)


class Sized(FakeEngine):
    """Needs so much of a memory that all share."""

    def __init__(self, name: str, size: int, memory: Memory) -> None:
        super().__init__(load_s=1.0, cost_s=lambda _: 0.1)
        self.model_name = name
        self.loads = 0
        self._size, self._memory = size, memory

    async def load(self) -> None:
        await super().load()
        self.loads += 1
        if self._size > self._memory.free(beside=self):
            raise GpuMemoryExhaustedError("it does not fit")
        self._memory.held[self] = self._size

    async def unload(self) -> None:
        self._memory.held.pop(self, None)

    async def decode(self, requests: list[DecodeRequest]) -> list[Hypothesis]:
        if self not in self._memory.held:
            raise EngineError("not loaded")
        if self._memory.free(beside=None) < 0:
            raise GpuMemoryExhaustedError("no room to compute")
        return await super().decode(requests)


class Memory:
    """`taken` by other programs on the card."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0
        self.held: dict[Sized, int] = {}

    def free(self, *, beside: Sized | None) -> int:
        held = sum(size for engine, size in self.held.items() if engine is not beside)
        return self.total - self.taken - held


@pytest.fixture
def memory() -> Memory:
    return Memory(10)


@pytest.fixture
def engines(memory: Memory) -> list[Sized]:
    return [Sized("large", 6, memory), Sized("base", 3, memory), Sized("tiny", 1, memory)]


def requests() -> list[DecodeRequest]:
    return [DecodeRequest(np.full(16_000, 0.1, dtype=np.float32))]


async def model_of(engine: FallbackEngine) -> str | None:
    [hypothesis] = await engine.decode(requests())
    assert hypothesis.text
    return hypothesis.model


async def test_the_preferred_model_serves_where_it_fits(
    engines: list[Sized], autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()
    assert await model_of(engine) == "large"
    assert engine.preferred_model == engine.model_name == "large"
    assert [each.loads for each in engines] == [1, 0, 0]


async def test_the_best_that_fits_is_loaded(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    memory.taken = 7
    engine = FallbackEngine(engines)
    await engine.load()
    assert engine.model_name == "base"
    assert engine.preferred_model == "large"


async def test_none_that_fits_is_an_error(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    memory.taken = 10
    with pytest.raises(GpuMemoryExhaustedError):
        await FallbackEngine(engines).load()
    assert not memory.held


async def test_a_request_that_finds_no_memory_is_answered_by_a_smaller_model(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()
    memory.taken = 5
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append(await model_of(engine))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert answers == ["base", "base"]
    assert [each.loads for each in engines] == [1, 1, 0]
    assert list(memory.held) == [engines[1]]


async def test_without_memory_for_any_it_fails_and_serves_again_once_there_is_some(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()
    memory.taken = 20
    with pytest.raises(GpuMemoryExhaustedError):
        await engine.decode(requests())
    with pytest.raises(GpuMemoryExhaustedError):
        await engine.decode(requests())
    memory.taken = 0
    assert await model_of(engine) == "large"


async def test_it_comes_back_once_the_better_one_fits_beside(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        memory.taken = 5
        assert await model_of(engine) == "base"
        await trio.sleep(RETURN_AFTER_S * 2.5)
        assert engine.model_name == "base"
        assert engines[0].loads == 2, "tried once more, in vain"
        memory.taken = 0
        await trio.sleep(RETURN_AFTER_S * 2)
        assert await model_of(engine) == "large"
        assert list(memory.held) == [engines[0]]
        # After a good while all of it again.
        await trio.sleep(RETURN_AFTER_S * 4)
        memory.taken = 5
        assert await model_of(engine) == "base"
        memory.taken = 0
        await trio.sleep(RETURN_AFTER_S + 5)
        assert await model_of(engine) == "large"
        assert engine.statistics == FallbackStatistics(fallen=2, returned=2)
        nursery.cancel_scope.cancel()


async def test_a_model_that_loads_but_cannot_decode_does_not_come_back_each_minute(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()

    async def run_out_whenever_it_is_back() -> None:
        while True:
            await trio.sleep(1)
            if engine.model_name == "large":
                memory.taken = 5
                assert await model_of(engine) == "base"
                memory.taken = 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        nursery.start_soon(run_out_whenever_it_is_back)
        await trio.sleep(6 * LONGEST_RETURN_S)
        nursery.cancel_scope.cancel()
    assert 8 <= engines[0].loads <= 12


async def test_the_time_of_moving_is_counted(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    engine = FallbackEngine(engines)
    await engine.load()
    assert engine.moving_s() == 1.0
    await trio.sleep(5)
    memory.taken = 5
    assert await model_of(engine) == "base"
    assert engine.moving_s() == 2.0


async def test_it_tries_ever_more_rarely_but_never_stops(
    engines: list[Sized], memory: Memory, autojump_clock: MockClock
) -> None:
    memory.taken = 7
    engine = FallbackEngine(engines)
    await engine.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        await trio.sleep(6 * LONGEST_RETURN_S)
        assert 8 <= engines[0].loads <= 12
        memory.taken = 0
        await trio.sleep(LONGEST_RETURN_S + 5)
        assert engine.model_name == "large"
        nursery.cancel_scope.cancel()
