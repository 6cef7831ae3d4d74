"""Draining: what an operator's stop does to a connection in each situation."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import trio
import trio.lowlevel
from trio.testing import MockClock

from fasttalk_stt.connection.memory import PeerClosedError
from fasttalk_stt.inference.fake import FakeEngine
from tests.connection.conftest import Peer, Serving
from tests.support import silence, sound


async def test_a_connection_without_a_session_closes_at_once(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await trio.lowlevel.checkpoint()
        peer.connection.drain()
        await trio.sleep(0.1)
    assert peer.errors == ["server_draining"]
    assert peer.transport.close_frame is not None
    assert peer.transport.close_frame.code == 1001


async def test_pending_results_are_sent_before_the_close(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 2.0)) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(np.concatenate((sound(1.0), silence(0.8))))
        peer.connection.drain()
        ended = await peer.wait_for("session_ended")
        await trio.sleep(0.1)
    assert peer.types == ["session_started", "error", "transcription", "session_ended"]
    assert ended["reason"] == "draining"
    assert ended["audio"]["unsettled_ms"] == 0
    assert peer.transport.close_frame is not None
    assert peer.transport.close_frame.code == 1001


async def test_an_open_utterance_may_finish(serving: Serving, autojump_clock: MockClock) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.0))
        peer.connection.drain()
        await peer.stream(np.concatenate((sound(0.5), silence(0.5))))
        ended = await peer.wait_for("session_ended")
    (final,) = peer.of_type("transcription")
    assert final["data"]["metadata"]["reason"] == "speech_end"
    assert ended["audio"]["unsettled_ms"] < 50


async def test_a_speaker_who_goes_on_is_cut_at_a_word_and_the_rest_is_left(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(drain_timeout_s=6.0) as server:
        peer = server.connect()
        await peer.start(buffer_duration=20)
        await peer.stream(sound(1.0))
        peer.connection.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream, sound(10.0))
            ended = await peer.wait_for("session_ended")
            nursery.cancel_scope.cancel()
    (final,) = peer.of_type("transcription")
    data = final["data"]
    edge_ms = data["metadata"]["audio_start_ms"] + data["audio_duration_ms"]
    # The last word would have reached to the edge of the audio; it stays for the next server.
    assert data["timestamps"][-1]["end_ms"] == edge_ms
    assert ended["audio"]["unsettled_ms"] > 0
    assert ended["metadata"]["audio_committed_ms"] == edge_ms
    assert ended["audio"]["received_ms"] == edge_ms + ended["audio"]["unsettled_ms"]


async def test_no_new_session_starts_on_a_draining_connection(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 2.0)) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(np.concatenate((sound(1.0), silence(0.6))))
        await peer.send("end_session")
        peer.connection.drain()
        await peer.send("start_session")
        await peer.wait_for("session_ended")
        await peer.wait_for("error", count=2)
    assert peer.errors == ["server_draining", "server_draining"]
    assert peer.types.count("session_started") == 1


async def test_a_second_session_begun_just_before_is_ended_properly(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 2.0)) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(np.concatenate((sound(1.0), silence(0.6))))
        await peer.send("end_session")
        await peer.send("start_session")
        peer.connection.drain()
        await peer.wait_for("session_ended", count=2)
        await trio.sleep(0.1)
    assert peer.types.count("transcription") == 1
    assert peer.transport.close_frame is not None
    assert peer.transport.close_frame.code == 1001


async def test_a_held_back_replay_is_ended_with_what_was_heard(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(
        FakeEngine(cost_s=lambda _: 2.0), max_pending_s=30.0, drain_timeout_s=20.0
    ) as server:
        peer = server.connect()
        await peer.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_feed_for_ever, peer)
            await trio.sleep(5)
            begun = trio.current_time()
            peer.connection.drain()
            ended = await peer.wait_for("session_ended")
            nursery.cancel_scope.cancel()
    assert trio.current_time() - begun < 18.0
    assert ended["audio"]["unsettled_ms"] > 10_000
    last = peer.of_type("transcription")[-1]["data"]
    assert ended["metadata"]["audio_committed_ms"] >= last["metadata"]["audio_start_ms"]


async def _feed_for_ever(peer: Peer) -> None:
    with suppress(PeerClosedError):
        while True:
            await peer.stream(np.concatenate((sound(1.0), silence(0.8))), pace=0)
