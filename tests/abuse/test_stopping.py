"""How a server ends while clients are connected. The server closes first in all of these."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.server import serve_composition
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.readiness import Readiness, ReadinessState
from fasttalk_stt.service.services import Composition, Services
from fasttalk_stt.settings import Settings
from tests.support import engine_health

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT, BINARY, CLOSE = 1, 2, 8

pytestmark = pytest.mark.abuse


async def test_drain_gives_last_words_and_1001(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await server.wait_connected(1)
    os.kill(os.getpid(), signal.SIGTERM)
    with trio.fail_after(5):
        assert await client.read_frame() == (TEXT, b"last words")
        assert await client.read_close() == 1001


async def test_newcomer_is_refused_during_the_drain(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await server.wait_connected(1)
    os.kill(os.getpid(), signal.SIGTERM)
    with trio.fail_after(5):
        assert await client.read_close() == 1001
        # The first client has not answered its close yet, so the server waits and still answers.
        newcomer = await open_client(server)
        await newcomer.send_handshake()
        assert (await newcomer.read_head()).startswith("HTTP/1.1 503")
        assert b"server_draining" in await newcomer.read_to_end()


async def test_held_back_client_is_drained_at_once(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.upgrade()
    await client.send(TEXT, b"hold")
    with trio.move_on_after(0.5):
        while True:
            await client.send(BINARY, bytes(100))
    await server.wait_connected(1)
    os.kill(os.getpid(), signal.SIGTERM)
    with trio.fail_after(1.5):
        assert await client.read_close() == 1001


async def test_client_that_ignores_the_drain_is_cut_off_with_1001(
    start_server: Callable[..., Awaitable[Any]], open_client: Any
) -> None:
    server = await start_server(drain_timeout_s=0.3)
    client = await open_client(server)
    await client.upgrade()
    await server.wait_connected(1)
    # The stand-in watches the event that it began with.
    server.connections[0].drain_asked = trio.Event()
    os.kill(os.getpid(), signal.SIGTERM)
    with trio.fail_after(5):
        assert await client.read_close() == 1001
        await server.wait_empty()


async def test_dead_model_ends_the_server() -> None:
    async def die() -> None:
        raise RuntimeError("the model died")

    def compose(guard: GuardStatistics) -> Composition:
        readiness = Readiness()
        readiness.move(ReadinessState.READY)
        connections = ConnectionManager(max_connections=1)
        connect = _never
        return Composition(
            Services(connections, readiness, guard, connect, lambda: "stand-in", engine_health()),
            own_model=die,
        )

    settings = Settings(websocket_host="127.0.0.1", websocket_port=0, monitoring_port=0)
    with trio.fail_after(5), pytest.raises(ExceptionGroup) as caught:
        await serve_composition(settings, compose)
    assert caught.group_contains(RuntimeError, match="the model died")


async def test_model_that_dies_later_ends_the_server_and_tells_clients(
    open_client: Any,
) -> None:
    dying = trio.Event()

    async def die_later() -> None:
        await dying.wait()
        raise RuntimeError("the model died")

    class Waiting:
        async def run(self) -> None:
            await trio.sleep_forever()

    def compose(guard: GuardStatistics) -> Composition:
        readiness = Readiness()
        readiness.move(ReadinessState.READY)
        connections = ConnectionManager(max_connections=1)
        return Composition(
            Services(
                connections,
                readiness,
                guard,
                lambda _transport, **_: Waiting(),
                lambda: "m",
                engine_health(),
            ),
            own_model=die_later,
        )

    class Server:
        ports: Any = None

    async def attack() -> None:
        async with trio.open_nursery() as nursery:
            Server.ports = await nursery.start(partial(serve_composition, settings, compose))
            client = await open_client(Server)
            await client.upgrade()
            dying.set()
            with trio.CancelScope(shield=True), trio.fail_after(5):
                codes.append(await client.read_close())

    codes: list[int] = []
    settings = Settings(websocket_host="127.0.0.1", websocket_port=0, monitoring_port=0)
    with pytest.raises(ExceptionGroup) as caught:
        await attack()
    assert caught.group_contains(RuntimeError, match="the model died")
    assert codes == [1001]


def _never(_transport: object) -> Any:
    raise AssertionError("no client connects")
