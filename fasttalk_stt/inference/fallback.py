"""Several models, of which the best that fits the GPU's memory serves.

Where the memory does not suffice the next smaller one takes over, in the middle of a request if need be:
whoever asked waits and gets an answer. After a while the better ones are tried again. Whoever uses it
sees one engine.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
import trio
from attrs import evolve, frozen

from fasttalk_stt.inference.engine import DecodeRequest, Engine, Hypothesis
from fasttalk_stt.inference.errors import EngineError, GpuMemoryExhaustedError

RETURN_AFTER_S = 60.0
LONGEST_RETURN_S = 1800.0
"""Until a better model is tried again: what took the memory may be gone. Each time in vain doubles it, since
loading costs seconds of the machine; a model that serves for less than it was waited for came in vain,
too."""

_log = structlog.get_logger(__name__)


@frozen
class FallbackStatistics:
    """How often a smaller model took over, and how often a better one was back."""

    fallen: int = 0
    returned: int = 0


class UnloadableEngine(Engine, Protocol):
    """An engine whose memory can be had back."""

    async def unload(self) -> None:
        """Let go of the model; `load` makes it serve again. Calls that run end as they would have."""


class FallbackEngine:
    """An `Engine` over `engines`, the preferred first, each smaller than the one before.

    `run` must be running for it to find its way back.
    """

    def __init__(self, engines: Sequence[UnloadableEngine]) -> None:
        if not engines:
            raise ValueError("a fall-back needs at least one engine")
        self._engines = tuple(engines)
        self._index = 0
        self._is_loaded = False
        self._languages: frozenset[str] = frozenset()
        self._moving = trio.Lock()
        self._fell = trio.Event()
        self._moved_s = 0.0
        self._moving_since_s = math.inf
        self.statistics = FallbackStatistics()

    @property
    def model_name(self) -> str:
        return self._current.model_name

    @property
    def preferred_model(self) -> str:
        """The model that serves where there is memory for it."""
        return self._engines[0].model_name

    @property
    def supported_languages(self) -> frozenset[str]:
        # While one gives way to another, those of the one before.
        return self._current.supported_languages or self._languages

    @property
    def seats(self) -> int:
        return self._engines[0].seats

    @property
    def batch_size(self) -> int:
        return self._engines[0].batch_size

    @property
    def request_s(self) -> float:
        return self._current.request_s

    def moving_s(self) -> float:
        """For how long, in all, models were being loaded: a call may have waited for that."""
        return self._moved_s + max(trio.current_time() - self._moving_since_s, 0.0)

    async def load(self) -> None:
        """Load the best that fits. Raises EngineError where none does."""
        async with self._move():
            await self._load_from(0)

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode a batch, on a smaller model where the memory does not suffice.

        Raises GpuMemoryExhaustedError where it suffices for none.
        """
        while True:
            engine = await self._loaded()
            try:
                hypotheses = await engine.decode(requests)
            except GpuMemoryExhaustedError as error:
                if not await self._fall_from(engine, error):
                    raise
                continue
            return [evolve(each, model=engine.model_name) for each in hypotheses]

    async def run(self) -> None:
        """Go back to a better model whenever one fits again, until cancelled."""
        pause_s, back_since_s = RETURN_AFTER_S, -math.inf
        while True:
            await self._fell.wait()
            if trio.current_time() - back_since_s < pause_s:
                pause_s = min(2 * pause_s, LONGEST_RETURN_S)
            else:
                pause_s = RETURN_AFTER_S
            while self._index:
                await trio.sleep(pause_s)
                if not await self._climb():
                    pause_s = min(2 * pause_s, LONGEST_RETURN_S)
            self._fell, back_since_s = trio.Event(), trio.current_time()

    @property
    def _current(self) -> UnloadableEngine:
        return self._engines[self._index]

    @asynccontextmanager
    async def _move(self) -> AsyncIterator[None]:
        """While models come and go, nobody else moves them."""
        async with self._moving:
            self._moving_since_s = trio.current_time()
            try:
                yield
            finally:
                self._moved_s, self._moving_since_s = self.moving_s(), math.inf

    async def _loaded(self) -> UnloadableEngine:
        if not self._is_loaded:
            async with self._move():
                if not self._is_loaded:
                    await self._load_from(0)
        return self._current

    async def _fall_from(self, engine: UnloadableEngine, error: GpuMemoryExhaustedError) -> bool:
        """Serve with a smaller model than this; returns whether one does now."""
        async with self._move():
            if self._current is not engine:
                return True  # another request found out before
            if self._index + 1 == len(self._engines):
                return False
            _log.warning("out_of_gpu_memory", model=engine.model_name, error=str(error))
            self._is_loaded = False
            await engine.unload()
            await self._load_from(self._index + 1)
            return True

    async def _load_from(self, first: int) -> None:
        """Load the first that fits, from the `first` on. Raises the error of the last."""
        for index in range(first, len(self._engines)):
            engine = self._engines[index]
            try:
                await engine.load()
            except GpuMemoryExhaustedError:
                await engine.unload()
                if index + 1 == len(self._engines):
                    raise
                _log.warning("no_gpu_memory_for_model", model=engine.model_name)
            else:
                self._index, self._is_loaded = index, True
                self._languages = engine.supported_languages
                if index:
                    _log.warning("fallen_back", model=engine.model_name)
                    fallen = self.statistics.fallen + 1
                    self.statistics = evolve(self.statistics, fallen=fallen)
                    self._fell.set()
                return

    async def _climb(self) -> bool:
        """Load the best of the better ones that fits beside the current one, which serves meanwhile. Whoever
        runs out of memory then waits for the end of it."""
        async with self._move():
            before = self._current
            for index in range(self._index):
                engine = self._engines[index]
                try:
                    await engine.load()
                except EngineError as error:
                    await engine.unload()
                    _log.info("not_yet_back", model=engine.model_name, error=str(error))
                    continue
                self._index, self._is_loaded = index, True
                self._languages = engine.supported_languages
                await before.unload()
                _log.info("back_on_a_better_model", model=engine.model_name)
                returned = self.statistics.returned + 1
                self.statistics = evolve(self.statistics, returned=returned)
                return True
        return False
