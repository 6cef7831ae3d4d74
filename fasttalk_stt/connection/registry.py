"""Which session ids are live on this server, and on which connection."""

from __future__ import annotations

from typing import Protocol

from fasttalk_stt.access.principal import ANONYMOUS, Principal
from fasttalk_stt.protocol.errors import INVALID_CONFIG, ProtocolError


class Holder(Protocol):
    """A connection that holds a session id."""

    def lose_session(self, session_id: str) -> None:
        """Another connection took the session over; this one is to close."""


class SessionRegistry:
    """Session ids and their holders. An id has one holder; among those who may take it over the newest
    claim wins."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[Holder, Principal]] = {}

    def claim(self, session_id: str, holder: Holder, principal: Principal = ANONYMOUS) -> None:
        """Make `holder` the only one of this id; an older one is told that it lost it.

        Raises ProtocolError (`invalid_config`) where the older one is another principal's.
        """
        older, owner = self._holders.get(session_id, (holder, principal))
        if older is not holder and not principal.may_take_over(owner):
            raise ProtocolError(
                INVALID_CONFIG,
                f"session_id {session_id!r} is live and belongs to somebody else. Choose another, or "
                "leave it out.",
            )
        self._holders[session_id] = holder, principal
        if older is not holder:
            older.lose_session(session_id)

    def release(self, session_id: str, holder: Holder) -> None:
        """Give an id up; nothing happens where somebody else holds it by now."""
        held = self._holders.get(session_id)
        if held is not None and held[0] is holder:
            del self._holders[session_id]

    def __len__(self) -> int:
        return len(self._holders)
