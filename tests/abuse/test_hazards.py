"""Hostile and unlucky clients, one hazard each; all must leave the server serving.

The clients close first unless a test says otherwise.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import hypercorn.protocol.h11
import hypercorn.trio.run
import pytest
import trio
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio import serve as plain_serve
from hypercorn.trio.tcp_server import TCPServer
from quart_trio import QuartTrio
from structlog.testing import capture_logs

from fasttalk_stt import guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9

pytestmark = pytest.mark.abuse


def frame(opcode: int, payload: bytes) -> bytes:
    """A short masked frame."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


async def check_healthy(server: Any, open_client: Any) -> None:
    """A well-behaved client is served, and nothing of the others is left."""
    await server.wait_empty()
    client = await open_client(server)
    with trio.fail_after(5):
        await client.upgrade()
        await client.send(TEXT, b"hello")
        assert await client.read_frame() == (TEXT, b"hello")
        await client.send(CLOSE, (1000).to_bytes(2, "big"))
        assert await client.read_close() == 1000
    await server.wait_empty()
    status, _ = await server.get("/health")
    assert status == 200


async def test_frame_sent_with_the_upgrade_is_refused(server: Any, open_client: Any) -> None:
    with capture_logs() as logs:
        for _ in range(30):
            client = await open_client(server)
            await client.send_handshake(also=frame(TEXT, b"too early"))
            with trio.fail_after(5):
                assert (await client.read_to_end()).startswith(b"HTTP/1.1 400")
        await check_healthy(server, open_client)
    told = [log for log in logs if log["log_level"] in {"warning", "error"}]
    # A machine that is busy with something else is slow, and that is told.
    assert [log for log in told if log["event"] != "slow_step"] == []


async def test_invalid_handshake_is_refused_and_closed(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.stream.send_all(
        b"GET /ws/transcribe HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\n\r\n"
    )
    with trio.fail_after(5):
        assert (await client.read_to_end()).startswith(b"HTTP/1.1 400")
    await check_healthy(server, open_client)


async def test_exception_of_one_connection_ends_only_that_one(
    server: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object, _event: object) -> None:
        raise RuntimeError("a bug nobody has met yet")

    other = await open_client(server)
    await other.upgrade()
    with capture_logs() as logs, monkeypatch.context() as patch:
        patch.setattr(guard.Http1Protocol, "handle", fail)
        for _ in range(10):
            client = await open_client(server)
            await client.stream.send_all(b"GET / HTTP/1.1\r\n")
            with trio.fail_after(5):
                assert await client.read_to_end() == b""
        await server._wait(lambda: server.guard.contained_faults.total() == 10)
    await other.send(TEXT, b"still here")
    with trio.fail_after(5):
        assert await other.read_frame() == (TEXT, b"still here")
    await other.stream.aclose()
    await check_healthy(server, open_client)
    assert list(server.guard.contained_faults.values()) == [10]
    # One traceback a kind: a flood must not fill the disk.
    faults = [log for log in logs if log["event"] == "connection_fault"]
    assert len(faults) == 10
    assert sum(log["exc_info"] is not None for log in faults) == 1


async def test_plain_hypercorn_still_dies_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tells when the guard is no longer needed for this: hypercorn 0.18.0.
    monkeypatch.setattr(hypercorn.trio.run, "TCPServer", TCPServer)
    monkeypatch.setattr(hypercorn.protocol, "H11Protocol", H11Protocol)
    monkeypatch.setattr(hypercorn.protocol.h11, "WSStream", WSStream)
    app = QuartTrio("plain")
    app.websocket("/ws")(_accept_and_wait)
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    with pytest.raises(ExceptionGroup) as caught:
        await _attack_plain_hypercorn(app, config)
    assert caught.group_contains(h11.LocalProtocolError)


async def _attack_plain_hypercorn(app: QuartTrio, config: Config) -> None:
    async with trio.open_nursery() as nursery:
        binds = await nursery.start(partial(plain_serve, app, config))
        port = int(binds[0].rsplit(":", 1)[1])
        with trio.move_on_after(5):
            for _ in range(30):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(
                        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                        + frame(TEXT, b"too early")
                    )
                    async for _chunk in stream:
                        pass
        nursery.cancel_scope.cancel()


async def _accept_and_wait() -> None:
    from quart import websocket

    await websocket.accept()
    await trio.sleep_forever()


async def test_peer_that_stops_reading_is_dropped_at_the_write_deadline(
    server: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WRITE_TIMEOUT_S", 0.3)
    client = await open_client(server, receive_buffer_bytes=4096)
    await client.upgrade()
    await client.send(TEXT, b"flood")
    await server.wait_connected(1)
    await check_healthy(server, open_client)
    assert server.guard.write_timeouts == 1


async def test_reset_cancels_the_handler(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await server.wait_connected(1)
    client.reset()
    await check_healthy(server, open_client)


async def test_flood_to_a_dead_socket_does_not_freeze_the_server(
    server: Any, open_client: Any
) -> None:
    clients = [await open_client(server) for _ in range(10)]
    for client in clients:
        await client.upgrade()
        await client.send(TEXT, b"flood")
        await client.read_frame()
    for client in clients:
        client.reset()
    with trio.fail_after(1):
        status, _ = await server.get("/health/live")
    assert status == 200
    await check_healthy(server, open_client)


async def test_flooding_client_that_resets_leaks_nothing(server: Any, open_client: Any) -> None:
    audio = frame(BINARY, bytes(100)) * 5_000
    for _ in range(6):
        client = await open_client(server)
        await client.upgrade()
        await client.stream.send_all(audio)
        client.reset()
    await check_healthy(server, open_client)
    assert len(server.connections) == 7


async def test_held_back_client_that_dies_is_gone_when_its_backlog_is_worked_off(
    server: Any, open_client: Any
) -> None:
    client = await open_client(server)
    await client.upgrade()
    # More than every queue between the socket and the handler: 256 and 10 messages.
    with trio.move_on_after(0.5):
        await client.stream.send_all(frame(TEXT, b"hold") + frame(BINARY, bytes(100)) * 2_000)
    await server.wait_connected(1)
    client.reset()
    await trio.sleep(0.1)
    assert server.services.connections.active_connections == 1
    server.connections[0].released.set()
    await check_healthy(server, open_client)


async def test_handler_error_is_1011_and_logged(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    with capture_logs() as logs:
        await client.send(TEXT, b"raise")
        with trio.fail_after(5):
            assert await client.read_close() == 1011
        await client.stream.aclose()
        await check_healthy(server, open_client)
    assert "connection_failed" in [log["event"] for log in logs]


async def test_handler_error_at_the_disconnect_is_logged(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    with capture_logs() as logs:
        await client.send(TEXT, b"raise")
        client.reset()
        await check_healthy(server, open_client)
    assert "connection_failed" in [log["event"] for log in logs]


async def test_handler_that_returns_is_1000(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await client.send(TEXT, b"return")
    with trio.fail_after(5):
        assert await client.read_close() == 1000
    await client.stream.aclose()
    await check_healthy(server, open_client)


async def test_client_that_never_answers_the_close_is_let_go(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await client.send(TEXT, b"return")
    with trio.fail_after(5):
        assert await client.read_close() == 1000
        # The server closes first, after waiting for an answer that does not come.
        assert await client.read_to_end() == b""
    await check_healthy(server, open_client)


async def test_empty_binary_frame_reaches_the_handler_as_none(
    server: Any, open_client: Any
) -> None:
    client = await open_client(server)
    await client.upgrade()
    await client.send(BINARY, b"")
    with trio.fail_after(5):
        assert await client.read_frame() == (TEXT, b"empty")
    await client.stream.aclose()
    await check_healthy(server, open_client)


async def test_compression_is_not_offered(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    head = await client.upgrade(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    assert "extensions" not in head.lower()
    await client.stream.aclose()
    await check_healthy(server, open_client)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_oversized_message_is_1009_and_ends_the_handler(
    server: Any, open_client: Any, opcode: int
) -> None:
    client = await open_client(server)
    await client.upgrade()
    with trio.fail_after(5):
        await client.send(opcode, b"x" * 3_000_000)
        assert await client.read_close() == 1009
        await server.wait_empty()
        # The socket goes too, though this client never closes it.
        assert await client.read_to_end() == b""
    assert server.guard.oversized_messages == 1
    await check_healthy(server, open_client)


async def test_one_second_of_the_widest_audio_fits(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await client.send(BINARY, bytes(192_000))
    await client.send(TEXT, b"still here")
    with trio.fail_after(5):
        assert await client.read_frame() == (TEXT, b"still here")
    await client.stream.aclose()


async def test_silent_peer_is_dropped_though_it_is_pinged(
    start_server: Callable[..., Awaitable[Any]], open_client: Any, tmp_path: Path
) -> None:
    settings = tmp_path / "hypercorn.toml"
    settings.write_text("websocket_ping_interval = 0.2\nread_timeout = 0.6\n")
    server = await start_server(hypercorn_file=settings)
    client = await open_client(server)
    await client.upgrade()
    await server.wait_connected(1)
    with trio.fail_after(5):
        assert (await client.read_any_frame())[0] == PING
        await client.read_to_end()
    await check_healthy(server, open_client)


async def test_unfinished_request_is_dropped(
    start_server: Callable[..., Awaitable[Any]], open_client: Any, tmp_path: Path
) -> None:
    settings = tmp_path / "hypercorn.toml"
    settings.write_text("keep_alive_timeout = 0.3\n")
    server = await start_server(hypercorn_file=settings)
    client = await open_client(server)
    await client.stream.send_all(b"GET / HTTP/1.1\r\nHost: ")
    with trio.fail_after(5):
        assert await client.read_to_end() == b""
    await check_healthy(server, open_client)


async def test_http2_is_not_spoken(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    with trio.fail_after(10):
        assert not (await client.read_to_end()).startswith(b"\0")
    client = await open_client(server)
    await client.stream.send_all(
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    )
    assert (await client.read_head()).startswith("HTTP/1.1 200")
    await check_healthy(server, open_client)


async def test_full_server_refuses_before_the_upgrade(
    start_server: Callable[..., Awaitable[Any]], open_client: Any
) -> None:
    server = await start_server(websocket_max_connections=1)
    first = await open_client(server)
    await first.upgrade()
    second = await open_client(server)
    await second.send_handshake()
    head = await second.read_head()
    assert head.startswith("HTTP/1.1 503")
    assert "retry-after: 5" in head.lower()
    error = json.loads(await second.read_to_end())["error"]
    assert error == {
        "code": "server_full",
        "message": error["message"],
        "category": "resource",
        "severity": "medium",
        "recoverable": True,
        "retry_after": 5.0,
    }
    await first.stream.aclose()
    await check_healthy(server, open_client)
    assert server.services.connections.total_connections == 2


async def test_loading_server_answers_but_refuses_upgrades(
    start_server: Callable[..., Awaitable[Any]], open_client: Any
) -> None:
    server = await start_server(loaded=False)
    assert (await server.get("/health/live"))[0] == 200
    assert (await server.get("/health/ready"))[0] == 503
    status, body = await server.get("/health")
    assert (status, json.loads(body)["reasons"]) == (503, ["the model is still loading"])
    client = await open_client(server)
    await client.send_handshake()
    assert (await client.read_head()).startswith("HTTP/1.1 503")
    assert json.loads(await client.read_to_end())["error"]["code"] == "service_unavailable"
    server.model_may_load.set()
    await server._wait(lambda: server.services.readiness.is_ready)
    await check_healthy(server, open_client)


async def test_connections_leave_no_tasks_behind(server: Any, open_client: Any) -> None:
    await check_healthy(server, open_client)
    await trio.testing.wait_all_tasks_blocked(0.05)
    before = trio.lowlevel.current_statistics().tasks_living
    for _ in range(20):
        client = await open_client(server)
        await client.upgrade()
        client.reset()
    await server.wait_empty()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert trio.lowlevel.current_statistics().tasks_living <= before
