"""JSON to messages and back, both ways, with cattrs.

The server reads client messages with `decode_client_message` and writes its own with
`encode_server_message`; a client library or a tool uses the other two. Nothing here keeps state.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_type_hints

import attrs
from attrs import frozen
from cattrs.gen import make_dict_unstructure_fn
from cattrs.preconf.json import JsonConverter, make_converter

from fasttalk_stt.protocol import client_messages, server_messages
from fasttalk_stt.protocol.client_messages import MAX_PING_ID_CHARS, ClientMessage
from fasttalk_stt.protocol.config import SessionConfig, read_session_config
from fasttalk_stt.protocol.errors import (
    INVALID_JSON,
    INVALID_MESSAGE,
    UNKNOWN_MESSAGE_TYPE,
    ProtocolError,
)
from fasttalk_stt.protocol.server_messages import (
    TOP_LEVEL_ENVELOPE,
    Error,
    ErrorDetail,
    Metadata,
    ServerMessage,
)

_CLIENT_TYPES: dict[str, type[ClientMessage]] = {
    cls.type: cls for cls in get_args(ClientMessage)
} | {"user_interrupt": client_messages.Interrupt}
_SERVER_TYPES: dict[str, type[ServerMessage]] = {cls.type: cls for cls in get_args(ServerMessage)}
MAX_TEXT_CHARS = 65_536
"""No message of the protocol comes near this; parsing more would hold up other connections."""

MAX_DEPTH = 32
"""Of what is parsed; messages need 3. Far below where anything that recurses would give up."""


@cache
def _literal_values(cls: type, name: str) -> tuple[str, ...]:
    """The choices of a Literal or `Literal | None` field, for error sentences and checks."""
    annotation = get_type_hints(cls)[name]
    found: list[str] = []
    for part in get_args(annotation):
        found.extend(get_args(part) or ([part] if isinstance(part, str) else []))
    return tuple(found)


def _make_converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=False)

    def omit_nones(cls: type) -> Any:
        names = [a.name for a in attrs.fields(cls) if a.metadata.get("omit_none")]
        inner: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(cls, converter)

        def unstructure(value: Any) -> dict[str, Any]:
            document = inner(value)
            for name in names:
                if document[name] is None:
                    del document[name]
            return document

        return unstructure

    for cls in (
        server_messages.Metadata,
        server_messages.TranscriptionData,
        server_messages.RejectionData,
    ):
        converter.register_unstructure_hook(cls, omit_nones(cls))
    # An id comes back as it went out, whatever scalar it was.
    converter.register_structure_hook(str | int | float | None, lambda value, _: value)
    converter.register_structure_hook(
        SessionConfig, lambda raw, _: read_session_config(raw, SessionConfig())[0]
    )
    return converter


_CONVERTER = _make_converter()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} does not fit a number")
    return number


def _parse_object(text: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT_CHARS:
        raise ProtocolError(
            INVALID_MESSAGE,
            f"A text message has {len(text)} characters; at most {MAX_TEXT_CHARS} are allowed. "
            "Audio goes into binary messages.",
        )
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise ProtocolError(
            INVALID_JSON,
            f"A text message of {len(text)} characters is not valid JSON. Send one JSON object "
            'with a "type" in each text message.',
        ) from None
    if _is_deeper_than(MAX_DEPTH, document):
        raise ProtocolError(
            INVALID_JSON,
            f"A text message has objects and lists more than {MAX_DEPTH} levels deep, which no message "
            "of the protocol has.",
        )
    if not isinstance(document, dict):
        raise ProtocolError(
            INVALID_MESSAGE,
            f'A message is a JSON {type(document).__name__}, expected an object with a "type".',
        )
    return document


def _is_deeper_than(depth: int, document: object) -> bool:
    """Whether objects and lists lie in each other more than `depth` deep; level by level, since what
    recurses is what such a message is aimed at."""
    level = [document]
    for _ in range(depth):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _object_field(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError(
            INVALID_MESSAGE, f"{kind}.{name} is a {type(value).__name__}, expected a JSON object."
        )
    return value


def _choice_field(source: dict[str, Any], kind: str, cls: type, name: str) -> Any:
    value = source.get(name)
    choices = _literal_values(cls, name)
    if value is None or value in choices:
        return value
    raise ProtocolError(
        INVALID_MESSAGE, f"{kind}.{name} is {str(value)[:80]!r}, expected one of {choices}."
    )


def _text_field(source: dict[str, Any], name: str) -> str | None:
    value = source.get(name)
    return None if value is None else str(value)[:256]


def _read_interrupt(document: dict[str, Any]) -> client_messages.Interrupt:
    cls = client_messages.Interrupt
    return cls(
        reason=_text_field(document, "reason"),
        timestamp=_text_field(document, "timestamp"),
        scope=_choice_field(document, cls.type, cls, "scope") or "pending",
    )


def _read_context(document: dict[str, Any]) -> client_messages.ContextUpdate:
    cls = client_messages.ContextUpdate
    source = _object_field(document, cls.type, "data") or document
    language = source.get("language_context")
    if language is not None:
        # The same check as the session's own language, so that both mean the same.
        config, _ = read_session_config({"language": language}, SessionConfig())
        language = config.language
    return cls(
        conversation_state=_choice_field(source, cls.type, cls, "conversation_state"),
        expected_response_type=_choice_field(source, cls.type, cls, "expected_response_type"),
        language_context=language,
    )


def _read_ping(document: dict[str, Any]) -> client_messages.Ping:
    value = document.get("id")
    scalar = value is None or isinstance(value, str | int | float)
    if not scalar or len(str(value)) > MAX_PING_ID_CHARS:
        raise ProtocolError(
            INVALID_MESSAGE,
            f"ping.id is a {type(value).__name__}, expected a string or number of at most "
            f"{MAX_PING_ID_CHARS} characters.",
        )
    return client_messages.Ping(id=value)


def decode_client_message(text: str) -> ClientMessage:
    """Read one text message of a client.

    Raises ProtocolError: `invalid_json`, `unknown_message_type`, `invalid_message`, or
    `invalid_config` for a bad `language_context`. Unknown fields are ignored. The
    configuration inside `start_session` and `configure` is not checked here.
    """
    document = _parse_object(text)
    kind = document.get("type")
    if not isinstance(kind, str) or kind not in _CLIENT_TYPES:
        known = ", ".join(sorted(_CLIENT_TYPES))
        raise ProtocolError(
            UNKNOWN_MESSAGE_TYPE, f"Message type {str(kind)[:80]!r} is unknown; known are {known}."
        )
    cls = _CLIENT_TYPES[kind]
    if cls is client_messages.StartSession:
        return cls(session_config=_object_field(document, kind, "session_config"))
    if cls is client_messages.Configure:
        if document.get("config") is None:
            raise ProtocolError(
                INVALID_MESSAGE,
                'configure has no "config". Put the fields to change into it, as in '
                '{"type": "configure", "config": {"buffer_duration": 1.5}}.',
            )
        return cls(config=_object_field(document, kind, "config"))
    if cls is client_messages.Interrupt:
        return _read_interrupt(document)
    if cls is client_messages.ContextUpdate:
        return _read_context(document)
    if cls is client_messages.Ping:
        return _read_ping(document)
    return cls()


def encode_client_message(message: ClientMessage) -> str:
    """Write a client's message as the JSON text the server reads."""
    body = _CONVERTER.unstructure(message)
    if isinstance(message, client_messages.ContextUpdate):
        body = {"data": {name: value for name, value in body.items() if value is not None}}
    return json.dumps({"type": message.type, **body})


def encode_server_message(message: ServerMessage, metadata: Metadata) -> str:
    """Write a server message with its stamp."""
    document: dict[str, Any] = {"type": message.type, **_CONVERTER.unstructure(message)}
    document["metadata"] = _CONVERTER.unstructure(metadata)
    if isinstance(message, TOP_LEVEL_ENVELOPE):
        document["session_id"] = metadata.session_id
        document["timestamp"] = metadata.timestamp
    # Escaped to ASCII: a lone surrogate that a client sent and we echo would not encode to UTF-8.
    return json.dumps(document, separators=(",", ":"))


@frozen
class StampedMessage:
    """A server message as a client received it."""

    message: ServerMessage
    metadata: Metadata


def decode_server_message(text: str) -> StampedMessage:
    """Read one message of the server, for clients.

    Raises ProtocolError (`invalid_json`, `unknown_message_type`, `invalid_message`) where the text
    is not a message of this protocol.
    """
    document = _parse_object(text)
    kind = document.get("type")
    if not isinstance(kind, str) or kind not in _SERVER_TYPES:
        raise ProtocolError(UNKNOWN_MESSAGE_TYPE, f"Server message type {kind!r} is unknown.")
    try:
        message = _CONVERTER.structure(document, _SERVER_TYPES[kind])
        metadata = _CONVERTER.structure(document["metadata"], Metadata)
    except Exception as error:
        raise ProtocolError(
            INVALID_MESSAGE, f"A {kind} message of the server lacks a field or has a wrong one."
        ) from error
    return StampedMessage(message=message, metadata=metadata)


def error_message(error: ProtocolError) -> Error:
    """The message that tells a client about an error."""
    kind = error.kind
    return Error(
        ErrorDetail(
            code=kind.code,
            message=error.message,
            category=kind.category.value,
            severity=kind.severity.value,
            recoverable=kind.recoverable,
            retry_after=error.retry_after_s,
        )
    )
