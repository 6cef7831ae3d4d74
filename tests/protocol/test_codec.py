"""JSON to messages and back: every type both ways, and every text a client might send."""

from __future__ import annotations

import json
from typing import get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.protocol import client_messages as cm
from fasttalk_stt.protocol import server_messages as sm
from fasttalk_stt.protocol.codec import (
    StampedMessage,
    decode_client_message,
    decode_server_message,
    encode_client_message,
    encode_server_message,
    error_message,
)
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.errors import ERROR_KINDS, ProtocolError

SEGMENT = sm.SegmentMetadata(
    duration=2.0, chunks_count=4, reason="buffer_full", audio_start_ms=0, language="en",
    language_confidence=0.9, end_of_turn=False, model="tiny.en", compute_ms=1.5, latency_ms=2.5,
)  # fmt: skip
DATA = sm.TranscriptionData(
    utterance=1, text="Hello world", processing_time_ms=250, audio_duration_ms=2000,
    metadata=SEGMENT,
    timestamps=(sm.WordTime("Hello", 0, 500, 0.95), sm.WordTime("world", 600, 1100, 0.92)),
)  # fmt: skip
SERVER_MESSAGES = [
    sm.SessionStarted(SessionConfig(language="en", vocabulary=("Abbie",)), ("speed",), "tiny.en"),
    sm.Transcription(DATA),
    sm.Transcription(attrs.evolve(DATA, timestamps=None)),
    sm.PartialTranscription(sm.PartialData(1, "Hello wor", "Hello", 0, 900)),
    sm.VoiceActivityDetected(
        sm.VoiceActivityData(1, 0.85, 200, 0.7, True, "2024-01-15T10:30:00.000Z", 40, False, 0)
    ),
    sm.VoiceActivityRejected(sm.RejectionData(1, 40, "noise")),
    sm.VoiceActivityRejected(sm.RejectionData(1, 40, "backchannel", "mm-hm")),
    sm.EagerTranscription(DATA),
    sm.EagerRetracted(sm.RetractionData(1, 40, "resumed")),
    sm.SpeechEnded(sm.SpeechEndedData(1, 40, 900)),
    sm.InterruptAcknowledged(sm.InterruptData("2024-01-15T10:30:00.000Z", True, True, 2, 300)),
    sm.Configured(SessionConfig(buffer_duration=1.5)),
    sm.ContextUpdated(sm.ContextData("listening", "casual", "en-US")),
    sm.Pong("abc"),
    sm.Pong(7),
    sm.SessionEnded("end_session", sm.AudioAccount(10, 5, 3, 2, 0), 1, 0.1),
    *(error_message(ProtocolError(kind, "why")) for kind in ERROR_KINDS.values()),
]
CLIENT_MESSAGES = [
    cm.StartSession({"language": "en"}),
    cm.Configure({"buffer_duration": 1.5}),
    cm.FlushBuffer(),
    cm.EndSession(),
    cm.Interrupt("user spoke", "2024-01-15T10:30:00Z", "all"),
    cm.Interrupt(),
    cm.ContextUpdate("responding", "question", "en-US"),
    cm.ContextUpdate(expected_response_type="command"),
    cm.Ping("x"),
    cm.Ping(),
]
STAMP = sm.Metadata("uuid", "2024-01-15T10:30:00.000Z", 3, 1200, "conv", None)


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda m: m.type)
def test_server_messages_survive_the_wire(message: sm.ServerMessage) -> None:
    text = encode_server_message(message, STAMP)
    assert decode_server_message(text) == StampedMessage(message, STAMP)


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda m: m.type)
def test_client_messages_survive_the_wire(message: cm.ClientMessage) -> None:
    assert decode_client_message(encode_client_message(message)) == message


def test_every_type_is_among_the_tested_ones() -> None:
    assert {type(m) for m in SERVER_MESSAGES} == set(get_args(sm.ServerMessage))
    assert {type(m) for m in CLIENT_MESSAGES} == set(get_args(cm.ClientMessage))


def test_a_transcription_looks_as_the_original_document_shows_it() -> None:
    document = json.loads(encode_server_message(sm.Transcription(DATA), STAMP))
    assert document["type"] == "transcription"
    assert document["data"]["timestamps"][0] == {
        "word": "Hello", "start_ms": 0, "end_ms": 500, "confidence": 0.95,
    }  # fmt: skip
    assert document["data"]["metadata"]["reason"] == "buffer_full"
    assert document["metadata"]["session_id"] == "uuid"
    assert document["metadata"]["conversation_id"] == "conv"
    assert "user_id" not in document["metadata"]
    assert "session_id" not in document


@pytest.mark.parametrize(
    "message", [m for m in SERVER_MESSAGES if isinstance(m, sm.TOP_LEVEL_ENVELOPE)][:3]
)
def test_three_types_repeat_the_envelope_at_top_level(message: sm.ServerMessage) -> None:
    document = json.loads(encode_server_message(message, STAMP))
    assert document["session_id"] == "uuid"
    assert document["timestamp"] == "2024-01-15T10:30:00.000Z"


def test_times_that_were_not_asked_for_are_absent_not_null() -> None:
    message = sm.Transcription(attrs.evolve(DATA, timestamps=None))
    assert "timestamps" not in json.loads(encode_server_message(message, STAMP))["data"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[" * 60_000, "invalid_json"),
        ("[" * 30_000 + "]" * 30_000, "invalid_json"),
        ('{"type": "ping", "x": ' + "[" * 32 + "]" * 32 + "}", "invalid_json"),
        ('{"type": "ping", "x": ' + '{"x":' * 900 + "1" + "}" * 901, "invalid_json"),
        ('{"type": "ping", "id": 1e999}', "invalid_json"),
        ('{"type": "ping", "x": "' + "x" * 70_000 + '"}', "invalid_message"),
        ('{"type": "ping", "id": NaN}', "invalid_json"),
        ("[]", "invalid_message"),
        ("null", "invalid_message"),
        ("{}", "unknown_message_type"),
        ('{"type": 1}', "unknown_message_type"),
        ('{"type": "speak"}', "unknown_message_type"),
        ('{"type": "start_session", "session_config": 3}', "invalid_message"),
        ('{"type": "configure", "config": []}', "invalid_message"),
        ('{"type": "configure", "session_config": {}}', "invalid_message"),
        ('{"type": "interrupt", "scope": "some"}', "invalid_message"),
        ('{"type": "context_update", "data": {"conversation_state": "idle"}}', "invalid_message"),
        ('{"type": "context_update", "data": {"language_context": 5}}', "invalid_config"),
        ('{"type": "ping", "id": {}}', "invalid_message"),
    ],
)
def test_what_is_no_message_gets_the_right_code(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_client_message(text)
    assert caught.value.kind.code == code


def test_user_interrupt_and_top_level_context_are_accepted_too() -> None:
    assert decode_client_message('{"type": "user_interrupt", "reason": "x"}') == cm.Interrupt("x")
    flat = '{"type": "context_update", "conversation_state": "responding"}'
    assert decode_client_message(flat) == cm.ContextUpdate("responding")


def test_a_lone_surrogate_is_echoed_in_something_that_encodes() -> None:
    ping = decode_client_message('{"type": "ping", "id": "\\ud800"}')
    assert isinstance(ping, cm.Ping)
    assert encode_server_message(sm.Pong(ping.id), STAMP).encode()


@given(st.text() | st.from_regex(r'\{"type": ?"[a-z_]+".*', fullmatch=True))
def test_any_text_is_a_message_or_a_protocol_error(text: str) -> None:
    try:
        message = decode_client_message(text)
    except ProtocolError as error:
        assert error.message
    else:
        assert isinstance(message, get_args(cm.ClientMessage))


@pytest.mark.parametrize("text", ["{}", '{"type":"pong"}', '{"type":"pong","metadata":{}}', "no"])
def test_a_client_is_told_when_the_server_speaks_something_else(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_server_message(text)


def test_as_deep_as_it_may_be_is_ignored_like_any_unknown_field() -> None:
    text = '{"type": "ping", "x": ' + "[" * 31 + "1" + "]" * 31 + "}"
    assert decode_client_message(text) == cm.Ping()
