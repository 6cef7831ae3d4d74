"""How soon an interrupt is acknowledged while the engine's thread is stuck in a long call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from tools.hearing.audio import RATE_HZ, Audio
from tools.hearing.statistics import percentiles

BLOCKING_S = 5.0
SPACING_S = 0.1
"""Between interrupts: audio flows on between them, so that there is something to stop."""
FRAME_S = 0.02
SPEECH_AHEAD_S = 3.0
"""Audio is heard for so long before the first interrupt, so that the engine is at work by then."""


async def interrupt_many(url: str, speech: Audio, n_interrupts: int) -> dict[str, Any]:
    """Interrupt so often on one connection while a second one keeps the engine at work.

    `speech` is spoken on both, again and again in real time. JSON-able.
    """
    times_ms: list[float] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_talk, url, speech)
        async with open_websocket_url(url) as socket:
            acknowledged = await _begin(socket)
            nursery.start_soon(_play, socket, speech)
            nursery.start_soon(_read, socket, acknowledged)
            await trio.sleep(SPEECH_AHEAD_S)
            for _ in range(n_interrupts):
                sent_at_s = trio.current_time()
                await socket.send_message(json.dumps({"type": "interrupt"}))
                arrived_at_s = await acknowledged.receive()
                times_ms.append((arrived_at_s - sent_at_s) * 1000)
                await trio.sleep(SPACING_S)
            nursery.cancel_scope.cancel()
    return {
        "interrupts": len(times_ms),
        "engine_call_s": BLOCKING_S,
        "acknowledged_ms": percentiles(times_ms, 50, 95, 99),
        "slowest_ms": round(max(times_ms, default=0.0), 2),
    }


class _Acknowledgements:
    """When each acknowledgement came."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[float](16)

    async def note(self, at_s: float) -> None:
        await self._send.send(at_s)

    async def receive(self) -> float:
        return await self._receive.receive()


async def _begin(socket: WebSocketConnection) -> _Acknowledgements:
    config: Mapping[str, Any] = {"fasttalk_mode": True, "language": "en"}
    await socket.send_message(json.dumps({"type": "start_session", "session_config": config}))
    await socket.get_message()
    return _Acknowledgements()


async def _read(socket: WebSocketConnection, acknowledged: _Acknowledgements) -> None:
    while True:
        message = json.loads(await socket.get_message())
        if message["type"] == "interrupt_acknowledged":
            await acknowledged.note(trio.current_time())


async def _play(socket: WebSocketConnection, speech: Audio) -> None:
    size = round(FRAME_S * RATE_HZ)
    due_s = trio.current_time()
    while True:
        for start in range(0, len(speech) - size + 1, size):
            due_s += FRAME_S
            await trio.sleep_until(due_s)
            await socket.send_message(speech[start : start + size].astype("<f4").tobytes())


async def _talk(
    url: str, speech: Audio, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """A conversation that is never interrupted."""
    async with open_websocket_url(url) as socket:
        acknowledged = await _begin(socket)
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, socket, acknowledged)
            nursery.start_soon(_play, socket, speech)
