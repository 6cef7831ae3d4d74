"""The conversation's context and how it shapes endpoints and onsets."""

from __future__ import annotations

import attrs
from attrs import frozen

from fasttalk_stt.protocol.client_messages import ContextUpdate, ConversationState, ResponseType


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
    def bot_is_speaking(self) -> bool:
        """Its voice leaks into microphones then, and people say "mm-hm" to it."""
        return self.conversation_state == "responding"

    @property
    def bot_is_active(self) -> bool:
        return self.conversation_state != "listening"
