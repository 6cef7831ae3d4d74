"""Reads what the gates want to know from the web framework's request, and answers a refusal."""

from __future__ import annotations

import math

import attrs
from quart import Response, jsonify
from quart.wrappers import Request as HttpRequest
from quart.wrappers import Websocket

from fasttalk_stt.access.carriers import Request
from fasttalk_stt.protocol.codec import error_message
from fasttalk_stt.protocol.errors import (
    FORBIDDEN_ORIGIN,
    RATE_LIMITED,
    UNAUTHORIZED,
    ProtocolError,
)

_STATUSES = {UNAUTHORIZED.code: 401, FORBIDDEN_ORIGIN.code: 403, RATE_LIMITED.code: 429}


def read_request(asked: HttpRequest | Websocket) -> Request:
    """Read who asks. Only an upgrade may carry its credential in a subprotocol or the address."""
    headers = asked.headers
    client = asked.scope.get("client")
    upgrade = asked if isinstance(asked, Websocket) else None
    return Request(
        # Not the header of that name: anybody can send one.
        peer=client[0] if client else None,
        authorization=tuple(headers.getlist("Authorization")),
        subprotocols=() if upgrade is None else tuple(upgrade.requested_subprotocols),
        query_tokens=() if upgrade is None else tuple(upgrade.args.getlist("token")),
        origins=tuple(headers.getlist("Origin")),
        forwarded_for=tuple(headers.getlist("X-Forwarded-For")),
    )


def refusal(error: ProtocolError) -> Response:
    """Answer a request with the error that a connection would have sent: 401, 403, 429 or 503."""
    response = jsonify(type="error", error=attrs.asdict(error_message(error).error))
    response.status_code = _STATUSES.get(error.kind.code, 503)
    if response.status_code in {429, 503}:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s or 1.0))
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
