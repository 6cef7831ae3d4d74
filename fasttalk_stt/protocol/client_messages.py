"""What a client may say, as frozen classes; `codec` reads and writes their JSON.

Audio is not here: it travels in binary frames, see `pcm`. The answers are in `server_messages`. A
configuration is only carried: `config` checks it. Docstrings are published, see `asyncapi`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from attrs import Factory, frozen

from fasttalk_stt.protocol.quantities import Facet
from fasttalk_stt.protocol.values import LanguageTag

ConversationState = Literal["listening", "processing", "responding"]
ResponseType = Literal["question", "command", "casual"]
InterruptScope = Literal["pending", "all"]

MAX_PING_ID_CHARS = 256
PingId = Annotated[str | int | float | None, Facet({"maxLength": MAX_PING_ID_CHARS})]


@frozen
class StartSession:
    """Begin a session."""

    type: ClassVar[str] = "start_session"
    session_config: Annotated[Mapping[str, object], "what differs from the defaults"] = Factory(
        dict
    )


@frozen
class Configure:
    """Change the running session's configuration from the next frame on."""

    type: ClassVar[str] = "configure"
    config: Annotated[Mapping[str, object], "the fields to change"] = Factory(dict)


@frozen
class FlushBuffer:
    """Transcribe what is buffered now; answered by exactly one `transcription`.

    Its reason is `flush`. It is empty if there was nothing, or if an interrupt discarded it; where it fails
    its `error` is the answer.
    """

    type: ClassVar[str] = "flush_buffer"


@frozen
class EndSession:
    """Transcribe what is pending, then end the session; answered by `session_ended`.

    The connection stays open for another session.
    """

    type: ClassVar[str] = "end_session"


@frozen
class Interrupt:
    """Barge-in: stop what is stale.

    It cancels everything older than what is being said; in `fasttalk_mode` the last reported utterance is
    kept even if it has ended.
    """

    type: ClassVar[str] = "interrupt"
    reason: Annotated[str | None, "the client's own, for the logs"] = None
    timestamp: Annotated[str | None, "the client's own, for the logs"] = None
    scope: Annotated[
        InterruptScope,
        "`pending` keeps what the interrupting user is saying, `all` stops everything",
    ] = "pending"


@frozen
class ContextUpdate:
    """What the conversation is doing, which tunes endpoints and onsets; what is left out or null stays."""

    type: ClassVar[str] = "context_update"
    conversation_state: Annotated[ConversationState | None, "what the bot does"] = None
    expected_response_type: Annotated[
        ResponseType | None,
        "what the user is expected to say: the answer to a question of the bot, a command, or (at first) "
        "anything",
    ] = None
    language_context: Annotated[
        str | None,
        Facet(LanguageTag().schema()),
        "a BCP 47 tag, a hint where the session names no language",
    ] = None


@frozen
class Ping:
    """Answered by a `pong` with the same id."""

    type: ClassVar[str] = "ping"
    id: Annotated[PingId, "comes back as it went out"] = None


ClientMessage = (
    StartSession | Configure | FlushBuffer | EndSession | Interrupt | ContextUpdate | Ping
)
