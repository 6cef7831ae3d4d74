"""One accepted WebSocket: a nursery with receiver, listener, transcriber, sender and departure.

    socket -> receiver --Incoming--> listener --Work--> transcriber
                  \\____________________\\___Outgoing____/___> sender -> socket

Departure waits for what ends the connection from this side, and says so through the outbox. Each channel
end is owned and closed by the task that uses it. Whatever goes wrong inside ends here: the client is told,
the socket closed with the right code, and no other connection notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import perf_counter

import structlog
import trio

from fasttalk_stt.access.principal import ANONYMOUS, Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.connection.departure import Departure
from fasttalk_stt.connection.ears import Ears
from fasttalk_stt.connection.listener import Listener
from fasttalk_stt.connection.live import (
    Incoming,
    LiveSession,
    Outgoing,
    Saying,
    Settling,
    Work,
)
from fasttalk_stt.connection.receiver import Receiver
from fasttalk_stt.connection.registry import SessionRegistry
from fasttalk_stt.connection.sender import Sender
from fasttalk_stt.connection.session_maker import SessionMaker
from fasttalk_stt.connection.transcriber import Transcriber
from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.conversation.effects import Cancel, Decode, Effect, Hurry, Look, Ready, Say
from fasttalk_stt.conversation.effort import LEAST_EFFORT, LESS_EFFORT, USUAL_EFFORT
from fasttalk_stt.conversation.publisher import SessionStatistics
from fasttalk_stt.inference.load import Pressure
from fasttalk_stt.inference.resilience import Resilience
from fasttalk_stt.protocol.codec import encode_server_message, error_message
from fasttalk_stt.protocol.errors import (
    INTERNAL_ERROR,
    SESSION_ALREADY_STARTED,
    CloseCode,
    ProtocolError,
)
from fasttalk_stt.protocol.server_messages import Metadata, ServerMessage
from fasttalk_stt.protocol.stamps import rfc3339
from fasttalk_stt.protocol.state import ConnectionState, StateMachine, Transition
from fasttalk_stt.settings import Settings
from fasttalk_stt.telemetry.telemetry import NO_TELEMETRY, Telemetry

INCOMING_ITEMS = 2048
"""Between receiver and listener. MAX_PENDING_SECONDS (60 s: 1,875 frames of 512 samples) is the bound
that holds; this one only keeps a client of tiny frames from filling memory with frame objects."""
OUTBOX_ITEMS = 64
"""Messages not yet sent. A client that reads keeps it near empty; one that does not holds its own
connection back until the server's write deadline ends it."""
CLEANUP_S = 2.0
"""How long telling a client about our fault may take; one that does not read may hold it until the
server's write deadline, which is shielded."""

_EFFORTS = {
    Pressure.CALM: USUAL_EFFORT,
    Pressure.BUSY: LESS_EFFORT,
    Pressure.FULL: LEAST_EFFORT,
}

_log = structlog.get_logger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Connection:
    """The life of one WebSocket, from its accept to its close.

    `run` is cancelled by its owner when the peer disconnects; in every other case it sends the
    close frame itself and returns.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        settings: Settings,
        resilience: Resilience,
        ears: Ears,
        sessions: SessionRegistry | None = None,
        principal: Principal = ANONYMOUS,
        audio: Bucket | None = None,
        must_resume: bool = False,
        is_recording: bool = False,
        wall_clock: Callable[[], datetime] = _utc_now,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        """`sessions` is shared by the connections of a server; alone, a connection needs none.

        `principal` is whose it is; `audio` what they may still send, in seconds, None for any amount. With
        `must_resume` the first session must be one that goes on. With `is_recording` its audio comes from a
        file as fast as it is heard: its requests give way to those of streams, and a wait for audio is our
        own. `telemetry` is told what happens.
        """
        self._transport = transport
        self._settings = settings
        self._sessions = SessionRegistry() if sessions is None else sessions
        self._principal = principal
        self._wall_clock = wall_clock
        self._telemetry = telemetry.connection(principal.kind, str(principal))
        self._machine = StateMachine()
        self._session_ids: list[str] = []
        self._scope = trio.CancelScope()

        scheduler = resilience.scheduler
        self._send_incoming, receive_incoming = trio.open_memory_channel[Incoming](INCOMING_ITEMS)
        # Nothing waits here: the transcriber starts a task for each request as it comes.
        self._send_work, receive_work = trio.open_memory_channel[Work](0)
        self._outbox, receive_outbox = trio.open_memory_channel[Outgoing](OUTBOX_ITEMS)

        self._transcriber = Transcriber(
            receive_work,
            resilience,
            timeout_s=settings.transcription_timeout_s,
            judge_turn=ears.judge_turn,
            perform=self._perform,
            is_recording=is_recording,
        )
        self._sender = Sender(
            receive_outbox,
            transport,
            wall_clock=wall_clock,
            telemetry=self._telemetry,
            progressed=self._progressed,
            ended=self._release,
            closed=self._finish,
        )
        self._receiver = Receiver(
            transport,
            self._send_incoming,
            self._outbox.clone(),
            settings=settings,
            session_maker=SessionMaker(
                settings,
                model=scheduler.model_name,
                languages=lambda: scheduler.supported_languages,
                ears=ears,
                wall_clock=wall_clock,
                telemetry=self._telemetry,
            ),
            telemetry=self._telemetry,
            perform=self._perform,
            started=self._claim,
            part=self.part,
            audio=audio,
            must_resume=must_resume,
        )
        self._listener = Listener(
            receive_incoming,
            self._outbox.clone(),
            self._transcriber,
            perform=self._perform,
            telemetry=self._telemetry,
            # What a recording asks for is in nobody's way, and it need not be heard worse under load.
            effort=lambda: USUAL_EFFORT if is_recording else _EFFORTS[scheduler.load().pressure],
            is_held_back=lambda: is_recording or self._receiver.is_held_back,
        )
        self._departure = Departure(
            self._outbox.clone(),
            self._receiver,
            self._listener,
            drain_timeout_s=settings.drain_timeout_s,
        )

    @property
    def state(self) -> ConnectionState:
        return self._machine.state

    def statistics(self) -> SessionStatistics | None:
        """The running session in figures; None outside a session."""
        live = self._listener.live
        return None if live is None else live.session.statistics()

    def drain(self) -> None:
        """Ask the connection to finish: last results, `session_ended`, close with 1001."""
        self._departure.drain()

    def lose_session(self, session_id: str) -> None:
        """Another connection took this one's session over: close with 1008."""
        self.part(
            ProtocolError(
                SESSION_ALREADY_STARTED,
                f"Session {session_id} was taken over by another connection; this one closes.",
            )
        )

    def part(self, error: ProtocolError) -> None:
        """Tell the client that error and close, with its close code or 1008. The first reason holds."""
        self._departure.part(error)

    async def run(self) -> None:
        self._machine.apply(Transition.ACCEPT)
        try:
            async with self._outbox, self._send_work, trio.open_nursery() as nursery:
                for task in (
                    self._receiver.run,
                    self._listener.run,
                    self._transcriber.run,
                    self._departure.run,
                ):
                    nursery.start_soon(task)
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._sender.run)
        except* Exception as group:  # noqa: BLE001 - the boundary: it is logged and told
            await self._fail(group)
        finally:
            for session_id in self._session_ids:
                self._sessions.release(session_id, self)
            if self._machine.state is not ConnectionState.ERROR:
                self._machine.apply(Transition.DISCONNECT)
            self._sender.lose_session()
            self._telemetry.closed(self._close_code)

    async def _perform(self, live: LiveSession, effects: Iterable[Effect]) -> None:
        """Carry out what a session decided.

        Cancels take effect before anything is sent. All messages go into the outbox at once and before
        anything else is awaited: so messages leave in the order in which things were decided, whichever
        task decided them and however full the outbox is.
        """
        messages: list[ServerMessage] = []
        work: list[Work] = []
        is_ready = False
        for effect in effects:
            match effect:
                case Say(message=message):
                    messages.append(message)
                case Ready():
                    is_ready = True
                case Decode(entry=entry):
                    work.append(Work(live, entry))
                case Look(request=request):
                    work.append(Work(live, request))
                case Hurry(request=request):
                    self._transcriber.hurry(request)
                case Cancel(entries=entries):
                    self._transcriber.cancel(entries)
        self._transcriber.cancel_stale(live)
        self._progressed()
        if is_ready:
            await self._outbox.send(Settling(live, tuple(messages)))
        elif messages:
            await self._outbox.send(Saying(tuple(messages)))
        for item in work:
            await self._send_work.send(item)
        self._progressed()

    def _progressed(self) -> None:
        """Audio may have been settled: show it in the state and to the receiver."""
        self._receiver.make_room()
        self._observe()

    def _observe(self) -> None:
        live = self._listener.latest
        self._machine.observe(
            utterance_open=live is not None and live.session.utterance_open,
            requests_outstanding=live is not None and live.session.requests_outstanding > 0,
        )

    def _claim(self, session_id: str) -> None:
        self._sessions.claim(session_id, self, self._principal)
        self._session_ids.append(session_id)

    def _release(self, live: LiveSession) -> None:
        """A session has ended: its id is free, unless this connection has started it anew."""
        session_id = live.session.session_id
        self._session_ids.remove(session_id)
        if session_id not in self._session_ids:
            self._sessions.release(session_id, self)
        self._progressed()

    @property
    def _close_code(self) -> int | None:
        if self._machine.state is ConnectionState.ERROR:
            return CloseCode.INTERNAL
        return self._sender.close_code

    def _finish(self) -> None:
        """The close frame is out: nothing else matters any more."""
        self._scope.cancel()

    async def _fail(self, group: BaseExceptionGroup[Exception]) -> None:
        """Our own fault: log it, tell the client, close with 1011."""
        self._machine.apply(Transition.FAIL)
        _log.error("connection_failed", session_ids=self._session_ids, exc_info=group)
        failure = ProtocolError(
            INTERNAL_ERROR, "The server failed on this connection and closes it. Connect again."
        )
        session_id = self._session_ids[-1] if self._session_ids else None
        metadata = Metadata(session_id, rfc3339(self._wall_clock()), None, None)
        with trio.move_on_after(CLEANUP_S, shield=True):
            began_s = perf_counter()
            text = encode_server_message(error := error_message(failure), metadata)
            await self._transport.send(text)
            self._telemetry.message_sent(
                error, len(text.encode()), perf_counter() - began_s, since_speech_s=None
            )
            await self._transport.close(CloseCode.INTERNAL, failure.kind.code)
