"""A network in memory: byte streams that can be cut or fall silent, and servers behind addresses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, TaskGroup
from attrs import define, field
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from fasttalk_stt.client.address import Address
from fasttalk_stt.client.errors import ConnectError
from tests.client.model_server import ModelServer


class MemoryStream(ByteStream):
    """One end; `peer` is the other."""

    def __init__(self) -> None:
        self.peer: MemoryStream
        self._bytes = bytearray()
        self._changed = anyio.Event()
        self._ended = False
        self._broken = False
        self.is_stalled = False
        self._is_choked = False
        self._is_refused = False

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        while self._is_choked:
            await self._changed.wait()
        if self._broken or self.peer._broken or self._is_refused:
            raise anyio.BrokenResourceError
        if self._ended:
            raise anyio.ClosedResourceError
        if not self.is_stalled:
            self.peer._bytes += item
            self.peer._wake()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self._bytes:
            if self._broken:
                raise anyio.BrokenResourceError
            if self.peer._ended:
                raise anyio.EndOfStream
            await self._changed.wait()
        data = bytes(self._bytes[:max_bytes])
        del self._bytes[:max_bytes]
        return data

    async def aclose(self) -> None:
        self._ended = True
        self._wake()
        self.peer._wake()
        await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        """As a TCP reset: what was on its way is gone."""
        for end in (self, self.peer):
            end._broken = True
            end._bytes.clear()
            end._wake()

    def stall(self) -> None:
        """Half-open: from now on nothing arrives on either side, and nobody is told."""
        self.is_stalled = self.peer.is_stalled = True

    def choke(self, is_choked: bool = True) -> None:
        """Writing here waits, as where the peer takes nothing."""
        self._is_choked = is_choked
        self._wake()

    def refuse(self) -> None:
        """Writing here fails, as where the peer has hung up; what it said before can be read."""
        self._is_refused = True

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


def stream_pair() -> tuple[MemoryStream, MemoryStream]:
    one, other = MemoryStream(), MemoryStream()
    one.peer, other.peer = other, one
    return one, other


class ServerSocket:
    """A server's WebSocket, with everything a test may want to do wrong."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._wire = WSConnection(ConnectionType.SERVER)
        self._events: list[Any] = []
        self.request: Request | None = None
        self.close_code: int | None = None
        self.pongs: list[bytes] = []

    async def read_request(self) -> Request:
        event = await self._event()
        assert isinstance(event, Request)
        self.request = event
        return event

    async def accept(self) -> None:
        await self.read_request()
        await self.stream.send(self._wire.send(AcceptConnection()))

    async def refuse(self, status: int, body: bytes = b"", **headers: str) -> None:
        await self.read_request()
        named = [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()]
        named.append((b"content-length", str(len(body)).encode()))
        reject = RejectConnection(status_code=status, headers=named, has_body=True)
        await self.stream.send(self._wire.send(reject))
        await self.stream.send(self._wire.send(RejectData(data=body)))

    async def receive(self) -> str | bytes | None:
        """The next message; None once the client has closed or is gone."""
        parts: list[Any] = []
        while True:
            event = await self._event()
            match event:
                case None:
                    return None
                case CloseConnection():
                    self.close_code = event.code
                    if self._wire.state is ConnectionState.REMOTE_CLOSING:
                        await self.stream.send(self._wire.send(event.response()))
                    return None
                case Pong():
                    self.pongs.append(bytes(event.payload))
                case TextMessage() | BytesMessage():
                    parts.append(event.data)
                    if event.message_finished:
                        empty: Any = "" if isinstance(event.data, str) else b""
                        whole = empty.join(parts)
                        return whole if isinstance(whole, str) else bytes(whole)

    async def send(self, text: str) -> None:
        await self.stream.send(self._wire.send(TextMessage(data=text)))

    async def ping(self, payload: bytes) -> None:
        await self.stream.send(self._wire.send(Ping(payload=payload)))

    async def close(self, code: int, reason: str = "") -> None:
        await self.stream.send(self._wire.send(CloseConnection(code=code, reason=reason)))

    async def send_raw(self, data: bytes) -> None:
        await self.stream.send(data)

    async def _event(self) -> Any:
        while not self._events:
            try:
                data = await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return None
            self._wire.receive_data(data)
            self._events += self._wire.events()
        return self._events.pop(0)


Behaviour = Callable[[ServerSocket], Awaitable[None]]


@define
class Network:
    """Hosts by name. Each connection is served by the host's behaviour in `tasks`."""

    tasks: TaskGroup
    hosts: dict[str, Behaviour] = field(factory=dict)
    http: dict[str, tuple[int, Any]] = field(factory=dict)
    sockets: list[ServerSocket] = field(factory=list)
    dialled: list[str] = field(factory=list)

    async def open_stream(self, address: Address) -> ByteStream:
        await anyio.lowlevel.checkpoint()
        ours, theirs = stream_pair()
        if address.host in self.http and address.host not in self.hosts:
            self.tasks.start_soon(self._answer_http, theirs, address.host)
            return ours
        self.dialled.append(address.host)
        if address.host not in self.hosts:
            raise ConnectError(f"{address}: cannot connect: Connection refused")
        socket = ServerSocket(theirs)
        self.sockets.append(socket)
        self.tasks.start_soon(self._serve, socket, self.hosts[address.host])
        return ours

    async def open_http(self, address: Address) -> ByteStream:
        """Like `open_stream`, for hosts that serve both: what is asked for is HTTP."""
        ours, theirs = stream_pair()
        if address.host not in self.http:
            raise ConnectError(f"{address}: cannot connect: Connection refused")
        self.tasks.start_soon(self._answer_http, theirs, address.host)
        return ours

    async def _serve(self, socket: ServerSocket, behaviour: Behaviour) -> None:
        # Cut by the test.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await behaviour(socket)
        await socket.stream.aclose()

    async def _answer_http(self, stream: MemoryStream, host: str) -> None:
        request = b""
        with suppress(anyio.EndOfStream):
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
        status, report = self.http[host]
        body = report if isinstance(report, bytes) else json.dumps(report).encode()
        head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n\r\n"
        await stream.send(head.encode() + body)
        await stream.aclose()


async def serve_model(
    socket: ServerSocket, *, releases: bool = True, on_model: Callable[..., None] = lambda m: None
) -> None:
    """Sessions of the model server on one connection, results at once."""
    await socket.accept()
    model = ModelServer()
    on_model(model)
    while (message := await socket.receive()) is not None:
        if isinstance(message, str) and model.session_id is None and '"ping"' in message:
            pong = {"type": "pong", "id": json.loads(message)["id"], "metadata": {}}
            await socket.send(json.dumps(pong))
            continue
        model.say(message)
        if releases:
            model.release(1000)
        while model.sent:
            await socket.send(model.sent.popleft())
        if model.is_ended:
            model = ModelServer()
            on_model(model)
