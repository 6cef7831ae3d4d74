"""A pool of connections: sessions run one after another on each, and idle ones are kept alive."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType

import anyio
from attrs import frozen

from fasttalk_stt.client.address import OpenStream
from fasttalk_stt.client.connect import run_session
from fasttalk_stt.client.connector import Dialer, SingleConnector
from fasttalk_stt.client.credentials import Credentials
from fasttalk_stt.client.discovery import ServiceDiscovery
from fasttalk_stt.client.errors import PoolExhaustedError, SttError
from fasttalk_stt.client.events import parse
from fasttalk_stt.client.options import ClientSettings, SessionOptions
from fasttalk_stt.client.runner import Callbacks, OnError, OnOnset, OnRejected
from fasttalk_stt.client.session import Session
from fasttalk_stt.client.transport import WebSocket


@frozen(kw_only=True)
class PoolSettings:
    """`max_sessions` at a time, `max_idle` connections kept for the next ones; times in seconds.

    Idle connections are asked for a sign of life every `check_every_s` (a server drops one on which
    nothing comes for 60 s) and must answer within `check_timeout_s`. `wait_s`: how long a session
    waits for another one's end while the pool is full.
    """

    max_sessions: int = 50
    max_idle: int = 10
    check_every_s: float = 15.0
    check_timeout_s: float = 2.0
    wait_s: float = 5.0


@frozen
class PoolStatistics:
    """`opened`, `reused` and `dropped` count connections since the start."""

    in_use: int
    idle: int
    opened: int
    reused: int
    dropped: int


@frozen(eq=False)
class _Idle:
    websocket: WebSocket
    url: str | None


class ConnectionPool:
    """Use it as `async with`; `session` gives sessions as `connect` does."""

    def __init__(
        self,
        server: str | ServiceDiscovery,
        *,
        credentials: Credentials = None,
        settings: ClientSettings | None = None,
        pool: PoolSettings | None = None,
        open_stream: OpenStream | None = None,
    ) -> None:
        """Raises ValueError where the URL leads nowhere. A discovery is the caller's to run."""
        self._settings = settings or ClientSettings()
        self._pool = pool or PoolSettings()
        self._dialer = Dialer(
            credentials=credentials, settings=self._settings, open_stream=open_stream
        )
        self._discovery = server if isinstance(server, ServiceDiscovery) else None
        self._single = None if self._discovery else SingleConnector(str(server), self._dialer)
        self._idle: deque[_Idle] = deque()
        self._urls: dict[WebSocket, str] = {}
        self._places = anyio.Semaphore(self._pool.max_sessions)
        self._stack = AsyncExitStack()
        self._closed = False
        self._opened = self._reused = self._dropped = 0

    async def __aenter__(self) -> ConnectionPool:
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(self._keep_alive)
        self._stack.callback(tasks.cancel_scope.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all idle connections; those in use are closed as their sessions end."""
        self._closed = True
        try:
            await self._stack.aclose()
        finally:
            # Cancelled or not, all are closed, at the same time and within one deadline.
            with anyio.move_on_after(self._settings.close_timeout_s + 1.0, shield=True):
                async with anyio.create_task_group() as tasks:
                    while self._idle:
                        tasks.start_soon(self._dialer.close, self._idle.popleft().websocket)

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(
            in_use=self._pool.max_sessions - self._places.value,
            idle=len(self._idle),
            opened=self._opened,
            reused=self._reused,
            dropped=self._dropped,
        )

    @asynccontextmanager
    async def session(
        self,
        config: SessionOptions | None = None,
        *,
        on_speech_onset: OnOnset | None = None,
        on_onset_rejected: OnRejected | None = None,
        on_error: OnError | None = None,
    ) -> AsyncIterator[Session]:
        """A session on a pooled connection, which comes back to the pool if `end()` ended it.

        Raises PoolExhaustedError where all places stay taken for `wait_s`, and what `connect` does.
        """
        if self._closed:
            raise PoolExhaustedError("The pool is closed.")
        try:
            with anyio.fail_after(self._pool.wait_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise PoolExhaustedError(
                f"All {self._pool.max_sessions} places of the pool stayed taken for "
                f"{self._pool.wait_s:g} s. End sessions, or raise max_sessions."
            ) from error
        try:
            callbacks = Callbacks(
                on_speech_onset=on_speech_onset,
                on_onset_rejected=on_onset_rejected,
                on_error=on_error,
            )
            async with run_session(
                self, config=config, settings=self._settings, callbacks=callbacks
            ) as session:
                yield session
        finally:
            self._places.release()

    # ---- what a session asks of its connector ------------------------------------------------------

    async def open(self, *, resumes: bool) -> WebSocket:
        """An idle connection that still answers, or a new one; a session that goes on waits for no
        answer and gets a new one. Raises as dialling does."""
        while self._idle and not resumes:
            idle = self._idle.pop()
            if await self._answers(idle):
                self._reused += 1
                if idle.url is not None:
                    self._urls[idle.websocket] = idle.url
                return idle.websocket
            await self._drop_idle(idle.url)
        if self._single is not None:
            websocket = await self._single.open(resumes=resumes)
        elif self._discovery is not None:
            url, websocket = await self._discovery.dial(self._dialer, resumes=resumes)
            self._urls[websocket] = url
        self._opened += 1
        return websocket

    async def release(self, websocket: WebSocket, fault: SttError | None) -> None:
        """Keep it for the next session, or close it."""
        url = self._urls.pop(websocket, None)
        if url is not None and fault is not None and fault.recoverable and self._discovery:
            self._discovery.failed(url, fault)
        if fault is None and websocket.is_reusable:
            await self._keep(_Idle(websocket, url))
        else:
            self._dropped += 1
            await self._dialer.close(websocket, fault)

    async def _drop_idle(self, url: str | None) -> None:
        """One to that server is gone, and the others are likely to be: nobody is to wait for each."""
        gone = [idle for idle in self._idle if idle.url == url]
        self._idle = deque(idle for idle in self._idle if idle.url != url)
        self._dropped += len(gone)
        for idle in gone:
            await idle.websocket.abort()

    async def _keep_alive(self) -> None:
        while True:
            await anyio.sleep(self._pool.check_every_s)
            async with anyio.create_task_group() as tasks:
                # Each is out of the pool while it is asked, so that no session takes it meanwhile.
                while self._idle:
                    tasks.start_soon(self._check, self._idle.popleft())

    async def _check(self, idle: _Idle) -> None:
        if await self._answers(idle):
            # Those that came back meanwhile have their places.
            await self._keep(idle)

    async def _keep(self, idle: _Idle) -> None:
        if len(self._idle) < self._pool.max_idle and not self._closed:
            self._idle.append(idle)
        else:
            self._dropped += 1
            await self._dialer.close(idle.websocket)

    async def _answers(self, idle: _Idle) -> bool:
        """Whether it still answers, to a server that we would still choose; closed where not."""
        websocket = idle.websocket
        keep = False
        try:
            if self._discovery is None or idle.url is None or not self._discovery.is_out(idle.url):
                with anyio.move_on_after(self._pool.check_timeout_s):
                    await _ping(websocket)
                    keep = True
        except SttError:
            pass  # It is closed below, as one that does not answer.
        finally:
            if not keep:
                self._dropped += 1
                await websocket.abort()
        return keep


async def _ping(websocket: WebSocket) -> None:
    """Ask for a sign of life, and answer the server's own pings that came meanwhile."""
    await websocket.send(json.dumps({"type": "ping", "id": "pool"}))
    while True:
        message = parse(await websocket.receive())
        if message["type"] == "pong" and message.get("id") == "pool":
            break
    await websocket.send_control()
