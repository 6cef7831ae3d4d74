"""What happens to sessions, in the log: one line an event, with the ids to find them by.

Beginnings and ends are `info`; what happens in between is `debug`. What people said stands in it only with
LOG_TRANSCRIPTS, and then as `info`, since that is what the operator has asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import structlog

from fasttalk_stt.protocol.server_messages import (
    EagerRetracted,
    Error,
    InterruptAcknowledged,
    ServerMessage,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    EndReason,
    SessionFigures,
    SessionInfo,
    Telemetry,
)

_log = structlog.get_logger(__name__)


class Journal(Telemetry):
    """Logs for every connection; with `transcripts` the texts, too."""

    def __init__(self, *, transcripts: bool = False) -> None:
        self._transcripts = transcripts

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return _ConnectionJournal(transcripts=self._transcripts)

    def breaker_moved(self, breaker: str, state: str) -> None:
        _log.warning("breaker_moved", breaker=breaker, state=state)


class _ConnectionJournal(ConnectionTelemetry):
    def __init__(self, *, transcripts: bool) -> None:
        self._transcripts = transcripts
        self._log = _log

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        ids = {
            "session_id": info.session_id,
            "conversation_id": info.conversation_id,
            "user_id": info.user_id,
        }
        self._log = _log.bind(**{name: value for name, value in ids.items() if value is not None})
        self._log.info("session_started", start=info.start)

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        self._log.info(
            "session_ended",
            reason=reason,
            real_time_factor=round(figures.real_time_factor, 3),
            **attrs.asdict(figures.account),
        )
        self._log = _log

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        match message:
            case Transcription(data=data):
                figures = {
                    "utterance": data.utterance,
                    "reason": data.metadata.reason,
                    "audio_start_ms": data.metadata.audio_start_ms,
                    "audio_duration_ms": data.audio_duration_ms,
                    "latency_ms": data.metadata.latency_ms,
                }
                if self._transcripts:
                    self._log.info("transcription", **figures, text=data.text)
                else:
                    self._log.debug("transcription", **figures)
            case Error(error=error):
                # A careless client can make thousands of those that are its own.
                tell = self._log.debug if error.severity == "low" else self._log.info
                tell("error", code=error.code, recoverable=error.recoverable)
            case VoiceActivityDetected(data=onset):
                self._log.debug("onset", utterance=onset.utterance, barge_in=onset.barge_in)
            case VoiceActivityRejected(data=rejection):
                self._log.debug("rejection", utterance=rejection.utterance, reason=rejection.reason)
            case EagerRetracted(data=retraction):
                self._log.debug(
                    "retraction", utterance=retraction.utterance, reason=retraction.reason
                )
            case InterruptAcknowledged(data=interrupted):
                self._log.debug("interrupt", cancelled_segments=interrupted.cancelled_segments)
