"""The receiver: the only task that reads the socket, from the accept to the disconnect.

It decodes and checks, counts what is admitted, answers pings and acts on interrupts at once, and
hands everything else on in order. It stops reading where MAX_PENDING_SECONDS of audio wait for their
outcome, where a client sends tiny frames or reads nothing until our channels are full, and where it
sends faster than it may (`access/rates.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio

from fasttalk_stt.access.rates import Allowance, Bucket, Verdict
from fasttalk_stt.connection.live import (
    Audio,
    Begin,
    Closing,
    Command,
    End,
    Incoming,
    LiveSession,
    Outgoing,
    Saying,
)
from fasttalk_stt.connection.session_maker import SessionMaker
from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.conversation.effects import Effect
from fasttalk_stt.protocol.client_messages import (
    ClientMessage,
    Configure,
    ContextUpdate,
    EndSession,
    Interrupt,
    Ping,
    StartSession,
)
from fasttalk_stt.protocol.codec import decode_client_message, error_message
from fasttalk_stt.protocol.config import (
    SessionConfig,
    change_session_config,
    known_fields,
)
from fasttalk_stt.protocol.errors import (
    RATE_LIMITED,
    SERVER_DRAINING,
    SERVER_FULL,
    SESSION_ALREADY_STARTED,
    SESSION_NOT_STARTED,
    SESSION_TOO_LONG,
    TOO_MANY_ERRORS,
    CloseCode,
    Fault,
    ProtocolError,
)
from fasttalk_stt.protocol.server_messages import Pong
from fasttalk_stt.settings import Settings
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry

Perform = Callable[[LiveSession, Iterable[Effect]], Awaitable[None]]


class Receiver:
    """Owns the sending end of the incoming channel and its own end of the outbox."""

    def __init__(
        self,
        transport: Transport,
        incoming: trio.MemorySendChannel[Incoming],
        outbox: trio.MemorySendChannel[Outgoing],
        *,
        settings: Settings,
        session_maker: SessionMaker,
        telemetry: ConnectionTelemetry,
        perform: Perform,
        started: Callable[[str], None],
        part: Callable[[ProtocolError], None],
        audio: Bucket | None = None,
        must_resume: bool = False,
    ) -> None:
        """`started` is called with the id of each session before its first message is sent; it raises
        ProtocolError where the id is somebody else's. `part` ends the connection. `audio` holds the
        seconds of audio that the client's key may still send, with its other connections. With
        `must_resume` there is no place for a session that is new."""
        self._transport = transport
        self._incoming = incoming
        self._outbox = outbox
        self._settings = settings
        self._session_maker = session_maker
        self._telemetry = telemetry
        self._perform = perform
        self._started = started
        self._allowance = Allowance(settings.message_rate_limit, audio)
        self._live: LiveSession | None = None
        self._part = part
        self._must_resume = must_resume
        self._in_gap = False
        self._errors = 0
        self._deaf = False
        self._draining = False
        self._unended: list[LiveSession] = []
        self._room = trio.lowlevel.ParkingLot()
        self._reading = False

    @property
    def is_held_back(self) -> bool:
        """Whether something of ours, not the client, keeps audio from coming in."""
        return not self._reading

    @property
    def must_resume(self) -> bool:
        """Whether the session for which this connection was let in has not begun."""
        return self._must_resume

    @property
    def latest(self) -> LiveSession | None:
        """The session that was started last and is not ended."""
        self._unended = [live for live in self._unended if not live.ended.is_set()]
        return self._unended[-1] if self._unended else None

    def make_room(self) -> None:
        """Audio was settled: look again whether reading may go on."""
        self._room.unpark_all()

    def drain(self) -> None:
        """Refuse new sessions from now on."""
        self._draining = True

    async def run(self) -> None:
        """Read until cancelled, as happens when the peer is gone."""
        async with self._incoming, self._outbox:
            while True:
                await self._wait_for_room()
                self._reading = True
                raw = await self._transport.receive()
                self._reading = False
                if self._deaf:
                    continue
                live = self._live
                received_s = 0.0 if live is None else live.session.intake.received_s
                try:
                    if isinstance(raw, str):
                        self._telemetry.text_received(len(raw.encode(errors="surrogatepass")))
                        if await self._is_in_rate():
                            await self._take_message(decode_client_message(raw))
                    elif raw is not None:
                        await self._take_frame(raw)
                except ProtocolError as error:
                    await self._report(error)
                if not isinstance(raw, str):
                    audio_s = 0.0 if live is None else live.session.intake.received_s - received_s
                    self._telemetry.frame_received(len(raw or b""), audio_s)
                    if hold_s := self._allowance.frame(audio_s, trio.current_time()):
                        self._telemetry.held_back(hold_s)
                        await trio.sleep(hold_s)

    async def _is_in_rate(self) -> bool:
        """Count a text message; returns whether to act on it."""
        verdict = self._allowance.text(trio.current_time())
        if verdict is not Verdict.TAKE:
            self._telemetry.text_dropped()
        if verdict in {Verdict.TELL, Verdict.PART}:
            await self._report(self._allowance.excess())
        if verdict is Verdict.PART:
            self._deaf = True
            await self._outbox.send(Closing(CloseCode.POLICY, RATE_LIMITED.code))
        return verdict is Verdict.TAKE

    async def _wait_for_room(self) -> None:
        """Wait while too much audio has no outcome, that of sessions still ending included."""
        while self.latest is not None:
            pending_s = sum(live.session.pending_s for live in self._unended)
            if pending_s < self._settings.max_pending_s:
                return
            await self._room.park()

    async def _take_frame(self, raw: bytes) -> None:
        live = self._live
        if live is None:
            if self._in_gap:
                return
            self._in_gap = True
            raise ProtocolError(
                SESSION_NOT_STARTED,
                "Audio came outside a session and was dropped, as will be all until the next "
                "start_session. Send start_session first.",
            )
        frames, error = live.session.admit(raw, trio.current_time())
        for frame in frames:
            await self._incoming.send(Audio(live, frame))
        if live.session.intake.received_s > self._settings.max_session_s:
            self._live = None
            await self._incoming.send(End(live, "session_too_long"))
            error = ProtocolError(
                SESSION_TOO_LONG,
                f"The session reached {self._settings.max_session_s:g} s of audio and was ended. "
                "Start another one.",
            )
        if error is not None:
            raise error

    async def _take_message(self, message: ClientMessage) -> None:
        match message:
            case Ping(id=ping_id):
                await self._outbox.send(Saying((Pong(ping_id),)))
            case StartSession(session_config=raw):
                await self._start(raw)
            case Interrupt(scope=scope):
                live = self._session(message)
                # Before its session_started nothing can be stale; the answer must not overtake it.
                if live.begun.is_set():
                    await self._perform(live, live.session.interrupt(scope, trio.current_time()))
                else:
                    await self._incoming.send(Command(live, message))
            case EndSession():
                live = self._session(message)
                self._live = None
                await self._incoming.send(End(live, "end_session"))
            case Configure(config=changes):
                live = self._session(message)
                self._session_maker.check_language(
                    change_session_config(SessionConfig(), changes).language
                )
                await self._incoming.send(Command(live, Configure(known_fields(changes))))
            case ContextUpdate(language_context=language):
                live = self._session(message)
                self._session_maker.check_language(language)
                await self._incoming.send(Command(live, message))
            case _:
                await self._incoming.send(Command(self._session(message), message))

    def _session(self, message: ClientMessage) -> LiveSession:
        if self._live is None:
            raise ProtocolError(
                SESSION_NOT_STARTED,
                f"{message.type} came outside a session. Send start_session first.",
            )
        return self._live

    async def _start(self, raw: Mapping[str, object]) -> None:
        if self._live is not None:
            raise ProtocolError(
                SESSION_ALREADY_STARTED,
                f"start_session came inside session {self._live.session.session_id}, which goes "
                "on. Send end_session before you start another.",
            )
        if self._draining:
            raise ProtocolError(
                SERVER_DRAINING,
                "The server is shutting down and starts no new sessions. Connect to another one.",
            )
        config, ignored = self._session_maker.read(raw)
        if self._must_resume and config.resume is None:
            self._deaf = True
            self._part(no_resume())
            return
        session = self._session_maker.make(config, ignored)
        self._started(session.session_id)
        self._must_resume = False
        self._live = LiveSession(session)
        self._unended.append(self._live)
        self._in_gap = False
        self._errors = 0
        await self._incoming.send(Begin(self._live))

    async def _report(self, error: ProtocolError) -> None:
        """Tell the client, and part with one that makes too many mistakes."""
        await self._outbox.send(Saying((error_message(error),)))
        if error.kind.fault is not Fault.CLIENT:
            return
        self._errors += 1
        if self._errors < self._settings.max_session_errors:
            return
        self._deaf = True
        parting = ProtocolError(
            TOO_MANY_ERRORS,
            f"{self._errors} errors in one session; the connection is closed. Correct the client.",
        )
        await self._outbox.send(Saying((error_message(parting),)))
        await self._outbox.send(Closing(parting.kind.close_code or 1008, parting.kind.code))


def no_resume() -> ProtocolError:
    """Why a connection ends that holds a place for a session that goes on, and has none."""
    return ProtocolError(
        SERVER_FULL,
        "The server is full; this connection was let in with ?resume=1, to go on with a session. "
        "Connect without it, later or to another server.",
    )
