"""Connections that are lost while the consumer is slow. Under both backends, in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from fasttalk_stt.client import (
    ClientSettings,
    DisconnectedError,
    EagerRetracted,
    Resumed,
    SessionEnded,
    SessionStarted,
    connect,
)
from tests.client.backends import both_backends
from tests.client.conversing import ONE, OPTIONS, TWO, URL, everything, network, texts
from tests.client.model_server import ModelServer, blocks
from tests.client.network import ServerSocket, serve_model


async def send_all(socket: ServerSocket, model: ModelServer) -> None:
    while model.sent:
        await socket.send(model.sent.popleft())


@both_backends
async def test_the_time_for_which_the_consumer_waits_is_no_part_of_the_patience() -> None:
    """Three events fill the queue, and the fourth, of the loss itself, waits for the consumer."""
    settings = ClientSettings(max_queued_events=3, patience_s=20)
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(blocks(*[1] * 20, *[0] * 15))
        await anyio.sleep(2)
        net.sockets[0].stream.reset()
        await anyio.sleep(60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.end)
            events = await everything(session)
        assert texts(events) == ["w1l"]
        (resumed,) = [event for event in events if isinstance(event, Resumed)]
        assert 60 <= resumed.outage_s <= 61
        assert any(isinstance(event, EagerRetracted) for event in events[:4])


@both_backends
async def test_a_session_that_has_ended_is_not_resumed() -> None:
    """Its `session_ended` waits for the consumer while the connection breaks."""

    async def ends_and_breaks(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        while (message := await socket.receive()) is not None:
            model.say(message)
            model.release(1000)
            await send_all(socket, model)
            if model.is_ended:
                await anyio.sleep(1)
                return socket.stream.reset()
        return None

    settings = ClientSettings(max_queued_events=4)
    async with (
        network(stt=ends_and_breaks) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        kinds: list[type[Any]] = []

        async def consume_slowly() -> None:
            async for event in session:
                kinds.append(type(event))
                if len(kinds) == 5:
                    await anyio.sleep(4)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume_slowly)
            await session.send_audio(ONE + TWO)
            await session.end()
        assert kinds.count(SessionEnded) == 1
        assert Resumed not in kinds
        assert len(net.sockets) == 1


def hangs_up(code: int, reason: str, *, after_end: bool = False) -> Any:
    """A server that says its last words, closes, and takes nothing more: what we write fails."""

    async def serve(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await send_all(socket, model)
        while not model.results or (after_end and not model._ending):
            message = await socket.receive()
            assert message is not None
            model.say(message)
        model.release(1000)
        await send_all(socket, model)
        await socket.close(code, reason)
        socket.stream.peer.refuse()
        await anyio.sleep_forever()

    return serve


@both_backends
async def test_a_session_that_was_taken_over_is_not_taken_back() -> None:
    """The close code lies unread behind a full queue while writing fails."""
    settings = ClientSettings(max_queued_events=2)
    async with (
        network(stt=hangs_up(1008, "taken over")) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        await anyio.sleep(30)
        with pytest.raises(DisconnectedError, match="taken over"):
            await everything(session)
        assert len(net.sockets) == 1


@both_backends
async def test_the_last_results_before_a_hang_up_are_read_though_writing_fails() -> None:
    settings = ClientSettings(max_queued_events=2)
    async with (
        network(stt=hangs_up(1000, "", after_end=True)) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.end)
            await anyio.sleep(30)
            events = await everything(session)
        assert texts(events) == ["w1l"]
        assert isinstance(events[-1], SessionEnded)
        assert len(net.sockets) == 1


@both_backends
async def test_a_connection_that_takes_nothing_and_says_nothing_is_lost_soon() -> None:
    async def mute(socket: ServerSocket) -> None:
        if len(net.sockets) > 1:
            return await serve_model(socket)
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await send_all(socket, model)
        await anyio.sleep_forever()
        return None

    async with network() as net:
        net.hosts["stt"] = mute
        async with connect(URL, config=OPTIONS, open_stream=net.open_stream) as session:
            net.sockets[0].stream.peer.refuse()
            await session.send_audio(ONE)
            events = []
            async for event in session:
                events.append(event)
                if isinstance(event, Resumed):
                    break
            assert [type(event) for event in events] == [SessionStarted, Resumed]
            assert events[-1].outage_s <= 1
            assert anyio.current_time() <= 2.5
            await session.end()
            assert texts(await everything(session)) == ["w1l"]
