"""A fault on the wire fails the test that it happens in, wherever it is made."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from fasttalk_stt.connection import sender
from fasttalk_stt.protocol.server_messages import Metadata, Pong
from tests.contract import ContractError
from tests.watch import Watch

STAMP = Metadata("s", "2024-01-15T12:00:00.000Z", 1, 0)


@pytest.fixture
def own_watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A second one, whose faults are nobody else's."""
    return Watch(monkeypatch)


@attrs.frozen
class LongPong(Pong):
    """A message with a field that no document has."""

    echo: str = "echo"


def _text_with(message: Pong) -> Callable[..., str]:
    def encode(*_: object) -> str:
        from fasttalk_stt.protocol.codec import encode_server_message

        return encode_server_message(message, STAMP)

    return encode


@pytest.mark.parametrize(("message", "is_fine"), [(Pong("1"), True), (LongPong("1"), False)])
def test_a_new_field_without_schema_is_told(
    own_watch: Watch, monkeypatch: pytest.MonkeyPatch, message: Pong, is_fine: bool
) -> None:
    monkeypatch.setattr(sender, "encode_server_message", _text_with(message))
    own_watch.connections()
    sender.encode_server_message(message, STAMP)
    if is_fine:
        own_watch.tell()
    else:
        with pytest.raises(ContractError, match="echo"):
            own_watch.tell()
