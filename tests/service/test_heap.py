"""Giving memory back."""

from __future__ import annotations

import ctypes
import threading

import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.service.heap import GIVE_BACK_EVERY_S, find_trim, give_memory_back


async def test_memory_is_given_back_in_a_thread_each_minute(mock_clock: MockClock) -> None:
    threads: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_memory_back, lambda: threads.append(threading.get_ident()))
        for n_called in range(3):
            await trio.testing.wait_all_tasks_blocked()
            assert len(threads) == n_called
            mock_clock.jump(GIVE_BACK_EVERY_S)
            while len(threads) == n_called:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert threading.get_ident() not in threads


async def test_a_c_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert find_trim() is None
    await give_memory_back()


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no GNU C library on this system"
)
def test_the_system_s_own_can_be_called() -> None:
    trim = find_trim()
    assert trim is not None
    assert trim() in {0, 1}
