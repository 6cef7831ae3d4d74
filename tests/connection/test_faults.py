"""What an engine's faults do to a session: words wait, or are skipped with a reason; nothing else is hurt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.errors import EngineError, GpuError
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.resilience import GPU_OPEN_S, TRANSCRIPTION_OPEN_S
from tests.connection.conftest import Peer, Server, Serving
from tests.support import silence, sound


class Scripted(FakeEngine):
    """Fails while `fault` is set; else a call costs 0.1 s."""

    def __init__(self, *, seats: int = 1) -> None:
        super().__init__(cost_s=self._cost, seats=seats)
        self.fault: Exception | None = None
        self.n_failed = 0

    def _cost(self, requests: Sequence[DecodeRequest]) -> float:
        if self.fault is not None:
            self.n_failed += 1
            raise self.fault
        return 0.1


async def say(peer: Peer, seconds: float = 0.6) -> None:
    await peer.stream(sound(seconds))
    await peer.stream(silence(0.9))


async def settled(peer: Peer) -> dict[str, object]:
    ended = await peer.end()
    audio = ended["audio"]
    parts = ("transcribed_ms", "silence_ms", "discarded_ms", "unsettled_ms")
    assert audio["received_ms"] == sum(audio[part] for part in parts)
    assert isinstance(audio, dict)
    return audio


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the virtual clock jumps
        await trio.sleep(0.05)


async def test_a_fault_that_passes_costs_nothing_but_time(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = Scripted()
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        engine.fault = EngineError("hiccup")
        await say(peer)
        await until(lambda: engine.n_failed >= 2)  # in the pause, and as the segment's own
        engine.fault = None
        await peer.wait_for("transcription")
        audio = await settled(peer)
    assert not peer.errors
    assert audio["discarded_ms"] == 0
    assert server.resilience.reports().transcription.consecutive_failures == 0


async def test_results_stay_in_order_while_an_older_one_is_tried_again(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = Scripted()
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        engine.fault = EngineError("hiccup")
        await say(peer)
        await until(lambda: engine.n_failed >= 2)
        engine.fault = None
        await peer.stream(sound(0.6))
        await peer.stream(silence(0.9))
        await peer.wait_for("transcription", count=2)
        await settled(peer)
    assert [m["data"]["utterance"] for m in peer.of_type("transcription")] == [1, 2]
    assert not peer.errors


async def fail_segments(server: Server, peer: Peer, engine: Scripted, count: int) -> None:
    for n_failed in range(count):
        await say(peer)
        await peer.wait_for("error", count=n_failed + 1)


@pytest.mark.parametrize(
    "case",
    [
        (EngineError("x"), "transcription_failed", 5, TRANSCRIPTION_OPEN_S, "processing"),
        (GpuError("x"), "gpu_error", 3, GPU_OPEN_S, "gpu"),
    ],
)
async def test_failures_in_a_row_open_a_breaker_and_a_trial_closes_it(
    serving: Serving, autojump_clock: MockClock, case: tuple[Exception, str, int, float, str]
) -> None:
    fault, code, threshold, open_s, category = case
    engine = Scripted()
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        engine.fault = fault
        await fail_segments(server, peer, engine, threshold)
        assert peer.errors == [code] * threshold
        opened_s = trio.current_time()
        n_tried = engine.n_failed

        await say(peer)
        error = await peer.wait_for("error", count=threshold + 1)
        assert error["error"]["code"] == "service_unavailable"
        assert error["error"]["category"] == category
        assert error["error"]["retry_after"] == pytest.approx(open_s, abs=5)
        assert engine.n_failed == n_tried, "nothing is tried while it is open"

        engine.fault = None
        reports = server.resilience.reports()
        breaker = reports.gpu if category == "gpu" else reports.transcription
        assert (breaker.state, breaker.last_cause) == ("open", "x")
        await trio.sleep_until(opened_s + open_s - 5.0)
        await say(peer)  # closed 5 s before it may be tried: it waits
        await peer.wait_for("transcription")
        assert trio.current_time() >= opened_s + open_s - 0.5
        await say(peer)
        await peer.wait_for("transcription", count=2)
        audio = await settled(peer)
    assert len(peer.errors) == threshold + 1
    assert server.resilience.open_breaker() is None
    assert audio["discarded_ms"] > 0


async def test_a_trial_that_fails_keeps_it_open(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = Scripted()
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        engine.fault = GpuError("x")
        await fail_segments(server, peer, engine, 3)
        await trio.sleep(GPU_OPEN_S)
        n_tried = engine.n_failed
        await say(peer)
        await peer.wait_for("error", count=4)
        assert engine.n_failed == n_tried + 1, "a trial is one try, and looks are none"
        assert server.resilience.reports().gpu.remaining_s > GPU_OPEN_S - 5
        await settled(peer)


async def test_a_call_that_hangs_loses_its_segment_and_its_seat_until_it_returns(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = FakeEngine(cost_s=lambda _: 100.0 if len(engine.batches) == 1 else 0.1)
    async with serving(engine, speculation=False) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await say(peer)
        await peer.wait_for("error")
        assert peer.errors == ["transcription_timeout"]
        await trio.sleep(5.0)
        assert server.scheduler.statistics().stuck == 1
        assert server.scheduler.stuck_s() > 10
        await until(lambda: server.scheduler.stuck_s() == 0.0)
        await say(peer)
        await peer.wait_for("transcription")
        audio = await settled(peer)
    assert audio["transcribed_ms"] > 0
    assert audio["discarded_ms"] > 0


async def test_other_seats_go_on_beside_a_call_that_hangs(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = FakeEngine(cost_s=lambda _: 1e6 if len(engine.batches) == 1 else 0.1, seats=2)
    async with serving(engine, speculation=False) as server:
        stuck, well = server.connect(), server.connect()
        await stuck.start(fasttalk_mode=True)
        await well.start(fasttalk_mode=True)
        await say(stuck)
        for count in (1, 2, 3):
            await say(well)
            await well.wait_for("transcription", count=count)
        await stuck.wait_for("error")
        await say(stuck)
        await stuck.wait_for("transcription")
        assert server.scheduler.stuck_s() == 0.0
        assert server.scheduler.statistics().stuck == 1
        await settled(stuck)
        await settled(well)
    assert not well.errors


async def test_interrupting_or_leaving_a_trial_gives_it_to_somebody_else(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = Scripted()
    async with serving(engine, speculation=False) as server:
        peer, other = server.connect(), server.connect()
        await peer.start(fasttalk_mode=True)
        await other.start(fasttalk_mode=True)
        engine.fault = GpuError("x")
        await fail_segments(server, peer, engine, 3)
        await trio.sleep(GPU_OPEN_S)
        engine.fault = None
        await peer.stream(sound(0.6))
        await peer.stream(silence(0.55))
        await peer.send("interrupt", scope="all")
        await peer.wait_for("interrupt_acknowledged")
        await say(other)
        await other.wait_for("transcription")
        assert server.resilience.open_breaker() is None
        await settled(peer)
        await settled(other)


async def test_looks_that_succeed_mean_that_failures_are_not_in_a_row(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = Scripted()
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        for n_failed in range(1, 5):
            engine.fault = GpuError("x")
            await say(peer)
            await peer.wait_for("error", count=n_failed)
            engine.fault = None
            await say(peer)  # its text was there before its end
            await peer.wait_for("transcription", count=n_failed)
        assert server.resilience.reports().gpu.state == "closed"
        await settled(peer)
