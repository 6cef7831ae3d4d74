"""The library, its documentation's example and the examples, against the whole server with a fake engine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.connection_pool import STTConnectionPool
from examples.error_handler import FasttalkErrorHandler
from examples.service_discovery import FasttalkServiceDiscovery
from examples.session_manager import ConversationSessionManager
from examples.stt_integration import FasttalkSTTIntegration
from fasttalk_stt.client import (
    ConnectionPool,
    DisconnectedError,
    GpuMemoryExhaustionError,
    SessionEnded,
    SessionOptions,
    SttError,
    Transcription,
    TranscriptionTimeoutError,
    VoiceActivityDetected,
    connect,
)
from tests.client.backends import run
from tests.support import silence, sound

pytestmark = pytest.mark.abuse

ROOT = Path(__file__).parents[2]
SAID = np.concatenate([sound(1.2), silence(1.0)])


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    """A server with a fake engine, for all tests here."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.serve_fake", "--port", "0", "--monitoring-port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        ports = json.loads(process.stdout.readline())
        yield f"http://127.0.0.1:{ports['websocket_port']}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(30) == 0


@pytest.fixture
def url(http_url: str) -> str:
    return http_url.replace("http", "ws") + "/ws/transcribe"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_whole_session(backend: str, url: str) -> None:
    async def check() -> None:
        onsets: list[int] = []
        config = SessionOptions(language="en", fasttalk_mode=True, user_id="u-1")
        async with connect(
            url, config=config, on_speech_onset=lambda event: onsets.append(event.data.utterance)
        ) as session:
            await session.update_context(conversation_state="listening")
            await session.send_audio(np.concatenate([SAID, SAID]))
            ended = await session.end()
            events = [event async for event in session]
        texts = [event for event in events if isinstance(event, Transcription)]
        assert [event.data.utterance for event in texts] == [1, 2]
        assert all(event.metadata.user_id == "u-1" for event in texts)
        assert [e.data.utterance for e in events if isinstance(e, VoiceActivityDetected)] == [1, 2]
        assert onsets == [1, 2]
        assert isinstance(events[-1], SessionEnded)
        assert ended.audio.received_ms == 4400

    run(backend, check, virtual_time=False)


def test_the_example_of_the_documentation(url: str) -> None:
    document = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", document, re.DOTALL)
    assert found is not None
    code = found[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    code = code.replace("ws://localhost:8000/ws/transcribe", url)
    code = code.replace("conversation.flac", "hello_world.flac")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "somebody speaks" in done.stdout
    assert "word" in done.stdout


class Recorder:
    """Stands for whoever is told something."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def interrupt(self, reason: dict[str, Any]) -> None:
        self.calls.append(reason)

    async def __call__(self, *what: Any) -> None:
        self.calls.append(what)

    async def setex(self, *what: Any) -> None:
        self.calls.append(what)


async def microphone(audio: Any) -> AsyncIterator[Any]:
    for start in range(0, len(audio), 512):
        yield audio[start : start + 512]


def test_stt_integration(url: str) -> None:
    llm, tts, prompts = Recorder(), Recorder(), Recorder()
    integration = FasttalkSTTIntegration(send_to_llm=prompts, speakers=[llm, tts], stt_endpoint=url)
    asyncio.run(integration.run_conversation("user-1", microphone(SAID), "c-1"))
    ((text, metadata),) = prompts.calls
    assert text.startswith("word")
    assert metadata.conversation_id == "c-1"
    assert [call["type"] for call in llm.calls] == ["user_interrupt"]
    assert llm.calls == tts.calls
    assert llm.calls[0]["session_id"] == metadata.session_id


def test_service_discovery(http_url: str, url: str) -> None:
    async def check() -> None:
        async with FasttalkServiceDiscovery(["http://127.0.0.1:9", http_url]) as services:
            assert services.get_stt_endpoint() == url
            async with connect(services.stt) as session:
                await session.send_audio(SAID)
                await session.end()

    asyncio.run(check())


def test_session_manager(url: str) -> None:
    store = Recorder()

    async def check() -> None:
        async with ConnectionPool(url) as pool:
            manager = ConversationSessionManager(store, pool)
            async with manager.conversation("user-1", {"stt": {"language": "en"}}) as (talk, stt):
                assert stt.session_id == talk.session_id
                assert manager.active_sessions == {talk.session_id: talk}
                await manager.set_state(talk, stt, "responding")
                await stt.end()
            assert manager.active_sessions == {}
        keys = {key for key, _, _ in store.calls}
        assert keys == {f"conversation:{talk.session_id}"}
        assert json.loads(store.calls[-1][2])["state"] == "responding"

    asyncio.run(check())


def test_connection_pool(url: str) -> None:
    async def check() -> None:
        config = SessionOptions(language="en")
        async with STTConnectionPool(url, pool_size=2) as pool:
            chunks = [SAID[:10_000], SAID[10_000:]]
            texts = [await pool.transcribe(chunks, config) for _ in range(3)]
            assert texts[0].startswith("word")
            assert len(set(texts)) == 1
            assert pool._pool.statistics().opened == 1

    asyncio.run(check())


@pytest.mark.parametrize(
    ("error", "noted", "asked_again"),
    [
        (DisconnectedError("lost"), "reconnecting", 0),
        (GpuMemoryExhaustionError("m", code="gpu_memory_exhaustion"), "smaller model", 1),
        (TranscriptionTimeoutError("m", code="transcription_timeout"), "skipped", 1),
        (SttError("m", code="server_full"), "server_full", 0),
    ],
)
def test_error_handler(error: SttError, noted: str, asked_again: int) -> None:
    notes: list[str] = []
    again = Recorder()
    handler = FasttalkErrorHandler(say_again=partial(again), note=notes.append)
    asyncio.run(handler.on_error(error))
    assert notes == [noted]
    assert len(again.calls) == asked_again
