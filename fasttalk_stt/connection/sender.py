"""The sender: the only task that writes to the socket.

Segments are taken and settled here at the moment of sending, so an interrupt also stops what had
been queued, and every stamp is true when it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import trio

from fasttalk_stt.connection.live import (
    Closing,
    LiveSession,
    Opening,
    Outgoing,
    Saying,
    Settling,
)
from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.protocol.codec import encode_server_message
from fasttalk_stt.protocol.server_messages import Metadata, ServerMessage
from fasttalk_stt.protocol.stamps import rfc3339


class Sender:
    """Owns the receiving end of the outbox.

    `progressed` is called when audio was settled, `ended` when a session's `session_ended` was sent,
    `closed` when the close frame was, before the outbox is given up.
    """

    def __init__(
        self,
        outbox: trio.MemoryReceiveChannel[Outgoing],
        transport: Transport,
        *,
        wall_clock: Callable[[], datetime],
        progressed: Callable[[], None],
        ended: Callable[[LiveSession], None],
        closed: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._wall_clock = wall_clock
        self._progressed = progressed
        self._ended = ended
        self._closed = closed
        self._open: LiveSession | None = None

    async def run(self) -> None:
        """Send until `Closing` was sent."""
        async with self._outbox:
            async for item in self._outbox:
                if await self._handle(item):
                    self._closed()
                    return

    async def _handle(self, item: Outgoing) -> bool:
        """Act on one item; returns whether it was the last."""
        match item:
            case Opening(live=live, message=message):
                self._open = live
                await self._send(message)
            case Saying(messages=messages):
                await self._send_all(messages)
            case Settling(live=live, messages=messages):
                await self._send_all(messages)
                return await self._settle(live)
            case Closing(code=code, reason=reason):
                await self._transport.close(code, reason)
                return True
        return False

    async def _settle(self, live: LiveSession) -> bool:
        publisher = live.session.publisher
        while True:
            # What was queued before leaves before: a partial before its final, everything before
            # session_ended.
            if await self._send_queued(live):
                return True
            publications = publisher.take_ready(trio.current_time())
            if publications is None:
                return False
            for publication in publications:
                publisher.settle(publication)
                if publication.message is not None:
                    await self._send(publication.message)
            self._progressed()
            if publisher.ended:
                self._open = None
                live.ended.set()
                self._ended(live)

    async def _send_queued(self, settling: LiveSession) -> bool:
        while True:
            try:
                # Also what waits for room in a full outbox: it was decided before.
                item = self._outbox.receive_nowait()
            except trio.WouldBlock:
                return False
            if isinstance(item, Settling) and item.live is settling:
                # This session is being settled already.
                await self._send_all(item.messages)
            elif await self._handle(item):
                return True

    async def _send_all(self, messages: Iterable[ServerMessage]) -> None:
        for message in messages:
            await self._send(message)

    async def _send(self, message: ServerMessage) -> None:
        timestamp = rfc3339(self._wall_clock())
        if self._open is None:
            metadata = Metadata(None, timestamp, None, None)
        else:
            metadata = self._open.session.stamp(timestamp)
        await self._transport.send(encode_server_message(message, metadata))
