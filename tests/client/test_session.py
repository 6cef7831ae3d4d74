"""Sessions over a network in memory, under both backends, in virtual time."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest

from fasttalk_stt.client import (
    BusyError,
    ClientSettings,
    ConnectError,
    DisconnectedError,
    EagerRetracted,
    Error,
    ForbiddenError,
    GpuMemoryExhaustionError,
    RefusedError,
    Resumed,
    ServiceError,
    SessionEnded,
    SessionOverError,
    SessionRefusedError,
    SessionStarted,
    Transcription,
    TranscriptionTimeoutError,
    UnauthorizedError,
    UnknownMessage,
    VoiceActivityDetected,
    connect,
)
from tests.client.backends import both_backends
from tests.client.conversing import (
    ONE,
    OPTIONS,
    TWO,
    URL,
    everything,
    network,
    next_of,
    texts,
)
from tests.client.model_server import ModelServer, blocks
from tests.client.network import ServerSocket, serve_model


@both_backends
async def test_audio_goes_in_and_events_come_out() -> None:
    async with network(stt=serve_model) as net:
        async with connect(URL, config=OPTIONS, open_stream=net.open_stream) as session:
            assert session.session_id == "model"
            await session.send_audio(ONE + TWO)
            ended = await session.end()
            events = await everything(session)
        assert texts(events) == ["w1l", "w2l"]
        assert events[-1] == ended
        assert isinstance(events[0], SessionStarted)
        assert ended.audio.received_ms == 1200
        assert net.sockets[0].close_code == 1000


@both_backends
async def test_commands_return_their_answers() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        context = await session.update_context(conversation_state="responding")
        assert context.conversation_state == "responding"
        config = await session.configure(buffer_duration=1.5)
        assert config.buffer_duration == 1.5
        await session.send_audio(blocks(*[3] * 20))
        flushed = await session.flush()
        assert (flushed.data.text, flushed.data.metadata.reason) == ("w3r", "flush")
        stopped = await session.interrupt(scope="all")
        assert stopped.data.processing_stopped


@both_backends
async def test_a_reset_is_resumed_and_nothing_is_lost_or_doubled() -> None:
    models: list[ModelServer] = []
    serve = partial(serve_model, on_model=models.append)
    async with network(stt=serve) as net:
        errors: list[Any] = []
        async with connect(
            URL, config=OPTIONS, open_stream=net.open_stream, on_error=errors.append
        ) as session:
            await session.update_context(conversation_state="responding")
            await session.send_audio(ONE + blocks(*[2] * 15))
            await anyio.sleep(1)
            net.sockets[0].stream.reset()
            await session.send_audio(blocks(*[2] * 5, *[0] * 40))
            resumed = await next_of(session, Resumed)
            await session.end()
            rest = await everything(session)
        assert texts(rest) == ["w2r"]
        assert not [event for event in rest if isinstance(event, VoiceActivityDetected)]
        assert resumed.session_id == "model"
        assert 0.25 <= resumed.outage_s <= 0.6
        assert [error.code for error in errors] == ["websocket_disconnected"]
        again = models[1].resume
        assert again is not None
        assert again["utterance"] == 2
        assert again["onset_reported"] is True
        assert models[1].contexts == ["responding"]


@both_backends
async def test_a_half_open_connection_is_found_by_the_heartbeat() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await anyio.sleep(10)
        assert len(net.sockets) == 1
        net.sockets[0].stream.stall()
        since_s = anyio.current_time()
        await session.send_audio(ONE)
        resumed = await next_of(session, Resumed)
        # A second to the ping, five to the time-out, half a second of back-off, and the audio's 0.6.
        assert 5 <= anyio.current_time() - since_s <= 7.5
        assert "nothing came within 5 s" in resumed.reason
        await session.end()
        assert texts(await everything(session)) == ["w1l"]


@both_backends
async def test_silence_while_nobody_takes_the_events_is_no_fault_of_the_server() -> None:
    settings = ClientSettings(max_queued_events=1)
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE + TWO + ONE)
        await anyio.sleep(60)
        assert len(net.sockets) == 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.end)
            assert texts(await everything(session)) == ["w1l", "w2l", "w1l"]


@both_backends
async def test_a_drain_moves_the_session_without_a_session_ended() -> None:
    async def drains(socket: ServerSocket) -> None:
        if len(net.sockets) > 1:
            return await serve_model(socket)
        await socket.accept()
        model = ModelServer()
        while (message := await socket.receive()) is not None:
            model.say(message)
            while model.sent:
                await socket.send(model.sent.popleft())
            if isinstance(message, bytes):
                error = {"code": "server_draining", "message": "", "category": "resource"}
                error |= {"severity": "medium", "recoverable": True, "retry_after": 1.0}
                model._send({"type": "error", "error": error})
                account = dict.fromkeys(
                    ("received_ms", "transcribed_ms", "silence_ms", "discarded_ms"), 0
                )
                ended = {"reason": "draining", "audio": account | {"unsettled_ms": 600}}
                model._send(
                    {"type": "session_ended", "segments": 0, "real_time_factor": 0, **ended}
                )
                while model.sent:
                    await socket.send(model.sent.popleft())
                return await socket.close(1001, "draining")
        return None

    async with network() as net:
        net.hosts["stt"] = drains
        async with connect(URL, config=OPTIONS, open_stream=net.open_stream) as session:
            await session.send_audio(ONE)
            resumed = await next_of(session, Resumed)
            assert "drains" in resumed.reason
            await session.end()
            events = await everything(session)
        assert texts(events) == ["w1l"]
        assert [type(e) for e in events].count(SessionEnded) == 1
        assert not [e for e in events if isinstance(e, Error)]


@pytest.mark.parametrize("code", [1000, 1008, 1009])
def test_a_close_that_means_no_is_not_resumed(code: int) -> None:
    @both_backends
    async def check() -> None:
        async def refuses(socket: ServerSocket) -> None:
            await socket.accept()
            model = ModelServer()
            model.say(str(await socket.receive()))
            await socket.send(model.sent.popleft())
            await socket.close(code, "taken over")

        async with (
            network(stt=refuses) as net,
            connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
        ):
            with pytest.raises(DisconnectedError, match="taken over") as caught:
                await everything(session)
            assert caught.value.close_code == code
            with pytest.raises(DisconnectedError):
                await session.send_audio(ONE)
            assert len(net.sockets) == 1

    for backend in ("asyncio", "trio"):
        check(backend)


@both_backends
async def test_an_outage_is_given_up_after_three_tries() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        await next_of(session, Transcription)
        del net.hosts["stt"]
        net.sockets[0].stream.reset()
        since_s = anyio.current_time()
        with pytest.raises(ConnectError, match="Connection refused"):
            await everything(session)
        assert net.dialled == ["stt"] * 4
        assert 1.75 <= anyio.current_time() - since_s <= 3.5
        with pytest.raises(ConnectError):
            await session.end()


@both_backends
async def test_a_session_the_server_dies_of_is_not_resumed_for_ever() -> None:
    async def dies(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await socket.send(model.sent.popleft())
        await socket.receive()
        await socket.close(1011, "internal fault")

    async with (
        network(stt=dies) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        with pytest.raises(DisconnectedError, match="1011"):
            await everything(session)
        assert len(net.sockets) == 4


@both_backends
async def test_a_busy_server_is_waited_for_and_uses_up_no_try() -> None:
    async def busy(socket: ServerSocket) -> None:
        if len(net.sockets) <= 5:
            error = {"code": "server_full", "message": "50 of 50 connections"}
            body = json.dumps({"type": "error", "error": error}).encode()
            return await socket.refuse(503, body, retry_after="7")
        return await serve_model(socket)

    async with network() as net:
        net.hosts["stt"] = busy
        since_s = anyio.current_time()
        async with connect(URL, config=OPTIONS, open_stream=net.open_stream):
            assert 35 <= anyio.current_time() - since_s <= 39
        impatient = ClientSettings(patience_s=10)
        net.sockets.clear()
        with pytest.raises(BusyError, match=r"server_full: 50 of 50 .*try again in 7 s") as caught:
            async with connect(
                URL, config=OPTIONS, settings=impatient, open_stream=net.open_stream
            ):
                pytest.fail("connected")
        assert caught.value.retry_after_s == 7
        assert len(net.sockets) == 2


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError)])
def test_bad_credentials_end_it_at_once(status: int, kind: type[RefusedError]) -> None:
    @both_backends
    async def check() -> None:
        async def refuses(socket: ServerSocket) -> None:
            await socket.refuse(status)

        async with network(stt=refuses) as net:
            with pytest.raises(kind) as caught:
                async with connect(URL, credentials="s3cret", open_stream=net.open_stream):
                    pytest.fail("connected")
            assert caught.value.status == status
            assert len(net.sockets) == 1

    for backend in ("asyncio", "trio"):
        check(backend)


@both_backends
async def test_a_refused_configuration_is_told_and_not_tried_again() -> None:
    async def refuses(socket: ServerSocket) -> None:
        await socket.accept()
        await socket.receive()
        await socket.send(_error("invalid_config", seq=None))
        await socket.receive()

    async with network(stt=refuses) as net:
        with pytest.raises(SessionRefusedError, match="invalid_config"):
            async with connect(URL, open_stream=net.open_stream):
                pytest.fail("started")
        assert len(net.sockets) == 1
        assert net.sockets[0].close_code == 1000


def _error(code: str, *, seq: int | None) -> str:
    error = {"code": code, "message": "m", "category": "c", "severity": "low"}
    error |= {"recoverable": True, "retry_after": None}
    metadata = {"session_id": "model" if seq else None, "timestamp": "", "seq": seq}
    return json.dumps({"type": "error", "error": error, "metadata": metadata})


@both_backends
async def test_errors_come_as_events_and_as_typed_exceptions_to_the_callback() -> None:
    async def failing(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await socket.send(model.sent.popleft())
        await socket.send(_error("transcription_timeout", seq=2))
        await socket.send(_error("gpu_memory_exhaustion", seq=3))
        metadata = {"session_id": "model", "timestamp": "", "seq": 4}
        await socket.send(json.dumps({"type": "news", "of": 1, "metadata": metadata}))
        await socket.receive()

    told: list[Exception] = []

    async def on_error(error: Exception) -> None:
        told.append(error)

    async with (
        network(stt=failing) as net,
        connect(URL, config=OPTIONS, on_error=on_error, open_stream=net.open_stream) as session,
    ):
        news = await next_of(session, UnknownMessage)
        assert news.document["of"] == 1
        await anyio.lowlevel.checkpoint()
    assert [type(error) for error in told] == [TranscriptionTimeoutError, GpuMemoryExhaustionError]


@both_backends
async def test_a_failed_flush_raises_its_error() -> None:
    async def failing(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        while (message := await socket.receive()) is not None:
            if message == '{"type": "flush_buffer"}':
                model._committed = model._at
                model._send(
                    {"type": "error", "error": json.loads(_error("gpu_error", seq=1))["error"]}
                )
            else:
                model.say(message)
            while model.sent:
                await socket.send(model.sent.popleft())

    async with (
        network(stt=failing) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(blocks(*[1] * 20))
        with pytest.raises(ServiceError, match="gpu_error"):
            await session.flush()


@both_backends
async def test_send_audio_waits_where_too_much_is_unsettled() -> None:
    models: list[ModelServer] = []
    serve = partial(serve_model, releases=False, on_model=models.append)
    settings = ClientSettings(max_unsettled_s=2)
    async with (
        network(stt=serve) as net,
        connect(URL, config=OPTIONS, settings=settings, open_stream=net.open_stream) as session,
    ):
        with anyio.move_on_after(30) as limit:
            for _ in range(10):
                await session.send_audio(ONE)
        assert limit.cancelled_caught
        assert 2 < session.unsettled_s <= 2.6
        models[0].release(1000)
        with anyio.fail_after(5):
            await session.send_audio(ONE)


@both_backends
async def test_audio_that_is_none_is_refused_here() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        with pytest.raises(ValueError, match="no whole number of s16le samples"):
            await session.send_audio(b"abc")
        with pytest.raises(ValueError, match="expected mono"):
            await session.send_audio(np.zeros((2, 10), dtype=np.float32))
        with pytest.raises(TypeError, match="int64"):
            await session.send_audio(np.zeros(10, dtype=np.int64))
        with pytest.raises(TypeError, match="expected bytes"):
            await session.send_audio("words")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="buffer_duration is 99"):
            await session.configure(buffer_duration=99)
        with pytest.raises(ValueError, match="sample_rate cannot change"):
            await session.configure(sample_rate=8000)
        await session.send_audio(np.full(1600, 0.5, dtype=np.float32))
        await session.send_audio(np.full(1600, 7, dtype=np.int16))
        assert session.unsettled_s == pytest.approx(0.4)
        await session.end()
        with pytest.raises(SessionOverError):
            await session.send_audio(ONE)
        with pytest.raises(SessionOverError):
            await session.flush()


@both_backends
async def test_an_end_that_was_not_waited_for_can_be_waited_for_again() -> None:
    models: list[ModelServer] = []
    serve = partial(serve_model, releases=False, on_model=models.append)
    async with (
        network(stt=serve) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        for _ in range(2):
            with anyio.move_on_after(5) as limit:
                await session.end()
            assert limit.cancelled_caught
        with pytest.raises(SessionOverError):
            await session.send_audio(ONE)
        models[0].release(1000)
        ended = await session.end()
        events = await everything(session)
        assert events[-1] == ended == await session.end()
        assert [type(event) for event in events].count(SessionEnded) == 1


@both_backends
async def test_an_end_that_nobody_waits_for_is_known_afterwards() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.end()
        events = await everything(session)
        assert events[-1] == await session.end()


@both_backends
async def test_what_a_server_that_ends_the_session_itself_did_not_hear_is_counted() -> None:
    async def ends(socket: ServerSocket) -> None:
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await socket.send(model.sent.popleft())
        assert isinstance(await socket.receive(), bytes)
        names = ("received_ms", "transcribed_ms", "silence_ms", "discarded_ms", "unsettled_ms")
        ended = {"type": "session_ended", "reason": "session_too_long", "segments": 0}
        model._send(ended | {"audio": dict.fromkeys(names, 0), "real_time_factor": 0})
        await socket.send(model.sent.popleft())
        await socket.receive()

    async with (
        network(stt=ends) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE)
        events = await everything(session)
        assert events[-1].reason == "session_too_long"
        assert session.unsettled_s == pytest.approx(0.6)
        with pytest.raises(SessionOverError):
            await session.end()


@both_backends
async def test_a_pending_flush_is_asked_again_after_a_cut() -> None:
    flushed: list[Transcription] = []

    async def deaf_to_flush(socket: ServerSocket) -> None:
        if len(net.sockets) > 1:
            return await serve_model(socket)
        await socket.accept()
        model = ModelServer()
        while (message := await socket.receive()) is not None:
            if isinstance(message, str) and "flush" in message:
                return socket.stream.reset()
            model.say(message)
            while model.sent:
                await socket.send(model.sent.popleft())
        return None

    async with network() as net:
        net.hosts["stt"] = deaf_to_flush
        async with connect(URL, config=OPTIONS, open_stream=net.open_stream) as session:
            await session.send_audio(blocks(*[4] * 20))
            flushed.append(await session.flush())
        assert flushed[0].data.text == "w4l"


@both_backends
async def test_an_eager_text_is_taken_back_when_its_connection_is_lost() -> None:
    serve = partial(serve_model, releases=False)
    async with (
        network(stt=serve) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(blocks(*[1] * 20, *[0] * 15))
        await anyio.sleep(1)
        net.sockets[0].stream.reset()
        retracted = await next_of(session, EagerRetracted)
        assert retracted.data.reason == "superseded"
        assert retracted.metadata.seq is None


@both_backends
async def test_leaving_the_block_ends_waiting_calls_and_hangs_up() -> None:
    async with network(stt=partial(serve_model, releases=False)) as net:
        async with (
            anyio.create_task_group() as tasks,
            connect(URL, config=OPTIONS, open_stream=net.open_stream) as session,
        ):

            async def wait_for_ever() -> None:
                with pytest.raises(SessionOverError):
                    await session.end()

            tasks.start_soon(wait_for_ever)
            await anyio.sleep(1.5)
        assert net.sockets[0].close_code == 1000
        assert await everything(session) != []


@both_backends
async def test_pings_of_the_server_are_answered() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, config=OPTIONS, open_stream=net.open_stream),
    ):
        await net.sockets[0].ping(b"there?")
        await anyio.sleep(2)
        assert net.sockets[0].pongs == [b"there?"]
