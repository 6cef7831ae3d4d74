"""The transport without a socket behaves as one: back-pressure, order, and the end."""

from __future__ import annotations

import pytest
import trio

from fasttalk_stt.connection.memory import CloseFrame, MemoryTransport, PeerClosedError


async def test_messages_go_both_ways_in_order():
    transport = MemoryTransport()

    async def connection():
        for _ in range(3):
            await transport.send(repr(await transport.receive()))
        await transport.close(1000, "done")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection)
        for message in ("{}", b"\0", None):
            await transport.feed(message)
            assert await transport.next_message() == repr(message)
        assert await transport.next_message() is None
    assert transport.close_frame == CloseFrame(code=1000, reason="done")


async def test_feeding_waits_until_the_connection_takes_it(autojump_clock):
    transport = MemoryTransport()
    with trio.move_on_after(5) as limit:
        await transport.feed(b"\0")
    assert limit.cancelled_caught


async def test_sending_waits_until_the_peer_takes_it(autojump_clock):
    transport = MemoryTransport()
    with trio.move_on_after(5) as limit:
        await transport.send("{}")
    assert limit.cancelled_caught


async def test_a_feeder_that_waits_is_told_of_the_close(autojump_clock):
    transport = MemoryTransport()
    async with trio.open_nursery() as nursery:

        async def feed():
            with pytest.raises(PeerClosedError):
                await transport.feed(b"\0")

        nursery.start_soon(feed)
        await trio.testing.wait_all_tasks_blocked()
        await transport.close(1011, "fault")
    with pytest.raises(PeerClosedError):
        await transport.feed(b"\0")


async def test_a_receiver_waits_after_the_close_until_cancelled(autojump_clock):
    transport = MemoryTransport()
    async with trio.open_nursery() as nursery:

        async def receive():
            with trio.move_on_after(5) as limit:
                await transport.receive()
            assert limit.cancelled_caught

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await transport.close(1000, "")


async def test_sending_after_the_close_goes_nowhere():
    transport = MemoryTransport()
    await transport.close(1000, "")
    await transport.send("{}")
    assert await transport.next_message() is None


async def test_the_first_close_counts():
    transport = MemoryTransport()
    await transport.close(1001, "draining")
    await transport.close(1011, "late")
    assert transport.close_frame == CloseFrame(code=1001, reason="draining")
