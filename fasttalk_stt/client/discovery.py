"""Service discovery: polls `/health` of a list of servers and sends sessions to the least loaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from types import TracebackType

import anyio
from attrs import field, frozen

from fasttalk_stt.client import http
from fasttalk_stt.client.address import Address, OpenStream, stream_opener
from fasttalk_stt.client.connector import Dialer
from fasttalk_stt.client.credentials import Credentials, authorization
from fasttalk_stt.client.errors import (
    CredentialsError,
    DisconnectedError,
    ForbiddenError,
    SttError,
    UnauthorizedError,
)
from fasttalk_stt.client.replicas import FAILED_S, ReplicaTable, ReplicaView, read_capacity
from fasttalk_stt.client.transport import WebSocket
from fasttalk_stt.protocol.errors import CloseCode

DRAINING_S = 60.0
"""How long a server that drains is left out; it is about to stop, or to come back as another."""


@frozen(kw_only=True)
class DiscoverySettings:
    """Seconds between two looks at a server, and how long it may take to answer. `ssl_context` is for
    the looks; None: the system's certificates. Sessions have that of `ClientSettings`."""

    poll_s: float = 5.0
    timeout_s: float = 2.0
    ssl_context: SSLContext | None = field(default=None, repr=False)


class ServiceDiscovery:
    """Use it as `async with`: it polls meanwhile. Pass it to `connect` in place of a URL."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        credentials: Credentials = None,
        settings: DiscoverySettings = DiscoverySettings(),
        open_stream: OpenStream | None = None,
    ) -> None:
        """`urls`: http://HOST:PORT, or the WebSocket's own. Raises ValueError for what is no URL."""
        self._table = ReplicaTable(urls)
        self._addresses = {url: Address.parse(url) for url in urls}
        self._credentials = credentials
        self._settings = settings
        self._open_stream = open_stream or stream_opener(settings.ssl_context)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> ServiceDiscovery:
        """Look at every server once, then go on looking beside the caller."""
        await self.refresh()
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(self._poll)
        self._stack.callback(tasks.cancel_scope.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def order(self) -> list[str]:
        """The servers to try, best first."""
        return self._table.order(anyio.current_time())

    def least_loaded(self) -> str:
        """The server with the most room, as `ws://` URL; its WebSocket may still be refused."""
        return str(self._addresses[self.order()[0]])

    def view(self) -> list[ReplicaView]:
        """What is known of each server."""
        return self._table.view(anyio.current_time())

    async def refresh(self) -> None:
        """Look at all servers now, at the same time."""
        async with anyio.create_task_group() as tasks:
            for url in self._table.urls:
                tasks.start_soon(self._look, url)

    async def dial(self, dialer: Dialer, *, resumes: bool = False) -> tuple[str, WebSocket]:
        """Connect to the best server that takes us; `resumes` as for `Dialer.dial`.

        Raises the most hopeful of the servers' refusals where none does; what is wrong with the
        credentials at once, since the others would say the same.
        """
        now_s = anyio.current_time()
        order = self._table.order(now_s)
        best = [url for url in order if not self._table.is_out(url, now_s)] or order
        failures: list[SttError] = []
        for url in best:
            try:
                websocket = await dialer.dial(self._addresses[url], resumes=resumes)
            except (CredentialsError, UnauthorizedError, ForbiddenError):
                raise
            except SttError as error:
                wait_s = error.retry_after_s
                self._table.leave_out(
                    url, anyio.current_time(), FAILED_S if wait_s is None else wait_s
                )
                failures.append(error)
            else:
                self._table.assigned(url)
                return url, websocket
        raise min(failures, key=_hope)

    def failed(self, url: str, fault: SttError) -> None:
        """A session had to leave that server."""
        if isinstance(fault, DisconnectedError) and fault.is_expiry:
            return
        drains = isinstance(fault, DisconnectedError) and fault.close_code == CloseCode.GOING_AWAY
        wait_s = DRAINING_S if drains or fault.code == "server_draining" else FAILED_S
        self._table.leave_out(url, anyio.current_time(), wait_s)

    def is_out(self, url: str) -> bool:
        """Whether that server drains or failed lately."""
        return self._table.is_out(url, anyio.current_time())

    async def _poll(self) -> None:
        while True:
            await anyio.sleep(self._settings.poll_s)
            await self.refresh()

    async def _look(self, url: str) -> None:
        """Look at one server. Whatever comes of it is noted: conversations go on meanwhile."""
        timeout_s = self._settings.timeout_s
        try:
            response = await http.get(
                self._addresses[url],
                "/health",
                open_stream=self._open_stream,
                headers=await authorization(self._credentials, timeout_s=timeout_s),
                timeout_s=timeout_s,
            )
            capacity = read_capacity(response.json())
        except CredentialsError as error:
            # The server has not been asked, so what is known of it stands.
            self._table.note_error(url, error.message)
            return
        except (SttError, ValueError) as error:
            self._fail(url, str(error))
            return
        except Exception as error:  # noqa: BLE001 - `open_stream` may be the caller's own
            self._fail(url, type(error).__name__)
            return
        if response.status == 200 or capacity.draining:
            self._table.healthy(url, capacity, anyio.current_time())
        else:
            self._fail(url, f"/health answered {response.status}")

    def _fail(self, url: str, error: str) -> None:
        self._table.leave_out(url, anyio.current_time())
        self._table.note_error(url, error)


def _hope(error: SttError) -> tuple[bool, bool, float]:
    """Sorts refusals: the shortest wait first, then those that name none, then those for good."""
    known = error.is_busy and error.retry_after_s is not None
    return (
        not error.recoverable,
        not known,
        error.retry_after_s if known and error.retry_after_s else 0.0,
    )


class DiscoveryConnector:
    """A session's connections from whichever server has room; a fault leads to another one."""

    def __init__(self, discovery: ServiceDiscovery, dialer: Dialer) -> None:
        self._discovery = discovery
        self._dialer = dialer
        self._urls: dict[WebSocket, str] = {}

    async def open(self, *, resumes: bool) -> WebSocket:
        url, websocket = await self._discovery.dial(self._dialer, resumes=resumes)
        self._urls[websocket] = url
        return websocket

    async def release(self, websocket: WebSocket, fault: SttError | None) -> None:
        url = self._urls.pop(websocket, None)
        if url is not None and fault is not None and fault.recoverable:
            self._discovery.failed(url, fault)
        await self._dialer.close(websocket, fault)
