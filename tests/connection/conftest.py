"""A whole connection in memory: real tasks and channels, a fake engine, the virtual clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
import trio

from fasttalk_stt.access.principal import ANONYMOUS, Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.composition import make_resilience
from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.ears import Ears, JudgeTurn
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.connection.registry import SessionRegistry
from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.turn_taking import EndpointerMode
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.settings import Settings
from fasttalk_stt.telemetry.telemetry import NO_TELEMETRY, Telemetry
from tests.support import NOON, LevelDetector

EARS = Ears(
    make_detector=LevelDetector,
    endpointer="silence",
    backchannels=Backchannels({"en": frozenset({"mm-hm"})}),
)
FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / 16_000


class Peer:
    """The client's side of one connection; everything it was sent is in `received`."""

    def __init__(self, connection: Connection, transport: MemoryTransport) -> None:
        self.connection = connection
        self.transport = transport
        self.received: list[dict[str, Any]] = []
        self._reading = trio.Event()
        self._reading.set()
        self._news = trio.lowlevel.ParkingLot()

    def stop_reading(self) -> None:
        """Take nothing from the socket until `go_on_reading`."""
        self._reading = trio.Event()

    def go_on_reading(self) -> None:
        self._reading.set()

    async def read(self) -> None:
        while True:
            await self._reading.wait()
            text = await self.transport.next_message()
            if text is None:
                return
            self.received.append(json.loads(text))
            self._news.unpark_all()

    async def send(self, type_: str, **fields: object) -> None:
        await self.transport.feed(json.dumps({"type": type_, **fields}))

    async def start(self, **config: object) -> dict[str, Any]:
        await self.send("start_session", session_config=config)
        return await self.wait_for("session_started")

    async def stream(self, samples: npt.NDArray[np.float32], *, pace: float = 1.0) -> None:
        """Send frames at `pace` times real time; 0 sends as fast as they are taken."""
        for start in range(0, len(samples), FRAME_SAMPLES):
            await self.transport.feed(samples[start : start + FRAME_SAMPLES].tobytes())
            if pace:
                await trio.sleep(FRAME_S / pace)

    async def wait_for(self, type_: str, *, count: int = 1) -> dict[str, Any]:
        """Wait until `count` messages of a type have come in all; returns that one."""
        while len(self.of_type(type_)) < count:
            await self._news.park()
        return self.of_type(type_)[count - 1]

    async def end(self) -> dict[str, Any]:
        count = len(self.of_type("session_ended")) + 1
        await self.send("end_session")
        return await self.wait_for("session_ended", count=count)

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == type_]

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.received]

    @property
    def errors(self) -> list[str]:
        return [message["error"]["code"] for message in self.of_type("error")]

    @property
    def text(self) -> str:
        return " ".join(message["data"]["text"] for message in self.of_type("transcription"))


class Server:
    """A scheduler and the connections that share it."""

    def __init__(
        self,
        engine: FakeEngine,
        nursery: trio.Nursery,
        settings: Settings,
        ears: Ears,
        telemetry: Telemetry,
    ) -> None:
        self.engine = engine
        self.telemetry = telemetry
        self.scheduler = Scheduler(engine, batch_size=4, telemetry=telemetry)
        self.resilience = make_resilience(settings, self.scheduler, telemetry)
        self.sessions = SessionRegistry()
        self.settings = settings
        self.ears = ears
        self.nursery = nursery

    def connect(
        self,
        principal: Principal = ANONYMOUS,
        audio: Bucket | None = None,
        *,
        must_resume: bool = False,
        ears: Ears | None = None,
    ) -> Peer:
        transport = MemoryTransport()
        connection = Connection(
            transport,
            settings=self.settings,
            resilience=self.resilience,
            sessions=self.sessions,
            principal=principal,
            audio=audio,
            must_resume=must_resume,
            ears=ears or self.ears,
            wall_clock=lambda: NOON,
            telemetry=self.telemetry,
        )
        peer = Peer(connection, transport)
        self.nursery.start_soon(connection.run)
        self.nursery.start_soon(peer.read)
        return peer


Serving = Callable[..., Any]


@asynccontextmanager
async def serve(
    engine: FakeEngine | None = None,
    *,
    judge_turn: JudgeTurn | None = None,
    endpointer: EndpointerMode = "silence",
    telemetry: Telemetry = NO_TELEMETRY,
    **changes: object,
) -> AsyncIterator[Server]:
    """A server with this engine and these settings, for as long as the block."""
    ears = attrs.evolve(EARS, judge_turn=judge_turn, endpointer=endpointer)
    settings = attrs.evolve(Settings(), **changes)
    with trio.fail_after(3600):
        async with trio.open_nursery() as nursery:
            server = Server(engine or FakeEngine(), nursery, settings, ears, telemetry)
            await nursery.start(server.scheduler.run)
            yield server
            nursery.cancel_scope.cancel()


@pytest.fixture
def serving() -> Serving:
    """`async with serving(engine, **settings) as server:`.

    A test must also ask for `autojump_clock` itself: pytest-trio takes the clock from the test's own
    arguments only.
    """
    return serve
