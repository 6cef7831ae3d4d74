"""Several observers as one, whose faults stay with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from fasttalk_stt.protocol.server_messages import ServerMessage
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    EndReason,
    RequestReport,
    SessionFigures,
    SessionInfo,
    Telemetry,
)

_log = structlog.get_logger(__name__)


class Fanout(Telemetry):
    """Reports to `observers` in their order. What one of them raises is counted in `faults`, the first
    one logged, and the others are told all the same."""

    def __init__(self, observers: Sequence[Telemetry]) -> None:
        self._observers = tuple(observers)
        self.faults = 0

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        listening = []
        for observer in self._observers:
            try:
                listening.append(observer.connection(kind, principal))
            except Exception as error:  # noqa: BLE001 - an observer's fault is not the pipeline's
                self.fail(error)
        return _ConnectionFanout(listening, self.fail)

    def refused(self, code: str, kind: str | None) -> None:
        self._tell(lambda observer: observer.refused(code, kind))

    def request_done(self, report: RequestReport) -> None:
        self._tell(lambda observer: observer.request_done(report))

    def batch_done(self, n_requests: int, took_s: float) -> None:
        self._tell(lambda observer: observer.batch_done(n_requests, took_s))

    def retried(self) -> None:
        self._tell(lambda observer: observer.retried())

    def breaker_moved(self, breaker: str, state: str) -> None:
        self._tell(lambda observer: observer.breaker_moved(breaker, state))

    def loop_lagged(self, lag_s: float) -> None:
        self._tell(lambda observer: observer.loop_lagged(lag_s))

    def fail(self, error: Exception) -> None:
        """Note what an observer raised."""
        self.faults += 1
        if self.faults == 1:
            _log.error("an observer failed; metrics may be incomplete", exc_info=error)

    def _tell(self, tell: Callable[[Telemetry], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception as error:  # noqa: BLE001 - an observer's fault is not the pipeline's
                self.fail(error)


class _ConnectionFanout(ConnectionTelemetry):
    """The methods of a frame's way are written out: a closure for each frame would double their cost."""

    def __init__(
        self, listening: Sequence[ConnectionTelemetry], fail: Callable[[Exception], None]
    ) -> None:
        self._listening = tuple(listening)
        self._fail = fail
        self._of_frames = _overriding("frame_received", listening)
        self._of_hearing = _overriding("frame_heard", listening)
        self._of_voice = _overriding("voice_judged", listening)

    def frame_received(self, n_bytes: int, audio_s: float) -> None:
        for listener in self._of_frames:
            try:
                listener.frame_received(n_bytes, audio_s)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(error)

    def frame_heard(self, took_s: float) -> None:
        for listener in self._of_hearing:
            try:
                listener.frame_heard(took_s)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(error)

    def voice_judged(self, took_s: float) -> None:
        for listener in self._of_voice:
            try:
                listener.voice_judged(took_s)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(error)

    def text_received(self, n_bytes: int) -> None:
        self._tell(lambda listener: listener.text_received(n_bytes))

    def text_dropped(self) -> None:
        self._tell(lambda listener: listener.text_dropped())

    def held_back(self, hold_s: float) -> None:
        self._tell(lambda listener: listener.held_back(hold_s))

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        self._tell(lambda listener: listener.session_started(info, figures))

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        self._tell(lambda listener: listener.session_ended(session_id, reason, figures))

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        self._tell(
            lambda listener: listener.message_sent(
                message, n_bytes, took_s, since_speech_s=since_speech_s
            )
        )

    def closed(self, code: int | None) -> None:
        self._tell(lambda listener: listener.closed(code))

    def _tell(self, tell: Callable[[ConnectionTelemetry], None]) -> None:
        for listener in self._listening:
            try:
                tell(listener)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(error)


def _overriding(
    method: str, listening: Sequence[ConnectionTelemetry]
) -> tuple[ConnectionTelemetry, ...]:
    """Those who want to know: the others need not be called for each frame."""
    nothing = getattr(ConnectionTelemetry, method)
    return tuple(each for each in listening if getattr(type(each), method) is not nothing)
