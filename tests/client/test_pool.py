"""The pool over servers in memory, under both backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from fasttalk_stt.client import (
    ConnectionPool,
    PoolExhaustedError,
    PoolSettings,
    Resumed,
    SessionOptions,
    Transcription,
)
from fasttalk_stt.client.error_groups import single_errors
from tests.client.backends import both_backends
from tests.client.model_server import RATE_HZ, ModelServer, blocks
from tests.client.network import Network, serve_model

OPTIONS = SessionOptions(encoding="s16le", sample_rate=RATE_HZ, fasttalk_mode=True)
ONE = blocks(*[1] * 20, *[0] * 40)


@asynccontextmanager
async def pool(**settings: float) -> AsyncIterator[tuple[ConnectionPool, Network]]:
    with single_errors():
        async with anyio.create_task_group() as tasks:
            net = Network(tasks, hosts={"stt": serve_model})
            settings_ = PoolSettings(**settings)  # type: ignore[arg-type]
            async with ConnectionPool(
                "ws://stt:8000", pool=settings_, open_stream=net.open_stream
            ) as made:
                yield made, net
            await anyio.wait_all_tasks_blocked()
            assert all(each.stream.peer._ended for each in net.sockets), "one was left open"
            tasks.cancel_scope.cancel()


async def speak(made: ConnectionPool) -> list[str]:
    async with made.session(OPTIONS) as session:
        await session.send_audio(ONE)
        await session.end()
        return [e.data.text async for e in session if isinstance(e, Transcription)]


@both_backends
async def test_one_connection_serves_session_after_session() -> None:
    async with pool() as (made, net):
        for _ in range(5):
            assert await speak(made) == ["w1l"]
        assert len(net.sockets) == 1
        figures = made.statistics()
        assert (figures.opened, figures.reused, figures.idle, figures.in_use) == (1, 4, 1, 0)


@both_backends
async def test_a_session_that_is_left_right_after_its_end_gives_its_connection_back() -> None:
    async with pool() as (made, net):
        for _ in range(5):
            async with made.session(OPTIONS) as session:
                await session.send_audio(ONE)
                await session.end()
        assert len(net.sockets) == 1
        assert made.statistics().dropped == 0


@both_backends
async def test_a_connection_with_half_a_frame_on_it_does_not_come_back() -> None:
    models: list[ModelServer] = []
    async with pool() as (made, net):
        net.hosts["stt"] = partial(serve_model, releases=False, on_model=models.append)
        async with made.session(OPTIONS) as session:

            async def end_after_a_ping_got_stuck() -> None:
                await anyio.sleep(0.1)
                net.sockets[0].stream.peer.choke()
                await anyio.sleep(2)
                models[0].release(1000)
                while models[0].sent:
                    await net.sockets[0].send(models[0].sent.popleft())

            net.tasks.start_soon(end_after_a_ping_got_stuck)
            await session.send_audio(ONE)
            await session.end()
        figures = made.statistics()
        assert (figures.idle, figures.dropped) == (0, 1)


@both_backends
async def test_a_session_that_was_left_takes_its_connection_with_it() -> None:
    async with pool() as (made, net):
        async with made.session(OPTIONS) as session:
            await session.send_audio(ONE)
        assert made.statistics().idle == 0
        assert await speak(made) == ["w1l"]
        assert len(net.sockets) == 2


@both_backends
async def test_idle_connections_are_kept_alive_and_dead_ones_replaced() -> None:
    async with pool() as (made, net):
        await speak(made)
        await anyio.sleep(307)
        assert made.statistics().idle == 1
        net.sockets[0].stream.stall()
        await anyio.sleep(20)
        assert made.statistics().idle == 0
        assert await speak(made) == ["w1l"]
        net.sockets[1].stream.reset()
        assert await speak(made) == ["w1l"]
        assert len(net.sockets) == 3


async def fill(made: ConnectionPool, count: int) -> None:
    """Have that many idle connections in the pool."""
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(speak, made)
    assert made.statistics().idle == count


@both_backends
async def test_a_pool_that_is_left_under_cancellation_closes_all_its_connections() -> None:
    async with pool() as (_, net):
        with anyio.CancelScope() as scope:
            async with ConnectionPool("ws://stt:8000", open_stream=net.open_stream) as made:
                await fill(made, 5)
                scope.cancel()
        assert [each.close_code for each in net.sockets] == [1000] * 5


@both_backends
async def test_connections_that_do_not_answer_are_left_within_one_deadline() -> None:
    async with pool() as (_, net):
        async with ConnectionPool("ws://stt:8000", open_stream=net.open_stream) as made:
            await fill(made, 5)
            for each in net.sockets:
                each.stream.stall()
            since_s = anyio.current_time()
        assert anyio.current_time() - since_s == pytest.approx(2)


@both_backends
async def test_of_idle_connections_that_are_gone_only_one_is_waited_for() -> None:
    async with pool() as (made, net):
        await fill(made, 5)
        for each in net.sockets:
            each.stream.stall()
        since_s = anyio.current_time()
        assert await speak(made) == ["w1l"]
        assert anyio.current_time() - since_s == pytest.approx(2)
        figures = made.statistics()
        assert (figures.dropped, figures.idle) == (5, 1)


@both_backends
async def test_idle_connections_are_asked_at_the_same_time() -> None:
    async with pool(check_every_s=15, check_timeout_s=2) as (made, net):
        await fill(made, 5)
        for each in net.sockets[:4]:
            each.stream.stall()
        await anyio.sleep(17.5)
        figures = made.statistics()
        assert (figures.dropped, figures.idle) == (4, 1)


@both_backends
async def test_a_session_that_goes_on_waits_for_no_idle_connection() -> None:
    async with pool() as (made, net):
        await fill(made, 5)
        async with made.session(OPTIONS) as session:
            for each in net.sockets[:5]:
                each.stream.stall()
            await session.send_audio(ONE)
            async for event in session:
                if isinstance(event, Resumed):
                    # What is left of it is the back-off.
                    assert event.outage_s <= 0.5
                    break
            await session.end()


@both_backends
async def test_only_so_many_sessions_and_so_many_idle_ones() -> None:
    async with pool(max_sessions=2, max_idle=1, wait_s=5) as (made, _):
        async with made.session(OPTIONS) as one, made.session(OPTIONS) as two:
            with pytest.raises(PoolExhaustedError, match="All 2 places"):
                async with made.session(OPTIONS):
                    pytest.fail("a third one")
            await one.end()
            await two.end()
        assert made.statistics().idle == 1


@both_backends
async def test_a_pooled_session_resumes_too() -> None:
    async with (
        pool() as (made, net),
        made.session(OPTIONS) as session,
    ):
        await session.send_audio(ONE)
        net.sockets[0].stream.reset()
        async for event in session:
            if isinstance(event, Resumed):
                break
        await session.end()
        assert [e.data.text async for e in session if isinstance(e, Transcription)] == ["w1l"]


@both_backends
async def test_sessions_at_the_same_time_have_connections_of_their_own() -> None:
    async with pool() as (made, net):
        heard: list[list[str]] = []

        async def one() -> None:
            heard.append(await speak(made))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(partial(one))
        assert heard == [["w1l"]] * 5
        assert 2 <= len(net.sockets) <= 5
