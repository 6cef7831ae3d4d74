"""The HTTP side of the main port as an OpenAPI 3.1 document; plain dictionaries.

A new route gets an entry in `_GETS`, or a path item of its own in `_items` where it does more, and its
answer a schema in `http_schemas`; a test fails until it has. The WebSocket is in `protocol.asyncapi`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from fasttalk_stt.protocol.schemas import Schema, reference
from fasttalk_stt.service.http_schemas import http_schemas

_JSON = "application/json"


@frozen
class _Get:
    """One route: what it answers with 200, and with 503 where that is an answer too."""

    id: str
    summary: str
    content: dict[str, Schema]
    unavailable: str | None = None
    is_open: bool = False
    """Whether it needs no credential."""


def _json(schema: str) -> dict[str, Schema]:
    return {_JSON: reference(schema)}


_GETS = {
    "/": _Get(
        "front",
        "What runs here and where to look; a page for browsers.",
        {_JSON: reference("Service"), "text/html": {"type": "string"}},
    ),
    "/health": _Get(
        "health",
        "Whether the server can serve, its model and its capacity.",
        _json("Health"),
        unavailable="It cannot serve, for the reasons it tells.",
    ),
    "/health/live": _Get(
        "live",
        "For a liveness probe: the process answers and its model is not stuck for good.",
        _json("Liveness"),
        unavailable="It must be restarted.",
        is_open=True,
    ),
    "/health/ready": _Get(
        "ready",
        "For a readiness probe: the model is warm and the server does not drain.",
        _json("Readiness"),
        unavailable="It takes no new connections.",
        is_open=True,
    ),
    "/stats": _Get(
        "statistics", "Connections by state, and the numbers of each session.", _json("Statistics")
    ),
    "/metrics": _Get(
        "metrics",
        "Figures for Prometheus.",
        {
            "text/plain": {"type": "string"},
            "application/openmetrics-text": {"type": "string"},
        },
    ),
    "/asyncapi.json": _Get(
        "asyncapi",
        "The WebSocket's protocol, as an AsyncAPI document.",
        {_JSON: {"type": "object"}},
    ),
    "/openapi.json": _Get("openapi", "This document.", {_JSON: {"type": "object"}}),
}


_REFUSALS: dict[str, Any] = {
    "401": {"$ref": "#/components/responses/Unauthorized"},
    "403": {"$ref": "#/components/responses/ForbiddenOrigin"},
    "429": {"$ref": "#/components/responses/RateLimited"},
}
"""What any route answers that is behind credentials."""

_OTHER_ERRORS: dict[str, Any] = {"default": {"$ref": "#/components/responses/HttpError"}}


def openapi_document(version: str, routes: Iterable[str]) -> dict[str, Any]:
    """Make the document of a server of that version that has these routes."""
    present = set(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fasttalk STT",
            "version": version,
            "description": "What operators, probes and service discovery ask. Speech goes over the "
            "WebSocket, see `/asyncapi.json`. `/health`, `/stats` and `/metrics` are on the "
            "operators' port too.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "http://{host}:{port}",
                "variables": {
                    "host": {"default": "localhost", "description": "WEBSOCKET_HOST"},
                    "port": {"default": "8000", "description": "WEBSOCKET_PORT"},
                },
            }
        ],
        # Either: where the operator has set no credentials, none is needed.
        "security": [{"bearer": []}, {}],
        "paths": {path: item for path, item in _items().items() if path in present},
        "components": {
            "schemas": http_schemas(),
            "responses": {
                "Unauthorized": _refusal("No good credential came."),
                "ForbiddenOrigin": _refusal("Pages of that origin may not ask."),
                "RateLimited": _refusal("Too many requests were refused before.", retry=True),
                "HttpError": _response("Any other error.", _json("HttpError")),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key or a JSON Web Token. Without credentials configured, "
                    "the server asks for none.",
                }
            },
        },
    }


def _items() -> dict[str, Any]:
    """Every path of the main port that there may be."""
    return {path: {"get": _operation(route)} for path, route in _GETS.items()}


def _operation(route: _Get) -> dict[str, Any]:
    responses = {"200": _response("The answer.", route.content)}
    if not route.is_open:
        responses |= _REFUSALS
    if route.unavailable is not None:
        responses["503"] = _response(route.unavailable, route.content)
    operation = {
        "operationId": route.id,
        "summary": route.summary,
        "responses": responses | _OTHER_ERRORS,
    }
    if route.is_open:
        operation["security"] = []
    return operation


def _response(description: str, content: dict[str, Schema]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def _refusal(description: str, *, retry: bool = False) -> dict[str, Any]:
    response = _response(description, _json("Refusal"))
    if retry:
        response["headers"] = {
            "Retry-After": {
                "description": "when to ask again, in seconds",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    return response
