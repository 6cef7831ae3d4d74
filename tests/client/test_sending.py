"""`send_audio` and who calls it: several tasks, deadlines. Under both backends."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from fasttalk_stt.client import ClientSettings, connect
from tests.client.backends import both_backends
from tests.client.conversing import ONE, OPTIONS, URL, everything, network, texts
from tests.client.model_server import ModelServer, blocks
from tests.client.network import ServerSocket, serve_model


def settles(order: list[int]) -> Any:
    """A server that settles what it has every half second, and notes whose audio came."""

    async def serve(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))

        async def settle() -> None:
            while True:
                model._committed = model._at
                model._send({"type": "pong", "id": "x"})
                while model.sent:
                    await socket.send(model.sent.popleft())
                await anyio.sleep(0.5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(settle)
            while (message := await socket.receive()) is not None:
                if isinstance(message, bytes):
                    order.append(message[0])
                    model._at += len(message) // 160
            tasks.cancel_scope.cancel()

    return serve


@both_backends
async def test_two_who_send_at_the_same_time_are_heard_one_after_the_other() -> None:
    order: list[int] = []
    settings = ClientSettings(max_unsettled_s=1)
    async with (
        network(stt=settles(order)) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.send_audio, blocks(*[1] * 400))
            tasks.start_soon(session.send_audio, blocks(*[2] * 400))
        await anyio.sleep(3)
        assert order in ([1] * 8 + [2] * 8, [2] * 8 + [1] * 8)


@both_backends
async def test_what_is_cancelled_before_it_was_taken_is_not_taken() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.send_audio(ONE)
        assert scope.cancelled_caught
        assert session.unsettled_s == 0
        await session.send_audio(ONE)
        await session.end()
        assert texts(await everything(session)) == ["w1l"]


@both_backends
async def test_a_send_was_cancelled_or_took_its_audio_and_never_both() -> None:
    async with (
        network(stt=partial(serve_model, releases=False)) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
        anyio.create_task_group() as tasks,
    ):

        async def cancel(scope: anyio.CancelScope) -> None:
            scope.cancel()

        taken = 0
        # Trio chooses at random who runs first.
        for _ in range(20):
            with anyio.CancelScope() as scope:
                tasks.start_soon(cancel, scope)
                await session.send_audio(ONE)
            taken += not scope.cancelled_caught
            assert session.unsettled_s == pytest.approx(0.6 * taken)


@both_backends
async def test_of_what_waits_for_room_a_short_piece_is_taken_whole_or_not_at_all() -> None:
    settings = ClientSettings(max_unsettled_s=1)
    async with (
        network(stt=partial(serve_model, releases=False)) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        with anyio.move_on_after(5) as limit:
            await session.send_audio(blocks(*[1] * 400))
        assert limit.cancelled_caught
        assert session.unsettled_s == 1.5
        with anyio.move_on_after(5) as limit:
            await session.send_audio(blocks(*[1] * 50))
        assert limit.cancelled_caught
        assert session.unsettled_s == 1.5
