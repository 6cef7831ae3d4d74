"""The sender: the only task that writes to the socket.

Segments are taken and settled here at the moment of sending, so an interrupt also stops what had
been queued, and every stamp is true when it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from time import perf_counter

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
from fasttalk_stt.conversation.session import Session
from fasttalk_stt.protocol.codec import encode_server_message
from fasttalk_stt.protocol.server_messages import Metadata, ServerMessage
from fasttalk_stt.protocol.stamps import rfc3339
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry, SessionInfo


class Sender:
    """Owns the receiving end of the outbox.

    `progressed` is called when audio was settled, `ended` when a session's `session_ended` was sent,
    `closed` when the close frame was, before the outbox is given up. `close_code` is the code of that
    frame, None before.
    """

    def __init__(
        self,
        outbox: trio.MemoryReceiveChannel[Outgoing],
        transport: Transport,
        *,
        wall_clock: Callable[[], datetime],
        telemetry: ConnectionTelemetry,
        progressed: Callable[[], None],
        ended: Callable[[LiveSession], None],
        closed: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._wall_clock = wall_clock
        self._telemetry = telemetry
        self._progressed = progressed
        self._ended = ended
        self._closed = closed
        self._open: LiveSession | None = None
        self._started: Session | None = None
        self.close_code: int | None = None

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
                self._tell_started(live.session)
            case Saying(messages=messages):
                await self._send_all(messages)
            case Settling(live=live, messages=messages):
                await self._send_all(messages)
                return await self._settle(live)
            case Closing(code=code, reason=reason):
                self.close_code = code
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
                    await self._send(publication.message, since_speech_s=publication.since_speech_s)
            self._progressed()
            if publisher.ended:
                self._open = self._started = None
                self._telemetry.session_ended(
                    live.session.session_id,
                    publisher.end_reason or "disconnected",
                    live.session.figures(),
                )
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

    def lose_session(self) -> None:
        """The connection is gone, and with it the session whose client was told that it has started."""
        session, self._started = self._started, None
        if session is not None:
            figures = session.figures().when_lost()
            self._telemetry.session_ended(session.session_id, "disconnected", figures)

    def _tell_started(self, session: Session) -> None:
        self._started = session
        config = session.config
        info = SessionInfo(
            session_id=session.session_id,
            conversation_id=config.conversation_id,
            user_id=config.user_id,
            start="new" if config.resume is None else "resumed",
        )
        self._telemetry.session_started(info, session.figures)

    async def _send(self, message: ServerMessage, *, since_speech_s: float | None = None) -> None:
        timestamp = rfc3339(self._wall_clock())
        if self._open is None:
            metadata = Metadata(None, timestamp, None, None)
        else:
            metadata = self._open.session.stamp(timestamp)
        text = encode_server_message(message, metadata)
        began_s = perf_counter()
        await self._transport.send(text)
        self._telemetry.message_sent(
            message,
            len(text.encode()),
            perf_counter() - began_s,
            since_speech_s=since_speech_s,
        )
