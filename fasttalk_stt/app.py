"""Routes and wiring: the main application (port 8000) and the operators' one (port 9091).

What the routes answer is made in `service`; what happens on the WebSocket, in `connection`.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
from quart import Response, jsonify, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from fasttalk_stt import __version__
from fasttalk_stt.protocol.codec import error_message
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.service.front_page import front_page
from fasttalk_stt.service.reports import health_report, statistics_report
from fasttalk_stt.service.services import Services
from fasttalk_stt.service.websocket import run_connection

SERVICE_NAME = "fasttalk-stt"

MAX_REQUEST_BODY_BYTES = 64 * 1024
"""No route takes a body; Quart would collect 16 MiB of one."""

ENDPOINTS = {
    "/ws/transcribe": "WebSocket: audio in, text out",
    "/health": "whether the server can serve, its model and its capacity",
    "/health/live": "200 while the process answers",
    "/health/ready": "200 when the model is warm and the server does not drain",
    "/stats": "connections and sessions",
}


def create_app(services: Services) -> QuartTrio:
    """Make the main application: the WebSocket, health, statistics and a front page."""
    app = _new_app()
    _add_reports(app, services)

    @app.websocket("/ws/transcribe")
    async def transcribe() -> Response | None:
        try:
            services.readiness.check_model()
            with services.connections.admit() as ticket:
                # The connection contains its own errors, so what is refused below is admission.
                await run_connection(
                    websocket._get_current_object(),  # type: ignore[attr-defined]
                    ticket,
                    services.connect,
                )
        except ProtocolError as error:
            return refusal(error)
        return None

    @app.get("/")
    async def front() -> Response:
        accepted = request.accept_mimetypes
        if accepted["text/html"] > accepted["application/json"]:
            return Response(front_page(SERVICE_NAME, __version__, ENDPOINTS), mimetype="text/html")
        return jsonify(service=SERVICE_NAME, version=__version__, endpoints=ENDPOINTS)

    @app.get("/health/live")
    async def live() -> Response:
        return jsonify(status="alive")

    @app.get("/health/ready")
    async def ready() -> Response:
        reasons = services.readiness.reasons()
        return _report(
            {"status": "unready" if reasons else "ready", "reasons": reasons}, ok=not reasons
        )

    return app


def create_monitoring_app(services: Services) -> QuartTrio:
    """Make the operators' application: health and statistics on a port of their own."""
    app = _new_app()
    _add_reports(app, services)
    return app


def refusal(error: ProtocolError) -> Response:
    """Answer an upgrade request with 503 and the error that a connection would have sent."""
    response = jsonify(type="error", error=attrs.asdict(error_message(error).error))
    response.status_code = 503
    response.headers["Retry-After"] = str(math.ceil(error.retry_after_s or 1.0))
    return response


def _new_app() -> QuartTrio:
    app = QuartTrio("fasttalk_stt", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BODY_BYTES

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        response = jsonify(status=error.code, message=error.description)
        response.status_code = error.code or 500
        return response

    return app


def _add_reports(app: QuartTrio, services: Services) -> None:
    @app.get("/health")
    async def health() -> Response:
        return _report(health_report(services), ok=services.readiness.is_ready)

    @app.get("/stats")
    async def stats() -> Response:
        return jsonify(statistics_report(services))


def _report(body: dict[str, Any], *, ok: bool) -> Response:
    response = jsonify(body)
    response.status_code = 200 if ok else 503
    return response
