"""The WebSocket over a stream in memory, under both backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from fasttalk_stt.client.errors import BusyError, ConnectError, DisconnectedError, RefusedError
from fasttalk_stt.client.transport import WebSocket, shake_hands
from tests.client.backends import both_backends
from tests.client.network import MemoryStream, ServerSocket, stream_pair


async def shake(stream: MemoryStream, **options: int) -> WebSocket:
    return await shake_hands(
        stream, url="ws://x/", host="x", target="/", headers=[("X-Who", "me")], **options
    )


@asynccontextmanager
async def connected(**options: int) -> AsyncIterator[tuple[WebSocket, ServerSocket]]:
    ours, theirs = stream_pair()
    server = ServerSocket(theirs)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.accept)
        websocket = await shake(ours, **options)
        yield websocket, server


@both_backends
async def test_messages_go_both_ways() -> None:
    async with connected() as (client, server):
        assert server.request is not None
        assert (b"x-who", b"me") in server.request.extra_headers
        await client.send("hello")
        await client.send(b"\x01\x02")
        assert await server.receive() == "hello"
        assert await server.receive() == b"\x01\x02"
        await server.send("a" * 200_000)
        assert await client.receive() == "a" * 200_000
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.receive)
            await client.aclose()
        assert server.close_code == 1000
        with pytest.raises(DisconnectedError):
            await client.send("more")


@both_backends
async def test_a_message_that_comes_with_the_answer_is_not_lost() -> None:
    ours, theirs = stream_pair()
    server = ServerSocket(theirs)

    async def eager() -> None:
        await server.accept()
        await server.send("first")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(eager)
        await anyio.wait_all_tasks_blocked()
        client = await shake(ours)
        assert await client.receive() == "first"


@both_backends
async def test_a_message_over_the_limit_ends_the_connection() -> None:
    async with connected(max_message_bytes=1_000) as (client, server):
        await server.send("a" * 1_001)
        with pytest.raises(DisconnectedError, match="longer than 1000 bytes") as caught:
            await client.receive()
        assert caught.value.close_code == 1009


@both_backends
async def test_what_was_sent_before_the_close_is_read_before_it_is_told() -> None:
    async with connected() as (client, server):
        await server.send("last words")
        await server.close(1001, "draining")
        assert await client.receive() == "last words"
        with pytest.raises(DisconnectedError, match=r"1001 \(draining\)") as caught:
            await client.receive()
        assert caught.value.close_code == 1001
        assert await server.receive() is None
        assert server.close_code == 1001
        assert not client.is_reusable


@both_backends
async def test_resets_ends_and_garbage_are_told_apart() -> None:
    async with connected() as (client, server):
        server.stream.reset()
        with pytest.raises(DisconnectedError, match="broke off"):
            await client.receive()
    async with connected() as (client, server):
        await server.stream.aclose()
        with pytest.raises(DisconnectedError, match="without a close frame"):
            await client.receive()
    async with connected() as (client, server):
        await server.send_raw(b"\xff\xff\xff\xff")
        with pytest.raises(DisconnectedError, match="no WebSocket frames") as caught:
            await client.receive()
        assert caught.value.close_code is None
        assert caught.value.recoverable


@both_backends
async def test_closing_to_a_peer_that_does_not_answer_has_its_deadline() -> None:
    async with connected() as (client, _):
        since_s = anyio.current_time()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await client.aclose(deadline_s=2.0)
        assert anyio.current_time() - since_s == pytest.approx(2.0)


@both_backends
async def test_half_a_frame_is_the_last_thing_that_is_sent() -> None:
    async with connected() as (client, server):
        assert client.is_reusable
        client._stream.choke()  # type: ignore[attr-defined]
        with anyio.move_on_after(1):
            await client.send("a long one")
        assert not client.is_reusable
        client._stream.choke(False)  # type: ignore[attr-defined]
        with pytest.raises(DisconnectedError, match="cut off"):
            await client.send("the next")
        await server.send("what comes is read all the same")
        assert await client.receive() == "what comes is read all the same"
        await client.aclose()


@both_backends
async def test_why_the_server_hung_up_is_read_though_writing_fails_before() -> None:
    async with connected() as (client, server):
        await server.send("last words")
        await server.close(1008, "taken over")
        client._stream.refuse()  # type: ignore[attr-defined]
        for _ in range(2):
            with pytest.raises(DisconnectedError) as caught:
                await client.send("more")
            assert caught.value.close_code is None
        assert await client.receive() == "last words"
        with pytest.raises(DisconnectedError, match=r"1008 \(taken over\)"):
            await client.receive()
        with pytest.raises(DisconnectedError, match=r"1008 \(taken over\)"):
            await client.send("more")


@both_backends
async def test_a_ping_is_answered_by_the_sending_side() -> None:
    async with connected() as (client, server):
        told = anyio.Event()
        client.on_control = told.set
        await server.ping(b"one")
        await server.ping(b"two")
        await server.send("text")
        assert await client.receive() == "text"
        assert told.is_set()
        await client.send_control()
        await client.send_control()
        await client.send("done")
        assert await server.receive() == "done"
        assert server.pongs == [b"two"], "the latest answers for those before it"


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "said", "wait_s"),
    [
        (
            503,
            b'{"type": "error", "error": {"code": "server_full", "message": "full", '
            b'"retry_after": 5.0}}',
            {"retry_after": "7"},
            BusyError,
            "HTTP 503: server_full: full (try again in 7 s)",
            7,
        ),
        (
            429,
            b"",
            {
                "retry_after": "Wed, 21 Oct 2015 07:28:30 GMT",
                "date": "Wed, 21 Oct 2015 07:28:00 GMT",
            },
            BusyError,
            "HTTP 429 (try again in 30 s)",
            30,
        ),
        (503, b"", {"retry_after": "soon"}, BusyError, "HTTP 503", None),
        (
            503,
            b'{"error": {"code": "server_draining", "retry_after": 2}}',
            {},
            BusyError,
            "HTTP 503: server_draining (try again in 2 s)",
            2,
        ),
        (503, b"", {"retry_after": "nan"}, BusyError, "HTTP 503", None),
        (503, b'{"error": {"retry_after": NaN}}', {}, BusyError, "HTTP 503", None),
        (
            503,
            b'{"error": {"code": "server_full", "retry_after": 1' + b"0" * 400 + b"}}",
            {},
            BusyError,
            "HTTP 503: server_full (try again in 3600 s)",
            3600,
        ),
        (503, b'{"error": {"retry_after": -1e999}}', {}, BusyError, "HTTP 503", 0),
        (502, b"Bad gateway\nnginx", {}, RefusedError, "HTTP 502: Bad gateway", None),
        (404, b'"none"', {}, RefusedError, "HTTP 404", None),
    ],
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_refusals(
    *,
    backend: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
    kind: type[RefusedError],
    said: str,
    wait_s: float | None,
) -> None:
    async def check() -> None:
        ours, theirs = stream_pair()
        server = ServerSocket(theirs)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: server.refuse(status, body, **headers))
            with pytest.raises(kind) as caught:
                await shake(ours)
        assert said in str(caught.value)
        assert caught.value.status == status
        assert caught.value.retry_after_s == wait_s

    anyio.run(check, backend=backend)


@both_backends
async def test_what_is_no_websocket_server_is_a_connect_error() -> None:
    for answer, said in (
        (b"", "hung up"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no WebSocket server answered"),
        (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "accept token"),
    ):
        ours, theirs = stream_pair()
        if answer:
            await theirs.send(answer)
        else:
            await theirs.aclose()
        with pytest.raises(ConnectError, match=said):
            await shake(ours)
