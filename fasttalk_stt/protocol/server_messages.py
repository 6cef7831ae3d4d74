"""What the server says, as frozen classes; `codec` reads and writes their JSON.

One sense for each word here and everywhere in the service:
frame: the audio of one binary message. utterance: one stretch of speech between two endpoints,
numbered from 1 within the session. segment: the part of an utterance that one `transcription`
covers. final: text that will not change (`transcription`). partial: text that still may.
onset: the moment an utterance's speech was first noticed. endpoint: the moment it was over.

All `_ms` positions are on the session's clock, 0 = its first sample. `Metadata` is stamped on a
message as it is sent, not when it is made.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import field, frozen

from fasttalk_stt.protocol.config import SessionConfig

SegmentReason = Literal["speech_end", "buffer_full", "max_silence", "flush", "session_end"]
RejectionReason = Literal["noise", "too_short", "backchannel", "interrupted", "failed"]
RetractionReason = Literal["resumed", "interrupted", "failed", "superseded"]
SessionEndReason = Literal["end_session", "draining", "session_too_long"]

OMIT_NONE = {"omit_none": True}
"""Field metadata: leave the field out of the JSON where it is None, instead of writing null."""


@frozen
class Metadata:
    """Stamped on every message. All but `timestamp` are None outside a session.

    `seq` counts 1, 2, 3 ... within the session. All audio before `audio_committed_ms` has its
    outcome in a message with this or a lower `seq` and need never be sent again.
    """

    session_id: str | None
    timestamp: str
    seq: int | None
    audio_committed_ms: int | None
    conversation_id: str | None = field(default=None, metadata=OMIT_NONE)
    user_id: str | None = field(default=None, metadata=OMIT_NONE)


@frozen
class SessionStarted:
    type: ClassVar[str] = "session_started"
    config: SessionConfig
    ignored_fields: tuple[str, ...]
    model: str


@frozen
class WordTime:
    """A word of a final: `start_ms` < `end_ms`, inside the segment; `confidence` 0-1."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float


@frozen
class SegmentMetadata:
    """How a final came about.

    `duration` is the segment's length in seconds, `chunks_count` the frames it was received in.
    `compute_ms` is the engine's and the alignment's time, `latency_ms` runs from the arrival of the
    segment's last sample to the sending of this message.
    """

    duration: float
    chunks_count: int
    reason: SegmentReason
    audio_start_ms: int
    language: str | None
    language_confidence: float | None
    end_of_turn: bool
    model: str
    compute_ms: float
    latency_ms: float


@frozen
class TranscriptionData:
    """The text of one segment.

    `processing_time_ms` runs from the later of segment closed and request started to text ready.
    `timestamps` covers every word of `text`; None (left out) where the session wants no times.
    """

    utterance: int
    text: str
    processing_time_ms: float
    audio_duration_ms: int
    metadata: SegmentMetadata
    timestamps: tuple[WordTime, ...] | None = field(default=None, metadata=OMIT_NONE)


@frozen
class Transcription:
    type: ClassVar[str] = "transcription"
    data: TranscriptionData


@frozen
class PartialData:
    """`stable_text` is a prefix of `text` that no later partial of the utterance changes."""

    utterance: int
    text: str
    stable_text: str
    audio_start_ms: int
    audio_duration_ms: int


@frozen
class PartialTranscription:
    type: ClassVar[str] = "partial_transcription"
    data: PartialData


@frozen
class VoiceActivityData:
    """An onset.

    `confidence` 0-1 is the mean probability of voice since the onset, `duration_ms` the speech heard so
    far, `energy_level` 0-1 its loudness (-60 dBFS or less is 0, full scale 1). `barge_in` is true
    where the conversation was processing or responding and barge-in is enabled;
    `withheld_segments` counts the older segments held back until it is known whether the onset was
    one.
    """

    utterance: int
    confidence: float
    duration_ms: int
    energy_level: float
    is_speech: bool
    timestamp: str
    audio_start_ms: int
    barge_in: bool
    withheld_segments: int


@frozen
class VoiceActivityDetected:
    type: ClassVar[str] = "voice_activity_detected"
    data: VoiceActivityData


@frozen
class RejectionData:
    """`text` is what was said, where the reason is `backchannel`."""

    utterance: int
    audio_start_ms: int
    reason: RejectionReason
    text: str | None = field(default=None, metadata=OMIT_NONE)


@frozen
class VoiceActivityRejected:
    type: ClassVar[str] = "voice_activity_rejected"
    data: RejectionData


@frozen
class EagerTranscription:
    type: ClassVar[str] = "eager_transcription"
    data: TranscriptionData


@frozen
class RetractionData:
    utterance: int
    audio_start_ms: int
    reason: RetractionReason


@frozen
class EagerRetracted:
    type: ClassVar[str] = "eager_retracted"
    data: RetractionData


@frozen
class SpeechEndedData:
    """The voiced speech of an utterance, without the padding that its segments have."""

    utterance: int
    audio_start_ms: int
    audio_end_ms: int


@frozen
class SpeechEnded:
    type: ClassVar[str] = "speech_ended"
    data: SpeechEndedData


@frozen
class InterruptData:
    """What an interrupt did.

    `buffer_cleared` and `processing_stopped` say that nothing stale is buffered or will be
    published any more; `cancelled_segments` counts what was stopped, `kept_audio_ms` is the audio
    that is still on its way to an outcome (the interrupting user's own words).
    """

    interrupted_at: str
    buffer_cleared: bool
    processing_stopped: bool
    cancelled_segments: int
    kept_audio_ms: int


@frozen
class InterruptAcknowledged:
    type: ClassVar[str] = "interrupt_acknowledged"
    data: InterruptData


@frozen
class Configured:
    type: ClassVar[str] = "configured"
    config: SessionConfig


@frozen
class ContextData:
    """The effective conversation context."""

    conversation_state: str
    expected_response_type: str
    language_context: str | None


@frozen
class ContextUpdated:
    type: ClassVar[str] = "context_updated"
    data: ContextData


@frozen
class Pong:
    type: ClassVar[str] = "pong"
    id: str | int | float | None


@frozen
class AudioAccount:
    """What became of all audio received, in milliseconds; the last four sum to the first."""

    received_ms: int
    transcribed_ms: int
    silence_ms: int
    discarded_ms: int
    unsettled_ms: int


@frozen
class SessionEnded:
    """`real_time_factor` is engine time over audio received; `segments` counts the finals sent."""

    type: ClassVar[str] = "session_ended"
    reason: SessionEndReason
    audio: AudioAccount
    segments: int
    real_time_factor: float


@frozen
class ErrorDetail:
    """`retry_after` is in seconds; null where waiting changes nothing."""

    code: str
    message: str
    category: str
    severity: str
    recoverable: bool
    retry_after: float | None


@frozen
class Error:
    type: ClassVar[str] = "error"
    error: ErrorDetail


ServerMessage = (
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
)

TOP_LEVEL_ENVELOPE = (SessionStarted, SessionEnded, Error)
"""The messages that repeat `session_id` and `timestamp` at top level."""
