"""Who is connected: admission, live connections, their numbers, and the drain.

Every connection holds a ticket, a context manager, so no way out can leave a count behind. This
module knows of a connection only what `ConnectionLike` says. Read `service.websocket` next: it
takes a ticket for each upgrade request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
import trio

from fasttalk_stt.access.principal import LOCAL_VISITOR, Visitor
from fasttalk_stt.inference.load import WINDOW_S, Crowd
from fasttalk_stt.protocol.errors import (
    RATE_LIMITED,
    SERVER_DRAINING,
    SERVER_FULL,
    UNAUTHORIZED,
    ProtocolError,
)
from fasttalk_stt.protocol.state import ConnectionState

logger = structlog.get_logger(__name__)

RESUME_SHARE = 0.1
"""Of all places, in addition, for sessions that lost their connection elsewhere."""


KEY_FULL_RETRY_S = 5.0
"""Like `server_full`'s: nobody knows when a client of the same key leaves."""


class StatisticsLike(Protocol):
    """What one session has cost so far; frozen."""

    @property
    def session_id(self) -> str: ...
    @property
    def total_chunks(self) -> int: ...
    @property
    def total_processing_time_s(self) -> float: ...
    @property
    def average_latency_s(self) -> float: ...
    @property
    def real_time_factor(self) -> float: ...


class ConnectionLike(Protocol):
    """One client's conversation, as the service around it sees it."""

    @property
    def state(self) -> ConnectionState: ...

    async def run(self) -> None:
        """Live until the client or the server ends it; cancelled when the peer is gone."""

    def drain(self) -> None:
        """Ask for the last results, `session_ended` and close 1001; returns at once."""

    def part(self, error: ProtocolError) -> None:
        """Tell the client and close, with the error's close code or 1008; returns at once."""

    def statistics(self) -> StatisticsLike | None:
        """The session's numbers; None outside a session."""


class Ticket:
    """The right to one connection, held for as long as it exists."""

    def __init__(
        self, manager: ConnectionManager, visitor: Visitor, *, must_resume: bool = False
    ) -> None:
        self._manager = manager
        self.must_resume = must_resume
        self._parting: ProtocolError | None = None
        self.visitor = visitor
        self.since_s = trio.current_time()
        self.connection: ConnectionLike | None = None
        self._credential_holds = trio.CancelScope()

    @property
    def state(self) -> ConnectionState:
        return ConnectionState.CONNECTING if self.connection is None else self.connection.state

    def attach(self, connection: ConnectionLike) -> None:
        """Make the connection known; one that was being accepted as a drain began drains too."""
        self.connection = connection
        if self._parting is not None:
            connection.part(self._parting)
        elif self._manager.draining:
            connection.drain()

    def expire_in(self, seconds: float | None) -> None:
        """The visitor's credential holds for so long from now; None: for good."""
        self._credential_holds.deadline = (
            math.inf if seconds is None else trio.current_time() + seconds
        )

    async def part_when_expired(self) -> None:
        """Wait until the credential is no longer good, then end the connection."""
        with self._credential_holds:
            await trio.sleep_forever()
        self.part(
            ProtocolError(
                UNAUTHORIZED,
                "The credential of this connection has expired. Connect again with a fresh one.",
            )
        )

    def part(self, error: ProtocolError) -> None:
        """End the connection for that reason, also one that is still being accepted."""
        self._parting = error
        if self.connection is not None:
            self.connection.part(error)


class ConnectionManager:
    """Admits up to `max_connections` at a time, as long as there is compute, and knows all that are
    live."""

    def __init__(
        self,
        *,
        max_connections: int,
        has_compute: Callable[[Crowd], bool] = lambda crowd: True,
    ) -> None:
        """`has_compute` tells whether one more has room beside those who are there."""
        self.max_connections = max_connections
        self._has_compute = has_compute
        self._tickets: set[Ticket] = set()
        self._total = 0
        self._draining = False
        self._drained = trio.Event()

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def active_connections(self) -> int:
        return len(self._tickets)

    def crowd(self) -> Crowd:
        """The live connections, and how much of the load's window they have been there."""
        now_s = trio.current_time()
        seen = sum(min((now_s - ticket.since_s) / WINDOW_S, 1.0) for ticket in self._tickets)
        return Crowd(len(self._tickets), seen)

    @property
    def total_connections(self) -> int:
        """Connections admitted since the start; refused ones do not count."""
        return self._total

    @contextmanager
    def admit(self, visitor: Visitor = LOCAL_VISITOR, *, resumes: bool = False) -> Iterator[Ticket]:
        """Hold a place for one connection.

        One that `resumes` a session goes before newcomers: a tenth of all places more is there for
        them, and they are not refused for the load, which they made before. Of a visitor with a limit each
        connection may be one that is gone and not yet missed, so as many may come again. Their ticket says
        that such a place is for nothing else.

        Raises ProtocolError (`server_draining`, `server_full`, or `rate_limited` where the visitor's
        key has as many as it may) where there is none.
        """
        if self._draining:
            raise ProtocolError(
                SERVER_DRAINING,
                "This server is shutting down and takes no new connections: connect again, "
                "which reaches another replica or this one's successor.",
            )
        full = self._why_full()
        if full is not None and not (resumes and self.active_connections < self._most_with_resumes):
            raise ProtocolError(SERVER_FULL, full)
        held = self._held(visitor)
        most = math.inf if visitor.max_connections is None else visitor.max_connections
        if held >= (2 * most if resumes else most):
            raise ProtocolError(
                RATE_LIMITED,
                f"This API key has its {visitor.max_connections} connections already: close one, or "
                "ask the operator for more.",
                retry_after_s=KEY_FULL_RETRY_S,
            )
        ticket = Ticket(self, visitor, must_resume=full is not None or held >= most)
        self._tickets.add(ticket)
        self._total += 1
        try:
            yield ticket
        finally:
            self._release(ticket)

    @property
    def _most_with_resumes(self) -> int:
        return self.max_connections + math.ceil(self.max_connections * RESUME_SHARE)

    def _why_full(self) -> str | None:
        """Why there is no room for a newcomer, in a sentence; None where there is."""
        if len(self._tickets) >= self.max_connections:
            return (
                f"All {self.max_connections} connections of this server are taken: connect again "
                "later or to another replica."
            )
        if self._tickets and not self._has_compute(self.crowd()):
            return (
                f"The {len(self._tickets)} connections of this server leave its model no time for "
                "more: connect again later or to another replica."
            )
        return None

    def _held(self, visitor: Visitor) -> int:
        return sum(ticket.visitor.principal == visitor.principal for ticket in self._tickets)

    def renew(self, seconds_left: Callable[[Visitor], float | None]) -> None:
        """Credentials hold for another time by now, that of those who are in included."""
        for ticket in self._tickets:
            ticket.expire_in(seconds_left(ticket.visitor))

    def part_invalid(self, is_valid: Callable[[Visitor], bool], error: ProtocolError) -> int:
        """End the connections of visitors who would no longer be let in; returns how many."""
        invalid = [ticket for ticket in self._tickets if not is_valid(ticket.visitor)]
        for ticket in invalid:
            ticket.part(error)
        return len(invalid)

    def _release(self, ticket: Ticket) -> None:
        self._tickets.remove(ticket)
        if self._draining and not self._tickets:
            self._drained.set()

    def connections_by_state(self) -> dict[ConnectionState, int]:
        """Count live connections; every state is there, and they sum to `active_connections`."""
        counts = dict.fromkeys(ConnectionState, 0)
        for ticket in self._tickets:
            counts[ticket.state] += 1
        return counts

    def statistics(self) -> list[StatisticsLike]:
        """The numbers of every session that is live now."""
        connections = [ticket.connection for ticket in self._tickets if ticket.connection]
        return [found for each in connections if (found := each.statistics()) is not None]

    async def drain(self) -> None:
        """Refuse newcomers, ask every connection to finish, and wait until none is left.

        The caller bounds the wait. Cancelling it leaves the manager draining.
        """
        if not self._draining:
            self._draining = True
            if not self._tickets:
                self._drained.set()
            logger.info("drain_started", active_connections=len(self._tickets))
            for ticket in list(self._tickets):
                if ticket.connection is not None:
                    ticket.connection.drain()
        await self._drained.wait()
