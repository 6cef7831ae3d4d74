"""Crowds at one server: clients that only stay connected, and more clients than it can serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psutil
import trio

from tools.benching import streams
from tools.benching.machine import measured
from tools.hearing.servers import RunningServer
from tools.stt_client import ConnectFailedError, open_client

CONNECTS_PER_S = 100
QUIET_S = 10.0
"""How long all of them stay, and are looked at."""


def idle_figures(server: RunningServer, n_connections: int) -> dict[str, Any]:
    """JSON-able: what connections without a session take, all open at the same time."""
    process = psutil.Process(server.pid)
    before_kib = process.memory_info().rss / 1024
    refused, usage_cores, after_kib = trio.run(_stay_connected, process, server.url, n_connections)
    n_open = n_connections - len(refused)
    return {
        "connections": n_open,
        "kib_per_connection": round((after_kib - before_kib) / max(n_open, 1), 1),
        "server_cores": usage_cores,
        "refused": refused,
    }


async def _stay_connected(
    process: psutil.Process, url: str, n_connections: int
) -> tuple[list[str], float, float]:
    """Why some were refused; the server's cores and memory in KiB while the others were there."""
    refused: list[str] = []
    n_arrived = 0
    all_arrived = trio.Event()

    async def stay(number: int) -> None:
        nonlocal n_arrived
        await trio.sleep(number / CONNECTS_PER_S)
        try:
            async with open_client(url):
                n_arrived += 1
                if n_arrived + len(refused) == n_connections:
                    all_arrived.set()
                await trio.sleep_forever()
        except ConnectFailedError as error:
            refused.append(str(error))
            if n_arrived + len(refused) == n_connections:
                all_arrived.set()

    async with trio.open_nursery() as nursery:
        for number in range(n_connections):
            nursery.start_soon(stay, number)
        await all_arrived.wait()
        with measured([process.pid]) as usage:
            await trio.sleep(QUIET_S)
        after_kib = process.memory_info().rss / 1024
        nursery.cancel_scope.cancel()
    return refused, usage.server_cores, after_kib


def overload_figures(
    spoken: Sequence[streams.Spoken], *, endpoint_silence_ms: int, skip_s: float
) -> dict[str, Any]:
    """JSON-able: how many were let in, and what those saw."""
    inside = [each for each in spoken if each.trace is not None]
    return {
        **streams.figures(inside, endpoint_silence_ms=endpoint_silence_ms, skip_s=skip_s),
        "asked": len(spoken),
        "let_in": len(inside),
        "turned_away": [each.refusal for each in spoken if each.trace is None],
    }
