"""A session's stay on one connection: its reader, its writer and its heartbeat.

The reader and the heartbeat find out when the connection is lost, and end the others. Only the writer
writes, so a peer that takes nothing never keeps us from reading; where writing fails, why it does is
for the reader to find.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from fasttalk_stt.client.errors import DisconnectedError, SttError
from fasttalk_stt.client.exchange import Exchange, Received
from fasttalk_stt.client.heartbeat import Heartbeat, heartbeat_ping
from fasttalk_stt.client.options import ClientSettings
from fasttalk_stt.client.session import Session
from fasttalk_stt.client.transport import WebSocket

LAST_WORDS_S = 2.0
"""How long what a server said before it hung up is waited for. It is here already or it never comes."""


class Link:
    """The three tasks. `hand_on` takes what was received; cancelled in between, it keeps the rest."""

    def __init__(
        self,
        websocket: WebSocket,
        session: Session,
        exchange: Exchange,
        settings: ClientSettings,
        hand_on: Callable[[Received], Awaitable[None]],
    ) -> None:
        self._websocket = websocket
        self._session = session
        self._exchange = exchange
        self._settings = settings
        self._hand_on = hand_on
        self._heartbeat = Heartbeat(
            anyio.current_time(),
            interval_s=settings.heartbeat_interval_s,
            timeout_s=settings.heartbeat_timeout_s,
        )
        self._pings = 0
        self._ping_due = False
        self._loss: SttError | None = None
        self._unsendable: SttError | None = None
        self._wake_pulse = anyio.Event()
        self._is_handing_on = False

    async def run(self) -> SttError | None:
        """Returns None when the session has ended in order, else why it cannot go on here."""
        self._websocket.on_control = self._session.wake_sender
        async with anyio.create_task_group() as tasks:
            for task in (self._read, self._write, self._watch):
                tasks.start_soon(self._until_lost, task, tasks.cancel_scope)
        # A session whose end is read is over, whatever became of the connection while its last
        # events waited for the consumer.
        return None if self._exchange.has_ended else self._loss

    async def _until_lost(
        self, task: Callable[[], Awaitable[None]], scope: anyio.CancelScope
    ) -> None:
        try:
            await task()
        except SttError as error:
            self._loss = self._loss or error
        scope.cancel()

    async def _read(self) -> None:
        """Read until the session has ended."""
        while True:
            message = await self._websocket.receive()
            self._heartbeat.heard(anyio.current_time())
            received = self._exchange.receive(message)
            self._is_handing_on = True
            await self._hand_on(received)
            self._is_handing_on = False
            if received.fault is not None:
                raise received.fault
            if received.ended:
                return
            self._wake_pulse.set()

    async def _write(self) -> None:
        """Write until that fails. The close code by which a server takes its leave, and the results
        before it, may lie unread then, so this ends nothing; the watcher gives it a deadline."""
        try:
            await self._write_on()
        except SttError as error:
            self._unsendable = error
            self._heartbeat.silenced(anyio.current_time(), LAST_WORDS_S)
            self._wake_pulse.set()
            await anyio.sleep_forever()

    async def _write_on(self) -> None:
        while True:
            wake = self._session.sender_wake()
            await self._websocket.send_control()
            if self._ping_due:
                self._ping_due = False
                self._pings += 1
                await self._websocket.send(heartbeat_ping(self._pings))
            sending = self._exchange.next_message()
            if sending is None:
                await wake.wait()
                continue
            await self._websocket.send(sending.payload)
            if sending.audio_s:
                self._heartbeat.sent_audio(sending.audio_s, anyio.current_time())

    async def _watch(self) -> None:
        """Ask for pings when they are due; raise when nothing comes back."""
        while True:
            self._wake_pulse = anyio.Event()
            now_s = anyio.current_time()
            if self._is_handing_on:
                # It is our consumer that takes nothing.
                self._heartbeat.not_listening(now_s)
            if now_s >= self._heartbeat.expires_at_s:
                if self._unsendable is not None:
                    raise self._unsendable
                raise DisconnectedError(
                    f"{self._websocket.url}: nothing came within "
                    f"{self._settings.heartbeat_timeout_s:g} s after a ping."
                )
            if now_s >= self._heartbeat.next_ping_at_s:
                # Counted from now, whether or not the writer gets to it: a dead peer takes nothing.
                self._heartbeat.pinged(now_s)
                self._ping_due = True
                self._session.wake_sender()
            until_s = min(self._heartbeat.next_ping_at_s, self._heartbeat.expires_at_s)
            if self._is_handing_on:
                until_s = min(until_s, now_s + self._settings.heartbeat_interval_s)
            with anyio.move_on_after(until_s - now_s):
                await self._wake_pulse.wait()
