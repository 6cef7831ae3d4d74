"""What `/health` and `/stats` tell, as metrics: the same values from the same place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import Metric

from fasttalk_stt import __version__
from fasttalk_stt.inference.load import Pressure
from fasttalk_stt.service.metrics.families import counter, gauge
from fasttalk_stt.service.readiness import ReadinessState
from fasttalk_stt.service.reports import health_report, statistics_report
from fasttalk_stt.service.services import Services
from fasttalk_stt.telemetry.telemetry import BREAKER_STATES


def state(services: Services) -> Iterator[Metric]:
    """The server as it is now."""
    health, statistics = health_report(services), statistics_report(services)
    yield from _service(health)
    yield from _connections(health["capacity"], statistics)
    desk = services.transcriptions
    yield gauge(
        "recordings_active",
        "Recordings that are received, wait for their turn or are transcribed.",
        None if desk is None else desk.active,
    )
    yield from _engine(services, health)
    yield from _process(services, statistics)


def _service(health: dict[str, Any]) -> Iterator[Metric]:
    yield gauge("build_info", "The version that runs.", {__version__: 1}, "version")
    model = health["model"]
    yield gauge(
        "model_info",
        "The model that serves, and the one that would if there were memory for it.",
        {(model["name"], model["preferred"]): 1},
        "model",
        "preferred",
    )
    yield gauge(
        "model_fallen_back",
        "1 while a smaller model than the preferred one serves.",
        model["name"] != model["preferred"],
    )
    yield gauge("ready", "1 if new connections are taken.", health["status"] == "healthy")
    yield gauge(
        "readiness",
        "1 for the stage of its life that the server is in.",
        _one_of((each.value for each in ReadinessState), model["state"]),
        "state",
    )


def _connections(capacity: dict[str, Any], statistics: dict[str, Any]) -> Iterator[Metric]:
    yield gauge("connections", "Live connections.", statistics["connections_by_state"], "state")
    yield counter("connections_accepted", "Connections let in.", statistics["total_connections"])
    yield gauge("connections_limit", "Connections at most.", capacity["max_connections"])
    yield gauge(
        "headroom_streams",
        "How many more streams there is room for, by places and by compute.",
        capacity["headroom_streams"],
    )
    yield gauge("sessions", "Sessions that listen.", len(statistics["processing_stats"]))


def _engine(services: Services, health: dict[str, Any]) -> Iterator[Metric]:
    yield gauge(
        "queue_requests",
        "Requests that wait for the engine.",
        services.engine.scheduler.waiting(),
        "kind",
    )
    running = services.engine.scheduler.statistics().running
    yield gauge("running_requests", "Requests in the engine.", running)
    yield gauge("engine_seats", "Engine calls that can run at a time.", health["seats"]["total"])
    yield gauge(
        "engine_seats_stuck",
        "Seats whose call has not returned in time.",
        health["seats"]["stuck"],
    )
    yield gauge(
        "engine_stuck_seconds",
        "For how long every seat has been stuck.",
        services.engine.scheduler.stuck_s(),
    )
    load = health["load"]
    yield gauge(
        "pressure",
        "Share (0-1) of the engine's time of the last 10 s that went to what is owed to clients in real "
        "time; at 0.8 newcomers are refused.",
        load["owed_share"],
    )
    yield gauge(
        "pressure_level",
        "What the load asks for: 0 nothing, 1 fewer looks, 2 no newcomers.",
        Pressure[load["pressure"].upper()].value,
    )
    yield gauge(
        "engine_busy_ratio",
        "Share (0-1) of the engine's time of the last 10 s that went to anything.",
        load["busy_share"],
    )
    wait_ms = load["final_wait_p95_ms"]
    yield gauge(
        "final_wait_p95_seconds",
        "95th percentile of how long finals waited in the last 10 s; none while there are few.",
        None if wait_ms is None else wait_ms / 1000,
    )
    breakers = health["breakers"]
    yield gauge(
        "breaker_state",
        "1 for the state that a circuit breaker is in.",
        {
            (name, each): float(each == breaker["state"])
            for name, breaker in breakers.items()
            for each in BREAKER_STATES
        },
        "breaker",
        "state",
    )
    yield gauge(
        "breaker_remaining_seconds",
        "How long a circuit breaker stays open.",
        {name: breaker["remaining_s"] for name, breaker in breakers.items()},
        "breaker",
    )
    fallbacks = services.fallbacks()
    yield counter(
        "model_changes",
        "Changes to a smaller model (down) and back to a better one (up).",
        {"down": fallbacks.fallen, "up": fallbacks.returned},
        "direction",
    )


def _process(services: Services, statistics: dict[str, Any]) -> Iterator[Metric]:
    loop = statistics["event_loop"]
    yield counter("loop_slow_steps", "Steps of a task of 5 ms and more.", loop["slow_steps"])
    yield gauge(
        "loop_slowest_step_seconds",
        "The slowest step of a task since the start.",
        loop["slowest_ms"] / 1000,
    )
    yield gauge("tasks", "Tasks that live.", loop["tasks"])
    yield counter(
        "contained_faults",
        "Connections ended by an exception of the web server.",
        sum(statistics["contained_faults"].values()),
    )
    yield counter(
        "write_timeouts",
        "Connections ended since their client took nothing.",
        statistics["write_timeouts"],
    )
    yield counter(
        "oversized_messages",
        "Connections closed with 1009.",
        statistics["oversized_messages"],
    )
    observation = services.observation
    yield counter(
        "telemetry_faults", "Failures to observe something.", observation.telemetry.faults
    )
    gpu = observation.gpu_memory
    yield gauge(
        "gpu_memory_used_bytes",
        "Memory of the GPU in use, by whomever; at most 5 s old.",
        None if gpu is None else gpu.used_bytes,
    )
    yield gauge(
        "gpu_memory_capacity_bytes",
        "Memory of the GPU.",
        None if gpu is None else gpu.total_bytes,
    )


def _one_of(names: Iterable[str], chosen: str) -> dict[str, float]:
    return {name: float(name == chosen) for name in names}
