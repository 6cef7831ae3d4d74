"""Who may do what on a connection, and how much: take-overs, rates, allowances, parting."""

from __future__ import annotations

import numpy as np
import trio
from trio.testing import MockClock

from fasttalk_stt.access.principal import Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.connection.departure import RESUME_WITHIN_S
from fasttalk_stt.connection.memory import CloseFrame, PeerClosedError
from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError
from tests.connection.conftest import Peer, Serving
from tests.support import silence, sound

BACKEND = Principal("key", "backend")
OTHER = Principal("token", "backend")
UTTERANCE = np.concatenate((sound(1.0), silence(0.8)))


async def test_the_same_principal_takes_a_session_over(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        older, newer = server.connect(BACKEND), server.connect(BACKEND)
        await older.start(session_id="mine")
        await newer.start(session_id="mine")
        await trio.sleep(1)
        assert older.transport.close_frame == CloseFrame(1008, "session_already_started")
        assert newer.transport.close_frame is None


async def test_another_principal_does_not(serving: Serving, autojump_clock: MockClock) -> None:
    async with serving() as server:
        owner, thief = server.connect(BACKEND), server.connect(OTHER)
        await owner.start(session_id="mine")
        await thief.send("start_session", session_config={"session_id": "mine"})
        error = await thief.wait_for("error")
        assert error["error"]["code"] == "invalid_config"
        assert "belongs to somebody else" in error["error"]["message"]
        # Both go on: the owner with its session, the other one with an id of its own.
        await thief.start(session_id="another")
        await owner.stream(UTTERANCE)
        await owner.wait_for("transcription")
        await owner.end()
        await thief.end()
        # Free again.
        await thief.start(session_id="mine")


async def send_pings(peer: Peer, n_pings: int, per_s: float) -> float:
    """Send until parted with; returns how long that took in seconds."""
    began_s = trio.current_time()
    try:
        for number in range(n_pings):
            await peer.send("ping", id=number)
            await trio.sleep(1 / per_s)
    except PeerClosedError:
        pass
    return trio.current_time() - began_s


async def test_a_flood_of_messages_is_told_once_and_parted_with(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(message_rate_limit=50) as server:
        peer = server.connect()
        lived_s = await send_pings(peer, 10_000, per_s=500)
        await trio.sleep(1)
        assert peer.errors == ["rate_limited", "rate_limited"]
        assert peer.of_type("error")[0]["error"]["retry_after"] == 1.0
        assert peer.transport.close_frame == CloseFrame(1008, "rate_limited")
        assert 0.1 < lived_s < 0.5
        assert 50 <= len(peer.of_type("pong")) < 80


async def test_a_burst_beyond_the_limit_loses_messages_and_not_the_connection(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(message_rate_limit=50) as server:
        peer = server.connect()
        await peer.start()
        for number in range(70):
            await peer.send("ping", id=number)
        await trio.sleep(2)
        assert [pong["id"] for pong in peer.of_type("pong")] == list(range(49))
        assert peer.errors == ["rate_limited"]
        await peer.stream(UTTERANCE)
        ended = await peer.end()
        assert ended["segments"] == 1


async def test_real_time_frames_of_ten_ms_are_never_held_back(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(message_rate_limit=100) as server:
        peer = server.connect()
        await peer.start()
        began_s = trio.current_time()
        for start in range(0, 16_000 * 5, 160):
            await peer.transport.feed(silence(5.0)[start : start + 160].tobytes())
            await trio.sleep(0.01)
        assert round(trio.current_time() - began_s, 3) == 5.0
        ended = await peer.end()
        assert (ended["audio"]["received_ms"], peer.errors) == (5_000, [])


async def test_a_flood_of_tiny_frames_is_read_at_the_limit_and_nothing_is_lost(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(message_rate_limit=100) as server:
        peer = server.connect()
        await peer.start()
        began_s = trio.current_time()
        for _ in range(1_000):
            await peer.transport.feed(bytes(4))
        # 100 at once and 100 a second then, hardly more for their sample of audio.
        assert 8.5 < trio.current_time() - began_s < 9.5
        ended = await peer.end()
        assert (ended["audio"]["received_ms"], peer.errors) == (62, [])


async def test_empty_frames_and_frames_outside_a_session_are_read_at_the_limit(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(message_rate_limit=100) as server:
        for frame in (None, bytes(2_048)):
            peer = server.connect()
            began_s = trio.current_time()
            for _ in range(1_000):
                await peer.transport.feed(frame)
            assert 8.5 < trio.current_time() - began_s < 9.5


async def test_a_keys_audio_allowance_slows_all_its_connections(
    serving: Serving, autojump_clock: MockClock
) -> None:
    audio = Bucket(rate_per_s=2.0, burst=2.0)
    async with serving() as server:
        peers = [server.connect(BACKEND, audio), server.connect(BACKEND, audio)]
        for peer in peers:
            await peer.start()
        began_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(lambda peer=peer: peer.stream(silence(11.0), pace=0))
        # 22 s of audio, 2 at once and 2 a second.
        assert 9.0 < trio.current_time() - began_s < 11.0
        for peer in peers:
            ended = await peer.end()
            assert (ended["audio"]["received_ms"], peer.errors) == (11_000, [])


async def test_whoever_is_parted_with_is_told_why(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect(BACKEND)
        await peer.start(session_id="mine")
        await peer.stream(sound(0.5))
        peer.connection.part(ProtocolError(UNAUTHORIZED, "The credential has been revoked."))
        peer.connection.part(ProtocolError(UNAUTHORIZED, "Only the first reason is told."))
        error = await peer.wait_for("error")
        await trio.sleep(1)
        assert error["error"]["message"] == "The credential has been revoked."
        assert error["session_id"] == "mine"
        assert peer.errors == ["unauthorized"]
        assert peer.transport.close_frame == CloseFrame(1008, "unauthorized")
        assert len(server.sessions) == 0


async def test_a_place_for_sessions_that_go_on_is_for_nothing_else(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        newcomer = server.connect(must_resume=True)
        await newcomer.send("start_session", session_config={})
        error = await newcomer.wait_for("error")
        assert error["error"]["code"] == "server_full"
        await trio.sleep(1)
        assert newcomer.transport.close_frame == CloseFrame(1013, "server_full")

        idler = server.connect(must_resume=True)
        await trio.sleep(RESUME_WITHIN_S - 1)
        assert idler.transport.close_frame is None
        await trio.sleep(2)
        assert idler.transport.close_frame == CloseFrame(1013, "server_full")

        peer = server.connect(must_resume=True)
        resume = {
            "session_id": "lost", "committed_ms": 1000, "audio_from_ms": 0, "seq": 5, "utterance": 1,
            "onset_reported": False,
        }  # fmt: skip
        started = await peer.start(resume=resume)
        assert started["metadata"]["seq"] == 6
        await peer.end()
        await trio.sleep(2 * RESUME_WITHIN_S)
        await peer.start()  # it is one of the crowd by now
        await peer.end()
