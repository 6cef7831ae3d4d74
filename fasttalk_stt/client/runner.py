"""What runs beside a session's caller: its connections, one after another, and its callbacks.

What happens on one connection is `link.Link`'s; when to try again, `backoff.Backoff`'s.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from attrs import frozen

from fasttalk_stt.client.backoff import Backoff
from fasttalk_stt.client.connector import Connector
from fasttalk_stt.client.error_groups import single_errors
from fasttalk_stt.client.errors import (
    ConnectError,
    DisconnectedError,
    SttError,
    service_error,
)
from fasttalk_stt.client.event_queue import BoundedQueue
from fasttalk_stt.client.events import (
    Error,
    Event,
    Resumed,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.client.exchange import Exchange, Received
from fasttalk_stt.client.link import Link
from fasttalk_stt.client.options import ClientSettings
from fasttalk_stt.client.session import Session
from fasttalk_stt.client.transport import WebSocket
from fasttalk_stt.protocol.errors import CloseCode

CALLBACKS_WAITING = 64
"""Calls that may wait behind a slow callback; then reading waits. A conversation makes a few a
minute."""
STABLE_S = 30.0
"""A connection that lived so long counts as good, whatever was said on it."""

OnOnset = Callable[[VoiceActivityDetected], Awaitable[None] | None]
OnRejected = Callable[[VoiceActivityRejected], Awaitable[None] | None]
OnError = Callable[[SttError], Awaitable[None] | None]
Call = partial[Any]
"""A callback with what it is told."""


@frozen(kw_only=True)
class Callbacks:
    """What `connect` is given; it says when each is called."""

    on_speech_onset: OnOnset | None = None
    on_onset_rejected: OnRejected | None = None
    on_error: OnError | None = None

    def call_for(self, event: Event) -> Call | None:
        """What is to be called for an event, if anything."""
        match event:
            case VoiceActivityDetected() if self.on_speech_onset is not None:
                return partial(self.on_speech_onset, event)
            case VoiceActivityRejected() if self.on_onset_rejected is not None:
                return partial(self.on_onset_rejected, event)
            case Error() if self.on_error is not None:
                return partial(self.on_error, service_error(event.error))
            case _:
                return None


class Runner:
    """Keeps one session connected from `start` until it is over."""

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        connector: Connector,
        *,
        settings: ClientSettings,
        callbacks: Callbacks,
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._connector = connector
        self._settings = settings
        self._callbacks = callbacks
        self._websocket: WebSocket | None = None
        self._calls = BoundedQueue[Call](CALLBACKS_WAITING)
        self._calls_put = 0
        self._undelivered: deque[Event | Call] = deque()
        self._tries = 0
        self._resumed_at_ms = 0
        self._connected_at_s = 0.0

    async def start(self) -> None:
        """Connect and start the session. Raises SttError where that fails for good."""
        await self._establish(self._backoff(), None)

    async def run(self) -> None:
        """Serve the session to its end. Never raises but for a callback's error."""
        try:
            with single_errors():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._make_calls)
                    try:
                        await self._keep_connected()
                    except SttError as error:
                        self._session.finish(error)
                    else:
                        self._session.finish(None)
                    self._calls.close()
        finally:
            # No more calls: nothing is held back for them.
            self._session.calls_begun(math.inf)

    async def aclose(self) -> None:
        """Give the connection back, if there is one: a session that has not ended is left."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            left: SttError | None = None
            if not self._exchange.has_ended:
                left = DisconnectedError("The session was left.", close_code=CloseCode.NORMAL)
            # Shielded with a deadline of its own: the close frame goes out under cancellation too.
            with anyio.move_on_after(self._settings.close_timeout_s + 1.0, shield=True):
                await self._connector.release(websocket, left)

    # ---- connections -------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while self._websocket is not None:
            loss = await self._link(self._websocket).run()
            websocket, self._websocket = self._websocket, None
            lost_at_s = anyio.current_time()
            await self._connector.release(websocket, loss)
            await self._deliver()
            if loss is None:
                return
            self._undelivered += self._exchange.cut()
            if self._callbacks.on_error is not None:
                self._undelivered.append(partial(self._callbacks.on_error, loss))
            await self._deliver()
            # The consumer may have kept us waiting up to here; that is no part of anyone's patience.
            backoff = self._backoff(lived_s=lost_at_s - self._connected_at_s)
            await self._wait(backoff, loss)
            replayed_ms = round(self._exchange.unsettled_s * 1000)
            await self._establish(backoff, loss)
            self._undelivered.append(
                Resumed(
                    session_id=self._session.session_id,
                    url="" if self._websocket is None else self._websocket.url,
                    reason=loss.message,
                    outage_s=anyio.current_time() - lost_at_s,
                    replayed_ms=replayed_ms,
                    tries=max(1, backoff.tries),
                )
            )
            await self._deliver()

    def _backoff(self, *, lived_s: float = 0.0) -> Backoff:
        """From now on; `lived_s`: how long the connection was there that is lost."""
        committed_ms = self._exchange.committed_ms
        if committed_ms > self._resumed_at_ms or lived_s > STABLE_S:
            # The last connection got somewhere, so this is an outage of its own. Else the session
            # itself may be what the server dies of, and tries add up.
            self._tries = 0
        self._resumed_at_ms = committed_ms
        settings = self._settings
        return Backoff(
            anyio.current_time(),
            max_tries=settings.max_tries,
            base_s=settings.base_delay_s,
            patience_s=settings.patience_s,
            tries=self._tries,
        )

    async def _establish(self, backoff: Backoff, loss: SttError | None) -> None:
        """Connect and start, again and again until it works or is given up."""
        while True:
            try:
                self._websocket = await self._connector.open(resumes=loss is not None)
                await self._start_session(self._websocket)
            except SttError as error:
                websocket, self._websocket = self._websocket, None
                if websocket is not None:
                    await self._connector.release(websocket, error)
                try:
                    await self._wait(backoff, error)
                except SttError:
                    if loss is None:
                        raise
                    raise error from loss
            else:
                self._tries = backoff.tries
                self._connected_at_s = anyio.current_time()
                return

    async def _wait(self, backoff: Backoff, failure: SttError) -> None:
        wait_s = backoff.wait_s(failure, anyio.current_time())
        if wait_s is None:
            raise failure
        await anyio.sleep(wait_s)

    async def _start_session(self, websocket: WebSocket) -> None:
        limit_s = self._settings.start_timeout_s
        try:
            with anyio.fail_after(limit_s):
                await websocket.send(self._exchange.opening())
                while True:
                    received = self._exchange.receive(await websocket.receive())
                    if received.fault is not None:
                        raise received.fault
                    if received.started:
                        break
        except TimeoutError as error:
            raise ConnectError(
                f"{websocket.url}: no answer to start_session within {limit_s:g} s"
            ) from error
        self._undelivered += received.events
        await self._deliver()

    def _link(self, websocket: WebSocket) -> Link:
        return Link(websocket, self._session, self._exchange, self._settings, self._hand_on)

    async def _hand_on(self, received: Received) -> None:
        for command, answer in received.answers:
            self._session.answer(command, answer)
        self._session.note_progress()
        for event in received.events:
            call = self._callbacks.call_for(event)
            if call is not None:
                self._undelivered.append(call)
            self._undelivered.append(event)
        await self._deliver()

    async def _deliver(self) -> None:
        """Hand on what was received. Each item leaves only once it is handed on: a connection that
        ends while the consumer is slow must not take words with it."""
        while self._undelivered:
            item = self._undelivered[0]
            if isinstance(item, partial):
                await self._calls.put(item)
                self._calls_put += 1
            else:
                await self._session.deliver(item, after_call=self._calls_put)
            self._undelivered.popleft()

    async def _make_calls(self) -> None:
        with suppress(StopAsyncIteration):
            for count in itertools.count(1):
                call = await self._calls.get()
                outcome = call()
                # A coroutine runs up to its first wait before anybody else does.
                self._session.calls_begun(count)
                if inspect.isawaitable(outcome):
                    await outcome
