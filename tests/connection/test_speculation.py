"""Speculation over real tasks and the virtual clock: the text is there when the endpoint is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.inference.fake import FakeEngine
from tests.connection.conftest import FRAME_S, Peer, Serving
from tests.support import silence, sound

ENDPOINT_S = 0.5


async def say(peer: Peer, seconds: float, *, pause_s: float = 0.8) -> None:
    await peer.stream(np.concatenate((sound(seconds), silence(pause_s))))


@pytest.mark.parametrize(("cost_s", "latest_s"), [(0.0, 0.55), (0.3, 0.55), (0.6, 0.85)])
async def test_the_engine_works_while_the_silence_lasts(
    serving: Serving, autojump_clock: MockClock, cost_s: float, latest_s: float
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: cost_s)) as server:
        peer = server.connect()
        await peer.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, peer, 1.0)
            began = trio.current_time()
            await peer.wait_for("transcription")
            waited_s = trio.current_time() - began - 1.0
        # A frame leaves the peer when its time begins, not when it is over.
        assert ENDPOINT_S - FRAME_S <= waited_s <= latest_s
        assert len(server.engine.batches) == 1


async def test_speech_that_resumes_cancels_what_was_not_begun(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = FakeEngine(cost_s=lambda _: 2.0 if len(engine.batches) == 1 else 0.05)
    async with serving(engine) as server:
        busy, peer = server.connect(), server.connect()
        await busy.start()
        await peer.start(eager_results=True)
        await say(busy, 0.4)  # keeps the engine busy for the next 2 s
        await say(peer, 0.5, pause_s=0.3)
        await say(peer, 0.5)
        final = await peer.wait_for("transcription")
        ended = await peer.end()
    assert final["data"]["utterance"] == ended["segments"] == 1
    assert server.scheduler.statistics().abandoned == 1
    assert [len(batch) for batch in engine.batches] == [1, 1]


async def test_eager_text_is_shown_at_the_pause(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 0.1)) as server:
        peer = server.connect()
        started = await peer.start(eager_results=True)
        assert started["config"]["eager_results"] is True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, peer, 1.0)
            began = trio.current_time()
            eager = await peer.wait_for("eager_transcription")
            waited_s = trio.current_time() - began - 1.0
            final = await peer.wait_for("transcription")
        await peer.end()
    assert waited_s <= 0.064 + 0.1 + 2 * FRAME_S
    assert eager["data"]["text"] == final["data"]["text"] != ""
    assert "eager_retracted" not in peer.types


async def test_a_replay_faster_than_real_time_loses_nothing(
    serving: Serving, autojump_clock: MockClock
) -> None:
    utterance = np.concatenate((sound(0.8), silence(0.2), sound(0.4), silence(0.7)))
    async with serving(FakeEngine(cost_s=lambda _: 1.0)) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(np.tile(utterance, 10), pace=0)
        ended = await peer.end()
    assert ended["segments"] == 10
    assert peer.errors == []
    assert [m["data"]["utterance"] for m in peer.of_type("transcription")] == list(range(1, 11))


async def test_a_judge_of_turns_is_asked_and_may_fail(
    serving: Serving, autojump_clock: MockClock
) -> None:
    heard_s: list[float] = []

    async def judge(samples: np.ndarray) -> float | None:
        heard_s.append(len(samples) / 16_000)
        await trio.sleep(0.05)
        return None if len(heard_s) == 1 else 0.0

    waits_s = []
    async with serving(judge_turn=judge, endpointer="smart") as server:
        peer = server.connect()
        await peer.start(endpoint_silence_ms=400)
        for count in (1, 2):
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(say, peer, 1.0, pause_s=1.5))
                await peer.wait_for("transcription", count=count)
                waits_s.append(trio.current_time() - began - 1.0)
        await peer.end()
    assert len(heard_s) == 2
    assert all(1.0 <= seconds <= 1.4 for seconds in heard_s)
    without_judge_s, sounds_unfinished_s = waits_s
    assert without_judge_s < 0.45
    assert sounds_unfinished_s > 0.9


async def test_a_pause_that_is_over_is_not_judged_to_the_end(
    serving: Serving, autojump_clock: MockClock
) -> None:
    left = []

    async def judge(samples: np.ndarray) -> float | None:
        try:
            await trio.sleep(0.4)
        except trio.Cancelled:
            left.append(len(samples))
            raise
        return None

    async with serving(judge_turn=judge, endpointer="smart") as server:
        peer = server.connect()
        await peer.start(endpoint_silence_ms=600)
        await say(peer, 1.0, pause_s=0.3)
        await say(peer, 1.0)
        await peer.end()
    assert len(left) == 1


async def test_eager_results_can_be_switched_in_a_session(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        for wanted in (True, False):
            await peer.send("configure", config={"eager_results": wanted})
            configured = await peer.wait_for("configured", count=1 if wanted else 2)
            assert configured["config"]["eager_results"] is wanted
            await say(peer, 1.0)
        await peer.end()
    assert len(peer.of_type("eager_transcription")) == 1
    assert len(peer.of_type("transcription")) == 2


async def test_audio_that_waits_in_our_own_channel_is_no_stall(
    serving: Serving, autojump_clock: MockClock
) -> None:
    """The window fills while an engine hangs; the client goes on in real time all the while."""
    engine = FakeEngine(cost_s=lambda _: 7.0 if len(engine.batches) == 1 else 0.1)
    async with serving(engine, transcription_timeout_s=60.0) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True, buffer_duration=20)
        await say(peer, 40.0)
        ended = await peer.end()
    reasons = [m["data"]["metadata"]["reason"] for m in peer.of_type("transcription")]
    assert set(reasons[:-1]) <= {"buffer_full"}
    assert len(peer.of_type("voice_activity_detected")) == 1
    assert ended["audio"]["discarded_ms"] == 0
