"""The client over TCP, under both backends."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener

from fasttalk_stt.client import (
    ClientSettings,
    ConnectError,
    DiscoverySettings,
    ReplicaView,
    Resumed,
    ServiceDiscovery,
    SessionOptions,
    Transcription,
    connect,
)
from tests.client.backends import both_backends_real_time
from tests.client.model_server import RATE_HZ, ModelServer, blocks
from tests.client.network import ServerSocket, serve_model

OPTIONS = SessionOptions(encoding="s16le", sample_rate=RATE_HZ, fasttalk_mode=True)
QUICK = ClientSettings(base_delay_s=0.01)
ONE = blocks(*[1] * 20, *[0] * 40)


def reset(stream: SocketStream) -> None:
    """Close with a TCP reset, as a killed process with unread data does."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@both_backends_real_time
async def test_a_session_survives_a_reset_of_its_tcp_connection() -> None:
    streams: list[SocketStream] = []

    async def serve(stream: SocketStream) -> None:
        streams.append(stream)
        async with stream:
            any_stream: Any = stream
            if len(streams) == 1:
                server = ServerSocket(any_stream)
                await server.accept()
                start = str(await server.receive())
                model = ModelServer()
                model.say(start)
                await server.send(model.sent.popleft())
                while not isinstance(await server.receive(), bytes):
                    pass
                return reset(stream)
            return await serve_model(ServerSocket(any_stream))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            async with connect(f"ws://127.0.0.1:{port}", config=OPTIONS, settings=QUICK) as session:
                await session.send_audio(ONE)
                await session.end()
                events = [event async for event in session]
            tasks.cancel_scope.cancel()
    assert [e.data.text for e in events if isinstance(e, Transcription)] == ["w1l"]
    assert [type(e) for e in events].count(Resumed) == 1


CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Self-signed, with its key, for localhost; made for this test and good for nothing else."""


@both_backends_real_time
async def test_a_session_over_tls_and_a_certificate_nobody_knows() -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(CERTIFICATE)
    trusting = ClientSettings(ssl_context=ssl.create_default_context(cafile=CERTIFICATE))

    async def serve(stream: Any) -> None:
        async with stream:
            await serve_model(ServerSocket(stream))

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"wss://localhost:{tcp.extra(SocketAttribute.local_port)}"
    async with (
        TLSListener(tcp, theirs, standard_compatible=False) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        async with connect(url, config=OPTIONS, settings=trusting) as session:
            await session.send_audio(ONE * 20)
            await session.end()
            texts = [e.data.text async for e in session if isinstance(e, Transcription)]
        with pytest.raises(ConnectError, match="certificate is not trusted: self"):
            async with connect(url):
                pytest.fail("connected")
        tasks.cancel_scope.cancel()
    assert texts == ["w1l"] * 20


@both_backends_real_time
async def test_health_is_looked_at_over_tls_with_the_callers_certificates() -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(CERTIFICATE)
    trusting = DiscoverySettings(ssl_context=ssl.create_default_context(cafile=CERTIFICATE))

    async def serve(stream: Any) -> None:
        async with stream:
            # A client that does not trust us is gone already.
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()
                body = json.dumps({"capacity": {"max_connections": 5, "active_connections": 1}})
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
                await stream.send((head + body).encode())

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"https://localhost:{tcp.extra(SocketAttribute.local_port)}"
    async with (
        TLSListener(tcp, theirs, standard_compatible=False) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        async with ServiceDiscovery([url], settings=trusting) as found:
            assert found.view() == [ReplicaView(url, 4, is_out=False)]
        async with ServiceDiscovery([url]) as found:
            assert "not trusted" in str(found.view()[0].error)
        tasks.cancel_scope.cancel()


@both_backends_real_time
async def test_nobody_there_is_one_line() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
    with pytest.raises(ConnectError, match="cannot connect: Connection refused"):
        async with connect(f"ws://127.0.0.1:{port}", settings=ClientSettings(max_tries=0)):
            pytest.fail("connected")
