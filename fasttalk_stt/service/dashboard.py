"""What the operators' dashboard shows, as plain dictionaries: of one moment, the numbers of `/stats`,
`/health` and `/metrics`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fasttalk_stt import __version__
from fasttalk_stt.protocol.stamps import rfc3339
from fasttalk_stt.service.history import Moment
from fasttalk_stt.service.observation import process_bytes
from fasttalk_stt.service.readiness import ReadinessState
from fasttalk_stt.service.reports import health_report, statistics_report
from fasttalk_stt.service.services import Services
from fasttalk_stt.service.totals import Totals

SERVICE_NAME = "fasttalk-stt"


def moment(services: Services, at_s: float) -> Moment:
    """The server as it is at that Unix time, for the history."""
    gpu = services.observation.gpu_memory
    return Moment(
        at_s=at_s,
        connections=services.connections.active_connections,
        sessions=len(services.connections.statistics()),
        queue=sum(services.engine.scheduler.waiting().values()),
        process_bytes=process_bytes(),
        gpu_bytes=None if gpu is None else gpu.used_bytes,
    )


def dashboard_report(services: Services) -> dict[str, Any]:
    """Everything but the events of single sessions."""
    observation = services.observation
    health, statistics = health_report(services), statistics_report(services)
    scheduler = services.engine.scheduler
    gpu = observation.gpu_memory
    now_s = observation.clock()
    return {
        "service": SERVICE_NAME,
        "version": __version__,
        "now": rfc3339(datetime.fromtimestamp(now_s, UTC)),
        "uptime_s": round(now_s - observation.began_s, 1),
        "readiness": _readiness(services),
        "reasons": health["reasons"],
        "connections": {
            "active": statistics["active_connections"],
            "total": statistics["total_connections"],
            "max": health["capacity"]["max_connections"],
            "by_state": statistics["connections_by_state"],
            "headroom_streams": health["capacity"]["headroom_streams"],
        },
        "engine": {
            "model": health["model"]["name"],
            "preferred_model": health["model"]["preferred"],
            "device": services.hardware().device,
            "compute_type": services.hardware().compute_type,
            "pressure": health["load"]["owed_share"],
            "queue": scheduler.waiting(),
            "running": scheduler.statistics().running,
            "seats": health["seats"]["total"],
        },
        "breakers": [
            {
                "name": name,
                "state": breaker["state"],
                "remaining_s": breaker["remaining_s"] or None,
                "last_cause": breaker["last_cause"],
            }
            for name, breaker in health["breakers"].items()
        ],
        "memory": {
            "process_bytes": process_bytes(),
            "gpu_used_bytes": None if gpu is None else gpu.used_bytes,
            "gpu_total_bytes": None if gpu is None else gpu.total_bytes,
        },
        "totals": _totals(observation.totals),
        "history": observation.history.report(),
        "sessions": observation.sessions.summaries(),
    }


def session_report(services: Services, key: str) -> dict[str, Any] | None:
    """One session with its events; None where it is not (or no longer) kept."""
    record = services.observation.sessions.get(key)
    return None if record is None else record.details()


def _readiness(services: Services) -> str:
    state = services.readiness.state
    if state is ReadinessState.LOADING:
        return "starting"
    if state is ReadinessState.READY and not services.readiness.is_ready:
        return "unavailable"
    return str(state.value)


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "sessions": sum(totals.sessions_started.values()),
        "audio_s": round(totals.audio_s, 3),
        "transcriptions": sum(totals.transcriptions.values()),
        "onsets": totals.onsets,
        "rejections": _counted(totals.rejections),
        "errors": _counted(totals.errors),
        "refusals": _counted(totals.refusals),
        "received_bytes": totals.received_bytes,
        "sent_bytes": totals.sent_bytes,
    }


def _counted(counts: dict[str, int]) -> dict[str, int]:
    """What happened at all."""
    return {label: count for label, count in counts.items() if count}
