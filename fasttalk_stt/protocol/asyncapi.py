"""The protocol as an AsyncAPI 3 document, made of the message classes; plain dictionaries.

Messages come from their classes (`payloads`) and `examples`; whom the server lets in and how it closes is
written here. The document is the server's: it "receives" what clients send.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_args

from fasttalk_stt.protocol import client_messages as client
from fasttalk_stt.protocol import server_messages as server
from fasttalk_stt.protocol.client_messages import ClientMessage
from fasttalk_stt.protocol.codec import (
    MAX_DEPTH,
    MAX_TEXT_CHARS,
    encode_client_message,
    encode_server_message,
)
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.error_meanings import ERROR_MEANINGS
from fasttalk_stt.protocol.errors import CLOSE_MEANINGS, ERROR_KINDS
from fasttalk_stt.protocol.examples import client_examples, server_examples
from fasttalk_stt.protocol.payloads import client_payload, server_payload
from fasttalk_stt.protocol.pcm import MAX_FRAME_S
from fasttalk_stt.protocol.schemas import Schema, SchemaBook, described, object_schema
from fasttalk_stt.protocol.server_messages import ServerMessage

PATH = "/ws/transcribe"
CHANNEL = "transcribe"
AUDIO = "audio"

_DESCRIPTION = (
    "Speech to text in real time over one WebSocket: audio in binary messages to the server, JSON in text "
    "messages both ways. A connection may hold several sessions, one after another. Results of a session "
    "leave in the order of their audio. Positions in milliseconds count from the session's first sample. "
    "Fields that one side does not know are to be ignored."
)
_AUDIO_DESCRIPTION = (
    "Raw samples, one channel, without a container: 32-bit floats in [-1, 1] or 16-bit integers, both "
    "little-endian, as `encoding` and `sample_rate` of the session say; by default floats at 16 kHz. "
    f"Any whole number of samples up to {MAX_FRAME_S:g} s; 20 to 130 ms are usual. Audio is never dropped: a "
    "client that is faster than real time is slowed down."
)
_REPLIES: dict[type[ClientMessage], type[ServerMessage]] = {
    client.StartSession: server.SessionStarted,
    client.Configure: server.Configured,
    client.FlushBuffer: server.Transcription,
    client.EndSession: server.SessionEnded,
    client.Interrupt: server.InterruptAcknowledged,
    client.ContextUpdate: server.ContextUpdated,
    client.Ping: server.Pong,
}
"""What answers each message where all is well; else an `error` does."""
_ANSWERS_ONLY = frozenset(
    {
        server.SessionStarted,
        server.Configured,
        server.InterruptAcknowledged,
        server.ContextUpdated,
        server.Pong,
    }
)
"""Messages that never come unasked."""


def asyncapi_document(version: str, defaults: SessionConfig | None = None) -> dict[str, Any]:
    """Make the document of a server of that version; `defaults` is what its sessions begin with."""
    book = SchemaBook()
    messages = _messages(defaults or SessionConfig(), book)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fasttalk STT",
            "version": version,
            "description": _DESCRIPTION,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {CHANNEL: _channel(messages)},
        "operations": _operations(),
        "components": {
            "messages": messages,
            "schemas": dict(sorted(book.schemas.items())),
            "securitySchemes": _security_schemes(),
            "correlationIds": {
                "ping": {
                    "description": "A `pong` has the id of its `ping`.",
                    "location": "$message.payload#/id",
                }
            },
        },
    }


def _servers() -> dict[str, Any]:
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _security_schemes()]
    return {
        "direct": {
            "host": "{host}:{port}",
            "protocol": "ws",
            "description": "The server itself.",
            "variables": {
                "host": {"default": "localhost", "description": "WEBSOCKET_HOST"},
                "port": {"default": "8000", "description": "WEBSOCKET_PORT"},
            },
            "security": security,
        },
        "proxied": {
            "host": "{host}",
            "protocol": "wss",
            "description": "Behind a proxy that ends TLS.",
            "variables": {
                "host": {"default": "stt.example.com", "description": "the proxy's name"}
            },
            "security": security,
        },
    }


def _security_schemes() -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer CREDENTIAL`, an API key or a JSON Web Token.",
        },
        "subprotocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": "`Sec-WebSocket-Protocol: fasttalk, bearer.CREDENTIAL`, for browsers, which "
            "cannot set `Authorization`; the server chooses `fasttalk`.",
        },
        "token": {
            "type": "httpApiKey",
            "in": "query",
            "name": "token",
            "description": "`?token=`, a short-lived JSON Web Token; with a `jti` it opens one connection.",
        },
    }


def _channel(messages: Iterable[str]) -> dict[str, Any]:
    query = object_schema(
        {
            "token": {"type": "string", "description": "a credential"},
            "resume": {
                "type": "string",
                "enum": ["1"],
                "description": "the connection is for a session that goes on: it may have a place that "
                "newcomers do not get, and must begin with a `resume`",
            },
        }
    )
    return {
        "address": PATH,
        "title": "One client's conversation",
        "description": "What is refused is refused before the upgrade: 401 without a good credential, 403 "
        "for a page of another origin, 429 for too many connections, 503 where the server is full, "
        "stops or has no model yet. 429 and 503 have a `Retry-After`. Where the operator has set no "
        "credentials, none is needed.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        "x-limits": {"text_chars": MAX_TEXT_CHARS, "text_depth": MAX_DEPTH},
        "x-close-codes": {str(code): meaning for code, meaning in CLOSE_MEANINGS.items()},
        "x-errors": {code: _error_kind(code) for code in ERROR_KINDS},
    }


def _error_kind(code: str) -> dict[str, Any]:
    kind = ERROR_KINDS[code]
    meaning = ERROR_MEANINGS[code]
    return {
        "meaning": meaning.happened,
        "then": meaning.then,
        "category": kind.category.value,
        "severity": kind.severity.value,
        "recoverable": kind.recoverable,
        "retry_after": kind.retry_after_s,
        "close_code": kind.close_code,
    }


def _audio_message() -> dict[str, Any]:
    return {
        "name": AUDIO,
        "title": "Audio",
        "summary": "A frame of audio, as a binary message.",
        "description": _AUDIO_DESCRIPTION,
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }


def _messages(defaults: SessionConfig, book: SchemaBook) -> dict[str, Any]:
    """All messages by their types; their schemas go into the book."""
    asked = [(each, encode_client_message(each)) for each in client_examples()]
    told = [
        (each.message, encode_server_message(each.message, each.metadata))
        for each in server_examples()
    ]
    messages = {AUDIO: _audio_message()}
    for client_class in get_args(ClientMessage):
        payload = client_payload(client_class, defaults, book)
        messages[client_class.type] = _message(client_class, payload, asked, book)
    for server_class in get_args(ServerMessage):
        payload = server_payload(server_class, book)
        messages[server_class.type] = _message(server_class, payload, told, book)
    return messages


def _message(
    cls: type[ClientMessage | ServerMessage],
    payload: Schema,
    examples: Iterable[tuple[object, str]],
    book: SchemaBook,
) -> dict[str, Any]:
    summary, _, details = described(cls).partition("\n\n")
    message = {
        "name": cls.type,
        "title": cls.type.replace("_", " ").capitalize(),
        "summary": summary,
        "payload": book.add(cls.__name__, payload),
        "examples": [
            {"payload": json.loads(text)} for each, text in examples if isinstance(each, cls)
        ],
    }
    if details:
        message["description"] = details
    if cls in {client.Ping, server.Pong}:
        message["correlationId"] = {"$ref": "#/components/correlationIds/ping"}
    return message


def _operations() -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{CHANNEL}"}
    operations: dict[str, Any] = {
        "sendAudio": {
            "action": "receive",
            "channel": channel,
            "summary": "Audio to be transcribed.",
            "messages": [_in_channel(AUDIO)],
        }
    }
    for asked, answer in _REPLIES.items():
        operations[_camel_case(asked.type)] = {
            "action": "receive",
            "channel": channel,
            "summary": described(asked),
            "messages": [_in_channel(asked.type)],
            "reply": {
                "channel": channel,
                "messages": [_in_channel(answer.type), _in_channel(server.Error.type)],
            },
        }
    for told in get_args(ServerMessage):
        if told not in _ANSWERS_ONLY:
            operations[_camel_case(f"on_{told.type}")] = {
                "action": "send",
                "channel": channel,
                "summary": described(told),
                "messages": [_in_channel(told.type)],
            }
    return operations


def _in_channel(message: str) -> Schema:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{message}"}


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
