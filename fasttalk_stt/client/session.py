"""A session as its caller sees it: audio goes in, events come out, connections come and go.

The rules are `exchange.Exchange`'s; what runs beside the caller is `runner.Runner`. This file is the
surface: it turns calls into audio and commands, waits for their answers, and hands out events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TypeVar

import anyio
from attrs import define, field

from fasttalk_stt.client.errors import ServiceError, SessionOverError, SttError
from fasttalk_stt.client.event_queue import EventQueue
from fasttalk_stt.client.events import (
    Configured,
    ContextUpdated,
    Event,
    InterruptAcknowledged,
    SessionEnded,
    Transcription,
)
from fasttalk_stt.client.exchange import Answer, Exchange
from fasttalk_stt.client.options import ClientSettings, SessionOptions
from fasttalk_stt.client.replay_buffer import Command
from fasttalk_stt.client.samples import AudioLike, encoded
from fasttalk_stt.protocol.client_messages import (
    ClientMessage,
    Configure,
    ContextUpdate,
    ConversationState,
    EndSession,
    FlushBuffer,
    Interrupt,
    InterruptScope,
    ResponseType,
)
from fasttalk_stt.protocol.config import (
    SessionConfig,
    change_session_config,
    read_session_config,
)
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.server_messages import ContextData

T = TypeVar("T")


@define(eq=False)
class _Asked:
    """A command that was given; whoever wants its answer waits for `done`."""

    done: anyio.Event = field(factory=anyio.Event)
    answer: Answer | None = None


class Session:
    """One session of the service. Made by `connect` or a pool, not by hand.

    Iterate over it for the events; the last one is a `SessionEnded`. Where the session is lost for
    good, iteration and every call raise the error that ended it. Any number of tasks may call the
    methods; one should iterate.
    """

    def __init__(
        self, exchange: Exchange, options: SessionOptions, settings: ClientSettings
    ) -> None:
        self._exchange = exchange
        self._options = options
        self._settings = settings
        self._events = EventQueue(settings.max_queued_events)
        self._asked: dict[Command, _Asked] = {}
        self._to_send = anyio.Event()
        self._room = anyio.Event()
        self._sending = anyio.Lock()
        self._ending: _Asked | None = None
        self._is_over = False
        self._error: SttError | None = None

    @property
    def session_id(self) -> str:
        """The session's id, the same over all its connections."""
        return self._exchange.session_id or ""

    @property
    def unsettled_s(self) -> float:
        """Seconds of audio that are unsent or have no outcome yet."""
        return self._exchange.unsettled_s

    @property
    def committed_ms(self) -> int:
        """All audio before it has its outcome."""
        return self._exchange.committed_ms

    # ---- what the caller does ----------------------------------------------------------------------

    async def send_audio(self, audio: AudioLike) -> None:
        """Take audio of any length: bytes in the session's encoding, or a float array, -1..1.

        Returns as soon as it is noted, not sent. Waits while more than `max_unsettled_s` has no
        outcome, during an outage too; nothing is dropped. What several tasks send at the same time
        goes one after the other. Cancelled while it waits, it has taken nothing of audio of up to
        half a second, and of longer audio the half seconds before; once taken, it is not cancelled.

        Raises ValueError or TypeError for audio that is none, SessionOverError after the end, the
        session's error where it is lost.
        """
        data = encoded(audio, self._options)
        step = max(1, self._options.sample_rate // 2) * self._options.bytes_per_sample
        # Taking the lock lets the others run, also where somebody has audio ready all the time. After
        # it nothing but the wait for room can be cancelled.
        async with self._sending:
            for start in range(0, len(data) or 1, step):
                while self._exchange.unsettled_s > self._settings.max_unsettled_s:
                    self._check()
                    await self._room.wait()
                self._check()
                self._exchange.add_audio(data[start : start + step])
                self.wake_sender()

    async def flush(self) -> Transcription:
        """Have what was sent so far transcribed now; the answer comes among the events too.

        Raises ServiceError where its transcription failed.
        """
        self._check()
        return _expect(Transcription, await self._ask(FlushBuffer()))

    async def interrupt(
        self, *, scope: InterruptScope = "pending", reason: str | None = None
    ) -> InterruptAcknowledged:
        """Barge-in: discard what is stale (`pending`) or everything (`all`)."""
        self._check()
        return _expect(
            InterruptAcknowledged, await self._ask(Interrupt(reason=reason, scope=scope))
        )

    async def update_context(
        self,
        *,
        conversation_state: ConversationState | None = None,
        expected_response_type: ResponseType | None = None,
        language_context: str | None = None,
    ) -> ContextData:
        """Say what the conversation is doing; None leaves that part as it was.

        Returns the effective context. Raises ServiceError where the model does not know the
        language.
        """
        message = ContextUpdate(
            conversation_state=conversation_state,
            expected_response_type=expected_response_type,
            language_context=language_context,
        )
        if language_context is not None:
            _check_config({"language": language_context})
        self._check()
        return _expect(ContextUpdated, await self._ask(message)).data

    async def configure(self, **changes: object) -> SessionConfig:
        """Change fields of the configuration from the next audio on; returns the effective one.

        Raises ValueError for a value that is not allowed or a field that only a start sets,
        ServiceError where the server refuses it.
        """
        try:
            change_session_config(SessionConfig(), changes)
        except ProtocolError as error:
            raise ValueError(error.message) from error
        self._check()
        return _expect(Configured, await self._ask(Configure(changes))).config

    async def end(self) -> SessionEnded:
        """No more audio: waits for the last results, which come as events, and for the account.

        Its `audio` counts from the last resume. Takes as long as the server needs; set a deadline
        around it where that matters. Called again, it waits on for the same end.
        """
        if self._ending is None:
            self._check()
            self._ending = self._give(EndSession())
        return _expect(SessionEnded, await self._outcome(self._ending))

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._events.get_event()

    # ---- what the runner does ----------------------------------------------------------------------

    def sender_wake(self) -> anyio.Event:
        """Take this before looking for something to send: it is set once there is more."""
        if self._to_send.is_set():
            self._to_send = anyio.Event()
        return self._to_send

    def wake_sender(self) -> None:
        """There may be something to send."""
        self._to_send.set()

    async def deliver(self, event: Event, *, after_call: int) -> None:
        """Queue an event for the consumer, who gets it once so many callbacks have been called;
        waits where it takes none."""
        await self._events.put_event(event, after_call=after_call)

    def calls_begun(self, count: float) -> None:
        """So many callbacks were called up to now; infinity: no more will be."""
        self._events.calls_begun(count)

    def answer(self, command: Command, answer: Answer) -> None:
        """Wake who gave that command."""
        asked = self._asked.pop(command, None)
        if asked is not None:
            asked.answer = answer
            asked.done.set()

    def note_progress(self) -> None:
        """Audio may have been settled: senders look again whether there is room."""
        if self._exchange.unsettled_s <= self._settings.max_unsettled_s:
            self._wake_room()

    def finish(self, error: SttError | None) -> None:
        """The session is over: everybody who waits is told."""
        if self._is_over:
            return
        self._is_over = True
        self._error = error
        self._events.close(error)
        for asked in self._asked.values():
            asked.done.set()
        self._asked.clear()
        self._wake_room()

    def _wake_room(self) -> None:
        room, self._room = self._room, anyio.Event()
        room.set()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._is_over or self._ending is not None:
            raise SessionOverError("The session has ended, or is about to. Start another one.")

    def _give(self, message: ClientMessage) -> _Asked:
        command = self._exchange.add_command(message)
        asked = self._asked[command] = _Asked()
        self.wake_sender()
        return asked

    async def _ask(self, message: ClientMessage) -> Answer:
        # Where the caller gives up waiting, the command still takes effect.
        return await self._outcome(self._give(message))

    async def _outcome(self, asked: _Asked) -> Answer:
        await asked.done.wait()
        if asked.answer is None:
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise SessionOverError("The session ended before that was answered.")
        if isinstance(asked.answer, ServiceError):
            raise asked.answer
        return asked.answer


def _check_config(raw: Mapping[str, object]) -> None:
    try:
        read_session_config(raw, SessionConfig())
    except ProtocolError as error:
        raise ValueError(error.message) from error


def _expect(kind: type[T], answer: Answer) -> T:
    if not isinstance(answer, kind):
        raise SessionOverError(f"expected {kind.__name__}, got {type(answer).__name__}")
    return answer
