"""Routes and wiring: the main application (port 8000) and the operators' one (port 9091).

What the routes answer is made in `service`; what happens on the WebSocket, in `connection`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from quart import Response, has_request_context, jsonify, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound

from fasttalk_stt import __version__
from fasttalk_stt.access.carriers import Request, chosen_subprotocol
from fasttalk_stt.protocol.asyncapi import asyncapi_document
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.service.asking import read_request, refusal
from fasttalk_stt.service.dashboard import SERVICE_NAME, dashboard_report, session_report
from fasttalk_stt.service.front_page import front_page
from fasttalk_stt.service.gate import Gate
from fasttalk_stt.service.metrics.exposition import metrics_page
from fasttalk_stt.service.openai.errors import of_http, of_protocol
from fasttalk_stt.service.openai.routes import add_openai_routes, answer_error, is_openai_path
from fasttalk_stt.service.openapi import openapi_document
from fasttalk_stt.service.paced_requests import PacedHTTPConnection, PacedRequest
from fasttalk_stt.service.pages import add_pages, is_page
from fasttalk_stt.service.reports import health_report, statistics_report
from fasttalk_stt.service.services import Services
from fasttalk_stt.service.websocket import run_connection

MAX_REQUEST_BODY_BYTES = 64 * 1024
"""But for a recording no route takes a body; Quart would collect 16 MiB of one."""

ENDPOINTS = {
    "/ws/transcribe": "WebSocket: audio in, text out",
    "/health": "whether the server can serve, its model and its capacity",
    "/health/live": "200 while the process answers and its model is not stuck for good",
    "/health/ready": "200 when the model is warm and the server does not drain",
    "/stats": "connections and sessions",
    "/metrics": "everything that is measured, for Prometheus",
    "/asyncapi.json": "the WebSocket's protocol, for programs",
    "/openapi.json": "the HTTP side, for programs",
    "/demo": "a page to speak to it with a browser",
}

OPENAI_ENDPOINTS = {
    "/v1/audio/transcriptions": "POST: a recording in, its text out, as OpenAI's API",
    "/v1/models": "the models for it",
}

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST",
    # Clients of OpenAI's API send headers of their own; the wildcard does not stand for Authorization.
    "Access-Control-Allow-Headers": "Authorization, *",
    "Access-Control-Max-Age": "600",
}

OPEN_ENDPOINTS = frozenset({"live", "ready", "to_dashboard"})
"""Probes, which have no credentials, and the way to an open page."""


def create_app(services: Services) -> QuartTrio:
    """Make the main application: the WebSocket, health, statistics and a front page."""
    app = _new_app()
    app.request_class = PacedRequest
    app.asgi_http_class = PacedHTTPConnection
    gate = services.access
    endpoints = dict(ENDPOINTS)
    # Before the guard: a browser asks beforehand without the page's credential.
    _add_cors(app, gate)
    _guard_routes(app, gate.enter)
    _add_reports(app, services)
    add_pages(app, "demo", "/demo")
    if services.transcriptions is not None:
        add_openai_routes(app, services, services.transcriptions)
        endpoints |= OPENAI_ENDPOINTS

    @app.websocket("/ws/transcribe")
    async def transcribe() -> Response | None:
        asked = read_request(websocket)
        visitor = None
        try:
            visitor = gate.enter(asked)
            services.readiness.check_model()
            gate.count(visitor)
            resumes = websocket.args.get("resume") == "1"
            with services.connections.admit(visitor, resumes=resumes) as ticket:
                gate.redeem(visitor)
                ticket.expire_in(gate.seconds_left(visitor))
                # The connection contains its own errors, so what is refused below is admission.
                await run_connection(
                    websocket._get_current_object(),  # type: ignore[attr-defined]
                    ticket,
                    partial(
                        services.connect,
                        principal=visitor.principal,
                        audio=gate.audio(visitor),
                        must_resume=ticket.must_resume,
                    ),
                    subprotocol=chosen_subprotocol(asked),
                )
        except ProtocolError as error:
            kind = None if visitor is None else visitor.principal.kind
            services.observation.telemetry.refused(error.kind.code, kind)
            return refusal(error)
        return None

    @app.get("/")
    async def front() -> Response:
        accepted = request.accept_mimetypes
        if accepted["text/html"] > accepted["application/json"]:
            return Response(front_page(SERVICE_NAME, __version__, endpoints), mimetype="text/html")
        return jsonify(service=SERVICE_NAME, version=__version__, endpoints=endpoints)

    @app.get("/health/live")
    async def live() -> Response:
        is_alive = services.engine.is_alive
        return _report({"status": "alive" if is_alive else "stuck"}, ok=is_alive)

    @app.get("/health/ready")
    async def ready() -> Response:
        reasons = services.readiness.reasons()
        return _report(
            {"status": "unready" if reasons else "ready", "reasons": reasons}, ok=not reasons
        )

    # Last, since one of them lists the routes.
    _add_documents(app, services)
    return app


def create_monitoring_app(services: Services) -> QuartTrio:
    """Make the operators' application: health, statistics and the dashboard's data on a port of their
    own."""
    app = _new_app()
    _guard_routes(app, services.monitoring.check)
    _add_reports(app, services)
    add_pages(app, "dashboard", "/dashboard", vendored=["uplot"])

    @app.get("/")
    async def to_dashboard() -> Response:
        return Response("", status=307, headers={"Location": "dashboard/"})

    @app.get("/dashboard/data")
    async def dashboard_data() -> Response:
        return jsonify(dashboard_report(services))

    @app.get("/dashboard/sessions/<key>")
    async def dashboard_session(key: str) -> Response:
        report = session_report(services, key)
        if report is None:
            raise NotFound("This session is not, or no longer, kept.")
        return jsonify(report)

    return app


def _new_app() -> QuartTrio:
    app = QuartTrio("fasttalk_stt", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BODY_BYTES

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        # An error of the WebSocket's has no request.
        if has_request_context() and is_openai_path(request.path):
            return answer_error(of_http(error.code or 500, error.description or ""), request)
        response = jsonify(status=error.code, message=error.description)
        response.status_code = error.code or 500
        return response

    return app


def _guard_routes(app: QuartTrio, check: Callable[[Request], object]) -> None:
    """Have `check` refuse HTTP requests, unknown paths included; the WebSocket has its own check."""

    @app.before_request
    async def guard() -> Response | None:
        if request.endpoint in OPEN_ENDPOINTS or is_page(request.endpoint):
            return None
        try:
            check(read_request(request))
        except ProtocolError as error:
            if is_openai_path(request.path):
                return answer_error(of_protocol(error), request)
            return refusal(error)
        return None


def _add_cors(app: QuartTrio, gate: Gate) -> None:
    """Let pages of listed origins read the answers, refusals included."""

    @app.before_request
    async def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        try:
            gate.check_origin(read_request(request))
        except ProtocolError as error:
            return refusal(error)
        return Response("", status=204, headers=PREFLIGHT_HEADERS)

    @app.after_request
    async def allow(response: Response) -> Response:
        response.headers.update(gate.cors_headers(read_request(request)))
        return response


def _add_reports(app: QuartTrio, services: Services) -> None:
    @app.get("/health")
    async def health() -> Response:
        return _report(health_report(services), ok=services.readiness.is_ready)

    @app.get("/stats")
    async def stats() -> Response:
        return jsonify(statistics_report(services))

    @app.get("/metrics")
    async def metrics() -> Response:
        page, content_type = metrics_page(services, request.headers.get("Accept", ""))
        return Response(page, content_type=content_type)


def _add_documents(app: QuartTrio, services: Services) -> None:
    """Publish what is spoken here, made once."""
    documents: dict[str, str] = {}

    @app.get("/asyncapi.json")
    async def asyncapi() -> Response:
        return Response(documents["asyncapi"], mimetype="application/json")

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return Response(documents["openapi"], mimetype="application/json")

    routes = (rule.rule for rule in app.url_map.iter_rules() if not rule.websocket)
    documents["asyncapi"] = json.dumps(asyncapi_document(__version__, services.session_defaults))
    documents["openapi"] = json.dumps(openapi_document(__version__, routes))


def _report(body: dict[str, Any], *, ok: bool) -> Response:
    response = jsonify(body)
    response.status_code = 200 if ok else 503
    return response
