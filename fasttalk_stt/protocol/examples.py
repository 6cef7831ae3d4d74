"""Examples of every message, as messages: what the published documents show.

They go through the codec like any other, so that what is shown is what is sent. Together they tell of
one session: somebody asks, and interrupts the answer.
"""

from __future__ import annotations

from fasttalk_stt.protocol import client_messages as client
from fasttalk_stt.protocol import server_messages as server
from fasttalk_stt.protocol.codec import StampedMessage, error_message
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.errors import INVALID_CONFIG, TRANSCRIPTION_TIMEOUT, ProtocolError

_SESSION_ID = "5b1c7c1e-7a52-4d0a-9d58-2f2f3f2f6c11"
_MODEL = "base.en"
_CONFIG = SessionConfig(
    language="en",
    fasttalk_mode=True,
    barge_in_enabled=True,
    interim_results=True,
    eager_results=True,
    session_id=_SESSION_ID,
    user_id="u-17",
)


def client_examples() -> tuple[client.ClientMessage, ...]:
    """What a client sends: each message once, `start_session` also after a lost connection."""
    return (
        client.StartSession(
            {
                "language": "en",
                "fasttalk_mode": True,
                "interim_results": True,
                "eager_results": True,
                "user_id": "u-17",
            }
        ),
        client.StartSession(
            {
                "language": "en",
                "fasttalk_mode": True,
                "resume": {
                    "session_id": _SESSION_ID,
                    "committed_ms": 8_000,
                    "audio_from_ms": 6_000,
                    "seq": 14,
                    "utterance": 3,
                    "onset_reported": True,
                    "onset_ms": 8_400,
                },
            }
        ),
        client.Configure({"endpoint_silence_ms": 800, "vocabulary": ["Fasttalk", "Abbie"]}),
        client.FlushBuffer(),
        client.EndSession(),
        client.Interrupt("user_speaking", "2024-01-15T12:00:05.200Z"),
        client.ContextUpdate("responding", "question", "en-US"),
        client.Ping("42"),
    )


def server_examples() -> tuple[StampedMessage, ...]:
    """What the server sends, in the order of a session."""
    return (
        _sent(server.SessionStarted(_CONFIG, (), _MODEL), seq=1, at="00.000"),
        _sent(_onset(utterance=1, at="01.180", barge_in=False), seq=2, at="01.180"),
        _sent(server.PartialTranscription(_PARTIAL), seq=3, at="02.050"),
        _sent(server.EagerTranscription(_TEXT), seq=4, at="02.310"),
        _sent(server.EagerRetracted(server.RetractionData(1, 820, "resumed")), seq=5, at="02.400"),
        _sent(server.SpeechEnded(server.SpeechEndedData(1, 1_020, 2_120)), seq=6, at="02.640"),
        _sent(server.Transcription(_TEXT), seq=7, at="02.655", committed_ms=2_320),
        _sent(
            server.ContextUpdated(server.ContextData("responding", "question", "en-US")),
            seq=8,
            at="02.900",
            committed_ms=2_320,
        ),
        _sent(
            _onset(utterance=2, at="03.900", barge_in=True),
            seq=9,
            at="03.900",
            committed_ms=3_500,
        ),
        _sent(
            server.VoiceActivityRejected(
                server.RejectionData(2, 3_740, "backchannel", text="mm-hm")
            ),
            seq=10,
            at="04.500",
            committed_ms=4_100,
        ),
        _sent(
            server.InterruptAcknowledged(
                server.InterruptData("2024-01-15T12:00:05.201Z", True, True, 1, 640)
            ),
            seq=11,
            at="05.201",
            committed_ms=4_560,
        ),
        _sent(server.Configured(_CONFIG), seq=12, at="06.000", committed_ms=5_900),
        _sent(server.Pong("42"), seq=13, at="06.100", committed_ms=6_000),
        _sent(error_message(_TIMEOUT), seq=14, at="18.400", committed_ms=8_000),
        _sent(
            server.SessionEnded(
                "end_session", server.AudioAccount(18_400, 1_500, 14_900, 2_000, 0), 1, 0.04
            ),
            seq=15,
            at="18.600",
            committed_ms=18_400,
        ),
        # Outside a session: its stamp is all but empty.
        StampedMessage(
            error_message(_REFUSED), server.Metadata(None, _clock("20.000"), None, None)
        ),
    )


_TEXT = server.TranscriptionData(
    utterance=1,
    text="Hello world",
    processing_time_ms=65.2,
    audio_duration_ms=1_500,
    metadata=server.SegmentMetadata(
        duration=1.5,
        chunks_count=47,
        reason="speech_end",
        audio_start_ms=820,
        language="en",
        language_confidence=1.0,
        end_of_turn=True,
        model=_MODEL,
        compute_ms=58.9,
        latency_ms=15.3,
    ),
    timestamps=(
        server.WordTime("Hello", 1_020, 1_460, 0.97),
        server.WordTime("world", 1_520, 2_120, 0.94),
    ),
)
_PARTIAL = server.PartialData(
    utterance=1, text="Hello wor", stable_text="", audio_start_ms=820, audio_duration_ms=1_200
)
_TIMEOUT = ProtocolError(
    TRANSCRIPTION_TIMEOUT,
    "A segment of 2.0 s had no text after 10 s and is skipped. The session goes on.",
)
_REFUSED = ProtocolError(
    INVALID_CONFIG,
    "buffer_duration is 0.1; allowed is a number of seconds from 0.5 to 20. Correct it and send the "
    "message again.",
)


def _onset(*, utterance: int, at: str, barge_in: bool) -> server.VoiceActivityDetected:
    return server.VoiceActivityDetected(
        server.VoiceActivityData(
            utterance=utterance,
            confidence=0.93,
            duration_ms=160,
            energy_level=0.62,
            is_speech=True,
            timestamp=_clock(at),
            audio_start_ms=1_020 if utterance == 1 else 3_740,
            barge_in=barge_in,
            withheld_segments=0,
        )
    )


def _sent(
    message: server.ServerMessage, *, seq: int, at: str, committed_ms: int = 0
) -> StampedMessage:
    metadata = server.Metadata(_SESSION_ID, _clock(at), seq, committed_ms, user_id="u-17")
    return StampedMessage(message, metadata)


def _clock(seconds: str) -> str:
    return f"2024-01-15T12:00:{seconds}Z"
