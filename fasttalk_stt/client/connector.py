"""Where a session's connections come from: one URL, or whichever replica has room.

A connector opens and takes back WebSockets; `pool.ConnectionPool` is one more.
"""

from __future__ import annotations

from typing import Protocol

import anyio
from anyio.abc import ByteStream

from fasttalk_stt.client.address import Address, OpenStream, stream_opener
from fasttalk_stt.client.credentials import Credentials, authorization
from fasttalk_stt.client.errors import ConnectError, SttError
from fasttalk_stt.client.options import ClientSettings
from fasttalk_stt.client.transport import WebSocket, shake_hands


class Connector(Protocol):
    """Gives a session its connections, one at a time."""

    async def open(self, *, resumes: bool) -> WebSocket:
        """One for a new session or, with `resumes`, for one that goes on, which servers let in first.

        Raises SttError where none is to be had; its `recoverable` says whether to ask again.
        """
        ...

    async def release(self, websocket: WebSocket, fault: SttError | None) -> None:
        """Take one back: after a session's orderly end (None), or because of the fault."""
        ...


class Dialer:
    """Opens WebSockets to any address with the same credentials and settings."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        settings: ClientSettings,
        open_stream: OpenStream | None = None,
    ) -> None:
        """`open_stream`: how bytes get there; None: TCP, and TLS for wss."""
        self._credentials = credentials
        self._settings = settings
        self._open_stream = open_stream or stream_opener(settings.ssl_context)

    async def dial(self, address: Address, *, resumes: bool = False) -> WebSocket:
        """Connect, saying whether it is to go on with a session. Raises ConnectError or RefusedError."""
        limit_s = self._settings.connect_timeout_s
        headers = await authorization(self._credentials, timeout_s=limit_s)
        stream: ByteStream | None = None
        websocket: WebSocket | None = None
        try:
            with anyio.fail_after(limit_s):
                stream = await self._open_stream(address)
                websocket = await shake_hands(
                    stream,
                    url=str(address),
                    host=address.authority,
                    target=address.resume_target if resumes else address.target,
                    headers=headers,
                    max_message_bytes=self._settings.max_message_bytes,
                    renews=callable(self._credentials),
                )
        except TimeoutError as error:
            raise ConnectError(f"{address}: no answer within {limit_s:g} s") from error
        finally:
            if websocket is None and stream is not None:
                await anyio.aclose_forcefully(stream)
        return websocket

    async def close(self, websocket: WebSocket, fault: SttError | None = None) -> None:
        """Close with 1000, within the deadline of the settings; hang up where a fault says that
        the session goes on elsewhere, which must not wait."""
        if fault is not None and fault.recoverable:
            await websocket.abort()
        else:
            await websocket.aclose(deadline_s=self._settings.close_timeout_s)


class SingleConnector:
    """Always the same server."""

    def __init__(self, url: str, dialer: Dialer) -> None:
        """Raises ValueError where the URL leads nowhere."""
        self._address = Address.parse(url)
        self._dialer = dialer

    async def open(self, *, resumes: bool) -> WebSocket:
        return await self._dialer.dial(self._address, resumes=resumes)

    async def release(self, websocket: WebSocket, fault: SttError | None) -> None:
        await self._dialer.close(websocket, fault)
