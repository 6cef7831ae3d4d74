"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from fasttalk_stt.client import exchange
from fasttalk_stt.connection import connection, receiver, sender
from tests.contract import ContractError, check_received, check_sent

# The unit ring is run at every save, so it looks at few examples; HYPOTHESIS_PROFILE=thorough looks
# at many. No deadline: a machine that is busy otherwise would fail tests by the wall clock.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Pretty tracebacks take longer than the tests that log them.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)


@pytest.fixture(autouse=True)
def contract_holds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold every message of the test against the published document, whatever the test is about.

    Watched is what connections of this process send and take, and what the client library sends. It is
    told at the end: raised where it happens, it would be a fault that the connection contains.
    """
    faults: list[ContractError] = []

    def note(check: Callable[[str], None], text: str) -> None:
        try:
            check(text)
        except ContractError as fault:
            faults.append(fault)

    def watched(encode: Callable[..., str], check: Callable[[str], None]) -> Callable[..., str]:
        def encode_and_note(*arguments: Any) -> str:
            text = encode(*arguments)
            note(check, text)
            return text

        return encode_and_note

    def take(text: str) -> Any:
        note(check_received, text)
        return decode(text)

    decode = receiver.decode_client_message
    monkeypatch.setattr(receiver, "decode_client_message", take)
    for module in (sender, connection):
        encode = watched(module.encode_server_message, check_sent)
        monkeypatch.setattr(module, "encode_server_message", encode)
    encode = watched(exchange.encode_client_message, check_received)
    monkeypatch.setattr(exchange, "encode_client_message", encode)
    yield
    if faults:
        raise faults[0]
