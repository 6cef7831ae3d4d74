"""The task that owns the model: loads it, says when it is ready, and runs the scheduler.

It lives beside the web servers, never inside one, so that its death is theirs too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
import trio

from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.protocol.config import primary_language
from fasttalk_stt.service.readiness import Readiness, ReadinessState

logger = structlog.get_logger(__name__)


class SchedulerLike(Protocol):
    """What runs the engine's requests; see `inference.scheduler`."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled."""


async def own_model(
    engine: Engine,
    scheduler: SchedulerLike,
    readiness: Readiness,
    *,
    language: str | None = None,
    beside: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Load and serve the model until cancelled; `beside` runs meanwhile.

    Raises what loading or the scheduler raises, with `readiness` failed before, and EngineError where
    the model does not know the default `language`: every session would be refused for it.
    """
    try:
        started = trio.current_time()
        await engine.load()
        if language is not None and primary_language(language) not in engine.supported_languages:
            raise EngineError(
                f"LANGUAGE={language}: the model {engine.model_name} does not know it: unset it, or "
                "choose another MODEL"
            )
        async with trio.open_nursery() as nursery:
            await nursery.start(scheduler.run)
            if beside is not None:
                nursery.start_soon(beside)
            readiness.move(ReadinessState.READY)
            logger.info(
                "model_ready",
                model=engine.model_name,
                load_s=round(trio.current_time() - started, 2),
            )
    except* Exception:
        readiness.move(ReadinessState.FAILED)
        raise
