"""Whether this process can take a new connection, and if not, why.

Loading, ready, draining or failed: the answer of `/health` and `/health/ready`, and asked before
every upgrade. It knows nothing of who sets it; `server` and `asgi` do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from fasttalk_stt.protocol.errors import SERVICE_UNAVAILABLE, ProtocolError
from fasttalk_stt.service.engine_health import Trouble


class ReadinessState(Enum):
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


LOADING_RETRY_S = 10.0
"""Importing the model library takes 6 to 14 s, loading and warming a model a few more."""

_TRANSITIONS = {
    ReadinessState.LOADING: {
        ReadinessState.READY,
        ReadinessState.DRAINING,
        ReadinessState.FAILED,
    },
    ReadinessState.READY: {ReadinessState.DRAINING, ReadinessState.FAILED},
    ReadinessState.DRAINING: {ReadinessState.FAILED},
    ReadinessState.FAILED: set(),
}


class Readiness:
    """Moves forward only: loading, ready, draining; failed ends it from anywhere. `trouble` tells what keeps
    a model that is loaded from serving for the moment."""

    def __init__(self, trouble: Callable[[], Trouble | None] = lambda: None) -> None:
        self._state = ReadinessState.LOADING
        self._trouble = trouble

    @property
    def state(self) -> ReadinessState:
        return self._state

    @property
    def is_ready(self) -> bool:
        return self._state is ReadinessState.READY and self._trouble() is None

    def move(self, target: ReadinessState) -> None:
        """Go to `target`; does nothing where that would be a step back, such as ready again
        because the model finished loading during a drain."""
        if target in _TRANSITIONS[self._state]:
            self._state = target

    def reasons(self) -> list[str]:
        """Why no new connection is taken: plain sentences; none when ready."""
        trouble = self._trouble()
        if self._state is ReadinessState.READY and trouble is not None:
            return [trouble.reason]
        return {
            ReadinessState.LOADING: ["the model is still loading"],
            ReadinessState.READY: [],
            ReadinessState.DRAINING: ["the server is shutting down"],
            ReadinessState.FAILED: ["the model has failed; the server must be restarted"],
        }[self._state]

    def check_model(self) -> None:
        """Raises ProtocolError (`service_unavailable`) when the model cannot serve."""
        if self._state is ReadinessState.LOADING:
            raise ProtocolError(
                SERVICE_UNAVAILABLE,
                "The model is still loading: connect again in a few seconds.",
                retry_after_s=LOADING_RETRY_S,
            )
        if self._state is ReadinessState.FAILED:
            raise ProtocolError(
                SERVICE_UNAVAILABLE,
                "The model has failed and this server is about to restart: "
                "connect to another replica, or again later.",
                retry_after_s=LOADING_RETRY_S,
            )
        trouble = self._trouble()
        if trouble is not None:
            raise ProtocolError(
                SERVICE_UNAVAILABLE,
                f"The server cannot serve for the moment: {trouble.reason}. Connect to another "
                "replica, or again later.",
                retry_after_s=trouble.retry_after_s,
            )
