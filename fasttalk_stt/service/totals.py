"""What was counted since the start: one set of numbers that `/metrics` and the dashboard both show.

Plain numbers, so that a frame costs next to nothing. Every label is of a closed set and there from the
start, at zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from attrs import define, field

from fasttalk_stt.protocol.errors import ERROR_KINDS, RATE_LIMITED, CloseCode
from fasttalk_stt.protocol.server_messages import (
    Error,
    InterruptAcknowledged,
    RejectionReason,
    SegmentReason,
    ServerMessage,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.telemetry.telemetry import (
    BREAKER_STATES,
    BREAKERS,
    END_REASONS,
    PRINCIPAL_KINDS,
    REQUEST_KINDS,
    REQUEST_OUTCOMES,
    ConnectionTelemetry,
    EndReason,
    RequestReport,
    SessionFigures,
    SessionInfo,
    SessionStart,
    Telemetry,
)

CLIENT_LEFT = "none"
"""Instead of a close code of ours."""
CLOSE_CODES = (
    CLIENT_LEFT,
    str(CloseCode.NORMAL),
    str(CloseCode.GOING_AWAY),
    str(CloseCode.POLICY),
    str(CloseCode.INTERNAL),
    str(CloseCode.TRY_AGAIN_LATER),
)
"""1009 (a message too big) is sent by the web server's guard, which counts it itself."""
AUDIO_OUTCOMES = ("transcribed", "silence", "discarded", "unsettled")


def _zeros(labels: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(labels, 0)


def _seconds(labels: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(labels, 0.0)


@define
class Totals(Telemetry):
    """Audio in seconds, bytes of payloads. `audio_by_outcome_s` is that of sessions that are over."""

    frames: int = 0
    audio_s: float = 0.0
    frame_bytes: int = 0
    text_messages: int = 0
    text_bytes: int = 0
    sent_bytes: int = 0
    words: int = 0
    onsets: int = 0
    interrupts: int = 0
    cancelled_segments: int = 0
    retries: int = 0
    compute_s: float = 0.0
    """Without what recordings took, whose audio is in no stream."""
    messages_sent: dict[str, int] = field(
        factory=lambda: _zeros(each.type for each in get_args(ServerMessage))
    )
    transcriptions: dict[str, int] = field(factory=lambda: _zeros(get_args(SegmentReason)))
    rejections: dict[str, int] = field(factory=lambda: _zeros(get_args(RejectionReason)))
    errors: dict[str, int] = field(factory=lambda: _zeros(ERROR_KINDS))
    refusals: dict[str, int] = field(factory=lambda: _zeros(ERROR_KINDS))
    closed: dict[str, int] = field(factory=lambda: _zeros(CLOSE_CODES))
    sessions_started: dict[SessionStart, int] = field(
        factory=lambda: dict.fromkeys(get_args(SessionStart), 0)
    )
    sessions_ended: dict[str, int] = field(factory=lambda: _zeros(END_REASONS))
    audio_by_outcome_s: dict[str, float] = field(factory=lambda: _seconds(AUDIO_OUTCOMES))
    requests: dict[tuple[str, str], int] = field(
        factory=lambda: {(kind, end): 0 for kind in REQUEST_KINDS for end in REQUEST_OUTCOMES}
    )
    breaker_moves: dict[tuple[str, str], int] = field(
        factory=lambda: {(name, state): 0 for name in BREAKERS for state in BREAKER_STATES}
    )
    connections_over_rate: dict[str, int] = field(factory=lambda: _zeros(PRINCIPAL_KINDS))
    messages_over_rate: dict[str, int] = field(factory=lambda: _zeros(PRINCIPAL_KINDS))
    held_back_s: dict[str, float] = field(factory=lambda: _seconds(PRINCIPAL_KINDS))

    @property
    def received_bytes(self) -> int:
        return self.frame_bytes + self.text_bytes

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return _Counting(self, kind)

    def refused(self, code: str, kind: str | None) -> None:
        self.refusals[code] += 1
        if code == RATE_LIMITED.code and kind is not None:
            self.connections_over_rate[kind] += 1

    def request_done(self, report: RequestReport) -> None:
        self.requests[report.kind, report.outcome] += 1
        if report.kind != "recording":
            self.compute_s += report.compute_s or 0.0

    def retried(self) -> None:
        self.retries += 1

    def breaker_moved(self, breaker: str, state: str) -> None:
        self.breaker_moves[breaker, state] += 1


class _Counting(ConnectionTelemetry):
    """Counts what one connection of a principal of that kind reports."""

    __slots__ = ("_kind", "_totals")

    def __init__(self, totals: Totals, kind: str) -> None:
        self._totals = totals
        self._kind = kind

    def frame_received(self, n_bytes: int, audio_s: float) -> None:
        totals = self._totals
        totals.frames += 1
        totals.frame_bytes += n_bytes
        totals.audio_s += audio_s

    def text_received(self, n_bytes: int) -> None:
        self._totals.text_messages += 1
        self._totals.text_bytes += n_bytes

    def text_dropped(self) -> None:
        self._totals.messages_over_rate[self._kind] += 1

    def held_back(self, hold_s: float) -> None:
        self._totals.held_back_s[self._kind] += hold_s

    def session_started(self, info: SessionInfo, figures: object) -> None:
        self._totals.sessions_started[info.start] += 1

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        self._totals.sessions_ended[reason] += 1
        for outcome in AUDIO_OUTCOMES:
            ms = getattr(figures.account, f"{outcome}_ms")
            self._totals.audio_by_outcome_s[outcome] += ms / 1000

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        totals = self._totals
        totals.messages_sent[message.type] += 1
        totals.sent_bytes += n_bytes
        match message:
            case Transcription(data=data):
                totals.transcriptions[data.metadata.reason] += 1
                totals.words += len(data.text.split())
            case VoiceActivityDetected():
                totals.onsets += 1
            case VoiceActivityRejected(data=data):
                totals.rejections[data.reason] += 1
            case InterruptAcknowledged(data=data):
                totals.interrupts += 1
                totals.cancelled_segments += data.cancelled_segments
            case Error(error=error):
                totals.errors[error.code] += 1

    def closed(self, code: int | None) -> None:
        self._totals.closed[CLIENT_LEFT if code is None else str(code)] += 1
