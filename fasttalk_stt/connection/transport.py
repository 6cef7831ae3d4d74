"""The socket as a connection sees it: five lines of interface between our tasks and the web framework.

`app` adapts Quart's websocket to it; tests adapt memory channels.
"""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """One accepted WebSocket.

    When the peer is gone the owner of the transport cancels `Connection.run`; a transport never
    reports the disconnect in any other way.
    """

    async def receive(self) -> bytes | str | None:
        """Wait for the next message: bytes of a binary frame, str of a text frame.

        None stands for an empty binary frame (that is how Quart hands it over).
        """

    async def send(self, text: str) -> None:
        """Send one text frame. Only the connection's sender calls this."""

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame. `reason` is at most 123 bytes of UTF-8."""
