from __future__ import annotations

from contextlib import ExitStack

import pytest
import trio
from attrs import define, evolve, frozen
from trio.testing import MockClock

from fasttalk_stt.access.principal import Principal, Visitor
from fasttalk_stt.inference.load import WINDOW_S, Crowd
from fasttalk_stt.protocol.errors import (
    RATE_LIMITED,
    SERVER_DRAINING,
    SERVER_FULL,
    UNAUTHORIZED,
    ProtocolError,
)
from fasttalk_stt.protocol.state import ConnectionState
from fasttalk_stt.service.connections import ConnectionManager


@frozen
class Numbers:
    session_id: str
    total_chunks: int = 3
    total_processing_time_s: float = 1.0
    average_latency_s: float = 0.2
    real_time_factor: float = 0.1


@define(eq=False)
class Connection:
    state: ConnectionState = ConnectionState.ACTIVE
    session_id: str | None = None
    n_drains: int = 0
    parted_with: ProtocolError | None = None

    async def run(self) -> None:
        await trio.sleep_forever()

    def drain(self) -> None:
        self.n_drains += 1

    def part(self, error: ProtocolError) -> None:
        self.parted_with = error

    def statistics(self) -> Numbers | None:
        return None if self.session_id is None else Numbers(self.session_id)


async def test_counts_every_connection_in_one_state() -> None:
    manager = ConnectionManager(max_connections=3)
    with manager.admit() as first, manager.admit(), manager.admit() as third:
        first.attach(Connection(ConnectionState.PROCESSING, "a"))
        third.attach(Connection(ConnectionState.BUFFERING))
        counts = manager.connections_by_state()
        assert counts[ConnectionState.PROCESSING] == 1
        assert counts[ConnectionState.BUFFERING] == 1
        assert counts[ConnectionState.CONNECTING] == 1
        assert sum(counts.values()) == manager.active_connections == 3
        assert [each.session_id for each in manager.statistics()] == ["a"]
    assert manager.active_connections == 0
    assert manager.total_connections == 3
    assert manager.statistics() == []


async def test_a_server_without_compute_refuses_but_never_the_first() -> None:
    manager = ConnectionManager(max_connections=9, has_compute=lambda crowd: False)
    with manager.admit():
        with pytest.raises(ProtocolError, match="no time for more") as caught, manager.admit():
            pytest.fail("admitted one whom the model has no time for")
        assert caught.value.kind is SERVER_FULL


async def test_the_crowd_is_seen_as_far_as_the_load_shows_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked = []

    def has_compute(crowd: Crowd) -> bool:
        asked.append((crowd.active, round(crowd.seen, 2)))
        return True

    manager = ConnectionManager(max_connections=9, has_compute=has_compute)
    with manager.admit(), manager.admit():
        await trio.sleep(WINDOW_S / 2)
        with manager.admit():
            await trio.sleep(WINDOW_S)
            assert manager.crowd() == Crowd(3, 3.0)
    assert asked == [(1, 0.0), (2, 1.0)]


async def test_full_server_refuses_and_counts_nothing() -> None:
    manager = ConnectionManager(max_connections=1)
    with manager.admit():
        with pytest.raises(ProtocolError) as caught, manager.admit():
            pytest.fail("admitted one too many")
        assert caught.value.kind is SERVER_FULL
        assert (manager.active_connections, manager.total_connections) == (1, 1)
    with manager.admit():
        assert manager.total_connections == 2


async def test_ticket_is_given_back_after_an_error() -> None:
    manager = ConnectionManager(max_connections=1)
    with pytest.raises(RuntimeError), manager.admit():
        raise RuntimeError
    assert manager.active_connections == 0


async def test_drain_asks_everybody_and_waits_for_the_last(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    manager = ConnectionManager(max_connections=5)
    connections = [Connection(), Connection()]

    async def hold(connection: Connection, for_s: float) -> None:
        with manager.admit() as ticket:
            ticket.attach(connection)
            await trio.sleep(for_s)

    nursery.start_soon(hold, connections[0], 3)
    nursery.start_soon(hold, connections[1], 7)
    await trio.testing.wait_all_tasks_blocked()
    await manager.drain()
    assert trio.current_time() == 7
    assert [each.n_drains for each in connections] == [1, 1]
    with pytest.raises(ProtocolError) as caught, manager.admit():
        pytest.fail("admitted while draining")
    assert caught.value.kind is SERVER_DRAINING


async def test_connection_that_was_being_accepted_drains_too() -> None:
    manager = ConnectionManager(max_connections=5)
    connection = Connection()
    with manager.admit() as ticket:
        with trio.move_on_after(0) as limit:
            await manager.drain()
        assert limit.cancelled_caught
        ticket.attach(connection)
    assert connection.n_drains == 1


async def test_drain_of_an_idle_server_ends_at_once() -> None:
    with trio.fail_after(1):
        await ConnectionManager(max_connections=1).drain()


BACKEND = Visitor(Principal("key", "backend"), max_connections=2)
OTHER = Visitor(Principal("key", "other"))


async def test_a_key_has_no_more_connections_than_it_may() -> None:
    manager = ConnectionManager(max_connections=9)
    with manager.admit(BACKEND):
        with manager.admit(BACKEND), manager.admit(OTHER):
            with pytest.raises(ProtocolError) as caught, manager.admit(BACKEND):
                pytest.fail("admitted one too many of a key")
            assert caught.value.kind is RATE_LIMITED
        with manager.admit(BACKEND):
            assert manager.active_connections == 2


async def test_who_is_no_longer_valid_is_parted_with_also_while_being_accepted() -> None:
    manager = ConnectionManager(max_connections=9)
    revoked = ProtocolError(UNAUTHORIZED, "revoked")
    connected, late, other = Connection(), Connection(), Connection()
    with (
        manager.admit(BACKEND) as ticket,
        manager.admit(BACKEND) as unattached,
        manager.admit(OTHER) as third,
    ):
        ticket.attach(connected)
        third.attach(other)
        assert manager.part_invalid(lambda visitor: visitor is OTHER, revoked) == 2
        unattached.attach(late)
        assert connected.parted_with is late.parted_with is revoked
        assert other.parted_with is None


async def test_sessions_that_go_on_are_let_in_before_new_ones() -> None:
    manager = ConnectionManager(max_connections=10)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(manager.admit())
        with pytest.raises(ProtocolError, match="All 10 connections"):
            stack.enter_context(manager.admit())
        assert stack.enter_context(manager.admit(resumes=True)).must_resume
        with pytest.raises(ProtocolError, match="All 10 connections"):
            stack.enter_context(manager.admit(resumes=True))


async def test_each_connection_of_a_key_may_be_gone_and_come_again() -> None:
    manager = ConnectionManager(max_connections=10)
    visitor = evolve(BACKEND, max_connections=2)
    with ExitStack() as stack:
        for resumes in (False, False, True, True):
            ticket = stack.enter_context(manager.admit(visitor, resumes=resumes))
            assert ticket.must_resume is resumes
        for resumes in (False, True):
            with pytest.raises(ProtocolError, match="has its 2 connections"):
                stack.enter_context(manager.admit(visitor, resumes=resumes))
        assert not stack.enter_context(manager.admit(OTHER)).must_resume


async def test_a_credential_that_holds_longer_or_shorter_by_now_does_so_for_those_who_are_in(
    autojump_clock: MockClock,
) -> None:
    manager = ConnectionManager(max_connections=10)
    connections = [Connection(), Connection(), Connection()]
    lefts = [100.0, 10.0, None]
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for connection, left_s in zip(connections, lefts, strict=True):
                ticket = stack.enter_context(manager.admit(OTHER))
                ticket.attach(connection)
                ticket.expire_in(left_s)
                nursery.start_soon(ticket.part_when_expired)
            await trio.sleep(5)
            manager.renew(lambda visitor: 20.0)
            await trio.sleep(19)
            assert [each.parted_with for each in connections] == [None] * 3
            await trio.sleep(2)
            assert all(each.parted_with is not None for each in connections)


async def test_the_load_refuses_newcomers_only() -> None:
    manager = ConnectionManager(max_connections=10, has_compute=lambda crowd: False)
    with manager.admit() as first, manager.admit(resumes=True) as second:
        assert not first.must_resume
        assert second.must_resume
        with pytest.raises(ProtocolError, match="no time for more"), manager.admit():
            pass


async def test_a_session_that_goes_on_where_there_is_room_has_a_place_like_any_other() -> None:
    manager = ConnectionManager(max_connections=10)
    with manager.admit(resumes=True) as ticket:
        assert not ticket.must_resume
