"""The places where messages pass by in tests, and how to hold all of them against the document."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest
from attrs import define, field

from tests.contract import ContractError, check_received, check_sent


@define
class Watch:
    """Notes what is not as documented, to be told at the end of the test: raised where it happens, it
    would be a fault that a connection contains."""

    monkeypatch: pytest.MonkeyPatch
    faults: list[ContractError] = field(factory=list)

    def connections(self) -> None:
        """Watch what connections of this process send and take, and what the client library sends."""
        from fasttalk_stt.client import exchange
        from fasttalk_stt.connection import connection, receiver, sender

        self._watch_results(sender, "encode_server_message", check_sent)
        self._watch_results(connection, "encode_server_message", check_sent)
        self._watch_results(exchange, "encode_client_message", check_received)
        self._watch_arguments(receiver, "decode_client_message", check_received)

    def sockets(self) -> None:
        """Watch what clients on real sockets send and get, by the libraries that tests use."""
        import trio_websocket
        import websockets.asyncio.connection
        import websockets.sync.connection

        socket = trio_websocket.WebSocketConnection
        self._watch_results(socket, "get_message", check_sent)
        self._watch_arguments(socket, "send_message", check_received)
        for library in (websockets.asyncio.connection, websockets.sync.connection):
            self._watch_results(library.Connection, "recv", check_sent)
            self._watch_arguments(library.Connection, "send", check_received)

    def tell(self) -> None:
        """Raise the first fault."""
        if self.faults:
            raise self.faults[0]

    def _note(self, check: Callable[[str], None], passing: object) -> None:
        if not isinstance(passing, str):
            return
        try:
            check(passing)
        except ContractError as fault:
            self.faults.append(fault)

    def _watch_results(self, owner: Any, name: str, check: Callable[[str], None]) -> None:
        inner = getattr(owner, name)

        async def wait(*args: Any, **kwargs: Any) -> Any:
            result = await inner(*args, **kwargs)
            self._note(check, result)
            return result

        def call(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            self._note(check, result)
            return result

        self.monkeypatch.setattr(owner, name, wait if iscoroutinefunction(inner) else call)

    def _watch_arguments(self, owner: Any, name: str, check: Callable[[str], None]) -> None:
        inner = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            # The last: the first may be `self`.
            self._note(check, args[-1])
            return inner(*args, **kwargs)

        self.monkeypatch.setattr(owner, name, call)
