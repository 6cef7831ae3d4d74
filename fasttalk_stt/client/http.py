"""One GET over HTTP/1.1, for `/health`: h11 decides, anyio moves the bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import h11
from attrs import frozen

from fasttalk_stt.client.address import Address, OpenStream
from fasttalk_stt.client.errors import ConnectError

MAX_BODY_BYTES = 256 * 1024


@frozen
class Response:
    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises ValueError where it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("the body's JSON is nested too deeply") from error


async def get(
    address: Address,
    path: str,
    *,
    open_stream: OpenStream,
    headers: Sequence[tuple[str, str]] = (),
    timeout_s: float,
) -> Response:
    """Ask for a path on a connection of its own. Raises ConnectError, also after `timeout_s`."""
    where = f"{address.authority}{address.path(path)}"
    try:
        with anyio.fail_after(timeout_s):
            stream = await open_stream(address)
            try:
                return await _exchange(stream, address, path, headers)
            finally:
                await anyio.aclose_forcefully(stream)
    except TimeoutError as error:
        raise ConnectError(f"{where}: no answer within {timeout_s:g} s") from error
    except h11.LocalProtocolError:
        # Its sentence quotes what is wrong with the request, and that may be the token.
        raise ConnectError(f"{where}: the request is no HTTP", recoverable=False) from None
    except (
        h11.RemoteProtocolError,
        anyio.BrokenResourceError,
        anyio.EndOfStream,
        OSError,
    ) as error:
        raise ConnectError(
            f"{where}: no HTTP answer: {str(error) or type(error).__name__}"
        ) from error


async def _exchange(
    stream: anyio.abc.ByteStream, address: Address, path: str, headers: Sequence[tuple[str, str]]
) -> Response:
    wire = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET",
        target=address.path(path),
        headers=[
            ("Host", address.authority),
            ("Accept", "application/json"),
            ("Connection", "close"),
            *headers,
        ],
    )
    await stream.send((wire.send(request) or b"") + (wire.send(h11.EndOfMessage()) or b""))
    status = 0
    body = bytearray()
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            try:
                data = await stream.receive()
            except anyio.EndOfStream:
                data = b""
            wire.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise ConnectError(
                    f"{address.authority}: the answer is over {MAX_BODY_BYTES} bytes"
                )
        elif isinstance(event, h11.EndOfMessage):
            return Response(status, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectError(f"{address.authority}: the connection ended inside the answer")
