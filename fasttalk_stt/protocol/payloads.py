"""JSON Schemas of whole messages: what `codec` reads and writes for each class, envelope included."""

from __future__ import annotations

import attrs

from fasttalk_stt.protocol import client_messages as client
from fasttalk_stt.protocol.client_messages import ClientMessage
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.resume import Resume
from fasttalk_stt.protocol.schemas import (
    Schema,
    SchemaBook,
    described,
    object_schema,
    with_description,
    without_default,
)
from fasttalk_stt.protocol.server_messages import TOP_LEVEL_ENVELOPE, Metadata, ServerMessage
from fasttalk_stt.protocol.values import CONFIGURABLE


def client_payload(cls: type[ClientMessage], defaults: SessionConfig, book: SchemaBook) -> Schema:
    """What a client may send; `defaults` is what its sessions begin with."""
    schema = book.object_of(cls, required=without_default)
    properties, required = schema["properties"], ["type"]
    if cls is client.StartSession:
        config = book.add("RequestedConfig", _requested(defaults, book))
        properties["session_config"] = _instead(properties["session_config"], config)
    elif cls is client.Configure:
        config = book.add("ChangedConfig", _changed(book))
        properties["config"] = _instead(properties["config"], config)
        required.append("config")
    elif cls is client.ContextUpdate:
        properties = {"data": book.add("ContextChange", schema), **_beside_the_type(schema)}
    kinds = [cls.type, "user_interrupt"] if cls is client.Interrupt else [cls.type]
    return object_schema(
        {"type": {"type": "string", "enum": kinds}, **properties},
        required=required,
        description=described(cls),
    )


def server_payload(cls: type[ServerMessage], book: SchemaBook) -> Schema:
    """What the server sends: every field, always, but for those that are left out instead of null."""
    schema = book.object_of(cls)
    envelope = {"metadata": book.refer(Metadata)}
    if issubclass(cls, TOP_LEVEL_ENVELOPE):
        stamp = book.schemas[Metadata.__name__]["properties"]
        envelope |= {name: stamp[name] for name in ("session_id", "timestamp")}
    kind = {"type": {"type": "string", "enum": [cls.type]}}
    return object_schema(
        kind | schema["properties"] | envelope,
        required=[*kind, *schema["required"], *envelope],
        description=described(cls),
    )


def _requested(defaults: SessionConfig, book: SchemaBook) -> Schema:
    book.add(Resume.__name__, book.object_of(Resume, required=without_default))
    schema = book.object_of(SessionConfig, required=lambda field: False)
    schema["description"] = (
        "What a session is to be like. What is left out has its default, some of which an operator sets "
        "(LANGUAGE, BUFFER_DURATION, ENDPOINT_SILENCE_MS, VAD_SENSITIVITY). A field that the server does "
        "not know is ignored, and named in `session_started`; a known one with a bad value is an `error`, "
        "and no session starts."
    )
    for name, value in attrs.asdict(defaults, recurse=False).items():
        default = list(value) if isinstance(value, tuple) else value
        schema["properties"][name]["default"] = default
    # It follows `fasttalk_mode`.
    del schema["properties"]["barge_in_enabled"]["default"]
    return schema


def _changed(book: SchemaBook) -> Schema:
    schema = book.object_of(
        SessionConfig,
        only=lambda field: bool(field.metadata[CONFIGURABLE]),
        required=lambda field: False,
    )
    schema["description"] = "What may change inside a session; what is left out stays as it is."
    for each in schema["properties"].values():
        each.pop("default", None)
    fixed = [
        field.name for field in attrs.fields(SessionConfig) if not field.metadata[CONFIGURABLE]
    ]
    schema["propertyNames"] = {"not": {"enum": fixed}}
    return schema


def _instead(field: Schema, schema: Schema) -> Schema:
    """Another schema for a field, which keeps its description."""
    return with_description(schema, field["description"])


def _beside_the_type(schema: Schema) -> dict[str, Schema]:
    """The fields of `context_update.data`, which some clients put beside `type`."""
    return {
        name: {**field, "description": "the same, where there is no `data`"}
        for name, field in schema["properties"].items()
    }
