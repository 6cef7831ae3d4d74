"""`/v1/audio/transcriptions` over real sockets, with a fake engine: OpenAI's package, and hostile clients."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
import openai
import pytest
import soundfile
import trio
import trio.testing
from attrs import define
from structlog.testing import capture_logs

from fasttalk_stt.access.api_keys import ApiKey, KeyRing, digest, new_key
from fasttalk_stt.access.policy import Policy
from fasttalk_stt.composition import compose
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.server import _drain_after, serve_composition
from fasttalk_stt.service.openai import routes
from fasttalk_stt.service.services import Composition, Services
from fasttalk_stt.service.transcriptions import Transcriptions
from fasttalk_stt.settings import Settings
from tests.support import silence, sound

pytestmark = pytest.mark.abuse

LIMIT_S = 30.0
BOUNDARY = "x-boundary"


def wav(*parts: np.ndarray, rate_hz: int = 16_000, kind: str = "WAV") -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.concatenate(parts), rate_hz, format=kind)
    return data.getvalue()


def speech(n_utterances: int = 2) -> bytes:
    return wav(*[part for _ in range(n_utterances) for part in (sound(1.2), silence(1.5))])


class HeldEngine(FakeEngine):
    """Answers when it may, so that a test can look at what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = trio.Event()

    async def decode(self, requests: Any) -> Any:
        answers = await super().decode(requests)
        await self.may_answer.wait()
        return answers


@define
class Running:
    port: int
    services: Services
    engine: FakeEngine
    scope: trio.CancelScope

    @property
    def desk(self) -> Transcriptions:
        assert self.services.transcriptions is not None
        return self.services.transcriptions

    def client(self, key: str = "any") -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"http://127.0.0.1:{self.port}/v1", api_key=key, max_retries=0, timeout=LIMIT_S
        )

    async def call(self, make: Callable[[openai.OpenAI], Any], key: str = "any") -> Any:
        """What a call of the package returns or raises; it blocks, so it has a thread."""

        def run() -> Any:
            with self.client(key) as client:
                return make(client)

        with trio.fail_after(LIMIT_S):
            return await trio.to_thread.run_sync(run)

    async def transcribe(self, data: bytes | None = None, *, key: str = "any", **more: Any) -> Any:
        given = {"file": ("a.wav", speech() if data is None else data), "model": "whisper-1"} | more
        return await self.call(lambda client: client.audio.transcriptions.create(**given), key)

    async def wait(self, condition: Callable[[], bool]) -> None:
        # Polled, because what a server holds cannot be waited for from outside.
        with trio.fail_after(LIMIT_S):
            while not condition():  # noqa: ASYNC110
                await trio.sleep(0.01)

    async def raw(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def post(self, body: bytes, *, content_type: str | None = None) -> tuple[int, Any]:
        """Send a body as it is; returns status and JSON."""
        async with await self.raw() as stream:
            await stream.send_all(head(len(body), content_type) + body)
            return await answer(stream)


def head(length: int, content_type: str | None = None) -> bytes:
    return (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: {content_type or f'multipart/form-data; boundary={BOUNDARY}'}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def form(data: bytes, **fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in ({"model": "whisper-1"} | fields).items()
    ]
    opening = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    return b"".join([*parts, opening.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()])


async def answer(stream: trio.SocketStream) -> tuple[int, Any]:
    with trio.fail_after(LIMIT_S):
        raw = b"".join([chunk async for chunk in stream])
    top, _, body = raw.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(nursery: trio.Nursery) -> AsyncIterator[Start]:
    async def run(
        engine: FakeEngine | None = None, policy: Policy | None = None, **values: Any
    ) -> Running:
        engine = engine or FakeEngine()
        made: list[Services] = []

        def compose_with(guard: GuardStatistics) -> Composition:
            composition = compose(settings, engine, guard)
            made.append(composition.services)
            if policy is not None:
                composition.services.access.replace(policy)
            return composition

        own = {"websocket_host": "127.0.0.1", "websocket_port": 0, "monitoring_port": 0}
        settings = Settings(**({"vad": "webrtc", "endpointer": "silence"} | own | values))
        ports = await nursery.start(partial(serve_composition, settings, compose_with))
        running = Running(ports.websocket_port, made[0], engine, nursery.cancel_scope)
        await running.wait(lambda: made[0].readiness.is_ready)
        return running

    yield run
    nursery.cancel_scope.cancel()


WORDS = "word0 word1 word2"


async def test_every_format_by_openai_s_package(start: Start) -> None:
    server = await start()
    plain = await server.transcribe()
    first, _, rest = plain.text.partition(f" {WORDS}")
    second = f"{WORDS}{rest}"
    assert first.startswith(WORDS)
    assert (plain.usage.type, plain.usage.seconds) == ("duration", 5.4)
    assert await server.transcribe(response_format="text") == plain.text + "\n"
    srt = await server.transcribe(response_format="srt")
    assert srt.startswith("1\n00:00:0")
    assert srt.count(" --> ") == 2
    vtt = await server.transcribe(response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:0")
    verbose = await server.transcribe(
        response_format="verbose_json", timestamp_granularities=["word", "segment"], language="de"
    )
    assert (verbose.text, verbose.language, verbose.duration) == (plain.text, "german", 5.4)
    assert [segment.text for segment in verbose.segments] == [first, second]
    assert " ".join(word.word for word in verbose.words) == plain.text
    assert server.engine.batches[-1][0].language == "de"
    only_words = await server.transcribe(
        response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert (only_words.segments, len(only_words.words)) == (None, len(verbose.words))
    assert server.desk.active == 0


async def test_a_stream_has_each_segment_when_it_is_final(start: Start) -> None:
    server = await start()
    events = await server.call(
        lambda client: list(
            client.audio.transcriptions.create(
                file=("a.wav", speech()), model="whisper-1", stream=True
            )
        )
    )
    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].text == (await server.transcribe()).text


async def test_a_segment_is_sent_while_the_next_is_decoded(start: Start) -> None:
    class SecondHeld(HeldEngine):
        async def decode(self, requests: Any) -> Any:
            if not self.batches:
                return await FakeEngine.decode(self, requests)
            return await super().decode(requests)

    server = await start(engine := SecondHeld())

    def read(client: openai.OpenAI) -> list[str]:
        kinds = []
        for event in client.audio.transcriptions.create(
            file=("a.wav", speech()), model="whisper-1", stream=True
        ):
            kinds.append(event.type)
            trio.from_thread.run_sync(engine.may_answer.set)
        return kinds

    assert len(await server.call(read)) == 3


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
async def test_kinds_and_rates(start: Start, kind: str, rate_hz: int) -> None:
    server = await start()
    data = wav(sound(1.2, rate_hz=rate_hz), silence(1.5, rate_hz), rate_hz=rate_hz, kind=kind)
    assert (await server.transcribe(data)).text.startswith(WORDS)


async def test_no_thread_is_taken_that_others_may_hold(start: Start) -> None:
    server = await start()
    others = trio.to_thread.current_default_thread_limiter()
    for number in range(int(others.total_tokens)):
        others.acquire_on_behalf_of_nowait(number)
    try:
        status, made = await server.post(form(speech()))
    finally:
        for number in range(int(others.total_tokens)):
            others.release_on_behalf_of(number)
    assert (status, made["text"].startswith(WORDS)) == (200, True)


async def test_silence_is_no_text(start: Start) -> None:
    server = await start()
    assert (await server.transcribe(wav(silence(3.0)))).text == ""
    assert await server.transcribe(wav(silence(3.0)), response_format="srt") == ""


async def test_models(start: Start) -> None:
    server = await start()
    models = await server.call(lambda client: [model.id for model in client.models.list()])
    assert models == ["whisper-1", "fake"]
    assert (await server.call(lambda client: client.models.retrieve("fake"))).id == "fake"
    assert (await server.transcribe(model="fake")).text
    with pytest.raises(openai.NotFoundError) as caught:
        await server.call(lambda client: client.models.retrieve("gpt-4o"))
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("more", "kind", "param", "code"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError, "model", "model_not_found"),
        ({"language": "xx"}, openai.BadRequestError, "language", "invalid_value"),
        ({"temperature": 2}, openai.BadRequestError, "temperature", "invalid_value"),
        ({"include": ["logprobs"]}, openai.BadRequestError, "include", "unsupported_value"),
        (
            {"chunking_strategy": {"type": "server_vad"}},
            openai.BadRequestError,
            "chunking_strategy",
            "unsupported_value",
        ),
        ({"data": b""}, openai.BadRequestError, "file", "invalid_value"),
        ({"data": b"garbage" * 500}, openai.BadRequestError, "file", "unsupported_format"),
        (
            {"data": b"RIFF____WAVEfmt " + b"x" * 500},
            openai.BadRequestError,
            "file",
            "invalid_value",
        ),
        ({"data": b"fLaC" + b"x" * 500}, openai.BadRequestError, "file", "invalid_value"),
        ({"data": b"ID3" + b"x" * 500}, openai.BadRequestError, "file", "invalid_value"),
        ({"data": wav(np.zeros(0))}, openai.BadRequestError, "file", "invalid_value"),
        ({"data": wav(silence(11.0))}, openai.BadRequestError, "file", "invalid_value"),
    ],
)
async def test_what_cannot_be_used_is_a_typed_error(
    start: Start, more: dict[str, Any], kind: type[openai.APIStatusError], param: str, code: str
) -> None:
    server = await start(max_recording_s=10.0)
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            await server.transcribe(stream=stream, **more)
        assert (caught.value.param, caught.value.code) == (param, code)
        assert caught.value.request_id
    assert server.desk.active == 0
    assert server.engine.batches == type(server.engine.batches)()


async def test_unknown_paths_and_methods_are_told_as_openai_does(start: Start) -> None:
    server = await start()
    for call in (
        lambda client: client.post("/audio/translations", cast_to=object, body={}),
        lambda client: client.post("/nothing", cast_to=object, body={}),
    ):
        with pytest.raises(openai.NotFoundError):
            await server.call(call)
    with pytest.raises(openai.APIStatusError) as caught:
        await server.call(lambda client: client.delete("/models", cast_to=object))
    assert caught.value.status_code == 405


def one_key(**values: Any) -> tuple[str, Policy]:
    key = new_key()
    return key, Policy(keys=KeyRing([ApiKey("backend", (digest(key),), **values)]))


async def test_keys_are_those_of_the_streams(start: Start) -> None:
    key, policy = one_key()
    server = await start(policy=policy)
    with pytest.raises(openai.AuthenticationError) as caught:
        # Larger than a socket's buffers: the answer must reach a client that is still sending.
        await server.transcribe(wav(silence(600.0)), key="wrong")
    assert caught.value.code == "invalid_api_key"
    assert (await server.transcribe(key=key)).text


async def test_rates_are_those_of_the_streams(start: Start) -> None:
    server = await start(connection_rate_limit=1)
    await server.transcribe()
    with pytest.raises(openai.RateLimitError) as caught:
        await server.transcribe()
    assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60


async def test_audio_counts_for_its_key(start: Start) -> None:
    key, policy = one_key(audio_seconds_per_minute=6.0)
    server = await start(policy=policy)
    long = wav(sound(1.2), silence(13.0))
    assert (await server.transcribe(long, key=key)).text
    with pytest.raises(openai.RateLimitError, match="sent more audio"):
        await server.transcribe(key=key)


async def test_more_than_may_be_at_once_are_told_to_come_again(start: Start) -> None:
    server = await start(HeldEngine(), max_transcriptions=3)
    outcomes: list[Any] = []

    async def one() -> None:
        try:
            outcomes.append((await server.transcribe()).text)
        except openai.InternalServerError as error:
            outcomes.append((error.status_code, error.code, error.response.headers["Retry-After"]))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(one)
        await server.wait(lambda: len(outcomes) == 5)
        assert server.desk.active == 3
        server.engine.may_answer.set()
    assert outcomes[:5] == [(503, "server_full", "5")] * 5
    assert server.services.observation.totals.refusals["server_full"] == 5
    assert len(set(outcomes[5:])) == 1
    assert server.desk.active == 0


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_a_client_that_leaves_leaves_nothing(start: Start, stream: str) -> None:
    server = await start(HeldEngine(), max_transcriptions=1)
    body = form(speech(), stream=stream)
    connection = await server.raw()
    await connection.send_all(head(len(body)) + body)
    await server.wait(lambda: bool(server.engine.batches))
    with capture_logs() as logs:
        await connection.aclose()
        await server.wait(lambda: server.desk.active == 0)
        await server.wait(lambda: bool(logs))
    [log] = [each for each in logs if each["event"] == "transcription"]
    assert (log["status"], log["code"], log["audio_s"]) == (None, "left", 5.4)
    server.engine.may_answer.set()
    assert (await server.transcribe()).text


async def test_a_client_that_leaves_in_its_upload_leaves_nothing(start: Start) -> None:
    server = await start()
    connection = await server.raw()
    await connection.send_all(head(1_000_000) + form(speech())[:1_000])
    await server.wait(lambda: server.desk.active == 1)
    await connection.aclose()
    await server.wait(lambda: server.desk.active == 0)


async def test_a_body_over_the_limit_is_refused_whether_it_says_so_or_not(start: Start) -> None:
    server = await start(max_upload_bytes=200_000)
    status, made = await server.post(form(wav(silence(60.0))))
    assert (status, made["error"]["param"]) == (413, "file")
    async with await server.raw() as stream:
        top = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await stream.send_all(top)
        body = form(wav(silence(60.0)))
        for start_at in range(0, len(body), 50_000):
            piece = body[start_at : start_at + 50_000]
            await stream.send_all(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await stream.send_all(b"0\r\n\r\n")
        assert (await answer(stream))[0] == 413
    assert server.desk.active == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (form(b"")[:80], None, 400),
        (form(wav(silence(1.0)))[:-20], None, 400),
        (b"no form", None, 400),
        (b"{}", "application/json", 400),
        (b"", "multipart/form-data", 400),
        (form(b"").replace(b'name="file"', b'name="other"'), None, 400),
        (f"--{BOUNDARY}\r\nno colon\r\n\r\n\r\n--{BOUNDARY}--".encode(), None, 400),
        (f"--{BOUNDARY}\r\n".encode() + b"x" * 300_000, None, 413),
        (form(b"", prompt="x" * 100_000), None, 413),
        (form(b"", **{f"keywords{i}": "x" for i in range(200)}), None, 413),
        (
            form(b"", language="\0\ud800".encode("utf-8", "surrogatepass").decode("latin1")),
            None,
            400,
        ),
    ],
)
async def test_forms_that_are_none(
    start: Start, body: bytes, content_type: str | None, status: int
) -> None:
    server = await start()
    answered, made = await server.post(body, content_type=content_type)
    assert answered == status
    assert made["error"]["message"]
    assert server.desk.active == 0


async def test_a_slow_upload_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LINGER_S", 0.1)
    server = await start(upload_timeout_s=1.0)
    async with await server.raw() as stream:
        await stream.send_all(head(1_000_000) + form(b"")[:100])
        assert await answer(stream) == (408, {"error": made_of_408(1)})
    assert server.desk.active == 0


def made_of_408(limit_s: int) -> dict[str, Any]:
    return {
        "message": f"The upload took longer than the {limit_s} s allowed.",
        "type": "invalid_request_error",
        "param": None,
        "code": "timeout",
    }


async def test_a_header_that_lies_about_its_length(start: Start) -> None:
    """Ten hours in the header, three seconds in the file: it is as long as it is, or refused."""
    server = await start(max_recording_s=60.0)
    data = bytearray(wav(sound(1.2), silence(1.5)))
    at = data.index(b"data") + 4
    data[at : at + 4] = (36_000 * 32_000).to_bytes(4, "little")
    data[4:8] = (36_000 * 32_000 + 36).to_bytes(4, "little")
    verbose = await server.transcribe(bytes(data), response_format="verbose_json")
    assert verbose.duration == pytest.approx(2.7, abs=0.01)


async def test_an_answer_may_take_longer_than_a_silent_peer_is_borne(
    start: Start, nursery: trio.Nursery, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hypercorn.toml").write_text("websocket_ping_interval = 0.1\nread_timeout = 0.3\n")
    monkeypatch.chdir(tmp_path)
    server = await start(FakeEngine(cost_s=lambda _: 1.0))
    assert (await server.transcribe()).text


async def test_a_drain_lets_the_last_finish_and_takes_no_more(start: Start) -> None:
    server = await start(HeldEngine())
    texts: list[str] = []

    async def one() -> None:
        texts.append((await server.transcribe()).text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        await server.wait(lambda: bool(server.engine.batches))
        drained = trio.Event()

        async def drain() -> None:
            await server.desk.drain()
            drained.set()

        nursery.start_soon(drain)
        await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(openai.InternalServerError) as caught:
            await server.transcribe()
        assert (caught.value.status_code, caught.value.code) == (503, "server_draining")
        assert not drained.is_set()
        server.engine.may_answer.set()
        await drained.wait()
    assert texts[0].startswith(WORDS)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_outlasts_the_drain_is_told(start: Start, stream: bool) -> None:
    server = await start(HeldEngine())

    async def stop() -> None:
        await server.wait(lambda: bool(server.engine.batches))
        signalled = trio.Event()
        signalled.set()
        with capture_logs() as logs:
            await _drain_after(signalled, server.services, 0.1)
        assert logs[-1]["event"] == "drain_timed_out"
        assert (logs[-1]["active_connections"], logs[-1]["active_recordings"]) == (0, 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        with pytest.raises(openai.APIError, match="shutting down"):
            await server.call(
                lambda client: [
                    *client.audio.transcriptions.create(
                        file=("a.wav", speech()), model="whisper-1", stream=stream
                    )
                ]
            )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_recording_that_failed_in_part_is_an_error(start: Start, stream: bool) -> None:
    def fail(_: Any) -> Any:
        raise RuntimeError("broken")

    server = await start(FakeEngine(fail), transcription_failure_threshold=1)
    with pytest.raises(
        openai.APIError, match="Not all of the recording could be transcribed"
    ) as caught:
        await server.call(
            lambda client: [
                *client.audio.transcriptions.create(
                    file=("a.wav", speech()), model="whisper-1", stream=stream
                )
            ]
        )
    assert caught.value.code == "transcription_failed"
    # The breaker is open now, and who comes next is told before it sends anything.
    with pytest.raises(openai.InternalServerError, match="breaker is open") as refused:
        await server.transcribe()
    assert refused.value.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 60


async def test_uploads_can_be_turned_off(start: Start) -> None:
    server = await start(max_transcriptions=0)
    with pytest.raises(openai.NotFoundError):
        await server.transcribe()
