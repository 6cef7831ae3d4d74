"""JSON Schemas of what the HTTP routes answer: written by hand, beside `reports`, which makes it.

A test holds them against real answers and admits no field that is not here, so a field that is added to
a report is added here too.
"""

from __future__ import annotations

from typing import Any

from fasttalk_stt.inference.breaker import BreakerState
from fasttalk_stt.inference.load import Pressure
from fasttalk_stt.protocol.quantities import UNIT
from fasttalk_stt.protocol.schemas import Schema, SchemaBook, object_schema, reference
from fasttalk_stt.protocol.server_messages import ErrorDetail
from fasttalk_stt.protocol.state import ConnectionState
from fasttalk_stt.protocol.values import nullable
from fasttalk_stt.service.readiness import ReadinessState


def http_schemas() -> dict[str, Schema]:
    """The schemas under their names in `components/schemas`."""
    book = SchemaBook()
    book.refer(ErrorDetail)
    return {
        **book.schemas,
        "Service": _service(),
        "Liveness": _object(status=_text("whether a restart would help", "alive", "stuck")),
        "Readiness": _object(
            status=_text("whether new connections are taken", "ready", "unready"),
            reasons=_reasons(),
        ),
        "Health": _health(),
        "Breaker": _breaker(),
        "Statistics": _statistics(),
        "SessionStatistics": _session(),
        "Refusal": _described(
            "Why a request was refused: the error that a connection would have sent.",
            _object(type=_text("always this", "error"), error=reference("ErrorDetail")),
        ),
        "HttpError": _described(
            "What HTTP itself has against a request.",
            _object(
                status=_count("the status code"), message=_text("what is wrong with the request")
            ),
        ),
    }


def _service() -> Schema:
    endpoints = {"type": "object", "additionalProperties": {"type": "string"}}
    return _object(
        service=_text("its name"),
        version=_text("its version"),
        endpoints={**endpoints, "description": "the paths, and what each gives"},
    )


def _health() -> Schema:
    return _object(
        status=_text("whether it can serve", "healthy", "unhealthy"),
        reasons=_reasons(),
        model=_object(
            name=_text("the model that serves"),
            preferred=_text("the one that would, if there were memory for it"),
            state=_text("how far it is", *(state.value for state in ReadinessState)),
        ),
        capacity=_object(
            max_connections=_count("places"),
            active_connections=_count("places that are taken"),
            headroom_streams=_count("how many more streams the model has time for"),
            draining={"type": "boolean", "description": "whether the server is about to stop"},
        ),
        breakers=_object(gpu=reference("Breaker"), transcription=reference("Breaker")),
        seats=_object(
            total=_count("calls of the model that may run at a time"),
            stuck=_count("calls that do not return"),
        ),
        load=_object(
            pressure=_text(
                "calm; busy: fewer looks at open speech; full: no newcomers",
                *(each.name.lower() for each in Pressure),
            ),
            owed_share=_number("of the model's time, what clients in real time are owed"),
            busy_share=_number("of the model's time, all that was taken"),
            final_wait_p95_ms=nullable(
                _number("how long final texts waited for the model; null where too few did", "ms")
            ),
        ),
    )


def _breaker() -> Schema:
    return _described(
        "A circuit breaker: open, nothing is tried.",
        _object(
            state=_text("half-open: one trial decides", *(state.value for state in BreakerState)),
            consecutive_failures=_count("failures in a row"),
            remaining_s=_number("how long it stays open", "s"),
            last_cause=nullable(_text("the last failure")),
        ),
    )


def _statistics() -> Schema:
    return _object(
        active_connections=_count("connections now"),
        total_connections=_count("connections since the start, refused ones aside"),
        connections_by_state=_object(**{state.value: _count() for state in ConnectionState}),
        processing_stats={
            "type": "object",
            "description": "live sessions by their session_id",
            "additionalProperties": reference("SessionStatistics"),
        },
        event_loop=_object(
            slow_steps=_count("steps of tasks that held up all others for 5 ms and more"),
            slowest_ms=_number("the slowest of them", "ms"),
            slowest_task=nullable(_text("whose it was")),
            tasks=_count("tasks that live"),
        ),
        contained_faults={
            "type": "object",
            "description": "connections that ended by an exception, by its kind and place",
            "additionalProperties": _count(),
        },
        write_timeouts=_count("connections cut off because they took nothing"),
        oversized_messages=_count("connections cut off for a message that was too big"),
    )


def _session() -> Schema:
    return _object(
        total_chunks=_count("audio frames received"),
        total_processing_time=_number("time of the model", "s"),
        average_latency=_number("from the end of a segment to its text", "s"),
        real_time_factor=_number("time of the model over audio received"),
    )


def _reasons() -> Schema:
    return {
        "type": "array",
        "items": {"type": "string"},
        "description": "why not, in sentences; empty where all is well",
    }


def _object(**properties: Schema) -> Schema:
    return object_schema(properties, required=properties)


def _described(description: str, schema: Schema) -> Schema:
    return {**schema, "description": description}


def _text(description: str, *choices: str) -> Schema:
    schema: dict[str, Any] = {"type": "string", "description": description}
    return {**schema, "enum": list(choices)} if choices else schema


def _count(description: str | None = None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": 0}
    return schema if description is None else _described(description, schema)


def _number(description: str, unit: str | None = None) -> Schema:
    schema: Schema = {"type": "number", "minimum": 0, "description": description}
    return schema if unit is None else {**schema, UNIT: unit}
