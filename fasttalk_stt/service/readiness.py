"""Whether this process can take a new connection, and if not, why.

Loading, ready, draining or failed: the answer of `/health` and `/health/ready`, and asked before
every upgrade. It knows nothing of who sets it; `server` and `asgi` do.
"""

from __future__ import annotations

from enum import Enum

from fasttalk_stt.protocol.errors import SERVICE_UNAVAILABLE, ProtocolError


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
    """Moves forward only: loading, ready, draining; failed ends it from anywhere."""

    def __init__(self) -> None:
        self._state = ReadinessState.LOADING

    @property
    def state(self) -> ReadinessState:
        return self._state

    @property
    def is_ready(self) -> bool:
        return self._state is ReadinessState.READY

    def move(self, target: ReadinessState) -> None:
        """Go to `target`; does nothing where that would be a step back, such as ready again
        because the model finished loading during a drain."""
        if target in _TRANSITIONS[self._state]:
            self._state = target

    def reasons(self) -> list[str]:
        """Why no new connection is taken: plain sentences; none when ready."""
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
