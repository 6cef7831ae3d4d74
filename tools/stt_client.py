"""A Trio client for measuring: one connection, one session a recording, everything noted.

It sends on an absolute schedule, so a slow moment is caught up and never becomes drift, and reads
all the while. It judges nothing: it returns a `trace.SessionTrace`. It does not
reconnect: it shows what happened instead.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import trio
from attrs import frozen
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import LocalProtocolError

from fasttalk_stt.transcripts.audio_file import Clip, frames
from tools.trace import Arrival, Message, SentFrame, SessionTrace

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0

_NO_ANSWER = f"no answer to the connection within {CONNECT_TIMEOUT_S:g} s"

QUEUED_MESSAGES = 256
"""Messages the library may hold while we look at one: a burst of partials, nothing more."""


E = TypeVar("E", bound=BaseException)


class ConnectFailedError(Exception):
    """No connection came about; the message is one line for the user."""


class CloseFailedError(Exception):
    """The connection had to be cut at its end; the message is one line for the user."""


@frozen
class Pace:
    """How audio is sent.

    `speed` 1 is real time, 2 twice as fast, 0 as fast as the server takes it. `idle_timeout_s` is
    how long neither a frame may leave nor a message come before the session is given up.
    """

    speed: float = 1.0
    frame_ms: float = 32.0
    idle_timeout_s: float = 30.0


def ignore_message(message: Message) -> None:
    """The default listener of a session."""


@asynccontextmanager
async def open_client(
    url: str, *, headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[SttClient]:
    """Connect; the connection is closed with 1000 at the end of the block.

    Raises ConnectFailedError when there is no server or it refuses the upgrade (with the HTTP
    status and what the answer's body says), CloseFailedError when it does not answer the close.
    """
    address = _address(url)
    try:
        with trio.fail_after(CONNECT_TIMEOUT_S):
            stream = await address.open_stream()
    except trio.TooSlowError as error:
        raise ConnectFailedError(f"{url}: {_NO_ANSWER}") from error
    except OSError as error:
        raise ConnectFailedError(f"{url}: cannot connect: {_cause(error)}") from error
    closing = False
    try:
        with _single_errors():
            async with trio.open_nursery() as nursery:
                try:
                    with trio.fail_after(CONNECT_TIMEOUT_S):
                        socket = await _shake_hands(nursery, stream, address, headers)
                except trio.TooSlowError as error:
                    raise ConnectFailedError(f"{url}: {_NO_ANSWER}") from error
                yield SttClient(socket)
                closing = True
                with trio.move_on_after(CLOSE_TIMEOUT_S) as limit:
                    await socket.aclose()
                if limit.cancelled_caught:
                    raise CloseFailedError(
                        f"{url}: the server did not answer the close within {CLOSE_TIMEOUT_S:g} s"
                    )
                nursery.cancel_scope.cancel()
    except ConnectionRejected as refusal:
        raise ConnectFailedError(f"{url}: {refusal_line(refusal)}") from refusal
    except LocalProtocolError:
        # trio-websocket 0.12.2 answers a ping that meets our close, which wsproto forbids.
        if not closing:
            raise
    finally:
        # The stream is ours because trio-websocket 0.12.2 leaves the socket open after a refusal
        # or when the server closed first (test_replay's warnings would tell).
        await trio.aclose_forcefully(stream)


@frozen
class _Address:
    """Where a WebSocket URL leads."""

    host: str
    port: int
    resource: str
    is_tls: bool

    async def open_stream(self) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
        if self.is_tls:
            return await trio.open_ssl_over_tcp_stream(self.host, self.port, https_compatible=True)
        return await trio.open_tcp_stream(self.host, self.port)


def _address(url: str) -> _Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConnectFailedError(f"{url}: not a URL: {error}") from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConnectFailedError(f"{url}: expected ws://HOST:PORT/PATH or wss://...")
    is_tls = parts.scheme == "wss"
    return _Address(
        host=parts.hostname,
        port=port if port is not None else 443 if is_tls else 80,
        resource=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        is_tls=is_tls,
    )


async def _shake_hands(
    nursery: trio.Nursery,
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
    address: _Address,
    headers: Sequence[tuple[str, str]],
) -> WebSocketConnection:
    return await wrap_client_stream(
        nursery,
        stream,
        f"{address.host}:{address.port}",
        address.resource,
        extra_headers=[
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ],
        message_queue_size=QUEUED_MESSAGES,
    )


@contextmanager
def _single_errors() -> Iterator[None]:
    """A nursery's group with one error in it becomes that error: callers see no nursery here."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = [error for error in _leaves(group) if not isinstance(error, trio.Cancelled)]
        if len(errors) == 1:
            raise errors[0] from None
        raise


def refusal_line(refusal: ConnectionRejected) -> str:
    """What a refused upgrade says: status, Retry-After, and the message in its body."""
    line = f"the server refused the connection with HTTP {refusal.status_code}"
    said = _said_in_body(refusal.body or b"")
    if said:
        line += f": {said}"
    headers = {name.lower(): value for name, value in refusal.headers}
    if b"retry-after" in headers:
        line += f" (try again in {headers[b'retry-after'].decode('latin-1')} s)"
    return line


@frozen
class SttClient:
    """An open connection. Sessions run on it one after another, never at the same time."""

    socket: WebSocketConnection

    @property
    def is_open(self) -> bool:
        return self.socket.closed is None

    async def run_session(
        self,
        clip: Clip,
        config: Mapping[str, Any],
        *,
        pace: Pace,
        on_message: Callable[[Message], None] = ignore_message,
    ) -> SessionTrace:
        """Send a recording as one session and read until its `session_ended`.

        `config` is the `session_config`; `clip.rate_hz` is added to it as `sample_rate`. Whatever
        goes wrong is the trace's `failure`; after one the connection is not fit for another
        session. On cancellation the connection is left inside the session.
        """
        session = _RunningSession(self.socket, clip, config, pace, on_message)
        return await session.run()


class _RunningSession:
    """The two tasks of a session and what they noted."""

    def __init__(
        self,
        socket: WebSocketConnection,
        clip: Clip,
        config: Mapping[str, Any],
        pace: Pace,
        on_message: Callable[[Message], None],
    ) -> None:
        self._socket = socket
        self._clip = clip
        self._config = {**config, "sample_rate": clip.rate_hz}
        self._pace = pace
        self._on_message = on_message
        self._sent: list[SentFrame] = []
        self._arrivals: list[Arrival] = []
        self._lag_s = 0.0
        self._started = trio.Event()
        self._ending = False
        self._watchdog = trio.CancelScope()

    async def run(self) -> SessionTrace:
        began_at_s = trio.current_time()
        failure: str | None = None
        with self._watchdog:
            self._note_progress()
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send)
                    await self._receive()
                    nursery.cancel_scope.cancel()
            except* ConnectionClosed as group:
                failure = _close_line(_first(group, ConnectionClosed))
            except* _SessionFailedError as group:
                failure = str(_first(group, _SessionFailedError))
        if self._watchdog.cancelled_caught:
            failure = self._silence_line()
        return SessionTrace(
            rate_hz=self._clip.rate_hz,
            duration_ms=self._clip.duration_ms,
            sent=tuple(self._sent),
            arrivals=tuple(self._arrivals),
            began_at_s=began_at_s,
            ended_at_s=trio.current_time(),
            lag_ms=self._lag_s * 1000,
            failure=failure,
        )

    async def _send(self) -> None:
        await self._send_json({"type": "start_session", "session_config": self._config})
        await self._started.wait()
        encoding = str(self._config.get("encoding", "f32le"))
        began_at_s = trio.current_time()
        speed = self._pace.speed
        for frame in frames(self._clip, frame_ms=self._pace.frame_ms, encoding=encoding):
            if speed:
                # A microphone hands a frame over when its last sample has been heard.
                due_at_s = began_at_s + frame.end_sample / self._clip.rate_hz / speed
                await trio.sleep_until(due_at_s)
            await self._socket.send_message(frame.payload)
            now_s = trio.current_time()
            self._sent.append(SentFrame(at_s=now_s, end_sample=frame.end_sample))
            if speed:
                self._lag_s = max(self._lag_s, now_s - due_at_s)
            self._note_progress()
        await self._send_json({"type": "end_session"})
        self._ending = True
        self._note_progress()

    async def _receive(self) -> None:
        while True:
            raw = await self._socket.get_message()
            arrived_at_s = trio.current_time()
            self._note_progress()
            message = _parsed(raw)
            self._arrivals.append(Arrival(at_s=arrived_at_s, message=message))
            self._on_message(message)
            kind = message.get("type")
            if kind == "session_started":
                self._started.set()
            elif kind == "error" and not self._started.is_set():
                error = message["error"]
                raise _SessionFailedError(
                    f"the session was refused: {error['code']}: {error['message']}"
                )
            elif kind == "session_ended":
                if not self._ending:
                    raise _SessionFailedError(
                        f"the server ended the session early (reason {message.get('reason')})"
                    )
                return

    async def _send_json(self, message: Mapping[str, Any]) -> None:
        await self._socket.send_message(json.dumps(message))

    def _note_progress(self) -> None:
        self._watchdog.deadline = trio.current_time() + self._pace.idle_timeout_s

    def _silence_line(self) -> str:
        within = f"within {self._pace.idle_timeout_s:g} s"
        if not self._started.is_set():
            return f"no answer to start_session {within}"
        if self._ending:
            return f"nothing came {within} after end_session, and no session_ended"
        return f"the server took no audio and said nothing {within}"


class _SessionFailedError(Exception):
    """Ends a session; the message is its failure line."""


def _first(group: BaseExceptionGroup[E], kind: type[E]) -> E:
    # Both tasks may fail of one cause, so the first tells as much as both.
    return next(error for error in _leaves(group) if isinstance(error, kind))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _close_line(closed: ConnectionClosed) -> str:
    if closed.reason is None:
        return "the connection was closed"
    said = f" ({closed.reason.reason})" if closed.reason.reason else ""
    if closed.reason.code == 1006:
        return "the connection broke off without a close frame"
    return f"the server closed the connection with {closed.reason.code}{said}"


def _parsed(raw: str | bytes) -> Message:
    try:
        message = json.loads(raw)
    except ValueError as error:
        raise _SessionFailedError(f"the server sent no JSON: {raw[:80]!r}") from error
    if not isinstance(message, dict):
        raise _SessionFailedError(f"the server sent no JSON object: {raw[:80]!r}")
    return message


def _said_in_body(body: bytes) -> str:
    """The message of an error body: our JSON, or the first line of whatever a proxy said."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        parsed = json.loads(text)
    except ValueError:
        return text.splitlines()[0][:200] if text else ""
    if not isinstance(parsed, dict):
        return text[:200]
    error = parsed.get("error", parsed)
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        return ": ".join(str(part) for part in (code, message) if part)
    return str(error)


def _cause(error: BaseException) -> str:
    """The innermost sentence: trio wraps one OSError an address in a group in an OSError."""
    innermost = next(_leaves(error))
    while innermost.__cause__ is not None:
        innermost = next(_leaves(innermost.__cause__))
    return getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
