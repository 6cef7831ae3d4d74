"""The states of one connection and the transitions between them.

The rules: a connection is `active` once accepted; an open utterance makes it `buffering`; an
outstanding transcription request makes it `processing`, which wins over `buffering`; the first
fault of ours makes it `error`, the first wish to close `disconnecting`, and from there only the
end remains. Any other transition is a bug in this service and raises.
"""

from __future__ import annotations

from enum import Enum


class ConnectionState(Enum):
    CONNECTING = "connecting"
    ACTIVE = "active"
    BUFFERING = "buffering"
    PROCESSING = "processing"
    DISCONNECTING = "disconnecting"
    ERROR = "error"


class Transition(Enum):
    """What happens to a connection, as named events of the table below."""

    ACCEPT = "accept"
    OPEN_UTTERANCE = "open_utterance"
    CLOSE_UTTERANCE = "close_utterance"
    START_REQUEST = "start_request"
    FINISH_REQUESTS = "finish_requests"
    FINISH_REQUESTS_WHILE_SPEAKING = "finish_requests_while_speaking"
    DISCONNECT = "disconnect"
    FAIL = "fail"


_S = ConnectionState
_T = Transition

TRANSITIONS: dict[tuple[ConnectionState, Transition], ConnectionState] = {
    (_S.CONNECTING, _T.ACCEPT): _S.ACTIVE,
    (_S.ACTIVE, _T.OPEN_UTTERANCE): _S.BUFFERING,
    (_S.ACTIVE, _T.START_REQUEST): _S.PROCESSING,
    (_S.BUFFERING, _T.CLOSE_UTTERANCE): _S.ACTIVE,
    (_S.BUFFERING, _T.START_REQUEST): _S.PROCESSING,
    (_S.PROCESSING, _T.FINISH_REQUESTS): _S.ACTIVE,
    (_S.PROCESSING, _T.FINISH_REQUESTS_WHILE_SPEAKING): _S.BUFFERING,
    (_S.CONNECTING, _T.DISCONNECT): _S.DISCONNECTING,
    (_S.ACTIVE, _T.DISCONNECT): _S.DISCONNECTING,
    (_S.BUFFERING, _T.DISCONNECT): _S.DISCONNECTING,
    (_S.PROCESSING, _T.DISCONNECT): _S.DISCONNECTING,
    (_S.CONNECTING, _T.FAIL): _S.ERROR,
    (_S.ACTIVE, _T.FAIL): _S.ERROR,
    (_S.BUFFERING, _T.FAIL): _S.ERROR,
    (_S.PROCESSING, _T.FAIL): _S.ERROR,
    (_S.DISCONNECTING, _T.FAIL): _S.ERROR,
}

_SERVING = frozenset({_S.ACTIVE, _S.BUFFERING, _S.PROCESSING})


class IllegalTransitionError(RuntimeError):
    """A transition the table does not know: a bug in this service."""


class StateMachine:
    """Holds one connection's state and admits only the transitions of the table."""

    def __init__(self) -> None:
        self._state = ConnectionState.CONNECTING

    @property
    def state(self) -> ConnectionState:
        return self._state

    def apply(self, transition: Transition) -> None:
        """Go where the table says; raises IllegalTransitionError where it says nothing."""
        try:
            self._state = TRANSITIONS[self._state, transition]
        except KeyError:
            raise IllegalTransitionError(
                f"no transition {transition.value!r} from state {self._state.value!r}"
            ) from None

    def observe(self, *, utterance_open: bool, requests_outstanding: bool) -> None:
        """Move a serving connection to the state that these two facts call for.

        Does nothing before the accept and once the connection is on its way out.
        """
        if self._state not in _SERVING:
            return
        idle = _S.BUFFERING if utterance_open else _S.ACTIVE
        target = _S.PROCESSING if requests_outstanding else idle
        if target is self._state:
            return
        if target is _S.PROCESSING:
            self.apply(_T.START_REQUEST)
        elif self._state is _S.PROCESSING:
            self.apply(_T.FINISH_REQUESTS_WHILE_SPEAKING if utterance_open else _T.FINISH_REQUESTS)
        else:
            self.apply(_T.OPEN_UTTERANCE if utterance_open else _T.CLOSE_UTTERANCE)
