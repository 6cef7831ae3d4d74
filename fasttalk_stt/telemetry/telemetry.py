"""What connections and the engine report of themselves, and the default that listens to nothing.

The pipeline calls these methods where something happens; who listens (metrics, the dashboard) is made in
`service` and passed in. An observer derives from `Telemetry` and `ConnectionTelemetry` and overrides what
it wants to know. What it raises never reaches the pipeline where a `Fanout` stands between. No method may
wait, and those of a frame's way are called some hundred times a second for each connection.

Read `fanout` next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from attrs import evolve, frozen

from fasttalk_stt.protocol.server_messages import AudioAccount, ServerMessage, SessionEndReason

RequestKind = Literal["final", "speculation", "commit", "draft", "recording"]
REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)
RequestOutcome = Literal["decoded", "failed", "left"]
"""A request that is `left` was wanted no more before its answer came."""
REQUEST_OUTCOMES: tuple[RequestOutcome, ...] = get_args(RequestOutcome)
BREAKER_STATES = ("closed", "open", "half_open")
BREAKERS = ("gpu", "transcription")
PRINCIPAL_KINDS = ("key", "token", "anonymous")
SessionStart = Literal["new", "resumed"]
"""A session that is `resumed` goes on with one whose connection was lost."""
EndReason = SessionEndReason | Literal["disconnected"]
"""A session is `disconnected` where its connection ended before it did."""
END_REASONS: tuple[EndReason, ...] = (*get_args(SessionEndReason), "disconnected")


@frozen
class RequestReport:
    """One request to the engine that is over, times in seconds.

    `wait_s` is how long it waited for a seat since it was as urgent as `kind` says; None where it never
    had one. With `batch_size` requests it was decoded together. `compute_s` is its share of the engine's
    time, alignment included, `alignment_s` the alignment's alone; both None without an answer.
    """

    kind: RequestKind
    outcome: RequestOutcome
    audio_s: float
    wait_s: float | None = None
    batch_size: int | None = None
    compute_s: float | None = None
    alignment_s: float | None = None


@frozen
class SessionInfo:
    """A session that was just told that it has started."""

    session_id: str
    conversation_id: str | None
    user_id: str | None
    start: SessionStart


@frozen
class SessionFigures:
    """A session so far: audio received, engine time over it, and what became of the audio."""

    audio_s: float
    real_time_factor: float
    account: AudioAccount

    def when_lost(self) -> SessionFigures:
        """The same where the connection is gone: what has no outcome yet is discarded."""
        account = self.account
        discarded_ms = account.discarded_ms + account.unsettled_ms
        return evolve(self, account=evolve(account, discarded_ms=discarded_ms, unsettled_ms=0))


class ConnectionTelemetry:
    """What one connection reports. Nobody listens to this one."""

    def frame_received(self, n_bytes: int, audio_s: float) -> None:
        """A binary message came, with so much audio of a session (0 outside one)."""

    def frame_heard(self, took_s: float) -> None:
        """A frame went through resampling, voice activity and the session's decisions."""

    def voice_judged(self, took_s: float) -> None:
        """The voice detector judged what a frame brought: part of `frame_heard`."""

    def text_received(self, n_bytes: int) -> None:
        """A text message came."""

    def text_dropped(self) -> None:
        """It was over the message rate."""

    def held_back(self, hold_s: float) -> None:
        """Reading pauses for so long, since more audio or tiny frames came than may."""

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        """`session_started` was sent. `figures` may be asked until the session is ended."""

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        """`session_ended` was sent, or the connection is gone."""

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        """A message left, after `took_s` in the socket. With the text of an utterance's end,
        `since_speech_s` is how long ago the last sample of its speech arrived."""

    def closed(self, code: int | None) -> None:
        """The connection is over: our close code, None where the client just left."""


class Telemetry:
    """What a server reports. Nobody listens to this one."""

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        """A connection was accepted: who listens to it? `kind` is one of PRINCIPAL_KINDS, `principal`
        names who it is for."""
        return NO_CONNECTION_TELEMETRY

    def refused(self, code: str, kind: str | None) -> None:
        """An upgrade or a recording was refused with this error code; `kind` is None where nobody knows who
        asked."""

    def request_done(self, report: RequestReport) -> None:
        """A request to the engine is over."""

    def batch_done(self, n_requests: int, took_s: float) -> None:
        """A call of the engine came back, with or without an answer."""

    def retried(self) -> None:
        """A segment that failed will be tried again."""

    def breaker_moved(self, breaker: str, state: str) -> None:
        """A circuit breaker (BREAKERS) changed to another of BREAKER_STATES."""

    def loop_lagged(self, lag_s: float) -> None:
        """A task that wanted to wake up had to wait for so long."""


NO_CONNECTION_TELEMETRY = ConnectionTelemetry()
NO_TELEMETRY = Telemetry()
