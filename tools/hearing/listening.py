"""The real pipeline over recordings, in audio time: what a client would be sent, and when.

A connection is made as a server makes it, but its socket is a pair of memory channels and the clock
jumps: a frame takes its own length of virtual time, an engine what it says it takes, and our
computing nothing. So a run is repeatable and much faster than real time. Nothing here judges what
comes back.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import attrs
import trio
import trio.testing
from attrs import field, frozen

from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.composition import make_ears, make_resilience
from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.ears import Ears, JudgeTurn
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.inference.smart_turn import SmartTurn
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings
from tools.hearing.audio import RATE_HZ, Audio
from tools.trace import Message

FRAME_MS = 20.0
JUDGE_S = 0.06
"""Smart Turn takes 20-80 ms on one thread."""

WrapDetector = Callable[[str, VoiceDetector], VoiceDetector]
"""Makes another detector of that for the recording of this id."""


class Playable(Protocol):
    """One session's audio; `id` names it in what is recorded of it."""

    @property
    def id(self) -> str: ...

    @property
    def samples(self) -> Audio: ...


@frozen
class TimedMessage:
    """A message, and how many milliseconds of audio had been sent when it came."""

    at_ms: float
    message: Message


@frozen
class SessionLog:
    """All messages of one session, in order."""

    id: str
    messages: tuple[TimedMessage, ...] = field(repr=False)

    def of_type(self, kind: str) -> Iterator[TimedMessage]:
        return (each for each in self.messages if each.message["type"] == kind)

    @property
    def text(self) -> str:
        parts = (each.message["data"]["text"].strip() for each in self.of_type("transcription"))
        return " ".join(part for part in parts if part)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(str(each.message["error"]["message"]) for each in self.of_type("error"))


@frozen
class Setup:
    """How the pipeline listens: environment variables, and the client's own wishes.

    `conversation_state` is told before the first frame where it is not "listening".
    """

    environment: Mapping[str, str]
    config: Mapping[str, Any]
    conversation_state: str = "listening"
    frame_ms: float = FRAME_MS

    def settings(self) -> Settings:
        return Settings.from_environment(dict(self.environment))


def setup(
    *,
    vad: str = "cascade",
    endpointer: str = "silence",
    conversation_state: str = "listening",
    frame_ms: float = FRAME_MS,
    **config: Any,
) -> Setup:
    """A client in `fasttalk_mode` that speaks English, with one detector and endpointer."""
    return Setup(
        environment={"VAD": vad, "ENDPOINTER": endpointer, "LOG_FORMAT": "console"},
        config={"fasttalk_mode": True, "language": "en", **config},
        conversation_state=conversation_state,
        frame_ms=frame_ms,
    )


def listen(
    recordings: Iterable[Playable],
    how: Setup,
    engine: Engine,
    *,
    ears: Ears | None = None,
    wrap_detector: WrapDetector | None = None,
) -> list[SessionLog]:
    """Play each recording as one session on one connection, in real time of a jumping clock.

    A recording is taken from the iterable only when its turn has come, and not kept. `ears` are the
    setup's own where they are not given; giving them saves loading them again.
    Raises what the pipeline raises, SettingsError for a setting this version does not take.
    """
    configure_logging(Settings(log_format="console"))
    logging.getLogger().setLevel(logging.WARNING)
    return trio.run(
        partial(_listen, recordings, how, engine, ears or ears_of(how), wrap_detector),
        clock=trio.testing.MockClock(autojump_threshold=0),
    )


def ears_of(how: Setup) -> Ears:
    """What the setup's sessions hear with. A judge of turns takes JUDGE_S of the jumping clock.

    In a server the judge is asked in a thread, for which that clock would not wait.
    """
    settings = how.settings()
    ears = make_ears(settings)
    return ears if ears.judge_turn is None else attrs.evolve(ears, judge_turn=_timed_judge())


def _timed_judge() -> JudgeTurn:
    model = SmartTurn()
    model.load()
    known: dict[bytes, float] = {}

    async def judge(samples: Audio) -> float:
        await trio.sleep(JUDGE_S)
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in known:
            known[key] = model.probability(samples)
        return known[key]

    return judge


async def _listen(
    recordings: Iterable[Playable],
    how: Setup,
    engine: Engine,
    ears: Ears,
    wrap_detector: WrapDetector | None,
) -> list[SessionLog]:
    current = ""
    if wrap_detector is not None:
        make, wrap = ears.make_detector, wrap_detector
        ears = attrs.evolve(ears, make_detector=lambda *args: wrap(current, make(*args)))
    settings = how.settings()
    scheduler = Scheduler(engine, batch_size=settings.batch_size)
    resilience = make_resilience(settings, scheduler)
    transport = MemoryTransport()
    connection = Connection(transport, settings=settings, resilience=resilience, ears=ears)
    logs = []
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(connection.run)
        for recording in recordings:
            current = recording.id
            logs.append(await _session(transport, recording, how))
        nursery.cancel_scope.cancel()
    return logs


async def _session(transport: MemoryTransport, recording: Playable, how: Setup) -> SessionLog:
    messages: list[TimedMessage] = []
    began = trio.Event()
    began_at_s = 0.0

    async def feed() -> None:
        nonlocal began_at_s
        await transport.feed(
            json.dumps({"type": "start_session", "session_config": dict(how.config)})
        )
        if how.conversation_state != "listening":
            state = {"conversation_state": how.conversation_state}
            await transport.feed(json.dumps({"type": "context_update", "data": state}))
        await began.wait()
        began_at_s = trio.current_time()
        size = round(RATE_HZ * how.frame_ms / 1000)
        for start in range(0, len(recording.samples), size):
            frame = recording.samples[start : start + size]
            await trio.sleep_until(began_at_s + (start + len(frame)) / RATE_HZ)
            await transport.feed(frame.astype("<f4").tobytes())
        await transport.feed(json.dumps({"type": "end_session"}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        while (raw := await transport.next_message()) is not None:
            message = json.loads(raw)
            at_ms = (trio.current_time() - began_at_s) * 1000 if began.is_set() else 0.0
            messages.append(TimedMessage(at_ms, message))
            if message["type"] == "session_started":
                began.set()
            elif message["type"] == "session_ended":
                return SessionLog(recording.id, tuple(messages))
            elif message["type"] == "error" and not began.is_set():
                break
        nursery.cancel_scope.cancel()
    errors = [each.message["error"]["message"] for each in messages if "error" in each.message]
    raise RuntimeError(f"{recording.id}: the session broke off: {errors}")
