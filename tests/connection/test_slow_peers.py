"""Clients that read late or send far ahead, engines that lag or hang: order, bounds, time-outs."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.inference.fake import FakeEngine
from tests.connection.conftest import Serving
from tests.support import silence, sound

UTTERANCE = np.concatenate((sound(1.0), silence(0.8)))


async def test_session_ended_is_the_last_word_also_to_a_late_reader(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        peer.stop_reading()
        await peer.stream(UTTERANCE)
        await peer.send("configure", config={"buffer_duration": 3})
        await peer.send("ping", id=1)
        await peer.send("interrupt")
        await peer.send("end_session")
        await trio.sleep(5)
        peer.go_on_reading()
        await peer.wait_for("session_ended")
        await trio.sleep(5)
    assert peer.types[-1] == "session_ended"
    assert {"configured", "pong", "interrupt_acknowledged"} < set(peer.types)
    assert [m["metadata"]["seq"] for m in peer.received] == list(range(1, len(peer.received) + 1))


async def test_a_partial_never_follows_its_final(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(interim_results=True)
        peer.stop_reading()
        await peer.stream(np.concatenate((UTTERANCE, UTTERANCE)))
        peer.go_on_reading()
        await peer.end()
    over: set[int] = set()
    for message in peer.received:
        if message["type"] == "transcription" and message["data"]["metadata"]["end_of_turn"]:
            over.add(message["data"]["utterance"])
        if message["type"] == "partial_transcription":
            assert message["data"]["utterance"] not in over
    assert over == {1, 2}


async def test_an_interrupt_between_two_messages_of_a_segment_keeps_the_account(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await peer.stream(sound(1.0))
        await peer.wait_for("voice_activity_detected")
        peer.stop_reading()
        # The sender is stuck in `speech_ended`; the final has not left.
        await peer.stream(silence(0.8))
        await peer.send("interrupt", scope="all")
        peer.go_on_reading()
        ended = await peer.end()
    (final,) = peer.of_type("transcription")
    assert ended["audio"]["transcribed_ms"] == final["data"]["audio_duration_ms"]
    assert peer.types.index("transcription") < peer.types.index("interrupt_acknowledged")


async def test_chained_sessions_share_the_bound_on_pending_audio(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = FakeEngine(cost_s=lambda _: 250.0)
    async with serving(engine, max_pending_s=30.0, transcription_timeout_s=300.0) as server:
        peer = server.connect()
        sent_s = 0.0
        with trio.move_on_after(60):
            while True:
                await peer.send("start_session")
                for _ in range(5):
                    await peer.stream(UTTERANCE, pace=0)
                    sent_s += 1.8
                await peer.send("end_session")
        assert 25 < sent_s < 40


async def test_onsets_are_heard_while_the_engine_lags(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 60.0), transcription_timeout_s=300.0) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        for n_onsets in range(1, 7):
            begun = trio.current_time()
            await peer.stream(UTTERANCE)
            await peer.wait_for("voice_activity_detected", count=n_onsets)
            assert trio.current_time() - begun < 2.0
        assert peer.of_type("transcription") == []


@pytest.mark.parametrize("n_segments", [1, 4])
async def test_no_segment_waits_longer_than_the_time_out_after_it_closed(
    serving: Serving, autojump_clock: MockClock, n_segments: int
) -> None:
    engine = FakeEngine(cost_s=lambda _: 10_000.0)
    async with serving(engine, transcription_timeout_s=10.0) as server:
        peer = server.connect()
        await peer.start()
        for _ in range(n_segments):
            await peer.stream(UTTERANCE)
        closed = trio.current_time()
        await peer.wait_for("error", count=n_segments)
        assert trio.current_time() - closed <= 10.0
    assert peer.errors == ["transcription_timeout"] * n_segments


async def test_a_flush_that_is_interrupted_is_answered_empty(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 60.0)) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.0))
        await peer.send("flush_buffer")
        await peer.send("interrupt", scope="all")
        await peer.wait_for("interrupt_acknowledged")
        ended = await peer.end()
    (answer,) = peer.of_type("transcription")
    assert answer["data"]["text"] == ""
    assert answer["data"]["metadata"]["reason"] == "flush"
    assert peer.types.index("transcription") < peer.types.index("interrupt_acknowledged")
    assert ended["audio"]["discarded_ms"] == 1_000


async def test_a_muted_client_is_answered_though_it_goes_on_talking_about_itself(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.0))
        for _ in range(4):
            await trio.sleep(0.4)
            await peer.send("context_update", conversation_state="listening")
        assert len(peer.of_type("transcription")) == 1


async def test_an_ended_session_gives_its_id_up(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        pooled, other = server.connect(), server.connect()
        await pooled.start(session_id="x")
        await pooled.end()
        assert len(server.sessions) == 0
        await other.start(session_id="x")
        await pooled.start(session_id="y")
        await pooled.wait_for("session_started", count=2)
        assert pooled.errors == []
        assert len(server.sessions) == 2


async def test_a_message_that_is_far_too_long_is_refused_unread(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.send("ping", id=1, padding="x" * 100_000)
        error = await peer.wait_for("error")
    assert error["error"]["code"] == "invalid_message"
