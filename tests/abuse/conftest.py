"""A real server on free ports, with stand-in sessions, and clients that can misbehave."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define, field

from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.state import ConnectionState
from fasttalk_stt.server import BoundPorts, serve_composition
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.gate import Gate
from fasttalk_stt.service.readiness import Readiness, ReadinessState
from fasttalk_stt.service.services import Composition, Services
from fasttalk_stt.settings import Settings
from tests.support import engine_health

OPCODE_CLOSE, OPCODE_PING = 8, 9


@define(eq=False)
class StandInConnection:
    """Echoes text, and does what a few words tell it; one per accepted WebSocket."""

    transport: Transport
    state: ConnectionState = ConnectionState.ACTIVE
    released: trio.Event = field(factory=trio.Event)
    drain_asked: trio.Event = field(factory=trio.Event)
    part_asked: trio.Event = field(factory=trio.Event)
    parting_with: ProtocolError | None = None
    n_received: int = 0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drain)
            nursery.start_soon(self._part)
            await self._talk()
            nursery.cancel_scope.cancel()

    async def _talk(self) -> None:
        while True:
            message = await self.transport.receive()
            self.n_received += 1
            match message:
                case None:
                    await self.transport.send("empty")
                case "raise":
                    raise RuntimeError("told to")
                case "return":
                    return
                case "flood":
                    while True:
                        await self.transport.send("x" * 65_536)
                case "hold":
                    await self.released.wait()
                case str():
                    await self.transport.send(message)

    async def _drain(self) -> None:
        await self.drain_asked.wait()
        await self.transport.send("last words")
        await self.transport.close(1001, "draining")

    async def _part(self) -> None:
        await self.part_asked.wait()
        assert self.parting_with is not None
        await self.transport.send(self.parting_with.message)
        await self.transport.close(1008, self.parting_with.kind.code)

    def drain(self) -> None:
        self.drain_asked.set()

    def part(self, error: ProtocolError) -> None:
        self.parting_with = error
        self.part_asked.set()

    def statistics(self) -> None:
        return None


@define
class RunningServer:
    ports: BoundPorts
    services: Services
    connections: list[StandInConnection]
    """Every connection so far, oldest first."""
    model_may_load: trio.Event
    model_must_die: trio.Event

    @property
    def guard(self) -> GuardStatistics:
        return self.services.guard

    async def wait_connected(self, n_connections: int) -> None:
        await self._wait(lambda: len(self.connections) >= n_connections)

    async def wait_empty(self) -> None:
        await self._wait(lambda: self.services.connections.active_connections == 0)

    async def _wait(self, condition: Callable[[], bool], limit_s: float = 30.0) -> None:
        # Polled, because what a server holds cannot be waited for from outside.
        with trio.fail_after(limit_s):
            while not condition():  # noqa: ASYNC110
                await trio.sleep(0.01)

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        return await http_get(self.ports.websocket_port, path, **headers)


StartServer = Callable[..., Awaitable[RunningServer]]


@pytest.fixture
async def start_server(nursery: trio.Nursery) -> StartServer:
    """Start a server with stand-in sessions; settings by keyword."""

    async def start(
        *,
        hypercorn_file: Path | None = None,
        loaded: bool = True,
        connect: Callable[[Transport], StandInConnection] = StandInConnection,
        gate: Gate | None = None,
        **values: object,
    ) -> RunningServer:
        connections: list[StandInConnection] = []
        made: list[Services] = []
        may_load, must_die = trio.Event(), trio.Event()
        if loaded:
            may_load.set()

        def remember(transport: Transport, **_: object) -> StandInConnection:
            connections.append(connect(transport))
            return connections[-1]

        def compose(guard: GuardStatistics) -> Composition:
            readiness = Readiness()
            services = Services(
                connections=ConnectionManager(max_connections=settings.websocket_max_connections),
                readiness=readiness,
                guard=guard,
                connect=remember,
                model_name=lambda: "stand-in",
                engine=engine_health(),
                access=gate or Gate(),
            )
            made.append(services)

            async def own_model() -> None:
                await may_load.wait()
                readiness.move(ReadinessState.READY)
                await must_die.wait()
                raise RuntimeError("the model died")

            return Composition(services, own_model)

        own = {"websocket_host": "127.0.0.1", "websocket_port": 0, "monitoring_port": 0}
        settings = Settings(**({"vad": "webrtc"} | own | values))
        ports = await nursery.start(
            partial(serve_composition, settings, compose, hypercorn_file=hypercorn_file)
        )
        server = RunningServer(ports, made[0], connections, may_load, must_die)
        if loaded:
            await server._wait(lambda: made[0].readiness.is_ready)
        return server

    return start


@pytest.fixture
async def server(start_server: StartServer) -> RunningServer:
    return await start_server()


@define
class RawClient:
    """A WebSocket client made of bytes, so that it can do everything wrong."""

    stream: trio.SocketStream
    buffer: bytearray = field(factory=bytearray)

    async def send_handshake(self, *, extra: str = "", also: bytes = b"", query: str = "") -> None:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        request = (
            f"GET /ws/transcribe{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{extra}\r\n"
        )
        await self.stream.send_all(request.encode() + also)

    async def read_head(self) -> str:
        """Read up to the end of an HTTP head; what follows stays in the buffer."""
        while b"\r\n\r\n" not in self.buffer:
            if not await self._fill():
                break
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer[:] = rest
        return head.decode("latin1")

    async def upgrade(self, **parts: str) -> str:
        await self.send_handshake(**parts)
        head = await self.read_head()
        assert head.startswith("HTTP/1.1 101"), head
        return head

    async def send(self, opcode: int, payload: bytes) -> None:
        await self.stream.send_all(frame(opcode, payload))

    async def read_frame(self) -> tuple[int, bytes]:
        """Read one frame that is no ping; (-1, b"") at the end of the stream."""
        while True:
            opcode, payload = await self.read_any_frame()
            if opcode != OPCODE_PING:
                return opcode, payload

    async def read_any_frame(self) -> tuple[int, bytes]:
        """Read one frame of the server; (-1, b"") at the end of the stream."""
        while True:
            if len(self.buffer) >= 2:
                size, start = self.buffer[1] & 0x7F, 2
                if size == 126:
                    size, start = int.from_bytes(self.buffer[2:4], "big"), 4
                elif size == 127:
                    size, start = int.from_bytes(self.buffer[2:10], "big"), 10
                if len(self.buffer) >= start + size:
                    opcode = self.buffer[0] & 0x0F
                    payload = bytes(self.buffer[start : start + size])
                    del self.buffer[: start + size]
                    return opcode, payload
            if not await self._fill():
                return -1, b""

    async def read_close(self) -> int:
        """Read to the close frame and return its code; -1 if the stream just ends."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == OPCODE_CLOSE:
                return int.from_bytes(payload[:2], "big")
            if opcode == -1:
                return -1

    async def read_to_end(self) -> bytes:
        while await self._fill():
            pass
        return bytes(self.buffer)

    async def _fill(self) -> bool:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            return False
        self.buffer.extend(data)
        return bool(data)

    def reset(self) -> None:
        """Close with a TCP reset, as a killed process with unread data does."""
        linger = struct.pack("ii", 1, 0)
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.stream.socket.close()


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with a key of zeros, which leaves the payload as it is."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


OpenClient = Callable[..., Awaitable[RawClient]]


@pytest.fixture
async def open_client() -> AsyncIterator[OpenClient]:
    """Open raw clients to a server; all of them are closed in the end."""
    streams: list[trio.SocketStream] = []

    async def connect(
        server: RunningServer, *, receive_buffer_bytes: int | None = None
    ) -> RawClient:
        raw = trio.socket.socket()
        if receive_buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await raw.connect(("127.0.0.1", server.ports.websocket_port))
        streams.append(trio.SocketStream(raw))
        return RawClient(streams[-1])

    yield connect
    for stream in streams:
        await trio.aclose_forcefully(stream)


async def http_get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """One GET on a connection of its own."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n".encode()
        )
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
