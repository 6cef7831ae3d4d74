"""The border between the web framework's WebSocket and a connection.

Adapts the socket to `connection.transport.Transport`, sees to it that it ends with the right close
code whatever happens inside, and reads to the very end. It knows nothing of messages or audio.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio
from quart.wrappers import Websocket

from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.protocol.errors import CloseCode
from fasttalk_stt.service.connections import ConnectionLike, Ticket
from fasttalk_stt.telemetry.trace import following

logger = structlog.get_logger(__name__)

CLOSE_S = 1.0
"""For a close frame when everything else has been cancelled already."""

CLOSE_LINGER_S = 2.0
"""How long a client may take to answer our close frame. Without the wait the audio it still sends
is answered by a reset, and its last results and the close code may be lost with it."""


class QuartTransport:
    """An accepted Quart WebSocket as a Transport; closing twice is the same as once."""

    def __init__(self, websocket: Websocket) -> None:
        self._websocket = websocket
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether our close frame has been handed over."""
        return self._closed

    async def receive(self) -> bytes | str | None:
        message: bytes | str | None = await self._websocket.receive()
        return message

    async def send(self, text: str) -> None:
        # On a dead socket Hypercorn returns at once and never yields, so a loop of sends would
        # freeze the event loop.
        await trio.lowlevel.checkpoint()
        if not self._closed:
            await self._websocket.send(text)

    async def close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            await self._websocket.close(code, reason)


async def run_connection(
    websocket: Websocket,
    ticket: Ticket,
    connect: Callable[[Transport], ConnectionLike],
    *,
    subprotocol: str | None = None,
) -> None:
    """Accept the upgrade and serve it to its end; the framework cancels this at a disconnect.

    An error inside is logged here and told to the client as 1011; left to the framework, it would
    look like a normal close (1000), or vanish if it coincided with the disconnect.
    """
    await websocket.accept(subprotocol=subprotocol)
    transport = QuartTransport(websocket)
    # Cancelled while running, it is the server that goes away (a peer that is gone sees nothing).
    code, reason = CloseCode.GOING_AWAY, "server going away"
    with (
        following(websocket.headers.get("traceparent")) as trace_id,
        structlog.contextvars.bound_contextvars(
            trace_id=trace_id, principal=str(ticket.visitor.principal)
        ),
    ):
        try:
            connection = connect(transport)
            ticket.attach(connection)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ticket.part_when_expired)
                logger.info("connected")
                await connection.run()
                nursery.cancel_scope.cancel()
            code, reason = CloseCode.NORMAL, ""
        except* Exception as group:
            logger.error("connection_failed", exc_info=group)
            code, reason = CloseCode.INTERNAL, "internal error"
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await transport.close(code, reason)
            logger.info("disconnected")
    with trio.move_on_after(CLOSE_LINGER_S):
        while True:
            await transport.receive()
