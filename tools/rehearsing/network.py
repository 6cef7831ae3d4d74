"""A network that breaks: a TCP proxy which cuts its connections as real ones are cut.

It knows nothing of WebSockets, so a cut may fall anywhere: inside a frame, a header or a handshake.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import trio
from attrs import define, field, frozen

How = Literal["reset", "close", "half_open"]

CHUNK_BYTES = 16_384
HALF_OPEN_S = 60.0
"""How long a half-open connection is held for whoever does not notice."""


@frozen
class Cut:
    """A connection breaks after so long, in the middle of what the client sends next.

    `reset` sends RST to both sides, `close` FIN without a word, `half_open` nothing at all: what is
    sent disappears, and nobody is told.
    """

    after_s: float
    how: How


@define
class Network:
    """Leads each connection to `target` and breaks it by its `plan`; None: it holds.

    `breaks` counts what was done.
    """

    target: Callable[[], tuple[str, int]]
    plan: Callable[[], Cut | None]
    breaks: Counter[str] = field(factory=Counter, init=False)

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled on a loopback port, which the task is started with."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listener.socket.getsockname()[1])
        await trio.serve_listeners(self._carry, [listener])

    async def _carry(self, client: trio.SocketStream) -> None:
        async with client:
            try:
                server = await trio.open_tcp_stream(*self.target())
            except OSError:
                return
            async with server:
                cut = self.plan()
                how: How | None = None
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_carry_all, server, client)
                    if cut is None:
                        await _carry_all(client, server)
                    elif await _carry_for(client, server, cut.after_s):
                        nursery.cancel_scope.cancel()
                        how = cut.how
                if how is not None:
                    self.breaks[how] += 1
                    await _break(how, client, server)


async def _carry_all(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    """Carry bytes until either side has no more; its end is passed on, and a reset as one."""
    try:
        while data := await source.receive_some(CHUNK_BYTES):
            await sink.send_all(data)
        await sink.send_eof()
    except trio.ClosedResourceError:
        pass
    except trio.BrokenResourceError:
        for stream in (source, sink):
            _reset_at_close(stream)
            await stream.aclose()


async def _carry_for(source: trio.SocketStream, sink: trio.SocketStream, seconds: float) -> bool:
    """Carry bytes for so long, and half of what comes then; returns whether it lasted so long."""
    until_s = trio.current_time() + seconds
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some(CHUNK_BYTES):
            if trio.current_time() >= until_s:
                await sink.send_all(data[: len(data) // 2])
                return True
            await sink.send_all(data)
        await sink.send_eof()
    return False


async def _break(how: How, client: trio.SocketStream, server: trio.SocketStream) -> None:
    if how == "half_open":
        with trio.move_on_after(HALF_OPEN_S), suppress(trio.BrokenResourceError):
            while await client.receive_some(CHUNK_BYTES):
                pass
    elif how == "reset":
        for stream in (client, server):
            _reset_at_close(stream)


def _reset_at_close(stream: trio.SocketStream) -> None:
    with suppress(trio.ClosedResourceError, OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
