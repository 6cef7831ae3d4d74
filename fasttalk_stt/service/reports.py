"""What operators and service discovery read: `/health` and `/stats` as plain dictionaries.

No web framework in here; `app` turns these into responses.
"""

from __future__ import annotations

from typing import Any

import attrs
import trio

from fasttalk_stt.inference.load import headroom_streams
from fasttalk_stt.service.readiness import ReadinessState
from fasttalk_stt.service.services import Services


def health_report(services: Services) -> dict[str, Any]:
    """Whether the server can serve, why not, its model and its capacity."""
    readiness = services.readiness
    connections = services.connections
    load = services.load()
    wait_s = load.final_wait_p95_s
    headroom = headroom_streams(
        load,
        connections.crowd(),
        free_places=max(0, connections.max_connections - connections.active_connections),
    )
    return {
        "status": "healthy" if readiness.is_ready else "unhealthy",
        "reasons": readiness.reasons(),
        "model": {
            "name": services.model_name(),
            "preferred": (services.preferred_model or services.model_name)(),
            "state": readiness.state.value,
        },
        "capacity": {
            "max_connections": connections.max_connections,
            "active_connections": connections.active_connections,
            "headroom_streams": headroom if readiness.is_ready else 0,
            "draining": readiness.state is ReadinessState.DRAINING,
        },
        **services.engine.report(),
        "load": {
            "pressure": load.pressure.name.lower(),
            "owed_share": load.owed_share,
            "busy_share": load.busy_share,
            "final_wait_p95_ms": None if wait_s is None else round(wait_s * 1000, 1),
        },
    }


def statistics_report(services: Services) -> dict[str, Any]:
    """Connections by state and the numbers of each live session; times in seconds."""
    connections = services.connections
    by_state = connections.connections_by_state()
    return {
        "active_connections": connections.active_connections,
        "total_connections": connections.total_connections,
        "connections_by_state": {state.value: count for state, count in by_state.items()},
        "processing_stats": {
            session.session_id: {
                "total_chunks": session.total_chunks,
                "total_processing_time": session.total_processing_time_s,
                "average_latency": session.average_latency_s,
                "real_time_factor": session.real_time_factor,
            }
            for session in connections.statistics()
        },
        "event_loop": {
            **attrs.asdict(services.loop.statistics),
            "tasks": trio.lowlevel.current_statistics().tasks_living,
        },
        "contained_faults": dict(services.guard.contained_faults),
        "write_timeouts": services.guard.write_timeouts,
        "oversized_messages": services.guard.oversized_messages,
    }
