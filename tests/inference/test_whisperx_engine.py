"""The worker threads of the real engine, with calls that block instead of a model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing

from fasttalk_stt.inference import seats, whisperx_engine
from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from fasttalk_stt.inference.whisperx_engine import WhisperXEngine

REQUEST = DecodeRequest(samples=np.zeros(160, dtype=np.float32))


class Blocking:
    """Stands for the backend's `decode`: blocks until told, and counts."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.gate = threading.Event()
        self.ended = 0

    def __call__(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.began.release()
        self.gate.wait(30)
        self.ended += 1
        return []

    async def wait_begun(self, n_calls: int) -> None:
        for _ in range(n_calls):
            await trio.to_thread.run_sync(self.began.acquire)


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> Blocking:
    monkeypatch.setattr(seats, "_count_cores", lambda: 2)
    block = Blocking()

    def decode(_: WhisperXBackend, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return block(requests)

    monkeypatch.setattr(WhisperXBackend, "decode", decode)
    return block


def make_engine() -> WhisperXEngine:
    return WhisperXEngine(ResolvedModel("none", Path("none"), source="directory"), device="cpu")


async def test_two_calls_run_at_a_time(blocking: Blocking) -> None:
    engine = make_engine()
    assert engine.seats == 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.decode, [REQUEST])
        nursery.start_soon(engine.decode, [REQUEST])
        await blocking.wait_begun(2)
        blocking.gate.set()
    assert blocking.ended == 2


async def test_a_shutdown_waits_for_every_call_and_no_longer(blocking: Blocking) -> None:
    engine = make_engine()
    with trio.fail_after(whisperx_engine.LEAVE_S / 2):
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as calls:
                calls.start_soon(engine.decode, [REQUEST])
                calls.start_soon(engine.decode, [REQUEST])
                await blocking.wait_begun(2)
                calls.cancel_scope.cancel()
                outer.start_soon(_open_when_cancelled, blocking)
            assert blocking.ended == 2


async def _open_when_cancelled(blocking: Blocking) -> None:
    await trio.testing.wait_all_tasks_blocked()
    assert blocking.ended == 0
    blocking.gate.set()


async def test_a_shutdown_leaves_a_call_that_hangs(
    blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisperx_engine, "LEAVE_S", 0.01)
    engine = make_engine()
    async with trio.open_nursery() as calls:
        calls.start_soon(engine.decode, [REQUEST])
        await blocking.wait_begun(1)
        calls.cancel_scope.cancel()
    assert blocking.ended == 0
    blocking.gate.set()


async def test_an_error_of_one_call_does_not_wait_for_another(
    blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.decode, [REQUEST])
        await blocking.wait_begun(1)

        def fail(*_: object) -> list[Hypothesis]:
            raise EngineError("broken")

        monkeypatch.setattr(WhisperXBackend, "decode", fail)
        with pytest.raises(EngineError, match="broken"):
            await engine.decode([REQUEST])
        assert blocking.ended == 0
        blocking.gate.set()
