"""The HTTP routes, without a socket."""

from __future__ import annotations

import json

import attrs
import pytest
import trio
from attrs import frozen

from fasttalk_stt import __version__
from fasttalk_stt.app import create_app, create_monitoring_app
from fasttalk_stt.inference.load import WINDOW_S, Load, Pressure
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.state import ConnectionState
from fasttalk_stt.service.gate import MonitoringGate
from fasttalk_stt.service.readiness import ReadinessState
from fasttalk_stt.service.services import Services


@frozen
class Numbers:
    session_id: str = "session-id-1"
    total_chunks: int = 45
    total_processing_time_s: float = 12.5
    average_latency_s: float = 0.28
    real_time_factor: float = 0.15


class Connection:
    state = ConnectionState.PROCESSING

    async def run(self) -> None:
        await trio.sleep_forever()

    def drain(self) -> None:
        pass

    def part(self, error: ProtocolError) -> None:
        pass

    def statistics(self) -> Numbers:
        return Numbers()


CLOSED_BREAKER = {
    "state": "closed",
    "consecutive_failures": 0,
    "remaining_s": 0.0,
    "last_cause": None,
}


async def test_front_page_is_json_unless_a_browser_asks(services: Services) -> None:
    client = create_app(services).test_client()
    plain = await (await client.get("/", headers={"Accept": "*/*"})).get_json()
    assert (plain["service"], plain["version"]) == ("fasttalk-stt", __version__)
    assert "/ws/transcribe" in plain["endpoints"]
    browser = await client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert browser.mimetype == "text/html"
    assert "/ws/transcribe" in await browser.get_data(as_text=True)


async def test_the_operators_port_leads_to_its_page(services: Services) -> None:
    guarded = attrs.evolve(services, monitoring=MonitoringGate("a-token-of-the-operators"))
    client = create_monitoring_app(guarded).test_client()
    assert (await client.get("/")).headers["Location"] == "dashboard/"
    assert (await client.get("/dashboard/")).status_code == 200
    assert (await client.get("/dashboard/data")).status_code == 401


@pytest.mark.parametrize("create", [create_app, create_monitoring_app])
async def test_health_tells_capacity(services: Services, create: type) -> None:
    with services.connections.admit():
        response = await create(services).test_client().get("/health")
    assert response.status_code == 200
    assert await response.get_json() == {
        "status": "healthy",
        "reasons": [],
        "model": {"name": "tiny.en", "preferred": "tiny.en", "state": "ready"},
        "breakers": dict.fromkeys(("gpu", "transcription"), CLOSED_BREAKER),
        "seats": {"total": 1, "stuck": 0},
        "capacity": {
            "max_connections": 4,
            "active_connections": 1,
            "headroom_streams": 3,
            "draining": False,
        },
        "load": {
            "pressure": "calm",
            "owed_share": 0.0,
            "busy_share": 0.0,
            "final_wait_p95_ms": None,
        },
    }


async def test_health_tells_the_load(
    services: Services, autojump_clock: trio.testing.MockClock
) -> None:
    load = Load(
        owed_share=0.6,
        busy_share=0.9,
        final_wait_p95_s=0.3004,
        request_share=0.5,
        pressure=Pressure.BUSY,
    )
    busy = attrs.evolve(services, load=lambda: load)
    with busy.connections.admit(), busy.connections.admit():
        await trio.sleep(WINDOW_S)
        response = await create_app(busy).test_client().get("/health")
    body = await response.get_json()
    # Two streams take 0.6 of the 0.8 that are to be had: not one more of the kind.
    assert body["capacity"]["headroom_streams"] == 0
    assert body["load"] == {
        "pressure": "busy",
        "owed_share": 0.6,
        "busy_share": 0.9,
        "final_wait_p95_ms": 300.4,
    }


async def test_draining_is_unhealthy_with_a_reason(services: Services) -> None:
    services.readiness.move(ReadinessState.DRAINING)
    client = create_app(services).test_client()
    response = await client.get("/health")
    body = await response.get_json()
    assert response.status_code == 503
    assert body["reasons"] == ["the server is shutting down"]
    assert body["capacity"]["draining"] is True
    assert body["capacity"]["headroom_streams"] == 0
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("create", [create_app, create_monitoring_app])
async def test_statistics_have_the_documented_shape(services: Services, create: type) -> None:
    with services.connections.admit() as ticket:
        ticket.attach(Connection())
        response = await create(services).test_client().get("/stats")
    body = await response.get_json()
    assert body["active_connections"] == body["total_connections"] == 1
    assert body["connections_by_state"] == {
        "connecting": 0,
        "active": 0,
        "buffering": 0,
        "processing": 1,
        "disconnecting": 0,
        "error": 0,
    }
    assert body["processing_stats"] == {
        "session-id-1": {
            "total_chunks": 45,
            "total_processing_time": 12.5,
            "average_latency": 0.28,
            "real_time_factor": 0.15,
        }
    }


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/x", 404), ("POST", "/", 405)])
async def test_http_errors_are_json(
    services: Services, method: str, path: str, status: int
) -> None:
    response = await create_app(services).test_client().open(path, method=method)
    assert response.status_code == status
    assert json.loads(await response.get_data())["status"] == status
