"""What can go wrong for a client, as exceptions with the protocol's code.

Three kinds: the connection (`ConnectError`, `RefusedError`, `DisconnectedError`), the session
(`SessionRefusedError`, `SessionOverError`), and what the server reports inside a session
(`ServiceError` and its children). `recoverable` says whether trying again can help.
"""

from __future__ import annotations

from typing import TypeVar

from fasttalk_stt.protocol.errors import CloseCode
from fasttalk_stt.protocol.server_messages import ErrorDetail

E = TypeVar("E", bound="ServiceError")


class SttError(Exception):
    """Any failure of this library's own making or telling.

    `code` is the protocol's word for it, `retry_after_s` how long the server asked to wait (None:
    it did not). `is_busy`: the server is well and has no room now, so no try was wasted on it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        recoverable: bool = False,
        retry_after_s: float | None = None,
        is_busy: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.recoverable = recoverable
        self.retry_after_s = retry_after_s
        self.is_busy = is_busy


class ConnectError(SttError):
    """No connection came about: no such host, nobody listens, no answer in time, no WebSocket."""

    def __init__(self, message: str, *, recoverable: bool = True) -> None:
        super().__init__(message, code="connection_failed", recoverable=recoverable)


class CredentialsError(ConnectError):
    """The function that is asked for a token failed; `__cause__` is what it raised.

    It says nothing of any server. It may do better the next time, so it is asked again.
    """


class RefusedError(SttError):
    """The server answered the upgrade with another HTTP status than 101."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "connection_refused",
        retry_after_s: float | None = None,
    ) -> None:
        is_busy = status in (429, 503)
        super().__init__(
            message,
            code=code,
            # A 5xx may come from a proxy whose server is just restarting.
            recoverable=is_busy or status >= 500,
            retry_after_s=retry_after_s,
            is_busy=is_busy,
        )
        self.status = status


class UnauthorizedError(RefusedError):
    """401: no credentials, or bad ones."""


class ForbiddenError(RefusedError):
    """403: the origin, or this principal, is not allowed."""


class BusyError(RefusedError):
    """429 or 503: too many connections, server full, draining, or its model not ready."""


_REFUSALS = {401: UnauthorizedError, 403: ForbiddenError, 429: BusyError, 503: BusyError}


def refused(
    message: str, *, status: int, code: str | None, retry_after_s: float | None
) -> RefusedError:
    """The error of a refused upgrade, by its status."""
    kind = _REFUSALS.get(status, RefusedError)
    return kind(
        message, status=status, code=code or "connection_refused", retry_after_s=retry_after_s
    )


_FINAL_CLOSE_CODES = frozenset({CloseCode.NORMAL, 1003, CloseCode.POLICY, CloseCode.TOO_BIG})


class DisconnectedError(SttError):
    """The connection ended without our doing.

    `close_code` is None where it broke off or fell silent. 1000 and the codes by which a server
    refuses us (1003, 1008, 1009) would only be repeated, so they are not recoverable. 1008 is what
    the older of two connections with one session id gets: another client took it over. With the
    `reason` "unauthorized" it says that the token has expired or is withdrawn: recoverable where a
    function `renews` it, which is asked for the next connection; a bad one is refused then.
    """

    def __init__(
        self, message: str, *, close_code: int | None = None, reason: str = "", renews: bool = False
    ) -> None:
        self.close_code = close_code
        self.reason = reason
        super().__init__(
            message,
            code="websocket_disconnected",
            recoverable=close_code not in _FINAL_CLOSE_CODES or (self.is_expiry and renews),
        )

    @property
    def is_expiry(self) -> bool:
        """Whether it was the credentials' end, and no fault of the server's."""
        return self.close_code == CloseCode.POLICY and self.reason == "unauthorized"


class ProtocolViolationError(SttError):
    """The server said something that is not this protocol; probably its version is another."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="protocol_violation")


class SessionOverError(SttError):
    """Something was asked of a session that has ended."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="session_over")


class PoolExhaustedError(SttError):
    """Every connection of the pool is in use and none came back in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="pool_exhausted", recoverable=True)


class ServiceError(SttError):
    """An `error` message of the server. Its session goes on unless `recoverable` is false."""


class TranscriptionTimeoutError(ServiceError):
    """`transcription_timeout`: a segment was skipped; the session goes on."""


class TranscriptionFailedError(ServiceError):
    """`transcription_failed`: a segment has no text; the session goes on."""


class GpuMemoryExhaustionError(ServiceError):
    """`gpu_memory_exhaustion`: the model did not fit; the server falls back to a smaller one."""


class GpuError(ServiceError):
    """`gpu_error`: the GPU failed on a segment."""


class ServiceUnavailableError(ServiceError):
    """`service_unavailable`: a circuit breaker is open; audio is discarded until it closes."""


class SessionRefusedError(ServiceError):
    """`start_session` was answered by an error: no session began."""


_SERVICE_ERRORS: dict[str, type[ServiceError]] = {
    "transcription_timeout": TranscriptionTimeoutError,
    "transcription_failed": TranscriptionFailedError,
    "gpu_memory_exhaustion": GpuMemoryExhaustionError,
    "gpu_error": GpuError,
    "service_unavailable": ServiceUnavailableError,
}
_BUSY_CODES = frozenset({"server_full", "server_draining", "rate_limited", "service_unavailable"})


def service_error(detail: ErrorDetail) -> ServiceError:
    """The exception for an `error` message inside a session."""
    return _of_detail(_SERVICE_ERRORS.get(detail.code, ServiceError), detail)


def session_refused(detail: ErrorDetail) -> SessionRefusedError:
    """The exception for an `error` that answers a `start_session`.

    Only a lack of room is worth another try: a bad configuration stays one.
    """
    error = _of_detail(SessionRefusedError, detail)
    error.is_busy = detail.code in _BUSY_CODES
    error.recoverable = error.is_busy or detail.code == "internal_error"
    return error


def _of_detail(kind: type[E], detail: ErrorDetail) -> E:
    return kind(
        f"{detail.code}: {detail.message}",
        code=detail.code,
        recoverable=detail.recoverable,
        retry_after_s=detail.retry_after,
    )
