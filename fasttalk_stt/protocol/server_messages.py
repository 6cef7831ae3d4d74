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

from typing import Annotated, ClassVar, Literal

from attrs import field, frozen

from fasttalk_stt.protocol.client_messages import ConversationState, PingId, ResponseType
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.errors import ERROR_KINDS, Category, Severity
from fasttalk_stt.protocol.quantities import (
    Count,
    FractionalMilliseconds,
    Milliseconds,
    Ordinal,
    Ratio,
    Seconds,
    Share,
    Stamp,
    one_of,
)

SegmentReason = Literal["speech_end", "buffer_full", "max_silence", "flush", "session_end"]
RejectionReason = Literal["noise", "too_short", "backchannel", "interrupted", "failed"]
RetractionReason = Literal["resumed", "interrupted", "failed", "superseded"]
SessionEndReason = Literal["end_session", "draining", "session_too_long"]

OMIT_NONE = {"omit_none": True}
"""Field metadata: leave the field out of the JSON where it is None, instead of writing null."""


Utterance = Annotated[Ordinal, "the number of the utterance, 1, 2, ... within the session"]
AudioStart = Annotated[Milliseconds, "where it begins on the session's clock"]


@frozen
class Metadata:
    """The stamp of a message, made as it is sent. All but `timestamp` are null outside a session."""

    session_id: Annotated[str | None, "the session"]
    timestamp: Annotated[Stamp, "when it was sent"]
    seq: Annotated[Ordinal | None, "1, 2, 3 ... within the session"]
    audio_committed_ms: Annotated[
        Milliseconds | None,
        "all audio before it has its outcome in a message with this or a lower `seq` and need never be "
        "sent again",
    ]
    conversation_id: Annotated[str | None, "as the session was given it; else left out"] = field(
        default=None, metadata=OMIT_NONE
    )
    user_id: Annotated[str | None, "as the session was given it; else left out"] = field(
        default=None, metadata=OMIT_NONE
    )


@frozen
class SessionStarted:
    """Answers `start_session`, and comes before anything else of the session."""

    type: ClassVar[str] = "session_started"
    config: Annotated[SessionConfig, "what is in effect"]
    ignored_fields: Annotated[tuple[str, ...], "what of `session_config` this server does not know"]
    model: Annotated[str, "the name of the model that serves"]


@frozen
class WordTime:
    """A word of a final, on the session's clock; its end lies behind its start."""

    word: Annotated[str, "as it stands in the text"]
    start_ms: Annotated[Milliseconds, "inside the segment, not before the word before"]
    end_ms: Annotated[Milliseconds, "inside the segment"]
    confidence: Annotated[Share, "how sure the model is"]


@frozen
class SegmentMetadata:
    """How a final came about."""

    duration: Annotated[Seconds, "the segment's length"]
    chunks_count: Annotated[Count, "the frames it was received in"]
    reason: Annotated[
        SegmentReason,
        "what cut it. `speech_end`: the endpoint. `buffer_full`: committed while somebody speaks on. "
        "`max_silence`: the endpoint would have waited longer than the server allows. `flush`: "
        "`flush_buffer`. `session_end`: `end_session`",
    ]
    audio_start_ms: AudioStart
    language: Annotated[str | None, "the language that was heard"]
    language_confidence: Annotated[Share | None, "how sure that is; null where it was given"]
    end_of_turn: Annotated[
        bool,
        "whether it ends the utterance. Where the end has no text (a flush or a commit took the last words, "
        "an interrupt discarded the rest) no text says so: take `speech_ended` or the next utterance as the "
        "end too",
    ]
    model: Annotated[str, "which model made the text"]
    compute_ms: Annotated[FractionalMilliseconds, "time of the engine and the alignment"]
    latency_ms: Annotated[
        FractionalMilliseconds,
        "from the arrival of the segment's last sample to sending this. For `speech_end`, whose segment ends "
        "at most 0.3 s after the voice, it includes the rest of the endpoint's silence; for `buffer_full` "
        "the wait until the words were stable",
    ]


@frozen
class TranscriptionData:
    """The text of one segment."""

    utterance: Annotated[
        Count, "the number of the utterance; 0 where a flush before the first found nothing"
    ]
    text: Annotated[str, "what was said; empty only where a flush found nothing"]
    processing_time_ms: Annotated[
        FractionalMilliseconds,
        "from the later of segment closed and request started to text ready: 0 where the text was there "
        "before, as mostly at an endpoint, and for words committed from a draft",
    ]
    audio_duration_ms: Annotated[Milliseconds, "the segment's length"]
    metadata: Annotated[SegmentMetadata, "how it came about"]
    timestamps: Annotated[
        tuple[WordTime, ...] | None,
        "every word of `text`; left out where the session wants no times",
    ] = field(default=None, metadata=OMIT_NONE)


@frozen
class Transcription:
    """Text that will not change: one segment of an utterance."""

    type: ClassVar[str] = "transcription"
    data: TranscriptionData


@frozen
class PartialData:
    """An utterance as it stands."""

    utterance: Utterance
    text: Annotated[str, "what was heard so far"]
    stable_text: Annotated[str, "the beginning of `text` that no later partial changes"]
    audio_start_ms: AudioStart
    audio_duration_ms: Annotated[Milliseconds, "how much was heard"]


@frozen
class PartialTranscription:
    """Text that may still change, while somebody speaks; only with `interim_results`."""

    type: ClassVar[str] = "partial_transcription"
    data: PartialData


@frozen
class VoiceActivityData:
    """An onset."""

    utterance: Utterance
    confidence: Annotated[Share, "the mean probability of voice since the onset"]
    duration_ms: Annotated[Milliseconds, "the speech heard so far"]
    energy_level: Annotated[Share, "its loudness: 0 is -60 dBFS or less, 1 full scale"]
    is_speech: Annotated[Literal[True], "always true; the end of speech is `speech_ended`"]
    timestamp: Annotated[Stamp, "when it was noticed"]
    audio_start_ms: AudioStart
    barge_in: Annotated[
        bool,
        "whether the conversation was `processing` or `responding`, and barge-in is enabled",
    ]
    withheld_segments: Annotated[
        Count, "older segments held back until it is known whether this is an interruption"
    ]


@frozen
class VoiceActivityDetected:
    """Somebody begins to speak: once for an utterance, only in `fasttalk_mode`. Stop or duck the bot.

    It is answered by text or by exactly one `voice_activity_rejected`, always.
    """

    type: ClassVar[str] = "voice_activity_detected"
    data: VoiceActivityData


@frozen
class RejectionData:
    """A reported onset without a text."""

    utterance: Utterance
    audio_start_ms: AudioStart
    reason: Annotated[
        RejectionReason,
        '`noise`, `too_short`: the bot may go on. `backchannel`: an "mm-hm" while the bot speaks, it may '
        "go on too. `interrupted`: an `interrupt` of the client discarded it; speech that goes on is "
        "reported anew. `failed`: the engine failed on it",
    ]
    text: Annotated[
        str | None, "what was said, where the reason is `backchannel`; else left out"
    ] = field(default=None, metadata=OMIT_NONE)


@frozen
class VoiceActivityRejected:
    """A reported onset was no interruption: the bot may go on."""

    type: ClassVar[str] = "voice_activity_rejected"
    data: RejectionData


@frozen
class EagerTranscription:
    """The text at a pause, before it is known to be the endpoint; only with `eager_results`.

    Followed by a `transcription` of the very same text, or by `eager_retracted`. It needs no
    `fasttalk_mode`. It is not sent while an older result is outstanding, nor for a backchannel.
    """

    type: ClassVar[str] = "eager_transcription"
    data: TranscriptionData


@frozen
class RetractionData:
    """What is withdrawn."""

    utterance: Utterance
    audio_start_ms: AudioStart
    reason: Annotated[
        RetractionReason,
        "`resumed`: somebody speaks on. `interrupted`: an `interrupt` of the client. `failed`: the engine "
        "failed on it. `superseded`: it was cut otherwise, as by a flush",
    ]


@frozen
class EagerRetracted:
    """The last `eager_transcription` of the utterance does not hold."""

    type: ClassVar[str] = "eager_retracted"
    data: RetractionData


@frozen
class SpeechEndedData:
    """The voiced speech of an utterance, without the padding that its segments have."""

    utterance: Utterance
    audio_start_ms: AudioStart
    audio_end_ms: Annotated[Milliseconds, "where it ends on the session's clock"]


@frozen
class SpeechEnded:
    """The endpoint of an utterance, before its last text; only in `fasttalk_mode`."""

    type: ClassVar[str] = "speech_ended"
    data: SpeechEndedData


@frozen
class InterruptData:
    """What an interrupt did."""

    interrupted_at: Annotated[Stamp, "when it arrived"]
    buffer_cleared: Annotated[bool, "nothing stale is buffered any more"]
    processing_stopped: Annotated[bool, "nothing stale will be sent any more"]
    cancelled_segments: Annotated[Count, "how many segments were stopped"]
    kept_audio_ms: Annotated[
        Milliseconds,
        "audio that is still on its way to its text: the interrupting user's own words",
    ]


@frozen
class InterruptAcknowledged:
    """Answers `interrupt`, at once. Nothing of what was cancelled comes after it."""

    type: ClassVar[str] = "interrupt_acknowledged"
    data: InterruptData


@frozen
class Configured:
    """Answers `configure`."""

    type: ClassVar[str] = "configured"
    config: Annotated[SessionConfig, "what is in effect now"]


@frozen
class ContextData:
    """The conversation's context, as it is taken into account."""

    conversation_state: Annotated[ConversationState, "what the bot does"]
    expected_response_type: Annotated[ResponseType, "what the user is expected to say"]
    language_context: Annotated[str | None, "a hint where the session names no language"]


@frozen
class ContextUpdated:
    """Answers `context_update`."""

    type: ClassVar[str] = "context_updated"
    data: ContextData


@frozen
class Pong:
    """Answers `ping`. Its stamp tells how much audio need not be kept any longer."""

    type: ClassVar[str] = "pong"
    id: Annotated[PingId, "that of the ping"]


@frozen
class AudioAccount:
    """What became of all audio received; the last four sum to the first."""

    received_ms: Annotated[Milliseconds, "all of it, the sum of the four below"]
    transcribed_ms: Annotated[Milliseconds, "what texts and backchannels were made of"]
    silence_ms: Annotated[Milliseconds, "where nobody spoke"]
    discarded_ms: Annotated[Milliseconds, "interrupted, failed or refused"]
    unsettled_ms: Annotated[Milliseconds, "pending as the server went away; else 0"]


@frozen
class SessionEnded:
    """Answers `end_session`, or tells that the server ends the session; the last of the session."""

    type: ClassVar[str] = "session_ended"
    reason: Annotated[SessionEndReason, "who ended it, and why"]
    audio: Annotated[AudioAccount, "what became of the audio"]
    segments: Annotated[Count, "the finals that were sent"]
    real_time_factor: Annotated[Ratio, "engine time over audio received"]


@frozen
class ErrorDetail:
    """One error: what happened, and whether to go on."""

    code: Annotated[str, one_of(*ERROR_KINDS), "what it is, for programs"]
    message: Annotated[str, "what happened, what was expected, what to do"]
    category: Annotated[
        str,
        one_of(*(each.value for each in Category)),
        "which part it concerns; `service_unavailable` is of `gpu` where that fails",
    ]
    severity: Annotated[str, one_of(*(each.value for each in Severity)), "how bad it is"]
    recoverable: Annotated[bool, "whether the connection can be used further"]
    retry_after: Annotated[Seconds | None, "when to try again; null where waiting changes nothing"]


@frozen
class Error:
    """Something went wrong; where it ends the connection, the close follows."""

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
