"""What a session yields: one frozen class for each message of the server, and two of our own.

They are the protocol's own classes with the message's `metadata` beside the body. Reading is
liberal where a newer server may say more: unknown fields are ignored, unknown choices kept as they
are, unknown types come as `UnknownMessage`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_origin

from attrs import field, frozen
from cattrs.preconf.json import JsonConverter, make_converter

from fasttalk_stt.client.errors import ProtocolViolationError
from fasttalk_stt.protocol import server_messages as messages
from fasttalk_stt.protocol.config import SessionConfig, known_fields
from fasttalk_stt.protocol.server_messages import Metadata


@frozen
class SessionStarted(messages.SessionStarted):
    metadata: Metadata


@frozen
class Transcription(messages.Transcription):
    metadata: Metadata


@frozen
class PartialTranscription(messages.PartialTranscription):
    metadata: Metadata


@frozen
class VoiceActivityDetected(messages.VoiceActivityDetected):
    metadata: Metadata


@frozen
class VoiceActivityRejected(messages.VoiceActivityRejected):
    metadata: Metadata


@frozen
class EagerTranscription(messages.EagerTranscription):
    metadata: Metadata


@frozen
class EagerRetracted(messages.EagerRetracted):
    metadata: Metadata


@frozen
class SpeechEnded(messages.SpeechEnded):
    metadata: Metadata


@frozen
class InterruptAcknowledged(messages.InterruptAcknowledged):
    metadata: Metadata


@frozen
class Configured(messages.Configured):
    metadata: Metadata


@frozen
class ContextUpdated(messages.ContextUpdated):
    metadata: Metadata


@frozen
class Pong(messages.Pong):
    metadata: Metadata


@frozen
class SessionEnded(messages.SessionEnded):
    metadata: Metadata


@frozen
class Error(messages.Error):
    metadata: Metadata


@frozen
class UnknownMessage:
    """A message of a type that this version does not know, as it came."""

    type: str
    document: Mapping[str, Any]
    metadata: Metadata


@frozen
class Resumed:
    """The session goes on over a new connection; no word is lost and none comes twice.

    `outage_s` is how long there was none, `replayed_ms` how much audio without an outcome is being
    sent again, `reason` why the old connection was left, `url` where the new one leads.
    """

    session_id: str
    url: str
    reason: str
    outage_s: float
    replayed_ms: int
    tries: int = field(default=1)


ServerEvent = (
    SessionStarted
    | Transcription
    | PartialTranscription
    | VoiceActivityDetected
    | VoiceActivityRejected
    | EagerTranscription
    | EagerRetracted
    | SpeechEnded
    | InterruptAcknowledged
    | Configured
    | ContextUpdated
    | Pong
    | SessionEnded
    | Error
    | UnknownMessage
)
Event = ServerEvent | Resumed

_KNOWN: tuple[type[Any], ...] = (
    SessionStarted,
    Transcription,
    PartialTranscription,
    VoiceActivityDetected,
    VoiceActivityRejected,
    EagerTranscription,
    EagerRetracted,
    SpeechEnded,
    InterruptAcknowledged,
    Configured,
    ContextUpdated,
    Pong,
    SessionEnded,
    Error,
)
_BY_TYPE: dict[str, type[Any]] = {cls.type: cls for cls in _KNOWN}


def _is_choice(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Literal


def _make_converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=False)
    # A choice that this version does not know is the server's business, not a fault.
    converter.register_structure_hook_func(_is_choice, lambda value, _: value)
    # The effective configuration is shown, not judged: the server has checked it.
    converter.register_structure_hook(SessionConfig, lambda raw, _: _shown_config(raw))
    converter.register_structure_hook(str | int | float | None, lambda value, _: value)
    return converter


def _shown_config(raw: Mapping[str, Any]) -> SessionConfig:
    fields = known_fields(raw)
    vocabulary = fields.get("vocabulary")
    if isinstance(vocabulary, list):
        fields["vocabulary"] = tuple(vocabulary)
    return SessionConfig(**fields)  # type: ignore[arg-type]


_CONVERTER = _make_converter()
_NO_STAMP = {"session_id": None, "timestamp": "", "seq": None, "audio_committed_ms": None}


def parse(text: str | bytes) -> dict[str, Any]:
    """The JSON object of one message. Raises ProtocolViolationError."""
    if isinstance(text, bytes):
        raise ProtocolViolationError(
            f"The server sent a binary message of {len(text)} bytes; expected JSON text."
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolViolationError(
            f"The server sent {text[:80]!r}; expected a JSON object."
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        raise ProtocolViolationError(
            f'The server sent {text[:80]!r}; expected a JSON object with a "type".'
        )
    return document


def read_event(document: Mapping[str, Any]) -> ServerEvent:
    """The event of one message.

    Raises ProtocolViolationError where a message of a known type lacks what it must have.
    """
    kind = document["type"]
    cls = _BY_TYPE.get(kind)
    stamped = {**document, "metadata": {**_NO_STAMP, **(document.get("metadata") or {})}}
    try:
        if cls is None:
            metadata = _CONVERTER.structure(stamped["metadata"], Metadata)
            return UnknownMessage(kind, document, metadata)
        event: ServerEvent = _CONVERTER.structure(stamped, cls)
    except Exception as error:
        raise ProtocolViolationError(
            f"A {kind} message of the server lacks a field or has a wrong one; client and server "
            "are probably of different versions."
        ) from error
    return event
