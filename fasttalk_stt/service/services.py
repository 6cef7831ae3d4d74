"""The parts of one running server, as `composition` makes them and `server` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.load import IDLE, Load
from fasttalk_stt.service.connections import ConnectionLike, ConnectionManager
from fasttalk_stt.service.loop_watch import LoopWatch
from fasttalk_stt.service.readiness import Readiness


@frozen
class Services:
    """What the routes need.

    `connect` makes the connection that serves an accepted WebSocket. `model_name` answers with the
    engine's model, also while it is loading. `load` is the
    engine's load, `loop` watches the event loop.
    """

    connections: ConnectionManager
    readiness: Readiness
    guard: GuardStatistics
    connect: Callable[[Transport], ConnectionLike]
    model_name: Callable[[], str]
    load: Callable[[], Load] = lambda: IDLE
    loop: LoopWatch = field(factory=LoopWatch)


@frozen
class Composition:
    """One server, not yet running: what its routes need, and the task that owns the model."""

    services: Services
    own_model: Callable[[], Awaitable[None]]
