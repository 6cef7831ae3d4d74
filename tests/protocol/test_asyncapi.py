"""The published document: valid by the official schema, complete, and true of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.protocol.asyncapi import AUDIO, CHANNEL, asyncapi_document
from fasttalk_stt.protocol.client_messages import ClientMessage
from fasttalk_stt.protocol.codec import (
    StampedMessage,
    decode_client_message,
    decode_server_message,
    encode_client_message,
    encode_server_message,
)
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.error_meanings import ERROR_MEANINGS
from fasttalk_stt.protocol.errors import CLOSE_MEANINGS, ERROR_KINDS, CloseCode
from fasttalk_stt.protocol.examples import client_examples, server_examples
from fasttalk_stt.protocol.server_messages import ServerMessage
from tests.contract import ContractError, check_received, check_sent

OFFICIAL = Path(__file__).with_name("asyncapi_spec") / "3.0.0.json"
DOCUMENT = json.loads(json.dumps(asyncapi_document("1.2.3")))
SCHEMAS = DOCUMENT["components"]["schemas"]
CONFIG = SCHEMAS["RequestedConfig"]["properties"]


def _nodes(node: Any, path: str = "#") -> Iterator[tuple[str, Any]]:
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for name, child in children:
        if isinstance(child, dict | list):
            yield from _nodes(child, f"{path}/{name}")


def _resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def test_the_document_is_valid_by_the_official_schema() -> None:
    official = json.loads(OFFICIAL.read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft7Validator(official)
    validator.validate(DOCUMENT)
    spoilt = {**DOCUMENT, "channels": {CHANNEL: {"adress": "/"}}}
    assert not validator.is_valid(spoilt)


def test_every_reference_leads_somewhere_and_stands_alone() -> None:
    references = [(path, node) for path, node in _nodes(DOCUMENT) if "$ref" in node]
    assert len(references) > 50
    for path, node in references:
        assert list(node) == ["$ref"], f"beside a $ref nothing counts: {path}"
        assert _resolve(node["$ref"]), path


def test_every_message_and_every_field_is_told() -> None:
    types = {cls.type for cls in (*get_args(ClientMessage), *get_args(ServerMessage))}
    assert set(DOCUMENT["components"]["messages"]) == types | {AUDIO}
    assert set(DOCUMENT["channels"][CHANNEL]["messages"]) == types | {AUDIO}
    told = [
        name.rpartition("/")[2]
        for operation in DOCUMENT["operations"].values()
        for messages in (operation["messages"], operation.get("reply", {}).get("messages", []))
        for name in (message["$ref"] for message in messages)
    ]
    assert set(told) == types | {AUDIO}
    # What a message of a class carries, or a part of it, says what it means.
    silent = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, described in schema["properties"].items()
        if "description" not in described and "$ref" not in described and field != "type"
    ]
    assert silent == []
    assert [name for name, schema in SCHEMAS.items() if "description" not in schema] == []


def test_errors_and_close_codes_are_told() -> None:
    channel = DOCUMENT["channels"][CHANNEL]
    assert SCHEMAS["ErrorDetail"]["properties"]["code"]["enum"] == list(ERROR_KINDS)
    assert set(channel["x-errors"]) == set(ERROR_KINDS) == set(ERROR_MEANINGS)
    used = {value for name, value in vars(CloseCode).items() if name.isupper()}
    assert set(CLOSE_MEANINGS) == used
    assert set(channel["x-close-codes"]) == {str(code) for code in used}


def test_the_defaults_are_the_servers_own() -> None:
    defaults = SessionConfig(language="de", endpoint_silence_ms=700)
    document = asyncapi_document("1.2.3", defaults)
    config = document["components"]["schemas"]["RequestedConfig"]["properties"]
    assert config["language"]["default"] == "de"
    assert config["endpoint_silence_ms"]["default"] == 700
    assert config["vocabulary"]["default"] == []


@pytest.mark.parametrize("example", server_examples(), ids=lambda each: each.message.type)
def test_examples_of_the_server_are_real(example: StampedMessage) -> None:
    text = encode_server_message(example.message, example.metadata)
    check_sent(text)
    assert decode_server_message(text) == example
    shown = DOCUMENT["components"]["messages"][example.message.type]["examples"]
    assert {"payload": json.loads(text)} in shown


@pytest.mark.parametrize("example", client_examples(), ids=lambda each: each.type)
def test_examples_of_the_client_are_real(example: ClientMessage) -> None:
    text = encode_client_message(example)
    check_received(text)
    assert decode_client_message(text) == example
    shown = DOCUMENT["components"]["messages"][example.type]["examples"]
    assert {"payload": json.loads(text)} in shown


def test_every_message_has_an_example() -> None:
    for name, message in DOCUMENT["components"]["messages"].items():
        assert name == AUDIO or message["examples"], name


def _edges(schema: dict[str, Any]) -> Iterator[object]:
    """Values at, before and behind every limit that a schema names, and of every type."""
    yield from (None, True, 0, 1.5, "", "x", [], {}, *schema.get("enum", ()))
    for name, step in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            yield from (schema[name], schema[name] + step, schema[name] + step / 1000)
    if "maxLength" in schema:
        yield from ("x" * schema["maxLength"], "x" * (schema["maxLength"] + 1))
    if "maxItems" in schema:
        yield from (["x"] * schema["maxItems"], ["x"] * (schema["maxItems"] + 1), ["x" * 129])
    yield from ("en", "en-US", "english", "e", "bell\x07")


@pytest.mark.parametrize("name", CONFIG)
def test_document_and_server_agree_at_every_limit(name: str) -> None:
    accepted = 0
    for value in _edges(CONFIG[name]):
        start = {"type": "start_session", "session_config": {name: value}}
        check_received(json.dumps(start))
        check_received(json.dumps({"type": "configure", "config": {name: value}}))
        accepted += jsonschema_rs.is_valid(_alone(CONFIG[name]), value)
    assert accepted


def _alone(schema: dict[str, Any]) -> dict[str, Any]:
    return {"allOf": [schema], "components": DOCUMENT["components"]}


RESUME = {
    "session_id": "s", "committed_ms": 100, "audio_from_ms": 0, "seq": 9, "utterance": 3,
    "onset_reported": 3, "onset_ms": 50, "text": "Hello",
}  # fmt: skip


@pytest.mark.parametrize("name", RESUME)
def test_document_and_server_agree_on_a_resume(name: str) -> None:
    for value in (None, True, -1, 0.5, "", "x", "bell\x07", [], 2**53 + 2):
        resume = {**RESUME, name: value}
        check_received(json.dumps({"type": "start_session", "session_config": {"resume": resume}}))
    resume = {key: value for key, value in RESUME.items() if key != name}
    check_received(json.dumps({"type": "start_session", "session_config": {"resume": resume}}))


# Without spaces and control characters: printable and blank are more than a schema can say.
WORDS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from([field.name for field in attrs.fields(SessionConfig)]), JSON)
)
def test_document_and_server_agree_on_any_configuration(config: dict[str, object]) -> None:
    for message in (
        {"type": "start_session", "session_config": config},
        {"type": "configure", "config": config},
    ):
        check_received(json.dumps(message))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "speak"},
        {},
        {"type": "configure"},
        {"type": "configure", "config": {"encoding": "s16le"}},
        {"type": "interrupt", "scope": "some"},
        {"type": "user_interrupt", "scope": "all"},
        {"type": "context_update", "conversation_state": "idle"},
        {"type": "context_update", "data": {"language_context": "english"}},
        {"type": "context_update", "data": {"conversation_state": None}},
        {"type": "ping", "id": {}},
        {"type": "ping", "id": "x" * 257},
        {"type": "ping", "id": 1.5, "unknown": True},
        {"type": "ping", "padding": "x" * 70_000},
    ],
    ids=str,
)
def test_document_and_server_agree_on_messages(message: dict[str, object]) -> None:
    check_received(json.dumps(message))


def _pong(**changes: object) -> dict[str, Any]:
    for example in DOCUMENT["components"]["messages"]["pong"]["examples"]:
        return {**example["payload"], **changes}
    raise AssertionError


@pytest.mark.parametrize(
    "message",
    [
        {"type": "pang"},
        _pong(unknown=1),
        _pong(id=[]),
        {name: value for name, value in _pong().items() if name != "metadata"},
        _pong(metadata={**_pong()["metadata"], "unknown": 1}),
        _pong(metadata={**_pong()["metadata"], "seq": 0}),
        _pong(metadata={**_pong()["metadata"], "timestamp": "2024-01-15T12:00:00Z"}),
        _pong(metadata={**_pong()["metadata"], "timestamp": "2024-13-15T12:00:00.000Z"}),
    ],
    ids=str,
)
def test_what_the_document_does_not_have_is_noticed(message: dict[str, object]) -> None:
    with pytest.raises(ContractError):
        check_sent(json.dumps(message))


def test_a_disagreement_is_noticed() -> None:
    with pytest.raises(ContractError, match="the document"):
        # The server cannot know; the document says a text.
        check_received('{"type": "interrupt", "reason": 5}')
