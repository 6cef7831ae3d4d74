"""A client's WebSocket over a byte stream: wsproto decides, anyio moves the bytes.

It works under asyncio and Trio alike. One task may receive while another one sends; more than one
of a kind must not. It knows nothing of sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import anyio
import h11
from anyio.abc import ByteStream
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from fasttalk_stt.client.errors import ConnectError, DisconnectedError
from fasttalk_stt.client.refusal import MAX_BODY_BYTES, read_refusal
from fasttalk_stt.protocol.errors import CloseCode

READ_BYTES = 65_536
NO_STATUS = 1005
"""What RFC 6455 calls a close frame without a code."""

Headers = Sequence[tuple[str, str]]
Message = str | bytes


def _nothing() -> None:
    """The default of `on_control`."""


class WebSocket:
    """An open connection; close it with `aclose`.

    Pings are answered by `send_control`, which the sending task calls when `on_control` says that
    there is something, so that reading never waits for writing.
    """

    def __init__(
        self,
        stream: ByteStream,
        wire: WSConnection,
        *,
        url: str,
        max_message_bytes: int,
        renews: bool = False,
    ) -> None:
        """`renews`: the next connection would have fresh credentials."""
        self.url = url
        self.on_control: Callable[[], None] = _nothing
        self._stream = stream
        self._wire = wire
        self._max_message_bytes = max_message_bytes
        self._renews = renews
        self._ready: deque[Message] = deque()
        self._parts: list[Message] = []
        self._parts_bytes = 0
        self._pong: Pong | None = None
        self._end: DisconnectedError | None = None
        self._writing = False

    @property
    def is_reusable(self) -> bool:
        """Whether another session may have it: as far as is known nothing has ended it, and no frame
        was cut off. Ask while nobody sends."""
        return self._end is None and not self._writing

    async def receive(self) -> Message:
        """Wait for the next message.

        Raises DisconnectedError once the connection is over; messages before that come first.
        """
        while not self._ready:
            if self._end is not None:
                raise self._end
            await self._read()
        return self._ready.popleft()

    async def send(self, message: Message) -> None:
        """Send one message; waits while the peer takes nothing. Raises DisconnectedError.

        Cancelled in between, the connection is broken, since half a frame may have left.
        """
        if isinstance(message, str):
            await self._write(TextMessage(data=message))
        else:
            await self._write(BytesMessage(data=message))

    async def send_control(self) -> None:
        """Answer the last ping, if one waits for it."""
        pong, self._pong = self._pong, None
        if pong is not None:
            await self._write(pong)

    async def aclose(
        self, code: int = CloseCode.NORMAL, reason: str = "", *, deadline_s: float = 2.0
    ) -> None:
        """Close with a close frame and wait for its answer up to the deadline; never raises for a
        peer that is gone. The deadline holds under cancellation too."""
        with anyio.move_on_after(deadline_s, shield=True):
            if self._end is None and not self._writing:
                try:
                    await self._write(CloseConnection(code=code, reason=reason))
                    while self._end is None:
                        self._ready.clear()
                        await self._read()
                except DisconnectedError:
                    pass  # It was closing or gone already, which is what we want.
        if self._end is None:
            self._end = DisconnectedError("The connection was closed by us.", close_code=code)
        await anyio.aclose_forcefully(self._stream)

    async def abort(self) -> None:
        """Hang up without a word, where the peer would not answer."""
        self._lose("was given up")
        await anyio.aclose_forcefully(self._stream)

    async def _write(self, event: Event) -> None:
        if self._end is not None:
            raise self._end
        if self._writing:
            raise DisconnectedError(
                f"{self.url}: a frame was cut off, so nothing more can be sent."
            )
        try:
            data = self._wire.send(event)
        except LocalProtocolError as error:
            # The close frame of the peer is in; what it says is read by `receive`.
            raise DisconnectedError("The connection is closing.") from error
        self._writing = True
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            # No end for `receive`: why the peer hung up may lie unread.
            raise DisconnectedError(f"{self.url}: the connection broke off.") from error
        # Not in a `finally`: a write that was cancelled or failed has left half a frame behind.
        self._writing = False

    async def _read(self) -> None:
        try:
            data = await self._stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            self._lose("ended without a close frame")
            return
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self._lose("broke off")
            return
        try:
            self._wire.receive_data(data)
            await self._take_events()
        except (RemoteProtocolError, LocalProtocolError) as error:
            self._end = DisconnectedError(f"{self.url}: no WebSocket frames came: {error}")

    async def _take_events(self) -> None:
        for event in self._wire.events():
            match event:
                case TextMessage() | BytesMessage():
                    self._take_part(event.data, is_last=event.message_finished)
                case Ping():
                    self._pong = event.response()
                    self.on_control()
                case CloseConnection():
                    await self._answer_close(event)
                case _:
                    pass
            if self._end is not None:
                return

    def _take_part(self, data: str | bytes | bytearray, *, is_last: bool) -> None:
        part: Message = data if isinstance(data, str) else bytes(data)
        self._parts_bytes += len(part)
        if self._parts_bytes > self._max_message_bytes:
            self._end = DisconnectedError(
                f"{self.url}: a message is longer than {self._max_message_bytes} bytes.",
                close_code=CloseCode.TOO_BIG,
            )
            return
        self._parts.append(part)
        if not is_last:
            return
        if isinstance(part, str):
            self._ready.append("".join(str(each) for each in self._parts))
        else:
            self._ready.append(b"".join(e for e in self._parts if isinstance(e, bytes)))
        self._parts, self._parts_bytes = [], 0

    async def _answer_close(self, event: CloseConnection) -> None:
        if self._wire.state is ConnectionState.OPEN:
            # wsproto's way of telling that what came is no WebSocket frame.
            self._end = DisconnectedError(f"{self.url}: no WebSocket frames came: {event.reason}")
            return
        code = None if event.code in (NO_STATUS, None) else int(event.code)
        said = f" ({event.reason})" if event.reason else ""
        shown = "no code" if code is None else str(code)
        self._end = DisconnectedError(
            f"{self.url}: the server closed the connection with {shown}{said}.",
            close_code=code,
            reason=event.reason or "",
            renews=self._renews,
        )
        if self._wire.state is ConnectionState.REMOTE_CLOSING and not self._writing:
            try:
                # One small frame: a peer that has just written a close frame takes it.
                with anyio.move_on_after(1.0):
                    await self._stream.send(self._wire.send(event.response()))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                pass  # It did not wait for the answer.

    def _lose(self, how: str) -> None:
        self._end = self._end or DisconnectedError(f"{self.url}: the connection {how}.")


async def shake_hands(
    stream: ByteStream,
    *,
    url: str,
    host: str,
    target: str,
    headers: Headers = (),
    max_message_bytes: int = 4 * 1024 * 1024,
    renews: bool = False,
) -> WebSocket:
    """Make a WebSocket of a fresh stream, which the caller closes where this raises.

    `renews`: the credentials in the headers would be fresh ones the next time.

    Raises RefusedError for an HTTP answer other than 101, ConnectError where no WebSocket server
    answers. Set a deadline around it.
    """
    wire = WSConnection(ConnectionType.CLIENT)
    extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    try:
        await stream.send(wire.send(Request(host=host, target=target, extra_headers=extra)))
        await _read_answer(stream, wire, url)
        websocket = WebSocket(
            stream, wire, url=url, max_message_bytes=max_message_bytes, renews=renews
        )
        await websocket._take_events()
    except h11.LocalProtocolError:
        # Its sentence quotes what is wrong with the request, and that may be the token.
        raise ConnectError(
            f"{url}: the request is no HTTP: look for white space in its query.", recoverable=False
        ) from None
    except (RemoteProtocolError, LocalProtocolError, h11.RemoteProtocolError) as error:
        raise ConnectError(f"{url}: no WebSocket server answered: {error}") from error
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
        raise ConnectError(f"{url}: the connection broke off before an answer") from error
    return websocket


async def _read_answer(stream: ByteStream, wire: WSConnection, url: str) -> None:
    """Read until the upgrade is accepted; raises what the answer says otherwise."""
    rejection: RejectConnection | None = None
    body = bytearray()
    is_whole = False
    while True:
        try:
            data = await stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            if rejection is None:
                raise ConnectError(f"{url}: the server hung up instead of answering") from None
            is_whole = True
        else:
            wire.receive_data(data)
        for event in wire.events():
            match event:
                case AcceptConnection():
                    return
                case RejectConnection():
                    rejection, is_whole = event, not event.has_body
                case RejectData():
                    body += event.data
                    is_whole = event.body_finished
                case _:
                    pass
        if rejection is not None and (is_whole or len(body) > MAX_BODY_BYTES):
            raise read_refusal(url, rejection.status_code, rejection.headers, bytes(body))
