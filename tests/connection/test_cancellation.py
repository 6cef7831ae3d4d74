"""A peer that disconnects cancels its connection, wherever that happens to be: nothing of it is left, and
nobody else notices."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.inference.fake import FakeEngine
from tests.connection.conftest import EARS, Peer, Server, serve
from tests.support import NOON, silence, sound

AUDIO = np.concatenate((silence(0.2), sound(3.0), silence(0.4), sound(0.8), silence(0.9)))
FRAME_SAMPLES = 2_048
STRIDE = 41
"""Every so many steps one connection is cancelled; a prime, so that all kinds of steps are met."""


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope as soon as the tasks inside it have made so many steps."""

    def __init__(self, scope: trio.CancelScope, n_steps: int) -> None:
        self._scope = scope
        self._left = n_steps
        self.struck = False

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if "fasttalk_stt.connection" not in task.name:
            return
        self._left -= 1
        if self._left == 0:
            self.struck = True
            self._scope.cancel()


async def talk(transport: MemoryTransport) -> None:
    """Everything a client may do, one after the other."""

    async def say(type_: str, **fields: object) -> None:
        await transport.feed(json.dumps({"type": type_, **fields}))

    config = {"fasttalk_mode": True, "interim_results": True, "eager_results": True}
    await say("start_session", session_config={**config, "session_id": "left"})
    await say("context_update", data={"conversation_state": "responding"})
    for start in range(0, len(AUDIO), FRAME_SAMPLES):
        await transport.feed(AUDIO[start : start + FRAME_SAMPLES].tobytes())
        await trio.sleep(FRAME_SAMPLES / 16_000)
        if start == FRAME_SAMPLES * 12:
            await say("flush_buffer")
        if start == FRAME_SAMPLES * 20:
            await say("interrupt")
    await say("end_session")


async def read_all(transport: MemoryTransport) -> None:
    while await transport.next_message() is not None:
        pass


async def one_that_is_cut(server: Server, n_steps: int) -> bool:
    """Returns whether it was cut before it was over."""
    transport = MemoryTransport()
    connection = Connection(
        transport,
        settings=server.settings,
        resilience=server.resilience,
        sessions=server.sessions,
        ears=EARS,
        wall_clock=lambda: NOON,
    )
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(scope, n_steps)
        trio.lowlevel.add_instrument(instrument)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read_all, transport)
                nursery.start_soon(connection.run)
                await talk(transport)
                await trio.sleep(2.0)
                nursery.cancel_scope.cancel()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.struck


async def is_well(server: Server) -> None:
    peer: Peer = server.connect()
    await peer.start(fasttalk_mode=True)
    await peer.stream(sound(0.5))
    await peer.stream(silence(0.9))
    await peer.wait_for("transcription")
    ended = await peer.end()
    assert ended["audio"]["discarded_ms"] == 0
    assert not peer.errors


@pytest.mark.parametrize("offset", range(2))
def test_nothing_is_left_of_a_connection_that_is_cancelled_anywhere(offset: int) -> None:
    async def cut_at(n_steps: int) -> bool:
        engine = FakeEngine(cost_s=lambda requests: 0.3)
        async with serve(engine) as server:
            was_cut = await one_that_is_cut(server, n_steps)
            await trio.sleep(1.0)  # what the engine was at is over
            assert len(server.sessions) == 0
            statistics = server.scheduler.statistics()
            assert (statistics.waiting, statistics.running, statistics.stuck) == (0, 0, 0)
            assert server.resilience.open_breaker() is None
            await is_well(server)
            return was_cut

    n_steps = 1 + offset * 20
    n_cut = 0
    while trio.run(cut_at, n_steps, clock=MockClock(autojump_threshold=0)):
        n_steps += STRIDE
        n_cut += 1
    assert n_cut > 5
