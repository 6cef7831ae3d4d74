"""Memory that nobody uses any more, given back to the system from time to time.

Threads that decode, align and detect leave holes in the C library's heaps, which it keeps for later: without
this a server under steady load held some per cent more each hour.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import trio

GIVE_BACK_EVERY_S = 60.0
"""A call takes 10 ms of a thread and holds each heap for a part of that: 2 ms were the longest wait for
memory elsewhere, with 840 MiB of which 70 were given back."""


def find_trim() -> Callable[[], object] | None:
    """What gives free memory back; None where the C library has no such function (musl, macOS)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    trim.argtypes = [ctypes.c_size_t]
    # The least to be kept at the end of the heap: nothing.
    return lambda: trim(0)


async def give_memory_back(trim: Callable[[], object] | None = None) -> None:
    """Call `trim`, by default the C library's, in a thread each GIVE_BACK_EVERY_S until cancelled."""
    trim = trim or find_trim()
    if trim is None:
        return
    limiter = trio.CapacityLimiter(1)
    while True:
        await trio.sleep(GIVE_BACK_EVERY_S)
        await trio.to_thread.run_sync(trim, limiter=limiter)
