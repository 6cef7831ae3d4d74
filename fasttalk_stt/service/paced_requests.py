"""Request bodies that hold their sender back, and a nursery for what a request does.

Quart collects a body as fast as it comes, up to MAX_CONTENT_LENGTH of what nobody has read, which is no
bound for an upload. For the paths that take one, a piece is read from the connection only when the one
before it has been taken.
"""

from __future__ import annotations

from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers.request import TrioBody, TrioRequest

UPLOAD_PREFIX = "/v1/"


class PacedBody(TrioBody):
    """A body to iterate over, once. It has no limit of its own: whoever reads it counts."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self._taken = trio.lowlevel.ParkingLot()

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._complete.is_set()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._taken.unpark_all()
        return data

    async def wait_taken(self) -> None:
        """Wait until what has come was read."""
        while self._data:
            await self._taken.park()


class PacedRequest(TrioRequest):
    """`tasks` lives until the answer is sent, and is cancelled when the client is gone."""

    tasks: trio.Nursery


class PacedHTTPConnection(TrioASGIHTTPConnection):
    """One request of the application."""

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        request = super()._create_request_from_scope(send)
        if request.path.startswith(UPLOAD_PREFIX):
            request.body = PacedBody()
        return request

    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                break
            if isinstance(request.body, PacedBody):
                await request.body.wait_taken()
            request.body.append(message.get("body", b""))
            if not message.get("more_body", False):
                request.body.set_complete()
        nursery.cancel_scope.cancel()

    async def handle_request(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, send: ASGISendCallable
    ) -> None:
        if isinstance(request, PacedRequest):
            request.tasks = nursery
        await super().handle_request(nursery, request, send)
