"""Which session ids are live on this server, and on which connection."""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """A connection that holds a session id."""

    def lose_session(self, session_id: str) -> None:
        """Another connection took the session over; this one is to close."""


class SessionRegistry:
    """Session ids and their holders. An id has one holder; the newest claim wins."""

    def __init__(self) -> None:
        self._holders: dict[str, Holder] = {}

    def claim(self, session_id: str, holder: Holder) -> None:
        """Make `holder` the only one of this id; an older one is told that it lost it."""
        older = self._holders.get(session_id)
        self._holders[session_id] = holder
        if older is not None and older is not holder:
            older.lose_session(session_id)

    def release(self, session_id: str, holder: Holder) -> None:
        """Give an id up; nothing happens where somebody else holds it by now."""
        if self._holders.get(session_id) is holder:
            del self._holders[session_id]

    def __len__(self) -> int:
        return len(self._holders)
