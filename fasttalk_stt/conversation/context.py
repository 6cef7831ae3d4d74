"""The conversation's context and how it shapes endpoints and onsets."""

from __future__ import annotations

import attrs
from attrs import frozen

from fasttalk_stt.protocol.client_messages import ContextUpdate, ConversationState, ResponseType

# Guesses, not measured: a command is short and wants its effect at once, an answer to a question is
# thought about while it is spoken.
_ENDPOINT_FACTORS: dict[ResponseType, float] = {"command": 0.7, "casual": 1.0, "question": 1.5}

_ONSET_FRAMES = 5
_ONSET_FRAMES_RESPONDING = 7
"""While the bot speaks, its own voice leaks into microphones: 140 ms of voice instead of 100."""


@frozen
class Context:
    """What the client last said of the conversation."""

    conversation_state: ConversationState = "listening"
    expected_response_type: ResponseType = "casual"
    language_context: str | None = None

    def updated(self, update: ContextUpdate) -> Context:
        """This context with what the update names."""
        changes = attrs.asdict(update, filter=lambda _, value: value is not None)
        return attrs.evolve(self, **changes)

    @property
    def endpoint_factor(self) -> float:
        """What `endpoint_silence_ms` is multiplied with."""
        return _ENDPOINT_FACTORS[self.expected_response_type]

    @property
    def onset_frames(self) -> int:
        """How many voiced frames open an utterance."""
        if self.conversation_state == "responding":
            return _ONSET_FRAMES_RESPONDING
        return _ONSET_FRAMES

    @property
    def bot_is_active(self) -> bool:
        return self.conversation_state != "listening"
