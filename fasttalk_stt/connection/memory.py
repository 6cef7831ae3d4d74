"""A transport without a socket: both ends of a connection inside one Trio run.

The connection holds it as its `Transport`; the other side, `transcribe` or a test, feeds messages
and takes what comes back. Nothing is buffered, so back-pressure works as over a socket.
"""

from __future__ import annotations

import trio
from attrs import frozen


@frozen
class CloseFrame:
    """How the connection closed the transport."""

    code: int
    reason: str


class PeerClosedError(Exception):
    """The connection has closed the transport: nothing more can be fed."""


class MemoryTransport:
    """An in-memory `connection.transport.Transport`, and the peer's side of it.

    One task at a time may call each method. All of them may be cancelled without losing a message.
    """

    def __init__(self) -> None:
        # Size 0: a feeder waits until its message is taken, as it would for a full socket.
        self._inbound_send, self._inbound_receive = trio.open_memory_channel[bytes | str | None](0)
        self._outbound_send, self._outbound_receive = trio.open_memory_channel[str](0)
        self._close_frame: CloseFrame | None = None

    @property
    def close_frame(self) -> CloseFrame | None:
        """How the connection closed, None while it is open."""
        return self._close_frame

    async def receive(self) -> bytes | str | None:
        """The connection's side: wait for what is fed next.

        After `close` it waits until cancelled, as a socket whose peer has nothing more to say.
        """
        try:
            return await self._inbound_receive.receive()
        except trio.ClosedResourceError:
            await trio.sleep_forever()

    async def send(self, text: str) -> None:
        """The connection's side: hand one message to the peer; after `close` it goes nowhere."""
        try:
            await self._outbound_send.send(text)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # A dead socket neither raises nor blocks, so this must not either.
            await trio.lowlevel.checkpoint()

    async def close(self, code: int, reason: str) -> None:
        """The connection's side: the peer sees the end after the messages sent before."""
        if self._close_frame is None:
            self._close_frame = CloseFrame(code=code, reason=reason)
        await self._inbound_receive.aclose()
        await self._outbound_send.aclose()

    async def feed(self, message: bytes | str | None) -> None:
        """The peer's side: send a binary or text frame; returns when the connection took it.

        Raises PeerClosedError once the connection has closed.
        """
        try:
            await self._inbound_send.send(message)
        except trio.BrokenResourceError as error:
            raise PeerClosedError(self._close_frame) from error

    async def next_message(self) -> str | None:
        """The peer's side: wait for the connection's next message; None once it has closed."""
        try:
            return await self._outbound_receive.receive()
        except trio.EndOfChannel:
            return None
