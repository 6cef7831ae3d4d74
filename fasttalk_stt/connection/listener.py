"""The listener: hears the audio and obeys the commands, in the order they came.

It is where voice activity runs. It waits for the engine only where a session says so (a full window),
and for a client far ahead of real time; the audio then waits in the channel, never lost.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter

import trio

from fasttalk_stt.connection.live import (
    Audio,
    Begin,
    Command,
    End,
    Incoming,
    LiveSession,
    Opening,
    Outgoing,
)
from fasttalk_stt.connection.transcriber import Transcriber
from fasttalk_stt.conversation.effects import Effect, Say
from fasttalk_stt.conversation.effort import Effort
from fasttalk_stt.conversation.intake import REPLAY_AHEAD_S
from fasttalk_stt.conversation.session import Session
from fasttalk_stt.protocol.client_messages import (
    Configure,
    ContextUpdate,
    FlushBuffer,
    Interrupt,
)
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry

SEGMENTS_OF_A_REPLAY = 2
"""Closed segments such a client may have at the engine. More wait unheard, as audio, so that none is
closed whose waiting time would then run out. Two, so that the engine need not wait in between."""
STALL_S = 1.0
"""The shortest time without a frame that ends an open utterance."""

Perform = Callable[[LiveSession, Iterable[Effect]], Awaitable[None]]


class Listener:
    """Owns the receiving end of the incoming channel and its own end of the outbox.

    `effort` says how much a session may ask of the engine now. `is_held_back` tells whether the
    receiver waits for room: then silence on the channel is our doing, not the client's.
    """

    def __init__(
        self,
        incoming: trio.MemoryReceiveChannel[Incoming],
        outbox: trio.MemorySendChannel[Outgoing],
        transcriber: Transcriber,
        *,
        perform: Perform,
        effort: Callable[[], Effort],
        telemetry: ConnectionTelemetry,
        is_held_back: Callable[[], bool],
    ) -> None:
        self._incoming = incoming
        self._outbox = outbox
        self._transcriber = transcriber
        self._perform = perform
        self._effort = effort
        self._telemetry = telemetry
        self._is_held_back = is_held_back
        self._live: LiveSession | None = None
        self._latest: LiveSession | None = None
        self._wait = trio.CancelScope()
        self._last_frame_s = 0.0
        self._draining = False
        self._cutting = False

    @property
    def live(self) -> LiveSession | None:
        """The session that is being listened to, until it was ended."""
        return self._live

    @property
    def latest(self) -> LiveSession | None:
        """The last session that began, whose results may still be on their way."""
        return self._latest

    def drain(self) -> None:
        """End the session as soon as no utterance is open."""
        self._draining = True
        self._wait.cancel()

    def cut(self) -> None:
        """End the session now, in the middle of an utterance if need be."""
        self._cutting = True
        self._wait.cancel()

    async def run(self) -> None:
        async with self._incoming, self._outbox:
            while True:
                item = await self._next()
                if item is not None:
                    await self._handle(item)
                if self._live is not None:
                    await self._finish_if_draining(self._live)

    async def _next(self) -> Incoming | None:
        """The next item; None when there was none for so long that the client has stalled, or when
        a drain wants attention."""
        live = self._live
        with trio.CancelScope(deadline=self._stall_deadline(live)) as self._wait:
            return await self._incoming.receive()
        try:
            # It came while we waited elsewhere: the deadline was about our channel, not the client.
            return self._incoming.receive_nowait()
        except trio.WouldBlock:
            pass
        deadline_passed = trio.current_time() >= self._wait.deadline
        if live is not None and deadline_passed:
            if self._is_held_back():
                self._last_frame_s = trio.current_time()
            else:
                await self._perform(live, live.session.stall(trio.current_time()))
        return None

    def _stall_deadline(self, live: LiveSession | None) -> float:
        if live is None or not live.session.utterance_open:
            return math.inf
        patience_s = max(live.session.config.endpoint_silence_ms / 1000, STALL_S)
        return self._last_frame_s + patience_s

    async def _handle(self, item: Incoming) -> None:
        now_s = trio.current_time()
        session = item.live.session
        if session.ending:
            return  # a drain ended it before its client did
        match item:
            case Begin(live=live):
                await self._begin(live)
            case Audio(live=live, frame=frame):
                self._last_frame_s = now_s
                session.spend(self._effort())
                began_s = perf_counter()
                effects = session.hear(frame, now_s)
                self._telemetry.frame_heard(perf_counter() - began_s)
                await self._perform(live, effects)
                await self._wait_for_answers(session)
            case Command(live=live, message=message):
                await self._perform(live, _obey(session, message, now_s))
            case End(live=live, reason=reason):
                await self._perform(live, session.end(reason, now_s))
                self._live = None

    async def _wait_for_answers(self, session: Session) -> None:
        """Let the engine catch up: with a window that is full, and with a client far ahead of it.

        A client at real-time pace is not held: its onsets must be heard while the engine lags.
        """
        while session.waits_for_draft or (
            session.intake.unheard_s > REPLAY_AHEAD_S
            and session.requests_outstanding >= SEGMENTS_OF_A_REPLAY
        ):
            await self._transcriber.wait_answer()

    async def _begin(self, live: LiveSession) -> None:
        if self._latest is not None:
            # Its last results may still be on their way; the new session's audio waits for them.
            await self._latest.ended.wait()
        for effect in live.session.begin():
            if isinstance(effect, Say):
                await self._outbox.send(Opening(live, effect.message))
        live.begun.set()
        self._last_frame_s = trio.current_time()
        self._live = self._latest = live

    async def _finish_if_draining(self, live: LiveSession) -> None:
        if not self._draining:
            return
        if self._cutting or not live.session.utterance_open:
            now_s = trio.current_time()
            await self._perform(
                live, live.session.end("draining", now_s, cut_by_drain=self._cutting)
            )
            self._live = None


def _obey(
    session: Session,
    message: FlushBuffer | Configure | ContextUpdate | Interrupt,
    now_s: float,
) -> list[Effect]:
    match message:
        case FlushBuffer():
            return session.flush(now_s)
        case Configure(config=changes):
            return session.configure(changes)
        case ContextUpdate():
            return session.update_context(message)
        case Interrupt(scope=scope):
            return session.interrupt(scope, now_s)
