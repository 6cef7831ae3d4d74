"""The parts of one running server, as `composition` makes them and `server` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio
from attrs import field, frozen

from fasttalk_stt.access.principal import Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.fallback import FallbackStatistics
from fasttalk_stt.inference.gpu_memory import GpuMemory
from fasttalk_stt.inference.load import IDLE, Load
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.service.connections import ConnectionLike, ConnectionManager
from fasttalk_stt.service.engine_health import EngineHealth
from fasttalk_stt.service.gate import Gate, MonitoringGate
from fasttalk_stt.service.loop_watch import LoopWatch
from fasttalk_stt.service.observation import Observation
from fasttalk_stt.service.readiness import Readiness


@frozen
class Hardware:
    """What the model computes on: "cpu" or "cuda", and with which numbers; None where that is not known."""

    device: str
    compute_type: str | None = None


class Connect(Protocol):
    """Makes the connection that serves an accepted WebSocket."""

    def __call__(
        self,
        transport: Transport,
        *,
        principal: Principal,
        audio: Bucket | None,
        must_resume: bool,
    ) -> ConnectionLike:
        """`principal` is who it is for; `audio` what they may still send, None for any amount. With
        `must_resume` its place is only for a session that goes on."""


@frozen
class Services:
    """What the routes need.

    `model_name` answers with the engine's model, also while it is loading, `preferred_model` with the one
    that would serve if there were memory for it; `engine` tells how it is, `load` how busy. `loop`
    watches the event loop. `access` and `monitoring` guard the two ports. `observation` is told what
    happens; `fallbacks`, `hardware` and `read_gpu_memory`, which blocks, tell of the engine. Sessions begin
    with `session_defaults`.
    """

    connections: ConnectionManager
    readiness: Readiness
    guard: GuardStatistics
    connect: Connect
    model_name: Callable[[], str]
    engine: EngineHealth
    preferred_model: Callable[[], str] | None = None
    load: Callable[[], Load] = lambda: IDLE
    loop: LoopWatch = field(factory=LoopWatch)
    access: Gate = field(factory=Gate)
    monitoring: MonitoringGate = field(factory=MonitoringGate)
    observation: Observation = field(factory=Observation)
    fallbacks: Callable[[], FallbackStatistics] = FallbackStatistics
    hardware: Callable[[], Hardware] = lambda: Hardware("cpu")
    read_gpu_memory: Callable[[], GpuMemory | None] | None = None
    session_defaults: SessionConfig = field(factory=SessionConfig)


@frozen
class Composition:
    """One server, not yet running: what its routes need, the task that owns the model, and the one that
    looks around."""

    services: Services
    own_model: Callable[[], Awaitable[None]]
    observe: Callable[[], Awaitable[None]] = trio.sleep_forever
