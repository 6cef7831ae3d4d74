"""What a client may say, as frozen classes; `codec` reads and writes their JSON.

Audio is not here: it travels in binary frames, see `pcm`. The answers are in `server_messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from attrs import Factory, frozen

ConversationState = Literal["listening", "processing", "responding"]
ResponseType = Literal["question", "command", "casual"]
InterruptScope = Literal["pending", "all"]


@frozen
class StartSession:
    """Begin a session. The configuration is checked by `config.read_session_config`."""

    type: ClassVar[str] = "start_session"
    session_config: Mapping[str, object] = Factory(dict)


@frozen
class Configure:
    """Change the running session's configuration from the next frame on."""

    type: ClassVar[str] = "configure"
    config: Mapping[str, object] = Factory(dict)


@frozen
class FlushBuffer:
    """Transcribe what is buffered now; answered by exactly one `transcription`."""

    type: ClassVar[str] = "flush_buffer"


@frozen
class EndSession:
    """Transcribe what is pending, then end the session; answered by `session_ended`."""

    type: ClassVar[str] = "end_session"


@frozen
class Interrupt:
    """Barge-in: stop what is stale. `reason` and `timestamp` are the client's own, for the logs."""

    type: ClassVar[str] = "interrupt"
    reason: str | None = None
    timestamp: str | None = None
    scope: InterruptScope = "pending"


@frozen
class ContextUpdate:
    """What the conversation is doing; None leaves that part of the context as it was."""

    type: ClassVar[str] = "context_update"
    conversation_state: ConversationState | None = None
    expected_response_type: ResponseType | None = None
    language_context: str | None = None


@frozen
class Ping:
    """Answered by a `pong` with the same id."""

    type: ClassVar[str] = "ping"
    id: str | int | float | None = None


ClientMessage = (
    StartSession | Configure | FlushBuffer | EndSession | Interrupt | ContextUpdate | Ping
)
