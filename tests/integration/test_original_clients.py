"""The original architecture document's clients and tests, run as written against a real server.

The shims, each forced by a gap in the document's own code (`original_clients` marks its lines):

1. Basic client: the URI is a parameter (the document says port 8000), and so is the "audio
   processing code" that it leaves out. It reads nothing, so its audio code here also reads what
   it wants before the client ends the session and hangs up.
2. Integration class: `_handle_conversation_loop` returns its loop as a coroutine that nobody
   awaits, and `async with` closes the socket meanwhile. The subclass awaits it.
3. It takes `session_id` from the socket, which has none. The subclass hands the loop a wrapper
   that reads it from `session_started`, as the socket object of a Core Backend may.
4. `send_to_llm_pipeline`, `llm_service`, `tts_service` and `audio_buffer_manager` are not
   defined. The subclass records what they are asked.
5. The document's tests call `create_test_session`, `load_test_audio`, `send_audio_to_stt` and
   `send_interrupt_audio` without defining them. `MicrophoneSession` is what they need to be: one
   microphone, heard live, so an interruption replaces what was being said.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import websockets

from fasttalk_stt.transcripts.audio_file import read_clip
from tools.scoring import word_errors

pytestmark = pytest.mark.integration

Samples = npt.NDArray[np.float32]

RATE_HZ = 16_000
FRAME_SAMPLES = 512
PATIENCE_S = 60.0
"""Longer than any of these conversations; reached only when an answer is missing."""


@pytest.fixture
def load_audio(samples) -> Callable[[str], Samples]:
    """Audio by the name of a sample, such as "hello_world", 16 kHz."""

    def load(name: str) -> Samples:
        clip = read_clip(samples[name].path)
        assert clip.rate_hz == RATE_HZ
        return clip.samples

    return load


def silence(duration_s: float) -> Samples:
    return np.zeros(int(duration_s * RATE_HZ), dtype=np.float32)


def cut_frames(audio: Samples) -> Iterator[Samples]:
    for start in range(0, len(audio), FRAME_SAMPLES):
        yield audio[start : start + FRAME_SAMPLES]


async def live(audio: Samples) -> AsyncIterator[Samples]:
    """Frames at the pace of a microphone, on an absolute schedule."""
    clock = asyncio.get_running_loop().time
    began_at_s, heard_samples = clock(), 0
    for frame in cut_frames(audio):
        heard_samples += len(frame)
        await asyncio.sleep(max(0.0, began_at_s + heard_samples / RATE_HZ - clock()))
        yield frame


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # The server is another process: there is no event to wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def run(conversation: Awaitable[Any]) -> Any:
    async def with_patience() -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return await conversation

    # The document's code is asyncio; these test functions are plain, so Trio is not in the way.
    return asyncio.run(with_patience())


# ---- the basic client ----------------------------------------------------------------------------


def test_basic_client_as_written_never_reads_and_does_no_harm(real_server, original_clients):
    async def no_audio(websocket: Any) -> None:
        """The document's comment stands where this is called."""

    before = real_server.get_json("/stats")
    run(original_clients.connect_and_transcribe(real_server.websocket_url, no_audio))
    after = real_server.get_json("/stats")
    assert after["total_connections"] == before["total_connections"] + 1

    async def gone() -> None:
        await wait_until(lambda: real_server.get_json("/stats")["active_connections"] == 0)

    run(gone())


def test_basic_client_with_audio_gets_its_words(real_server, original_clients, load_audio):
    audio = np.concatenate([load_audio("hello_world"), silence(1.0)])
    received: list[dict[str, Any]] = []

    async def process_audio(websocket: Any) -> None:
        async for frame in live(audio):
            await websocket.send(frame.tobytes())
        while not received or received[-1]["type"] != "transcription":
            received.append(json.loads(await websocket.recv()))

    run(original_clients.connect_and_transcribe(real_server.websocket_url, process_audio))
    assert [message["type"] for message in received] == ["session_started", "transcription"]
    started, transcription = received
    assert started["session_id"] == transcription["metadata"]["session_id"]
    data = transcription["data"]
    assert "hello world" in data["text"].lower().replace(",", "")
    # The document's shape of a result, field by field.
    assert data["processing_time_ms"] >= 0
    assert data["audio_duration_ms"] > 500
    assert {"duration", "chunks_count", "reason"} <= set(data["metadata"])
    assert transcription["metadata"]["timestamp"].endswith("Z")
    first = data["timestamps"][0]
    assert first["word"].strip().lower().startswith("hello")
    assert 0 <= first["start_ms"] < first["end_ms"]
    assert 0 <= first["confidence"] <= 1


# ---- the Core Backend's integration class --------------------------------------------------------


class Recorder:
    """Stands for the services that the document leaves undefined (shim 4)."""

    def __init__(self) -> None:
        self.prompts: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[tuple[str, Any]] = []

    async def interrupt_generation(self, interrupt: dict[str, Any]) -> None:
        self.calls.append(("llm", interrupt))

    async def interrupt_synthesis(self, interrupt: dict[str, Any]) -> None:
        self.calls.append(("tts", interrupt))

    async def clear_buffers(self) -> None:
        self.calls.append(("buffers", None))


class SocketWithSessionId:
    """A socket that knows its session (shim 3)."""

    def __init__(self, ws: Any) -> None:
        self._ws = ws
        self.session_id: str | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        async for message in self._ws:
            parsed = json.loads(message)
            if parsed["type"] == "session_started":
                self.session_id = parsed["session_id"]
            yield message

    async def send(self, message: bytes | str) -> None:
        await self._ws.send(message)

    async def close(self) -> None:
        await self._ws.close()


def working_integration(original_clients: ModuleType, endpoint: str, recorder: Recorder) -> Any:
    class Integration(original_clients.FasttalkSTTIntegration):
        llm_service = recorder
        tts_service = recorder
        audio_buffer_manager = recorder

        async def _handle_conversation_loop(self, ws: Any) -> None:
            self.current_session = SocketWithSessionId(ws)
            await (await super()._handle_conversation_loop(self.current_session))

        async def send_to_llm_pipeline(self, text: str, metadata: dict[str, Any]) -> None:
            recorder.prompts.append((text, metadata))

    return Integration(endpoint)


def test_integration_class_as_written_hangs_up_at_once_and_does_no_harm(
    real_server, original_clients
):
    async def conversation() -> None:
        integration = original_clients.FasttalkSTTIntegration(real_server.websocket_url)
        loop = await integration.start_conversation_session("user-1", {"conversation_id": "c-1"})
        # What the document never awaits; closed, so that Python does not warn.
        loop.close()
        assert integration.current_session.state is websockets.protocol.State.CLOSED
        await wait_until(lambda: real_server.get_json("/stats")["active_connections"] == 0)

    run(conversation())


def test_integration_class_holds_a_conversation(real_server, original_clients, load_audio, samples):
    audio = np.concatenate([load_audio("hello_world"), silence(1.0), load_audio("question")])
    audio = np.concatenate([audio, silence(1.5)])
    recorder = Recorder()
    integration = working_integration(original_clients, real_server.websocket_url, recorder)

    async def conversation() -> None:
        session = asyncio.create_task(
            integration.start_conversation_session("user-1", {"conversation_id": "c-1"})
        )
        await wait_until(lambda: integration.current_session is not None)
        await integration.send_audio_stream(live(audio))
        await wait_until(lambda: _heard(recorder).count("tomorrow") > 0)
        await integration.current_session.close()
        await session

    run(conversation())
    reference = f"{samples['hello_world'].reference} {samples['question'].reference}"
    assert word_errors(reference, _heard(recorder)).errors <= 2
    session_ids = {metadata["session_id"] for _, metadata in recorder.prompts}
    assert session_ids == {integration.current_session.session_id}
    assert {metadata["conversation_id"] for _, metadata in recorder.prompts} == {"c-1"}
    # One onset for each of the two utterances, and each one stops all three services once.
    assert [name for name, _ in recorder.calls] == ["llm", "tts", "buffers"] * 2
    interrupt = recorder.calls[0][1]
    assert interrupt["type"] == "user_interrupt"
    assert 0 < interrupt["confidence"] <= 1
    assert interrupt["timestamp"].endswith("Z")
    assert interrupt["session_id"] == integration.current_session.session_id


def _heard(recorder: Recorder) -> str:
    return " ".join(text for text, _ in recorder.prompts).lower()


# ---- the document's two tests --------------------------------------------------------------------


class MicrophoneSession:
    """One live conversation over one socket (shim 5)."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._interrupted = asyncio.Event()
        self._interruption: Samples = silence(0)

    async def say(self, audio: Samples) -> None:
        """Speak until interrupted; then the interruption is what the microphone hears."""
        async for frame in live(audio):
            if self._interrupted.is_set():
                break
            await self._websocket.send(frame.tobytes())
        if self._interrupted.is_set():
            # The speaker's first sentence has to be over for the next onset to be an onset. It was cut in
            # the middle, which is waited for up to MAX_SILENCE_DURATION.
            await self._send(silence(2.5))
            # The bot speaks: that is when an onset is an interruption.
            context = {"type": "context_update", "data": {"conversation_state": "responding"}}
            await self._websocket.send(json.dumps(context))
            await self._send(self._interruption)
        await self._send(silence(1.0))

    def interrupt(self, audio: Samples) -> None:
        self._interruption = audio
        self._interrupted.set()

    async def answer(self) -> dict[str, Any]:
        """The first barge-in where somebody interrupted, else the first transcription."""
        while True:
            message = json.loads(await self._websocket.recv())
            assert message["type"] != "error", message
            if message["type"] == "voice_activity_detected" and message["data"]["barge_in"]:
                return message
            if message["type"] == "transcription" and not self._interrupted.is_set():
                return message

    async def _send(self, audio: Samples) -> None:
        async for frame in live(audio):
            await self._websocket.send(frame.tobytes())


@pytest.fixture
def original_tests(real_server, original_clients, load_audio) -> Callable[[str], None]:
    """Run one of the document's tests by its name, with what it leaves undefined."""

    class Tests(original_clients.OriginalSTTIntegration):
        websocket: Any = None

        async def create_test_session(self) -> MicrophoneSession:
            self.websocket = await websockets.connect(real_server.websocket_url)
            # The basic example's configuration, with what makes onsets be told.
            config = {"enable_timestamps": True, "buffer_duration": 2.0, "fasttalk_mode": True}
            start = {"type": "start_session", "session_config": config}
            await self.websocket.send(json.dumps(start))
            assert json.loads(await self.websocket.recv())["type"] == "session_started"
            return MicrophoneSession(self.websocket)

        def load_test_audio(self, name: str) -> Samples:
            return load_audio(name.removesuffix(".wav"))

        async def send_audio_to_stt(
            self, session: MicrophoneSession, audio: Samples
        ) -> dict[str, Any]:
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(session.say(audio))
                answer = await session.answer()
                speaking.cancel()
            print(f"answer: {json.dumps(answer['data'])}")
            return answer

        async def send_interrupt_audio(self, session: MicrophoneSession, audio: Samples) -> None:
            session.interrupt(audio)

    def run_test(name: str) -> None:
        async def with_socket_closed() -> None:
            tests = Tests()
            try:
                await getattr(tests, name)()
            finally:
                if tests.websocket is not None:
                    await tests.websocket.close()

        run(with_socket_closed())

    return run_test


def test_original_basic_transcription(original_tests):
    original_tests("test_basic_transcription")


def test_original_barge_in_functionality(original_tests):
    original_tests("test_barge_in_functionality")
