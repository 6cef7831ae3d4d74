"""Conversations: their sessions here, their state in a store that outlives this process."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from fasttalk_stt.client import ConnectionPool, Session, SessionOptions

STATE_TTL_S = 3600


class Store(Protocol):
    """The part of a Redis client that is used."""

    async def setex(self, key: str, ttl_s: int, value: str) -> object: ...


@dataclass
class ConversationSession:
    user_id: str
    stt_config: dict[str, Any]
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    state: str = "listening"

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class ConversationSessionManager:
    """Gives each conversation an STT session of the pool under the conversation's own id."""

    def __init__(self, store: Store, pool: ConnectionPool) -> None:
        self.active_sessions: dict[str, ConversationSession] = {}
        self._store = store
        self._pool = pool

    @asynccontextmanager
    async def conversation(
        self, user_id: str, config: dict[str, Any]
    ) -> AsyncIterator[tuple[ConversationSession, Session]]:
        """One conversation for as long as the block lasts."""
        conversation = ConversationSession(user_id=user_id, stt_config=config.get("stt", {}))
        options = SessionOptions(
            fasttalk_mode=True,
            session_id=conversation.session_id,
            user_id=user_id,
            **conversation.stt_config,
        )
        await self._save(conversation)
        self.active_sessions[conversation.session_id] = conversation
        try:
            async with self._pool.session(options) as stt:
                yield conversation, stt
        finally:
            del self.active_sessions[conversation.session_id]

    async def set_state(self, conversation: ConversationSession, stt: Session, state: Any) -> None:
        """Tell the service what the bot does (listening, processing, responding), and the store."""
        conversation.state = state
        await stt.update_context(conversation_state=state)
        await self._save(conversation)

    async def _save(self, conversation: ConversationSession) -> None:
        key = f"conversation:{conversation.session_id}"
        await self._store.setex(key, STATE_TTL_S, conversation.to_json())
