"""Turn-taking on real speech with the real engine: who interrupts, who only murmurs, who pauses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
import trio
from trio_websocket import WebSocketConnection

from tools.scoring import normalise
from tools.stt_client import open_client

pytestmark = pytest.mark.integration

RATE_HZ = 16_000
FRAME_SAMPLES = 320
PATIENCE_S = 60.0
ROOM = np.random.default_rng(7)

Reaction = Callable[["Conversation", dict[str, Any]], Awaitable[None]]


class Conversation:
    """One session in `fasttalk_mode`, spoken to in real time; `reactions` answer messages by type."""

    def __init__(self, socket: WebSocketConnection, reactions: dict[str, Reaction]) -> None:
        self._socket = socket
        self._reactions = reactions
        self._news = trio.lowlevel.ParkingLot()
        self.received: list[dict[str, Any]] = []

    async def read(self) -> None:
        while True:
            message = json.loads(await self._socket.get_message())
            self.received.append(message)
            self._news.unpark_all()
            if reaction := self._reactions.get(message["type"]):
                await reaction(self, message)

    async def tell(self, type_: str, **fields: object) -> None:
        await self._socket.send_message(json.dumps({"type": type_, **fields}))

    async def say(self, samples: npt.NDArray[np.float32], *, pause_s: float = 1.2) -> None:
        """Speak in real time, and be quiet for a while, in a room that is never digital silence."""
        before, behind = (np.zeros(int(s * RATE_HZ), dtype=np.float32) for s in (0.4, pause_s))
        spoken = np.concatenate((before, samples, behind))
        spoken = spoken + ROOM.normal(0, 1e-4, len(spoken)).astype(np.float32)
        began_s = trio.current_time()
        for start in range(0, len(spoken), FRAME_SAMPLES):
            await self._socket.send_message(spoken[start : start + FRAME_SAMPLES].tobytes())
            await trio.sleep_until(began_s + (start + FRAME_SAMPLES) / RATE_HZ)

    async def wait_for(self, type_: str) -> dict[str, Any]:
        """The first message of a type, when it has come."""
        while not self.of_type(type_):
            await self._news.park()
        return self.of_type(type_)[0]

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == type_]

    @property
    def texts(self) -> list[str]:
        return [message["data"]["text"] for message in self.of_type("transcription")]


@asynccontextmanager
async def conversation(
    url: str, *, reactions: dict[str, Reaction] | None = None, **config: object
) -> AsyncIterator[Conversation]:
    with trio.fail_after(PATIENCE_S):
        async with open_client(url) as client, trio.open_nursery() as nursery:
            talk = Conversation(client.socket, reactions or {})
            nursery.start_soon(talk.read)
            session = {"language": "en", "fasttalk_mode": True, **config}
            await talk.tell("start_session", session_config=session)
            await talk.wait_for("session_started")
            yield talk
            await talk.tell("end_session")
            await talk.wait_for("session_ended")
            nursery.cancel_scope.cancel()


@pytest.fixture
def clips(samples) -> Callable[[str], npt.NDArray[np.float32]]:
    """A sample at 16 kHz, from its first sound on."""

    def load(name: str) -> npt.NDArray[np.float32]:
        raw, rate_hz = soundfile.read(samples[name].path, dtype="float32")
        at_rate = soxr.resample(raw, rate_hz, RATE_HZ)
        first = int(np.argmax(np.abs(at_rate) > 0.02))
        return np.asarray(at_rate[max(first - 80, 0) :], dtype=np.float32)

    return load


async def test_an_interruption_stops_what_is_stale_and_is_heard_from_its_first_word(
    real_server, samples, clips
):
    acknowledged_at: list[int] = []

    async def interrupt(talk: Conversation, _message: dict[str, Any]) -> None:
        if len(talk.of_type("voice_activity_detected")) == 2:
            await talk.tell("interrupt", reason="user_speech")

    async def note(talk: Conversation, _message: dict[str, Any]) -> None:
        acknowledged_at.append(len(talk.received))

    reactions = {"voice_activity_detected": interrupt, "interrupt_acknowledged": note}
    async with conversation(real_server.websocket_url, reactions=reactions) as talk:
        await talk.say(clips("question"), pause_s=1.0)
        await talk.tell("context_update", data={"conversation_state": "responding"})
        await talk.say(clips("interrupt"))
        await talk.wait_for("interrupt_acknowledged")
    later = [m for m in talk.received[acknowledged_at[0] :] if m["type"] == "transcription"]
    assert min(m["data"]["utterance"] for m in later) == 2
    heard = normalise(" ".join(m["data"]["text"] for m in later)).split()
    said = normalise(samples["interrupt"].reference).split()
    assert heard[0] == said[0]
    assert heard == said


async def test_a_murmur_while_the_bot_speaks_is_no_interruption(real_server, clips):
    async with conversation(real_server.websocket_url) as talk:
        await talk.tell("context_update", data={"conversation_state": "responding"})
        await talk.say(clips("backchannel"))
        rejected = await talk.wait_for("voice_activity_rejected")
    assert rejected["data"]["reason"] == "backchannel"
    assert rejected["data"]["text"]
    assert talk.texts == []
    audio = talk.of_type("session_ended")[0]["audio"]
    assert audio["transcribed_ms"] > 0
    assert audio["discarded_ms"] == 0


async def test_the_same_word_is_an_answer_while_the_bot_listens(real_server, clips):
    async with conversation(real_server.websocket_url) as talk:
        await talk.say(clips("backchannel"))
        await talk.wait_for("transcription")
    assert len(talk.texts) == 1
    assert talk.of_type("voice_activity_rejected") == []


async def test_what_is_shown_eagerly_comes_again_or_is_taken_back(real_server, clips):
    async with conversation(real_server.websocket_url, eager_results=True) as talk:
        for name in ("order_amount", "self_correction", "command"):
            await talk.say(clips(name))
    shown: dict[str, Any] | None = None
    kept = 0
    for message in talk.received:
        if message["type"] == "eager_transcription":
            assert shown is None
            shown = message
        elif message["type"] == "eager_retracted":
            assert shown is not None
            assert message["data"]["utterance"] == shown["data"]["utterance"]
            shown = None
        elif message["type"] == "transcription" and shown is not None:
            assert message["data"]["text"] == shown["data"]["text"]
            assert message["metadata"]["seq"] > shown["metadata"]["seq"]
            shown, kept = None, kept + 1
    assert shown is None
    assert kept >= 2


async def test_noise_writes_nothing_and_each_alarm_is_taken_back(real_server):
    """Hiss, hum, clicks and a siren of our own making, with gaps."""
    seconds = np.arange(3 * RATE_HZ) / RATE_HZ
    clicks = np.zeros(3 * RATE_HZ)
    clicks[:: RATE_HZ // 7] = 0.7
    noises = [
        ROOM.normal(0, 0.1, 3 * RATE_HZ),
        0.3 * np.sign(np.sin(2 * np.pi * 100 * seconds)),
        np.convolve(clicks, np.exp(-np.arange(400) / 60), mode="same"),
        0.3 * np.sin(2 * np.pi * (600 * seconds + 60 * np.sin(2 * np.pi * 0.7 * seconds))),
    ]
    # The easiest to trigger, so that there is something to take back.
    async with conversation(real_server.websocket_url, vad_sensitivity=0) as talk:
        for noise in noises:
            await talk.say(noise.astype(np.float32), pause_s=0.8)
    assert talk.texts == []
    alarms = [m["data"]["utterance"] for m in talk.of_type("voice_activity_detected")]
    assert [m["data"]["utterance"] for m in talk.of_type("voice_activity_rejected")] == alarms
    audio = talk.of_type("session_ended")[0]["audio"]
    assert audio["silence_ms"] == audio["received_ms"]
