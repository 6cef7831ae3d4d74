"""A server's parts without a server: nothing is connected, nobody is served."""

from __future__ import annotations

import pytest

from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.service.connections import ConnectionLike, ConnectionManager
from fasttalk_stt.service.readiness import Readiness, ReadinessState
from fasttalk_stt.service.services import Services
from tests.support import engine_health


def connect(_transport: Transport, **_: object) -> ConnectionLike:
    raise AssertionError("no test here opens a WebSocket")


@pytest.fixture
def services() -> Services:
    services = Services(
        connections=ConnectionManager(max_connections=4),
        readiness=Readiness(),
        guard=GuardStatistics(),
        connect=connect,
        model_name=lambda: "tiny.en",
        engine=engine_health(),
    )
    services.readiness.move(ReadinessState.READY)
    return services
