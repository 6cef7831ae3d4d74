"""The latest sessions with what happened in them, for the dashboard's drill-down.

Bounded in sessions and in events of each. What was said is kept only where the operator wants it.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import asdict, define, field, frozen

from fasttalk_stt.protocol.server_messages import (
    Error,
    InterruptAcknowledged,
    ServerMessage,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.protocol.stamps import rfc3339
from fasttalk_stt.service.latencies import is_waited_for, percentiles
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    EndReason,
    SessionFigures,
    SessionInfo,
    Telemetry,
)

MOST_SESSIONS = 100
MOST_EVENTS = 200
"""Of one session, some 400 bytes each: 8 MB for all where every session is long."""
MOST_LATENCIES = 200
"""The latest of one session in its percentiles; sorting those of all sessions takes 2 ms."""

EventKind = Literal["transcription", "onset", "rejection", "error", "interrupt", "started", "ended"]


@frozen
class Event:
    """Something that happened in a session; what does not apply to its kind is None."""

    at_s: float
    kind: EventKind
    utterance: int | None = None
    audio_start_ms: int | None = None
    audio_duration_ms: int | None = None
    reason: str | None = None
    latency_ms: float | None = None
    compute_ms: float | None = None
    words: int | None = None
    code: str | None = None
    text: str | None = None


@define(eq=False)
class SessionRecord:
    """One session. `began_s` and `ended_s` are Unix time; `figures` is asked while it is live."""

    info: SessionInfo
    principal: str
    began_s: float
    figures: Callable[[], SessionFigures]
    key: str = field(factory=lambda: secrets.token_urlsafe(12))
    ended_s: float | None = None
    reason: EndReason | None = None
    transcriptions: int = 0
    errors: int = 0
    onsets: int = 0
    rejections: int = 0
    latencies_ms: deque[float] = field(factory=lambda: deque(maxlen=MOST_LATENCIES))
    events: deque[Event] = field(factory=lambda: deque(maxlen=MOST_EVENTS))

    @property
    def is_live(self) -> bool:
        return self.ended_s is None

    def summary(self) -> dict[str, Any]:
        """A line of the list of sessions."""
        figures = self.figures()
        p50_ms, p95_ms = percentiles(self.latencies_ms, 0.5, 0.95)
        return {
            "key": self.key,
            "session_id": self.info.session_id,
            "conversation_id": self.info.conversation_id,
            "user_id": self.info.user_id,
            "principal": self.principal,
            "state": "live" if self.is_live else "ended",
            "started_at": _stamp(self.began_s),
            "ended_at": None if self.ended_s is None else _stamp(self.ended_s),
            "reason": self.reason,
            "audio_s": round(figures.audio_s, 3),
            "transcriptions": self.transcriptions,
            "errors": self.errors,
            "onsets": self.onsets,
            "rejections": self.rejections,
            "latency_p50_ms": p50_ms,
            "latency_p95_ms": p95_ms,
            "real_time_factor": figures.real_time_factor if figures.audio_s else None,
        }

    def details(self) -> dict[str, Any]:
        """All that is known of it."""
        account = self.figures().account
        return {
            **self.summary(),
            "account": {
                "received_ms": account.received_ms,
                "transcribed_ms": account.transcribed_ms,
                "silence_ms": account.silence_ms,
                "discarded_ms": account.discarded_ms,
            },
            "events": [asdict(event, recurse=False) for event in self.events],
        }


class SessionLog(Telemetry):
    """Keeps at most `limit` sessions, live ones rather than ended ones. `clock` is Unix time."""

    def __init__(
        self, *, transcripts: bool, clock: Callable[[], float], limit: int = MOST_SESSIONS
    ) -> None:
        self.transcripts = transcripts
        self.clock = clock
        self._limit = limit
        self._records: dict[str, SessionRecord] = {}

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return _Logging(self, principal)

    def add(self, record: SessionRecord) -> None:
        """Keep a session that has begun, in the place of the oldest one if need be."""
        self._records[record.key] = record
        if len(self._records) > self._limit:
            ended = (each for each in self._records.values() if not each.is_live)
            del self._records[next(ended, next(iter(self._records.values()))).key]

    def get(self, key: str) -> SessionRecord | None:
        """The session of that key, if it is still kept."""
        return self._records.get(key)

    def keeps(self, record: SessionRecord) -> bool:
        return record.key in self._records

    def summaries(self) -> list[dict[str, Any]]:
        """Live sessions before ended ones, each newest first."""
        newest_first = list(reversed(self._records.values()))
        return [each.summary() for each in sorted(newest_first, key=lambda each: not each.is_live)]


class _Logging(ConnectionTelemetry):
    """Writes down what one connection reports of its sessions, which follow each other."""

    def __init__(self, log: SessionLog, principal: str) -> None:
        self._log = log
        self._principal = principal
        self._record: SessionRecord | None = None

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        self._record = record = SessionRecord(info, self._principal, self._log.clock(), figures)
        self._log.add(record)
        self._note("started", reason=info.start)

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        record = self._record
        if record is not None:
            self._note("ended", reason=reason)
            record.ended_s, record.reason = self._log.clock(), reason
            # The session itself, with its audio, is let go.
            record.figures = lambda: figures
            self._record = None

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        record = self._record
        if record is None:
            return
        match message:
            case Transcription(data=data):
                record.transcriptions += 1
                if is_waited_for(data.metadata.reason):
                    record.latencies_ms.append(data.metadata.latency_ms)
                self._note(
                    "transcription",
                    utterance=data.utterance,
                    audio_start_ms=data.metadata.audio_start_ms,
                    audio_duration_ms=data.audio_duration_ms,
                    reason=data.metadata.reason,
                    latency_ms=data.metadata.latency_ms,
                    compute_ms=data.metadata.compute_ms,
                    words=len(data.text.split()),
                    text=self._said(data.text),
                )
            case VoiceActivityDetected(data=onset):
                record.onsets += 1
                self._note("onset", utterance=onset.utterance, audio_start_ms=onset.audio_start_ms)
            case VoiceActivityRejected(data=rejected):
                record.rejections += 1
                self._note(
                    "rejection",
                    utterance=rejected.utterance,
                    audio_start_ms=rejected.audio_start_ms,
                    reason=rejected.reason,
                    text=self._said(rejected.text),
                )
            case Error(error=error):
                record.errors += 1
                self._note("error", code=error.code)
            case InterruptAcknowledged():
                self._note("interrupt")

    def _note(self, kind: EventKind, **details: Any) -> None:
        record = self._record
        # One that had to go although it is live costs nothing more.
        if record is not None and self._log.keeps(record):
            at_s = round(self._log.clock() - record.began_s, 3)
            record.events.append(Event(at_s, kind, **details))

    def _said(self, text: str | None) -> str | None:
        return text if self._log.transcripts else None


def _stamp(at_s: float) -> str:
    return rfc3339(datetime.fromtimestamp(at_s, UTC))
