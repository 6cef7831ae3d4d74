"""Every error a client can be told about, on one page, by whose fault it is.

An `ErrorKind` fixes what never varies for a code: category, severity, whether the client may go on,
and the close code if the connection ends with it. A `ProtocolError` is one occurrence, with a
sentence that says what came, what was expected and what to do. `messages.Error` is its wire form.
"""

from __future__ import annotations

from enum import Enum

from attrs import evolve, frozen


class Category(Enum):
    CONNECTION = "connection"
    AUDIO_FORMAT = "audio_format"
    PROCESSING = "processing"
    GPU = "gpu"
    RESOURCE = "resource"
    TIMEOUT = "timeout"


class Severity(Enum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Fault(Enum):
    """Whose fault an error is. Only the client's own count towards MAX_SESSION_ERRORS."""

    CLIENT = "client"
    SERVER = "server"
    OVERLOAD = "overload"
    SHUTDOWN = "shutdown"


class CloseCode:
    """The WebSocket close codes this service uses (RFC 6455 section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_AGAIN_LATER = 1013


CLOSE_MEANINGS: dict[int, str] = {
    CloseCode.NORMAL: "after the client's own close",
    CloseCode.GOING_AWAY: "the server stops: connect again, which reaches another replica",
    CloseCode.POLICY: "too many errors or messages, a credential that is no longer good, or the session "
    "was taken over by another connection",
    CloseCode.TOO_BIG: "a message over 1 MiB",
    CloseCode.INTERNAL: "a fault of the server",
    CloseCode.TRY_AGAIN_LATER: "the server is full: the connection was let in with `?resume=1` and did not "
    "resume a session",
}
"""What each tells a client; an `error` with the reason comes before those that are not normal."""


@frozen
class ErrorKind:
    """What is fixed for one error code.

    `retry_after_s` is the wait that is suggested when the occurrence names none. `close_code` is
    set where the connection ends with the error.
    """

    code: str
    category: Category
    severity: Severity
    fault: Fault
    recoverable: bool = True
    retry_after_s: float | None = None
    close_code: int | None = None


def _connection(code: str) -> ErrorKind:
    return ErrorKind(code, Category.CONNECTION, Severity.LOW, Fault.CLIENT)


def _refused(code: str) -> ErrorKind:
    return ErrorKind(
        code,
        Category.CONNECTION,
        Severity.CRITICAL,
        Fault.CLIENT,
        recoverable=False,
        close_code=CloseCode.POLICY,
    )


def _overload(code: str, *, retry_after_s: float, close_code: int | None = None) -> ErrorKind:
    return ErrorKind(
        code,
        Category.RESOURCE,
        Severity.MEDIUM,
        Fault.OVERLOAD,
        retry_after_s=retry_after_s,
        close_code=close_code,
    )


INVALID_JSON = _connection("invalid_json")
UNKNOWN_MESSAGE_TYPE = _connection("unknown_message_type")
INVALID_MESSAGE = _connection("invalid_message")
INVALID_CONFIG = _connection("invalid_config")
SESSION_NOT_STARTED = _connection("session_not_started")
SESSION_ALREADY_STARTED = _connection("session_already_started")
AUDIO_PROCESSING_ERROR = ErrorKind(
    "audio_processing_error", Category.AUDIO_FORMAT, Severity.LOW, Fault.CLIENT
)
UNSUPPORTED_AUDIO_FORMAT = ErrorKind(
    "unsupported_audio_format", Category.AUDIO_FORMAT, Severity.LOW, Fault.CLIENT
)
TRANSCRIPTION_FAILED = ErrorKind(
    "transcription_failed",
    Category.PROCESSING,
    Severity.MEDIUM,
    Fault.SERVER,
    retry_after_s=1.0,
)
TRANSCRIPTION_TIMEOUT = ErrorKind(
    "transcription_timeout",
    Category.TIMEOUT,
    Severity.MEDIUM,
    Fault.SERVER,
    retry_after_s=1.0,
)
GPU_MEMORY_EXHAUSTION = ErrorKind(
    "gpu_memory_exhaustion", Category.GPU, Severity.HIGH, Fault.SERVER, retry_after_s=1.0
)
GPU_ERROR = ErrorKind("gpu_error", Category.GPU, Severity.HIGH, Fault.SERVER, retry_after_s=1.0)
SERVICE_UNAVAILABLE = ErrorKind(
    "service_unavailable", Category.PROCESSING, Severity.HIGH, Fault.SERVER, retry_after_s=5.0
)
GPU_UNAVAILABLE = evolve(SERVICE_UNAVAILABLE, category=Category.GPU)
"""The same code: which of the two breakers is open."""
SERVER_FULL = _overload("server_full", retry_after_s=5.0, close_code=CloseCode.TRY_AGAIN_LATER)
RATE_LIMITED = _overload("rate_limited", retry_after_s=1.0)
SESSION_TOO_LONG = _overload("session_too_long", retry_after_s=0.0)
TOO_MANY_ERRORS = _refused("too_many_errors")
UNAUTHORIZED = _refused("unauthorized")
FORBIDDEN_ORIGIN = _refused("forbidden_origin")
INTERNAL_ERROR = ErrorKind(
    "internal_error",
    Category.PROCESSING,
    Severity.CRITICAL,
    Fault.SERVER,
    recoverable=False,
    close_code=CloseCode.INTERNAL,
)
SERVER_DRAINING = ErrorKind(
    "server_draining",
    Category.RESOURCE,
    Severity.MEDIUM,
    Fault.SHUTDOWN,
    retry_after_s=1.0,
    close_code=CloseCode.GOING_AWAY,
)

ERROR_KINDS: dict[str, ErrorKind] = {
    kind.code: kind
    for kind in (
        INVALID_JSON,
        UNKNOWN_MESSAGE_TYPE,
        INVALID_MESSAGE,
        INVALID_CONFIG,
        SESSION_NOT_STARTED,
        SESSION_ALREADY_STARTED,
        AUDIO_PROCESSING_ERROR,
        UNSUPPORTED_AUDIO_FORMAT,
        TRANSCRIPTION_FAILED,
        TRANSCRIPTION_TIMEOUT,
        GPU_MEMORY_EXHAUSTION,
        GPU_ERROR,
        SERVICE_UNAVAILABLE,
        SERVER_FULL,
        RATE_LIMITED,
        SESSION_TOO_LONG,
        TOO_MANY_ERRORS,
        UNAUTHORIZED,
        FORBIDDEN_ORIGIN,
        INTERNAL_ERROR,
        SERVER_DRAINING,
    )
}
"""Every code of the protocol; `messages.Error.code` is always one of these keys."""


class ProtocolError(Exception):
    """One error to tell the client about.

    `message` is for the client's engineer: what came, what was expected, what to do. It never
    holds a traceback or another exception's text.
    """

    def __init__(
        self, kind: ErrorKind, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = kind.retry_after_s if retry_after_s is None else retry_after_s
