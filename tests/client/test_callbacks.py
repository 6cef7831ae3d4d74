"""What is called when, and what becomes of what a callback raises. Under both backends."""

from __future__ import annotations

import traceback
from typing import Any

import anyio
import pytest

from fasttalk_stt.client import (
    ClientSettings,
    DisconnectedError,
    Resumed,
    Session,
    SttError,
    Transcription,
    VoiceActivityDetected,
    connect,
)
from tests.client.backends import both_backends
from tests.client.conversing import ONE, OPTIONS, TWO, URL, everything, network, next_of
from tests.client.model_server import ModelServer, blocks
from tests.client.network import ServerSocket, serve_model


@both_backends
async def test_onsets_and_their_take_back_call_back() -> None:
    calls: list[str] = []

    async def onset(event: Any) -> None:
        await anyio.sleep(0.01)
        calls.append(f"onset {event.data.utterance}")

    def rejected(event: Any) -> None:
        calls.append(f"rejected {event.data.utterance} {event.data.reason}")

    async with (
        network(stt=serve_model) as net,
        connect(
            URL,
            config=OPTIONS,
            on_speech_onset=onset,
            on_onset_rejected=rejected,
            open_stream=net.open_stream,
        ) as session,
    ):
        await session.send_audio(ONE + blocks(*[99] * 20, *[0] * 40))
        await session.end()
        await anyio.sleep(1)
    assert calls == ["onset 1", "onset 2", "rejected 2 noise"]


@both_backends
async def test_an_error_of_a_callback_ends_the_block() -> None:
    def onset(event: Any) -> None:
        raise KeyError("mine")

    async with network(stt=serve_model) as net:

        async def conversation() -> None:
            async with connect(
                URL, config=OPTIONS, on_speech_onset=onset, open_stream=net.open_stream
            ) as session:
                await session.send_audio(ONE)
                await anyio.sleep(5)

        with pytest.raises(KeyError, match="mine"):
            await conversation()
        assert net.sockets[0].close_code == 1000


@both_backends
async def test_nobody_gets_an_onset_before_its_callback_was_called() -> None:
    async with network(stt=serve_model) as net:
        for _ in range(20):
            order: list[str] = []

            async def consume(session: Session, order: list[str] = order) -> None:
                async for event in session:
                    if isinstance(event, VoiceActivityDetected):
                        order.append("event")

            def onset(_: object, order: list[str] = order) -> None:
                order.append("callback")

            async with (
                connect(
                    URL, config=OPTIONS, on_speech_onset=onset, open_stream=net.open_stream
                ) as session,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(consume, session)
                await session.send_audio(ONE + TWO)
                await session.end()
            assert order == ["callback", "event"] * 2


@both_backends
async def test_the_events_behind_a_call_wait_for_its_beginning() -> None:
    order: list[str] = []

    async def slow(event: VoiceActivityDetected) -> None:
        order.append(f"begins {event.data.utterance}")
        await anyio.sleep(2)
        order.append(f"ends {event.data.utterance}")

    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, on_speech_onset=slow, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE + TWO)
        await session.end()
        async for event in session:
            if isinstance(event, VoiceActivityDetected):
                order.append(f"onset {event.data.utterance}")
            elif isinstance(event, Transcription):
                order.append(event.data.text)
    assert order == ["begins 1", "onset 1", "w1l", "ends 1", "begins 2", "onset 2", "w2l"]


@both_backends
async def test_a_callback_may_ask_the_session_while_more_is_to_be_called() -> None:
    """The answer comes behind the onsets of four more utterances."""
    async with network(stt=serve_model) as net:
        sessions: list[Session] = []
        answers: list[Any] = []

        async def onset(_: object) -> None:
            await anyio.sleep(1)
            answers.append(await sessions[0].interrupt())

        settings = ClientSettings(max_queued_events=100)
        async with connect(
            URL,
            config=OPTIONS,
            settings=settings,
            on_speech_onset=onset,
            open_stream=net.open_stream,
        ) as session:
            sessions.append(session)
            with anyio.fail_after(10):
                await session.send_audio(ONE * 5)
                await anyio.sleep(6)
        assert len(answers) == 5


@both_backends
async def test_a_loss_is_told_before_it_is_resumed() -> None:
    order: list[str] = []

    def on_error(error: SttError) -> None:
        order.append(error.code)

    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, on_error=on_error, open_stream=net.open_stream) as session,
    ):
        net.sockets[0].stream.reset()
        await next_of(session, Resumed)
        assert order == ["websocket_disconnected"]


@both_backends
async def test_a_callback_that_raises_what_it_is_told_raises_it_once() -> None:
    async def taken_over(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await socket.send(model.sent.popleft())
        await socket.close(1008, "taken over")

    def on_error(error: SttError) -> None:
        raise error

    async with network(stt=taken_over) as net:
        for _ in range(5):
            with pytest.raises(DisconnectedError, match="taken over"):
                async with connect(
                    URL, config=OPTIONS, on_error=on_error, open_stream=net.open_stream
                ) as session:
                    await everything(session)


@both_backends
async def test_a_group_of_the_callers_own_comes_out_as_it_is() -> None:
    def fails(_: object) -> None:
        raise ExceptionGroup("mine", [KeyError("k")])

    async with network(stt=serve_model) as net:

        async def converse(on_speech_onset: Any) -> None:
            async with connect(
                URL, config=OPTIONS, on_speech_onset=on_speech_onset, open_stream=net.open_stream
            ) as session:
                await session.send_audio(ONE)
                await anyio.sleep(5)
                fails(None)

        for callback in (None, fails):
            with pytest.raises(ExceptionGroup) as caught:
                await converse(callback)
            assert repr(caught.value) == "ExceptionGroup('mine', [KeyError('k')])"


@both_backends
async def test_the_error_of_a_lost_session_does_not_grow_with_every_call() -> None:
    async with network(stt=serve_model) as net:
        settings = ClientSettings(max_tries=0)
        async with connect(
            URL, config=OPTIONS, settings=settings, open_stream=net.open_stream
        ) as session:
            del net.hosts["stt"]
            net.sockets[0].stream.reset()
            frames = []
            for call in (session.send_audio, lambda _: session.flush(), lambda _: anext(session)):
                for _ in range(5):
                    with pytest.raises(SttError) as caught:
                        await everything(session)
                    with pytest.raises(SttError) as caught:
                        await call(ONE)
                frames.append(len(traceback.extract_tb(caught.value.__traceback__)))
            assert max(frames) <= 5
