"""One session over as many connections as it takes: what to send next, what the consumer sees. Pure.

`opening` begins a connection; after the server's `session_started` `next_message` yields what to
send, in order, and `receive` reads what comes. When a connection is lost, `cut` says what the
consumer must be told, and the next `opening` goes on where the server's stamps say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from fasttalk_stt.client.errors import (
    DisconnectedError,
    ProtocolViolationError,
    ServiceError,
    SttError,
    service_error,
    session_refused,
)
from fasttalk_stt.client.events import (
    Error,
    Event,
    Pong,
    ServerEvent,
    SessionEnded,
    SessionStarted,
    parse,
    read_event,
)
from fasttalk_stt.client.heartbeat import is_heartbeat
from fasttalk_stt.client.options import SessionOptions
from fasttalk_stt.client.outstanding import Outstanding
from fasttalk_stt.client.replay_buffer import Audio, Command, ReplayBuffer
from fasttalk_stt.client.resume import Progress
from fasttalk_stt.protocol.client_messages import (
    ClientMessage,
    Configure,
    ContextUpdate,
    EndSession,
    Interrupt,
    StartSession,
)
from fasttalk_stt.protocol.codec import encode_client_message
from fasttalk_stt.protocol.errors import CloseCode

Answer = ServerEvent | ServiceError

_LASTING = (Configure, ContextUpdate, Interrupt)
"""What a replay must pass once more where the audio before it is not settled."""


@frozen
class Sending:
    """One message to send; `audio_s` of audio are in it."""

    payload: str | bytes
    audio_s: float = 0.0


@frozen
class Received:
    """What one message of the server means.

    `events` are for the consumer, `answers` for who gave the commands. `started`: the session runs
    on this connection from now on. `ended`: it is over. `fault`: it cannot go on here.
    """

    events: tuple[Event, ...] = ()
    answers: tuple[tuple[Command, Answer], ...] = ()
    started: bool = False
    ended: bool = False
    fault: SttError | None = None


_NOTHING = Received()


@frozen
class _Context:
    """The conversation's context as far as it is settled; None: never set."""

    message: ContextUpdate = field(factory=ContextUpdate)

    def updated(self, change: ContextUpdate) -> _Context:
        given = {
            name: value
            for name in ("conversation_state", "expected_response_type", "language_context")
            if (value := getattr(change, name)) is not None
        }
        return _Context(evolve(self.message, **given))

    @property
    def is_set(self) -> bool:
        return self.message != ContextUpdate()


class Exchange:
    """The state of one session, from its first `start_session` to its `session_ended`.

    Raises ValueError where the options hold a value that is not allowed.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._config: dict[str, object] = options.document()
        self._rate_hz = options.sample_rate
        self._buffer = ReplayBuffer(
            sample_rate_hz=options.sample_rate, bytes_per_sample=options.bytes_per_sample
        )
        self._progress = Progress()
        self._context = _Context()
        self._has_begun = False
        self._is_running = False
        self._has_ended = False
        self._again: deque[Command] = deque()
        self._outstanding = Outstanding()

    @property
    def session_id(self) -> str | None:
        """The session's id; None before the first `session_started`."""
        return self._progress.session_id

    @property
    def has_ended(self) -> bool:
        """Whether it ended in order: the server's last word of it is read."""
        return self._has_ended

    @property
    def unsettled_s(self) -> float:
        """Seconds of audio that are unsent or have no outcome."""
        return self._buffer.unsettled_s

    @property
    def committed_ms(self) -> int:
        """All audio before it has its outcome."""
        return self._buffer.committed_ms

    def add_audio(self, data: bytes | memoryview) -> None:
        """Take audio to send. Raises ValueError where it is no whole number of samples."""
        self._buffer.add_audio(data)

    def add_command(self, message: ClientMessage) -> Command:
        """Take a message to send behind the audio so far."""
        return self._buffer.add_command(message)

    def opening(self) -> str:
        """The `start_session` that begins the session, or resumes it, on a new connection."""
        self._is_running = False
        self._outstanding = Outstanding()
        self._again.clear()
        replay = self._buffer.rewind()
        for lasting in replay.lasting:
            self._fold(lasting.message)
        config = dict(self._config)
        if self._has_begun:
            config["session_id"] = self._progress.session_id
            config["resume"] = self._progress.resume(
                committed_ms=self._buffer.committed_ms, audio_from_ms=replay.audio_from_ms
            )
            if self._context.is_set:
                # Its answer was given long ago.
                self._again.append(Command(self._context.message, answered=True))
        return encode_client_message(StartSession(config))

    def next_message(self) -> Sending | None:
        """Take the next message to send; None where there is none, or no session yet."""
        if not self._is_running:
            return None
        item = self._again.popleft() if self._again else self._buffer.next()
        if item is None:
            return None
        if isinstance(item, Audio):
            return Sending(item.data, (item.end - item.start) / self._rate_hz)
        self._outstanding.add(item)
        return Sending(encode_client_message(item.message))

    def receive(self, text: str | bytes) -> Received:
        """Read one message of the server. Raises ProtocolViolationError."""
        document = parse(text)
        event = read_event(document)
        if isinstance(event, SessionStarted):
            return self._started(event, document)
        if not self._is_running:
            # Before its start nothing belongs to this session: a pooled connection may still say
            # something of the one before.
            if isinstance(event, Error):
                return Received(fault=session_refused(event.error))
            return _NOTHING
        stamp = event.metadata
        if stamp.session_id not in (None, self._progress.session_id):
            return _NOTHING
        if not self._progress.take(event):
            return _NOTHING
        for lasting in self._buffer.commit(self._progress.committed_ms):
            self._fold(lasting.message)
        return self._read(event)

    def cut(self) -> list[Event]:
        """The connection is lost: what the consumer must be told of it."""
        self._is_running = False
        retraction = self._progress.retraction()
        return [] if retraction is None else [retraction]

    def _started(self, event: SessionStarted, document: Mapping[str, Any]) -> Received:
        if self._is_running:
            raise ProtocolViolationError("The server started a session inside a session.")
        first = not self._has_begun
        session_id = event.metadata.session_id or document.get("session_id")
        if not isinstance(session_id, str):
            raise ProtocolViolationError("The server's session_started names no session_id.")
        if not first and session_id != self._progress.session_id:
            raise ProtocolViolationError(
                f"The server resumed {session_id!r} instead of {self._progress.session_id!r}."
            )
        self._progress.session_id = session_id
        self._has_begun = self._is_running = True
        self._progress.take(event)
        if first:
            # What this server made of it: another one may have other defaults.
            effective = document.get("config")
            if isinstance(effective, Mapping):
                shown = {k: v for k, v in effective.items() if k != "resume"}
                self._config = {**self._config, **shown}
        return Received(events=(event,) if first else (), started=True)

    def _read(self, event: ServerEvent) -> Received:
        match event:
            case Pong(id=ping_id) if is_heartbeat(ping_id):
                return _NOTHING
            case SessionEnded():
                return self._ended(event)
            case Error():
                return self._error(event)
            case _:
                return self._answered(event)

    def _answered(self, event: ServerEvent) -> Received:
        command = self._outstanding.take_answered(event)
        if command is None:
            return Received(events=(event,))
        if command.answered:
            # A repetition for the new server's sake alone.
            return _NOTHING
        self._settle(command)
        return Received(events=(event,), answers=((command, event),))

    def _settle(self, command: Command) -> None:
        command.answered = True
        if isinstance(command.message, _LASTING):
            for lasting in self._buffer.commit(self._buffer.committed_ms):
                self._fold(lasting.message)
        else:
            self._buffer.forget(command)

    def _fold(self, message: ClientMessage) -> None:
        if isinstance(message, Configure):
            self._config = {**self._config, **message.config}
        elif isinstance(message, ContextUpdate):
            self._context = self._context.updated(message)

    def _error(self, event: Error) -> Received:
        code = event.error.code
        if code == "server_draining":
            # Its last results are still to come, then session_ended or the close.
            return _NOTHING
        # A stamp is rounded down by less than a millisecond.
        settled_to = self._buffer.sample_of(self._progress.committed_ms + 1) - 1
        command = self._outstanding.take_refused(event, settled_to)
        if command is None:
            return Received(events=(event,))
        if command.answered:
            return _NOTHING
        self._buffer.forget(command)
        return Received(events=(event,), answers=((command, service_error(event.error)),))

    def _ended(self, event: SessionEnded) -> Received:
        is_asked = self._outstanding.awaits(EndSession)
        all_settled = is_asked and self._progress.committed_ms >= self._buffer.end_ms
        if event.reason == "draining" and not all_settled:
            return Received(
                fault=DisconnectedError(
                    "The server drains and ended the session; it goes on elsewhere.",
                    close_code=CloseCode.GOING_AWAY,
                )
            )
        self._is_running = False
        self._has_ended = True
        command = self._outstanding.take_answered(event)
        answers = () if command is None else ((command, event),)
        return Received(events=(event,), answers=answers, ended=True)
