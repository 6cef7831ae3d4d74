"""Holds what is said on the wire against the published document: both ways, every message.

`check_sent` takes what a server says. There it is stricter than the document: a field that the
document does not have is a fault, although clients are to ignore it. `check_received` takes what a
client says, and wants the document and the server to agree on whether that is acceptable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import jsonschema_rs

from fasttalk_stt.protocol.asyncapi import CHANNEL, asyncapi_document
from fasttalk_stt.protocol.client_messages import (
    ClientMessage,
    Configure,
    Interrupt,
    StartSession,
)
from fasttalk_stt.protocol.codec import decode_client_message
from fasttalk_stt.protocol.config import SessionConfig, change_session_config, read_session_config
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.server_messages import ServerMessage


class ContractError(AssertionError):
    """A message is not as the document says."""


def check_sent(text: str) -> None:
    """Check a message of the server. Raises ContractError."""
    document = json.loads(text)
    validator = _server_validators().get(document.get("type"))
    if validator is None:
        raise ContractError(f"the document has no server message {document.get('type')!r}")
    _check(validator, document)


def check_received(text: str) -> None:
    """Check a message of a client. Raises ContractError where document and server disagree."""
    refused = _why_refused(text)
    undocumented = _why_undocumented(text)
    if (refused is None) != (undocumented is None):
        raise ContractError(
            f"the server says {refused or 'yes'}, the document {undocumented or 'yes'}: {text[:500]}"
        )


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    changed = {name: closed(each) for name, each in schema.items()}
    # A field of a message may be called "properties", but none of ours is.
    if isinstance(changed.get("properties"), dict) and changed.get("type") == "object":
        changed.setdefault("additionalProperties", False)
    return changed


def _why_refused(text: str) -> str | None:
    try:
        message = decode_client_message(text)
        if isinstance(message, StartSession):
            read_session_config(message.session_config, SessionConfig())
        elif isinstance(message, Configure):
            change_session_config(SessionConfig(), message.config)
    except ProtocolError as error:
        return error.message
    return None


def _why_undocumented(text: str) -> str | None:
    if len(text) > _document()["channels"][CHANNEL]["x-limits"]["text_chars"]:
        return "it is too long"
    try:
        document = json.loads(text)
        validator = _client_validators()[document["type"]]
        _check(validator, document)
    except (ValueError, TypeError, LookupError, ContractError) as error:
        return repr(error)
    return None


def _check(validator: jsonschema_rs.Draft7Validator, document: Any) -> None:
    try:
        validator.validate(document)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(map(str, error.instance_path)) or "the message"
        raise ContractError(f"{where}: {error.message}: {json.dumps(document)[:500]}") from None


@cache
def _document() -> dict[str, Any]:
    return json.loads(json.dumps(asyncapi_document("0")))


@cache
def _server_validators() -> dict[str, jsonschema_rs.Draft7Validator]:
    components = closed(_document()["components"])
    return {cls.type: _validator(cls.__name__, components) for cls in get_args(ServerMessage)}


@cache
def _client_validators() -> dict[str, jsonschema_rs.Draft7Validator]:
    components = _document()["components"]
    found = {cls.type: _validator(cls.__name__, components) for cls in get_args(ClientMessage)}
    return found | {"user_interrupt": found[Interrupt.type]}


def _validator(name: str, components: dict[str, Any]) -> jsonschema_rs.Draft7Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)
