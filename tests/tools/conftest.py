"""A scripted server on one end of an in-memory stream, for tests of the measuring client.

No sockets, so the mock clock can jump: it speaks real WebSocket frames over `memory_stream_pair`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)

from fasttalk_stt.transcripts.audio_file import Clip
from tools.stt_client import SttClient
from tools.trace import Arrival, SentFrame, SessionTrace

Script = Callable[[WebSocketConnection], Awaitable[None]]


class ScriptedServer:
    """Keeps the contract: one segment for all audio, which takes `decode_s` after `end_session`.

    What it received is in `control` (JSON messages) and `frames` (arrival time, bytes).
    """

    def __init__(self, *, text: str = "hello world", decode_s: float = 0.25) -> None:
        self.text = text
        self.decode_s = decode_s
        self.control: list[dict[str, Any]] = []
        self.frames: list[tuple[float, bytes]] = []
        self._seq = 0
        self._n_samples = 0

    async def __call__(self, socket: WebSocketConnection) -> None:
        while True:
            message = await socket.get_message()
            if isinstance(message, bytes):
                self.frames.append((trio.current_time(), message))
                self._n_samples += len(message) // 4
                continue
            received = json.loads(message)
            self.control.append(received)
            if received["type"] == "start_session":
                self._seq = self._n_samples = 0
                config = {"enable_timestamps": True, **received["session_config"]}
                await self.send(socket, {"type": "session_started", "config": config})
            elif received["type"] == "end_session":
                await trio.sleep(self.decode_s)
                await self._finish(socket)

    async def _finish(self, socket: WebSocketConnection) -> None:
        rate_hz = self.control[-2]["session_config"]["sample_rate"]
        duration_ms = self._n_samples * 1000 // rate_hz
        transcription = a_transcription(self.text, start_ms=0, duration_ms=duration_ms)
        await self.send(socket, transcription)
        audio = {
            "received_ms": duration_ms,
            "transcribed_ms": duration_ms,
            "silence_ms": 0,
            "discarded_ms": 0,
            "unsettled_ms": 0,
        }
        ended = {"type": "session_ended", "audio": audio, "real_time_factor": 0.25}
        await self.send(socket, ended | {"reason": "end_session"})

    async def send(self, socket: WebSocketConnection, message: dict[str, Any]) -> None:
        self._seq += 1
        metadata = {"session_id": "s", "seq": self._seq, "audio_committed_ms": 0}
        await socket.send_message(json.dumps(message | {"metadata": metadata}))


def a_transcription(text: str, *, start_ms: int, duration_ms: int) -> dict[str, Any]:
    """A `transcription` whose words share its duration evenly."""
    words = text.split()
    step_ms = duration_ms // max(len(words), 1)
    return {
        "type": "transcription",
        "data": {
            "text": text,
            "processing_time_ms": 120,
            "audio_duration_ms": duration_ms,
            "timestamps": [
                {
                    "word": word,
                    "start_ms": start_ms + index * step_ms,
                    "end_ms": start_ms + (index + 1) * step_ms,
                    "confidence": 0.9,
                }
                for index, word in enumerate(words)
            ],
            "metadata": {"audio_start_ms": start_ms, "latency_ms": 200.0, "reason": "speech_end"},
        },
    }


@asynccontextmanager
async def _connected(script: Script, *, lockstep: bool = False) -> AsyncIterator[SttClient]:
    """With `lockstep` the stream holds nothing, so a server that does not read holds us back."""
    pair = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
    client_stream, server_stream = pair()

    async def serve() -> None:
        async with trio.open_nursery() as readers:
            request = await wrap_server_stream(readers, server_stream)
            socket = await request.accept()
            with suppress(ConnectionClosed):
                await script(socket)
            await socket.aclose()
            readers.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        socket = await wrap_client_stream(nursery, client_stream, "server", "/ws/transcribe")
        yield SttClient(socket)
        nursery.cancel_scope.cancel()


@pytest.fixture
def connected() -> Callable[[Script], Any]:
    """`async with connected(script) as client`: a client whose server runs `script`."""
    return _connected


@pytest.fixture
def scripted_server() -> type[ScriptedServer]:
    return ScriptedServer


@pytest.fixture
def one_second() -> Clip:
    return Clip(samples=np.full(16_000, 0.1, dtype=np.float32), rate_hz=16_000)


@pytest.fixture
def transcription() -> Callable[..., dict[str, Any]]:
    return a_transcription


@pytest.fixture
def make_trace() -> Callable[..., SessionTrace]:
    """A trace of one second of audio that left in real time, with the given (time, message)s."""

    def make(
        *arrivals: tuple[float, dict[str, Any]], failure: str | None = None, lag_ms: float = 0.0
    ) -> SessionTrace:
        numbered = [
            Arrival(at_s, {"metadata": {"seq": number, "audio_committed_ms": 0}} | message)
            for number, (at_s, message) in enumerate(arrivals, start=1)
        ]
        return SessionTrace(
            rate_hz=16_000,
            duration_ms=1000.0,
            sent=tuple(SentFrame(at_s=k / 10, end_sample=1600 * k) for k in range(1, 11)),
            arrivals=tuple(numbered),
            began_at_s=0.0,
            ended_at_s=1.5,
            lag_ms=lag_ms,
            failure=failure,
        )

    return make
