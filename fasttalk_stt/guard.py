"""What stands between one bad connection and the whole process.

Hypercorn 0.18 lets the exception of a single connection end the server, writes without a deadline,
offers compression and switches plain connections to HTTP/2. Subclasses here put that right;
`install_guard` makes Hypercorn use them. They know nothing of what is served. Each hazard has its
test in `tests/abuse`, on plain Hypercorn too where it matters: when such a test stops failing
there, the workaround can go.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import h11
import hypercorn.config
import hypercorn.protocol
import hypercorn.protocol.h11
import hypercorn.trio.run
import structlog
import trio
from attrs import Factory, define
from hypercorn.events import Closed, Event, RawData
from hypercorn.logging import Logger
from hypercorn.protocol.events import Body, Data, Request, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.tcp_server import TCPServer
from wsproto.events import CloseConnection
from wsproto.events import Event as WebSocketEvent
from wsproto.frame_protocol import CloseReason

logger = structlog.get_logger(__name__)

WRITE_TIMEOUT_S = 10.0
"""A peer that takes nothing for this long is gone. A guess, not measured: long enough for a mobile
client between two cells, and with the kernel's buffers in front it is reached only after hundreds
of kilobytes of text."""

CLOSE_LINGER_S = 2.0
"""How long a refused sender may take to read its close frame. Closing at once would answer the
data still on its way with a reset, which can destroy the frame that says why."""

READ_BYTES = 65_536
"""Of a socket at once, as Hypercorn does."""

READ_PIECE_BYTES = 1_024
"""Of the head of a request; so much it may be larger than `h11_max_incomplete_size`."""

_CREDENTIAL_HEADERS = frozenset(
    {b"authorization", b"cookie", b"proxy-authorization", b"sec-websocket-protocol"}
)


@define
class GuardStatistics:
    """What the guard had to stop, since the start of the process."""

    contained_faults: Counter[str] = Factory(Counter)
    """Connections ended by an exception, by its kind and place."""
    write_timeouts: int = 0
    oversized_messages: int = 0


class GuardedTCPServer(TCPServer):
    """One TCP connection that can fail only itself.

    Every exception of the connection is logged and counted; cancellation passes. A write that
    fails, or does not finish within WRITE_TIMEOUT_S, cancels the connection with its handler.
    """

    def __init__(self, *args: Any, statistics: GuardStatistics) -> None:
        super().__init__(*args)
        self._statistics = statistics
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        with self._scope:
            try:
                await super().run()
            except* Exception as group:  # noqa: BLE001 (whatever it is, it ends here)
                self._record(group)

    async def _read_data(self) -> None:
        """Read until the peer is gone, or silent for longer than `read_timeout` while nothing is asked.

        Hypercorn ends a silent connection also while it waits for the answer to its request.
        """
        limit_s = self.config.read_timeout or math.inf
        while True:
            data = None
            try:
                with trio.move_on_after(limit_s):
                    data = await self.stream.receive_some(READ_BYTES)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if data is None:
                if self._is_answering:
                    continue
                break
            await self.protocol.handle(RawData(bytes(data)))
            if not data:
                break
        await self.protocol.handle(Closed())

    @property
    def _is_answering(self) -> bool:
        """Whether an HTTP request is being answered: how long that takes, and how long its body, is for
        its handler to say."""
        protocol = getattr(self.protocol, "protocol", None)
        return isinstance(getattr(protocol, "stream", None), HTTPStream)

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            # Sent by the handler's task on behalf of the connection, after the handler was told of
            # its end; Quart-Trio answers that by cancelling the task. Without the shield the
            # socket of a "Connection: close" request stays open, and no idle timer starts.
            with trio.move_on_after(WRITE_TIMEOUT_S, shield=True):
                await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                # Shielded, because a write that is cut in the middle ruins the stream for the
                # close frame that may follow.
                with trio.fail_after(WRITE_TIMEOUT_S, shield=True):
                    await self.stream.send_all(event.data)
            except trio.TooSlowError:
                self._statistics.write_timeouts += 1
                logger.warning("write_timeout", after_s=WRITE_TIMEOUT_S)
            except (
                trio.BrokenResourceError,
                trio.ClosedResourceError,
                # Hypercorn is shutting the socket down in another task.
                trio.BusyResourceError,
            ):
                pass
            else:
                return
        # Not by a disconnect event: that would wait behind whatever fills the handler's queue.
        self._scope.cancel()
        await trio.aclose_forcefully(self.stream)

    def _record(self, group: BaseExceptionGroup[BaseException]) -> None:
        for error in _leaves(group):
            kind = _kind(error)
            self._statistics.contained_faults[kind] += 1
            # The first of a kind with its traceback; a flood of the same gives one line each.
            first = self._statistics.contained_faults[kind] == 1
            logger.warning("connection_fault", kind=kind, exc_info=error if first else None)


class Http1Protocol(H11Protocol):
    """HTTP/1.1 and WebSockets, never HTTP/2.

    Hypercorn turns a plain connection into HTTP/2 on the client's word. Its HTTP/2 WebSockets
    crash (hypercorn issue 329), and a proxy in front is the place for HTTP/2 and TLS.
    """

    async def handle(self, event: Event) -> None:
        """Hand a large read on in pieces: h11 measures only a head that is still incomplete, so one that
        comes in a single read of 64 KiB would pass whatever its size."""
        if not isinstance(event, RawData) or self.stream is not None:
            await super().handle(event)
            return
        # An empty read is the end of the stream.
        for start in range(0, max(len(event.data), 1), READ_PIECE_BYTES):
            await super().handle(RawData(event.data[start : start + READ_PIECE_BYTES]))
            if getattr(self.connection, "their_state", None) is h11.ERROR:
                return

    async def _check_protocol(self, event: h11.Request) -> None:
        pass


class GuardedWSStream(WSStream):
    """A WebSocket without compression that ends when it is over.

    permessage-deflate costs CPU and gains nothing on PCM; Hypercorn cannot be told not to offer
    it, so the client's offer is left out of the request. Its pings sleep on after the end and hold
    the socket for one more interval; here they are cancelled. After an oversized message it would
    parse on; here the handler ends at once.
    """

    statistics: GuardStatistics

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._pinging = trio.CancelScope()

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Request):
            event.headers[:] = [
                (name, value)
                for name, value in event.headers
                if name.lower() != b"sec-websocket-extensions"
            ]
            await super().handle(event)
            if self.app_put is None:
                # The handshake was refused; Hypercorn leaves the socket to the client.
                await self.send(StreamClosed(stream_id=self.stream_id))
        elif isinstance(event, Body | Data) and not self.closed and not self.handshake.accepted:
            await self._refuse_early_data()
        else:
            if isinstance(event, StreamClosed):
                self._pinging.cancel()
            await super().handle(event)

    async def _refuse_early_data(self) -> None:
        """Answer a frame that came with the upgrade request, which RFC 6455 forbids, with 400.

        Hypercorn does too, but lets the handler accept meanwhile, which kills the process, and
        never tells it of the end.
        """
        self.closed = True
        if self.app_put is not None:
            await self.app_put(
                {"type": "websocket.disconnect", "code": CloseReason.ABNORMAL_CLOSURE.value}
            )
        await self._send_error_response(400)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_pings(self) -> None:
        with self._pinging:
            await super()._send_pings()

    async def _send_wsproto_event(self, event: WebSocketEvent) -> None:
        await super()._send_wsproto_event(event)
        if isinstance(event, CloseConnection) and event.code == CloseReason.MESSAGE_TOO_BIG:
            await self._refuse_the_rest()

    async def _refuse_the_rest(self) -> None:
        """End the handler now and the socket a little later; what still arrives is dropped."""
        self.statistics.oversized_messages += 1
        self.closed = True
        self._pinging.cancel()
        self.task_group.spawn(self._close_later)
        if self.app_put is not None:
            await self.app_put(
                {"type": "websocket.disconnect", "code": CloseReason.MESSAGE_TOO_BIG.value}
            )

    async def _close_later(self) -> None:
        await self.context.sleep(CLOSE_LINGER_S)
        await self.send(StreamClosed(stream_id=self.stream_id))


class DiscreetLogger(Logger):
    """Hypercorn's log, whose access lines hold no credential whatever their format asks for.

    Query strings (`?token=`) and referrers' are replaced, the headers that carry credentials and the
    process's environment, which a format may name too, are left out.
    """

    def atoms(self, request: Any, response: Any, request_time: float) -> Mapping[str, str]:
        safe = dict(request)
        safe["path"] = request["path"].partition("?")[0]
        safe["query_string"] = b"[withheld]" if request["query_string"] else b""
        safe["headers"] = [
            (name, value.partition(b"?")[0] if name.lower() == b"referer" else value)
            for name, value in request["headers"]
            if name.lower() not in _CREDENTIAL_HEADERS
        ]
        atoms = super().atoms(safe, response, request_time)  # type: ignore[arg-type]
        for name in [each for each in atoms if each.endswith("}e")]:
            del atoms[name]  # type: ignore[attr-defined]
        return atoms


def install_guard() -> GuardStatistics:
    """Make Hypercorn serve through the guard from now on, in this process; returns its counts.

    Hypercorn has no option for any of this, so the names it looks up when it starts to serve and
    when a connection arrives are replaced. Call it before serving. Installing again starts new
    counts and leaves the older ones to the servers that already run.
    """
    statistics = GuardStatistics()
    guarded_stream = type("GuardedWSStream", (GuardedWSStream,), {"statistics": statistics})
    vars(hypercorn.trio.run)["TCPServer"] = partial(GuardedTCPServer, statistics=statistics)
    hypercorn.config.Config.logger_class = DiscreetLogger
    vars(hypercorn.protocol)["H11Protocol"] = Http1Protocol
    vars(hypercorn.protocol.h11)["WSStream"] = guarded_stream
    return statistics


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [error]


def _kind(error: BaseException) -> str:
    """Name an exception by its type and the innermost place it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} in {place}"
