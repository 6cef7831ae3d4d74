"""Errors as OpenAI's API words them, so that its client packages raise their own typed errors.

Pure. `ApiError` is one occurrence; what the rest of the service raises is translated here.
"""

from __future__ import annotations

import math
from typing import Any

from fasttalk_stt.protocol.errors import (
    FORBIDDEN_ORIGIN,
    INVALID_CONFIG,
    RATE_LIMITED,
    UNAUTHORIZED,
    Fault,
    ProtocolError,
)
from fasttalk_stt.transcripts.audio_file import AudioFileError
from fasttalk_stt.transcripts.transcription import TranscriptionFailedError

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"

RETRY_AFTER_S = 5.0
"""Where nobody knows better."""

_BY_CODE = {
    UNAUTHORIZED.code: (401, INVALID_REQUEST, "invalid_api_key"),
    FORBIDDEN_ORIGIN.code: (403, INVALID_REQUEST, FORBIDDEN_ORIGIN.code),
    RATE_LIMITED.code: (429, "requests", "rate_limit_exceeded"),
}
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


class ApiError(Exception):
    """One error to answer with. `retry_after_s` is None where trying again is of no use."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """The answer's JSON; of a stream, the data of its last event."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def headers(self) -> dict[str, str]:
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(math.ceil(self.retry_after_s), 1))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    """A parameter that cannot be used."""
    return ApiError(400, message, param=param, code=code)


def model_not_found(model: str, models: tuple[str, ...]) -> ApiError:
    return ApiError(
        404,
        f"The model {model[:100]!r} does not exist here. This server has {', '.join(models)}.",
        param="model",
        code="model_not_found",
    )


def of_protocol(error: ProtocolError) -> ApiError:
    """What the gate, the readiness and the admission refuse with."""
    known = _BY_CODE.get(error.kind.code)
    if known is None:
        return ApiError(
            503,
            error.message,
            kind=SERVER_ERROR,
            code=error.kind.code,
            retry_after_s=error.retry_after_s or RETRY_AFTER_S,
        )
    status, kind, code = known
    return ApiError(
        status,
        error.message,
        kind=kind,
        code=code,
        retry_after_s=(error.retry_after_s or 1.0) if error.kind.fault is Fault.OVERLOAD else None,
    )


def of_http(status: int, description: str) -> ApiError:
    """What the web framework answers with, such as 404 and 405."""
    kind = INVALID_REQUEST if status < 500 else SERVER_ERROR
    return ApiError(status, description, kind=kind, code=_BY_STATUS.get(status))


def of_audio(error: AudioFileError) -> ApiError:
    return invalid("file", str(error).rstrip(".") + ".")


def of_failure(error: TranscriptionFailedError) -> ApiError:
    """A session that was refused, or of which a part has no text: a text with a hole in it is no use."""
    if error.code == INVALID_CONFIG.code:
        return ApiError(400, str(error), code="invalid_value")
    return ApiError(
        503,
        f"Not all of the recording could be transcribed: {error}",
        kind=SERVER_ERROR,
        code="transcription_failed",
        retry_after_s=RETRY_AFTER_S,
    )
