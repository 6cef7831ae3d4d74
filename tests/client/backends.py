"""Runs a test under asyncio and under Trio, both on a clock that jumps when nothing else happens.

The tests are plain functions to pytest: pytest-trio would take every async one for its own, and
anyio's plugin has no virtual clock.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from trio.testing import MockClock


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where nothing is ready, time passes instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("nothing is left that could happen")
        self.now_s += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop for tests without sockets and threads."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


def run(backend: str, test: Callable[[], Awaitable[Any]], *, virtual_time: bool = True) -> Any:
    options: dict[str, Any] = {}
    if virtual_time and backend == "trio":
        options["clock"] = MockClock(autojump_threshold=0)
    elif virtual_time:
        options["loop_factory"] = JumpingLoop
    return anyio.run(test, backend=backend, backend_options=options)


def both_backends(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test for virtual time; its own arguments are fixtures."""
    return _parametrised(test, virtual_time=True)


def both_backends_real_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test with real sockets."""
    return _parametrised(test, virtual_time=False)


def _parametrised(
    test: Callable[..., Awaitable[None]], *, virtual_time: bool
) -> Callable[..., None]:
    def plain(backend: str, **fixtures: Any) -> None:
        run(backend, functools.partial(test, **fixtures), virtual_time=virtual_time)

    signature = inspect.signature(test)
    backend = inspect.Parameter("backend", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    functools.update_wrapper(plain, test)
    del plain.__wrapped__  # type: ignore[attr-defined]
    plain.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[backend, *signature.parameters.values()]
    )
    return pytest.mark.parametrize("backend", ["asyncio", "trio"])(plain)
