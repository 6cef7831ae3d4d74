"""Every refusal of the service has a place among OpenAI's errors."""

from __future__ import annotations

import pytest

from fasttalk_stt.protocol.errors import (
    ERROR_KINDS,
    FORBIDDEN_ORIGIN,
    RATE_LIMITED,
    SERVER_DRAINING,
    SERVER_FULL,
    UNAUTHORIZED,
    ProtocolError,
)
from fasttalk_stt.service.openai.errors import of_failure, of_http, of_protocol
from fasttalk_stt.transcripts.transcription import TranscriptionFailedError


@pytest.mark.parametrize(
    ("kind", "status", "code", "headers"),
    [
        (UNAUTHORIZED, 401, "invalid_api_key", {"WWW-Authenticate": "Bearer"}),
        (FORBIDDEN_ORIGIN, 403, "forbidden_origin", {}),
        (RATE_LIMITED, 429, "rate_limit_exceeded", {"Retry-After": "3"}),
        (SERVER_FULL, 503, "server_full", {"Retry-After": "3"}),
        (SERVER_DRAINING, 503, "server_draining", {"Retry-After": "3"}),
    ],
)
def test_what_gate_and_admission_refuse_with(kind, status, code, headers):
    error = of_protocol(
        ProtocolError(kind, "No.", retry_after_s=2.1 if "Retry-After" in headers else None)
    )
    assert (error.status, error.code, error.headers()) == (status, code, headers)
    assert error.body()["error"]["message"] == "No."
    assert set(error.body()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("kind", ERROR_KINDS.values(), ids=ERROR_KINDS)
def test_every_kind_has_a_status_and_says_when_to_come_again(kind):
    error = of_protocol(ProtocolError(kind, "No."))
    assert error.status in {401, 403, 429, 503}
    assert ("Retry-After" in error.headers()) is (error.status in {429, 503})


def test_the_framework_s_own():
    assert of_http(404, "nothing here").body()["error"]["type"] == "invalid_request_error"
    assert of_http(404, "nothing here").code == "not_found"
    assert of_http(500, "oh").body()["error"]["type"] == "server_error"


def test_sessions_that_fail():
    assert of_failure(TranscriptionFailedError("a: no", "invalid_config")).status == 400
    broken = of_failure(TranscriptionFailedError("a: no", "gpu_error"))
    assert (broken.status, broken.headers()) == (503, {"Retry-After": "5"})
