"""What one session sends and means, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fasttalk_stt.client.errors import ProtocolViolationError, ServiceError
from fasttalk_stt.client.events import ContextUpdated, Error, SessionEnded
from fasttalk_stt.client.exchange import Exchange, Received
from fasttalk_stt.client.heartbeat import heartbeat_ping
from fasttalk_stt.client.options import SessionOptions
from fasttalk_stt.protocol.client_messages import Configure, ContextUpdate, EndSession, Interrupt
from tests.client.model_server import RATE_HZ, ModelServer, blocks

OPTIONS = SessionOptions(encoding="s16le", sample_rate=RATE_HZ, session_id="s-1")


class Talk:
    """An exchange whose server the test speaks for."""

    def __init__(self) -> None:
        self.exchange = Exchange(OPTIONS)
        self.seq = 0
        self.committed_ms = 0
        self.begin()

    def begin(self) -> dict[str, Any]:
        opening: dict[str, Any] = json.loads(self.exchange.opening())
        config = {**opening["session_config"], "buffer_duration": 3.0}
        self.hear("session_started", config=config, ignored_fields=[], model="m")
        return opening["session_config"]

    def sent(self) -> list[str]:
        """The types of what is sent now; audio in milliseconds."""
        types = []
        while (sending := self.exchange.next_message()) is not None:
            if isinstance(sending.payload, bytes):
                types.append(f"{round(sending.audio_s * 1000)} ms")
            else:
                types.append(json.loads(sending.payload)["type"])
        return types

    def hear(self, kind: str, *, session_id: str = "s-1", **fields: Any) -> Received:
        self.seq += 1
        metadata = {"session_id": session_id, "timestamp": "", "seq": self.seq}
        metadata |= {"audio_committed_ms": self.committed_ms}
        return self.exchange.receive(json.dumps({"type": kind, "metadata": metadata, **fields}))

    def error(self, code: str) -> Received:
        detail = {"code": code, "message": "m", "category": "c", "severity": "low"}
        return self.hear("error", error=detail | {"recoverable": True, "retry_after": None})

    def acknowledge_interrupt(self) -> Received:
        data = {"interrupted_at": "", "buffer_cleared": True, "processing_stopped": True}
        return self.hear(
            "interrupt_acknowledged", data=data | {"cancelled_segments": 1, "kept_audio_ms": 0}
        )

    def end(self, reason: str) -> Received:
        names = ("received_ms", "transcribed_ms", "silence_ms", "discarded_ms", "unsettled_ms")
        return self.hear(
            "session_ended",
            reason=reason,
            audio=dict.fromkeys(names, 0),
            segments=0,
            real_time_factor=0,
        )


def test_an_acknowledged_interrupt_is_replayed_in_its_place_without_a_second_answer() -> None:
    talk = Talk()
    talk.exchange.add_audio(blocks(*[1] * 40))
    talk.exchange.add_command(Interrupt())
    talk.exchange.add_audio(blocks(*[2] * 40))
    assert talk.sent() == ["400 ms", "interrupt", "400 ms"]
    assert len(talk.acknowledge_interrupt().answers) == 1
    talk.begin()
    assert talk.sent() == ["400 ms", "interrupt", "400 ms"]
    assert talk.acknowledge_interrupt() == Received()
    talk.committed_ms = 400
    talk.hear("pong", id="heartbeat-1")
    talk.begin()
    assert talk.sent() == ["400 ms", "400 ms"]


def test_a_resume_starts_with_the_effective_configuration_and_the_settled_changes() -> None:
    talk = Talk()
    talk.exchange.add_audio(blocks(*[1] * 40))
    talk.exchange.add_command(Configure({"eager_results": True}))
    talk.exchange.add_command(ContextUpdate(conversation_state="responding"))
    talk.sent()
    talk.committed_ms = 400
    talk.hear("configured", config={"eager_results": True})
    data = {"conversation_state": "responding", "expected_response_type": "casual"}
    data |= {"language_context": None}  # type: ignore[dict-item]
    talk.hear("context_updated", data=data)
    config = talk.begin()
    assert (config["buffer_duration"], config["eager_results"]) == (3.0, True)
    assert config["resume"]["committed_ms"] == 400
    assert talk.sent() == ["context_update", "400 ms"]
    assert talk.hear("context_updated", data=data) == Received()
    assert isinstance(talk.hear("context_updated", data=data).events[0], ContextUpdated)


def test_a_language_the_model_does_not_know_is_its_commands_answer_and_not_sent_again() -> None:
    talk = Talk()
    other = talk.exchange.add_command(ContextUpdate(conversation_state="responding"))
    refused = talk.exchange.add_command(ContextUpdate(language_context="xx"))
    talk.sent()
    received = talk.error("invalid_config")
    ((command, answer),) = received.answers
    assert command is refused
    assert isinstance(answer, ServiceError)
    assert isinstance(received.events[0], Error)
    talk.begin()
    assert talk.sent() == ["context_update"]
    assert not other.answered


def test_a_drain_ends_the_session_only_where_nothing_is_left() -> None:
    talk = Talk()
    assert talk.error("server_draining") == Received()
    fault = talk.end("draining").fault
    assert fault is not None
    assert fault.recoverable
    talk.begin()
    talk.exchange.add_audio(blocks(*[0] * 40))
    talk.exchange.add_command(EndSession())
    talk.sent()
    assert talk.end("draining").fault is not None, "audio is unsettled"
    talk.begin()
    talk.sent()
    talk.committed_ms = 400
    received = talk.end("draining")
    assert received.ended
    assert isinstance(received.events[0], SessionEnded)
    assert len(received.answers) == 1


def test_a_session_that_the_server_ends_is_over() -> None:
    received = Talk().end("session_too_long")
    assert received.ended
    assert received.fault is None


def test_what_belongs_to_another_session_is_not_read() -> None:
    talk = Talk()
    assert talk.hear("news", session_id="s-0") == Received()
    assert len(talk.hear("news").events) == 1


@pytest.mark.parametrize(
    "text",
    ["no json", "[]", "{}", b"\x00", '{"type": "transcription"}', '{"type": "error", "error": 1}'],
)
def test_what_is_no_message_of_the_protocol_is_a_violation(text: str | bytes) -> None:
    talk = Talk()
    with pytest.raises(ProtocolViolationError):
        talk.exchange.receive(text)


def test_another_session_instead_of_ours_is_a_violation() -> None:
    talk = Talk()
    talk.exchange.opening()
    with pytest.raises(ProtocolViolationError, match="resumed 's-2' instead of 's-1'"):
        talk.hear("session_started", session_id="s-2", config={}, ignored_fields=[], model="m")


def test_a_choice_and_a_field_of_a_newer_server_are_no_fault() -> None:
    talk = Talk()
    data = {"utterance": 1, "audio_start_ms": 0, "reason": "sneeze", "loudness": 11}
    (event,) = talk.hear("voice_activity_rejected", data=data).events
    assert event.data.reason == "sneeze"  # type: ignore[union-attr]


def test_heartbeats_are_the_clients_own_business() -> None:
    talk = Talk()
    ping_id = json.loads(heartbeat_ping(7))["id"]
    assert talk.hear("pong", id=ping_id) == Received()
    assert len(talk.hear("pong", id=7).events) == 1


def test_a_value_that_is_not_allowed_is_told_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="buffer_duration is 99"):
        Exchange(SessionOptions(buffer_duration=99))
    assert Exchange(SessionOptions(extra={"language": None, "new": 1})).session_id is None


def test_the_yardstick_and_the_exchange_speak_the_same_protocol() -> None:
    server = ModelServer()
    exchange = Exchange(OPTIONS)
    server.say(exchange.opening())
    assert exchange.receive(server.sent.popleft()).started
