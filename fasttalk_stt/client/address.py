"""Where a server is: its WebSocket and its `/health`, from one URL, and a stream to it."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteStream, SocketAttribute
from attrs import field, frozen

from fasttalk_stt.client.errors import ConnectError

TRANSCRIBE_PATH = "/ws/transcribe"
_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}

_OWN_SENTENCE = (socket.gaierror, ssl.SSLError)
"""Errors whose number is not the system's."""

OpenStream = Callable[["Address"], Awaitable[ByteStream]]
"""Opens a byte stream to an address; raises ConnectError. The seam for tests."""


@frozen
class Address:
    """A server. `base_path` is what a proxy puts in front of the service's own paths."""

    host: str
    port: int
    is_tls: bool
    base_path: str = ""
    query: str = field(default="", repr=False)
    """Not shown: it may hold a token."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read ws://HOST:PORT/ws/transcribe, or a base URL such as https://HOST/stt.

        Raises ValueError where it is neither.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{shown(url)}: not a URL: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(
                f"{shown(url)}: expected ws://HOST:PORT{TRANSCRIBE_PATH}, or wss, http or https"
            )
        return cls(
            host=parts.hostname,
            port=_PORTS[parts.scheme] if port is None else port,
            is_tls=parts.scheme in ("wss", "https"),
            base_path=parts.path.rstrip("/").removesuffix(TRANSCRIBE_PATH),
            query=parts.query,
        )

    @property
    def authority(self) -> str:
        """HOST:PORT as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """The WebSocket's path and query."""
        return self.path(TRANSCRIBE_PATH) + (f"?{self.query}" if self.query else "")

    @property
    def resume_target(self) -> str:
        """The same for a connection that goes on with a session."""
        return self.target + ("&" if self.query else "?") + "resume=1"

    def path(self, path: str) -> str:
        """A path of the service on this server."""
        return self.base_path + path

    def __str__(self) -> str:
        scheme = "wss" if self.is_tls else "ws"
        return f"{scheme}://{self.authority}{self.path(TRANSCRIBE_PATH)}"


def stream_opener(ssl_context: ssl.SSLContext | None = None) -> OpenStream:
    """Open TCP streams, with TLS where the address says so; None: the system's certificates."""

    async def open_stream(address: Address) -> ByteStream:
        try:
            if address.is_tls:
                stream: ByteStream = await anyio.connect_tcp(
                    address.host,
                    address.port,
                    tls=True,
                    ssl_context=ssl_context or ssl.create_default_context(),
                    tls_hostname=address.host,
                    # HTTP peers hang up without TLS's own goodbye.
                    tls_standard_compatible=False,
                )
            else:
                stream = await anyio.connect_tcp(address.host, address.port)
        except ssl.SSLCertVerificationError as error:
            raise ConnectError(
                f"{address}: its certificate is not trusted: {error.verify_message}. Pass an "
                "ssl_context that knows it.",
                recoverable=False,
            ) from error
        except (OSError, ssl.SSLError, anyio.BrokenResourceError) as error:
            raise ConnectError(f"{address}: cannot connect: {_cause(error)}") from error
        raw = stream.extra(SocketAttribute.raw_socket, None)
        if raw is not None:
            # Frames are small, and each one is wanted now.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    return open_stream


def _cause(error: BaseException) -> str:
    """The innermost sentence: anyio wraps one OSError an address in a group in an OSError."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            break
    if isinstance(error, OSError) and error.errno and not isinstance(error, _OWN_SENTENCE):
        # asyncio puts a sentence of its own into `strerror`.
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def shown(url: str) -> str:
    """A URL for eyes and logs: without user, password, query and fragment, which may be secret."""
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    head = re.split(r"[?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in head:
        # A query with an "@", or a password with a "?": they cannot be told apart.
        head = "..."
    return (scheme + mark + head.rpartition("@")[2])[:200]
