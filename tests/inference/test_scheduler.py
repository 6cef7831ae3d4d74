"""The scheduler: urgency, batches, cancels, and whom a failure hurts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import (
    BadOutputError,
    EngineError,
    EngineTimeoutError,
    GpuError,
    NobodyWaitsError,
)
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.job import MOST_TIMES_GIVEN_WAY
from fasttalk_stt.inference.load import Pressure
from fasttalk_stt.inference.policy import COMMIT_PATIENCE_S, Priority, Urgency
from fasttalk_stt.inference.scheduler import Scheduler


def request(name: str) -> DecodeRequest:
    return DecodeRequest(samples=np.zeros(1_600, dtype=np.float32), vocabulary=(name,))


def names(batch: Sequence[DecodeRequest]) -> list[str]:
    return [item.vocabulary[0] for item in batch]


def echo(item: DecodeRequest) -> list[DecodedWord]:
    return [DecodedWord(item.vocabulary[0], 0.0, 0.1, 1.0)]


class Asking:
    """Asks for several requests at once and keeps what became of each."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.answers: dict[str, str | type[Exception]] = {}

    async def ask(self, name: str, priority: Priority = Priority.FINAL) -> None:
        try:
            hypothesis = await self.scheduler.decode(
                lambda: request(name), urgency=Urgency(priority)
            )
        except EngineError as error:
            self.answers[name] = type(error)
        else:
            self.answers[name] = hypothesis.text


async def test_finals_go_before_drafts_and_what_waits_goes_together(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=2))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "first")
            await trio.sleep(0.1)
            for name in ("draft a", "draft b"):
                asked.start_soon(asking.ask, name, Priority.COMMIT)
            await trio.sleep(0.1)
            for name in ("b", "c", "d"):
                asked.start_soon(asking.ask, name)
                await trio.sleep(0.1)
            assert scheduler.statistics().waiting == 5
            assert scheduler.statistics().running == 1
        nursery.cancel_scope.cancel()
    batches = [names(batch) for batch in engine.batches]
    assert batches[:3] == [["first"], ["b", "c"], ["d"]]
    assert [sorted(batch) for batch in batches[3:]] == [["draft a", "draft b"]]
    assert asking.answers == {name: name for batch in batches for name in batch}
    assert scheduler.statistics().decoded == 6


async def test_a_wait_that_is_left_costs_nothing_if_it_was_not_begun(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(asking.ask, "running")
        await trio.sleep(0.1)
        before = trio.current_time()
        with trio.move_on_after(0.2):
            await asking.ask("left")
        assert trio.current_time() - before < 0.3
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert [names(batch) for batch in engine.batches] == [["running"]]
    assert scheduler.statistics().abandoned == 1
    assert scheduler.statistics().waiting == 0


async def test_leaving_a_running_request_does_not_wait_and_drops_the_result(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 9.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        before = trio.current_time()
        with trio.move_on_after(1.0):
            await asking.ask("left")
        assert trio.current_time() - before < 1.1
        await asking.ask("next")
        nursery.cancel_scope.cancel()
    assert asking.answers == {"next": "next"}


async def test_an_engine_is_told_whose_interest_is_lost(autojump_clock: MockClock) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 9.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "first")
            await trio.sleep(0.1)
            asked.start_soon(asking.ask, "kept")
            with trio.move_on_after(12.0):
                await asking.ask("left")
        nursery.cancel_scope.cancel()
    [_, batch] = engine.batches
    lost = {item.vocabulary[0]: item.interest.is_lost for item in batch}
    assert lost == {"kept": False, "left": True}


async def test_what_an_engine_left_off_is_decoded_for_those_who_wait(
    autojump_clock: MockClock,
) -> None:
    def cost_s(batch: Sequence[DecodeRequest]) -> float:
        if len(batch) > 1:
            raise NobodyWaitsError("it is mistaken")
        return 1.0

    engine = FakeEngine(echo, cost_s=cost_s)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            for name in ("first", "second", "third"):
                asked.start_soon(asking.ask, name)
        nursery.cancel_scope.cancel()
    assert asking.answers == {name: name for name in ("first", "second", "third")}


class SteppingEngine(FakeEngine):
    """Takes 1 s in steps of 0.1 s, behind each of which it looks whether anybody waits."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tries: list[list[str]] = []

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.tries.append(names(requests))
        for _ in range(10):
            await trio.sleep(0.1)
            if all(item.interest.is_lost for item in requests):
                raise NobodyWaitsError("nobody")
        return await super().decode(requests)


async def test_a_recording_gives_way_to_a_final_and_is_decoded_all_the_same(
    autojump_clock: MockClock,
) -> None:
    engine = SteppingEngine(echo)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    answered_s: dict[str, float] = {}

    async def ask(name: str, priority: Priority) -> None:
        await asking.ask(name, priority)
        answered_s[name] = round(trio.current_time() - began_s, 1)

    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        began_s = trio.current_time()
        async with trio.open_nursery() as asked:
            asked.start_soon(ask, "recording", Priority.RECORDING)
            await trio.sleep(0.55)
            asked.start_soon(ask, "look", Priority.COMMIT)
            await trio.sleep(0.2)
            asked.start_soon(ask, "final", Priority.FINAL)
        assert scheduler.statistics().decoded == 3
        assert scheduler.statistics().waiting == 0
        nursery.cancel_scope.cancel()
    # The final waited for a step, the recording for both.
    assert answered_s == {"final": 1.8, "look": 2.8, "recording": 3.8}
    assert asking.answers == {name: name for name in answered_s}


async def test_steady_finals_do_not_have_a_recording_begun_for_ever(
    autojump_clock: MockClock,
) -> None:
    engine = SteppingEngine(echo)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    longest_wait_s = 0.0

    async def speak() -> None:
        nonlocal longest_wait_s
        for number in range(100):
            asked_s = trio.current_time()
            await asking.ask(f"final {number}")
            longest_wait_s = max(longest_wait_s, trio.current_time() - asked_s - 1.0)
            await trio.sleep(0.75)

    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(speak)
        with trio.fail_after(30.0):
            async with trio.open_nursery() as asked:
                for name in ("one", "other"):
                    asked.start_soon(asking.ask, name, Priority.RECORDING)
        nursery.cancel_scope.cancel()
    assert asking.answers["one"] == "one"
    assert asking.answers["other"] == "other"
    tries = [batch for batch in engine.tries if set(batch) & {"one", "other"}]
    assert [sorted(batch) for batch in tries[:MOST_TIMES_GIVEN_WAY]] == [
        ["one", "other"]
    ] * MOST_TIMES_GIVEN_WAY
    assert sorted(tries[MOST_TIMES_GIVEN_WAY:]) == [["one"], ["other"]]
    assert longest_wait_s < 0.9


async def test_a_final_that_comes_as_a_recording_takes_the_seat(autojump_clock: MockClock) -> None:
    engine = SteppingEngine(echo)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))

    async def speak() -> None:
        while not scheduler.statistics().running:
            await trio.lowlevel.cancel_shielded_checkpoint()
        await asking.ask("final")

    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        for _ in range(10):  # since Trio runs what is ready in any order
            async with trio.open_nursery() as asked:
                asked.start_soon(speak)
                asked.start_soon(asking.ask, "recording", Priority.RECORDING)
        nursery.cancel_scope.cancel()
    assert engine.tries == [["recording"], ["final"], ["recording"]] * 10


async def test_an_answer_that_was_given_up_for_a_final_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    """An engine may answer all the same, with what it had by then."""
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "recording", Priority.RECORDING)
            await trio.sleep(0.5)
            asked.start_soon(asking.ask, "final")
        nursery.cancel_scope.cancel()
    assert [names(batch) for batch in engine.batches] == [["recording"], ["final"], ["recording"]]
    assert asking.answers == {"final": "final", "recording": "recording"}


async def test_a_recording_nobody_waits_for_does_not_come_back(autojump_clock: MockClock) -> None:
    engine = SteppingEngine(echo)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "recording", Priority.RECORDING)
            await trio.sleep(0.55)
            nursery.start_soon(asking.ask, "final")
            await trio.testing.wait_all_tasks_blocked()
            asked.cancel_scope.cancel()
        await trio.sleep(5.0)
        statistics = scheduler.statistics()
        assert (statistics.waiting, statistics.abandoned) == (0, 1)
        assert asking.answers == {"final": "final"}
        nursery.cancel_scope.cancel()


async def test_a_recording_s_call_may_take_longer_than_a_stream_s(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 60.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4, longest_call_s=10.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        await asking.ask("recording", Priority.RECORDING)
        await asking.ask("final")
        nursery.cancel_scope.cancel()
    assert asking.answers == {"recording": "recording", "final": EngineTimeoutError}


async def test_the_length_of_a_recording_s_calls_says_nothing_of_a_stream_s(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda batch: 3.0 if "recording" in names(batch) else 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        await asking.ask("final")
        await asking.ask("recording", Priority.RECORDING)
        await trio.sleep(1.0)
        assert scheduler.load().request_share == 1.0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("raised", "seen"), [(GpuError("x"), GpuError), (ZeroDivisionError("x"), EngineError)]
)
async def test_only_the_culprit_of_a_failed_batch_suffers(
    autojump_clock: MockClock, raised: Exception, seen: type[Exception]
) -> None:
    def cost_s(batch: Sequence[DecodeRequest]) -> float:
        if "culprit" in names(batch):
            raise raised
        return 1.0

    engine = FakeEngine(echo, cost_s=cost_s)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "first")
            await trio.sleep(0.1)
            for name in ("a", "culprit", "b"):
                asked.start_soon(asking.ask, name)
        await asking.ask("afterwards")
        nursery.cancel_scope.cancel()
    assert asking.answers == {
        "first": "first", "a": "a", "culprit": seen, "b": "b", "afterwards": "afterwards",
    }  # fmt: skip


async def test_an_engine_that_answers_too_little_fails_its_requests_not_the_server(
    autojump_clock: MockClock,
) -> None:
    class Forgetful(FakeEngine):
        async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
            return (await super().decode(requests))[: len(requests) - 1]

    asking = Asking(scheduler := Scheduler(Forgetful(echo), batch_size=4))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        await asking.ask("a")
        nursery.cancel_scope.cancel()
    assert asking.answers == {"a": BadOutputError}


async def test_what_is_left_behind_urgent_work_is_let_go_at_once(
    autojump_clock: MockClock,
) -> None:
    scheduler = Scheduler(FakeEngine(echo, cost_s=lambda _: 1_000.0), batch_size=1)
    asking = Asking(scheduler)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(asking.ask, "running")
        await trio.sleep(0.1)
        nursery.start_soon(asking.ask, "urgent")
        for i in range(50):
            with trio.move_on_after(0.1):
                await asking.ask(f"draft {i}", Priority.COMMIT)
        assert scheduler.statistics().waiting == 1
        nursery.cancel_scope.cancel()


async def test_a_request_that_becomes_urgent_overtakes(autojump_clock: MockClock) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=1))
    urgency = Urgency(Priority.EAGER)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(asking.ask, "running")
        await trio.sleep(0.1)
        nursery.start_soon(asking.ask, "older", Priority.EAGER)
        await trio.sleep(0.1)
        nursery.start_soon(partial(scheduler.decode, lambda: request("hurried"), urgency=urgency))
        await trio.sleep(0.1)
        urgency.priority = Priority.FINAL
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert [names(batch) for batch in engine.batches] == [["running"], ["hurried"], ["older"]]


async def test_seats_work_at_the_same_time_and_share_what_waits(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda batch: float(len(batch)), seats=2)
    asking = Asking(scheduler := Scheduler(engine, batch_size=8))
    begun_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as asked:
            for name in "abcd":
                asked.start_soon(asking.ask, name)
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(scheduler.run)
        nursery.cancel_scope.cancel()
    assert max(len(batch) for batch in engine.batches) == 2
    assert trio.current_time() - begun_s == 2.0
    assert set(asking.answers) == set("abcd")


async def test_a_look_takes_the_last_seat_when_its_patience_ends(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(
        echo, cost_s=lambda batch: 5.0 if names(batch) == ["long"] else 1.0, seats=2
    )
    asking = Asking(scheduler := Scheduler(engine, batch_size=1))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "long")
            await trio.sleep(0.1)
            asked.start_soon(asking.ask, "look", Priority.COMMIT)
            await trio.sleep(COMMIT_PATIENCE_S - 0.01)
            assert scheduler.statistics().running == 1
            # Nothing else comes and nothing ends meanwhile.
            await trio.sleep(0.02)
            assert scheduler.statistics().running == 2
        nursery.cancel_scope.cancel()


async def test_a_look_that_becomes_more_urgent_waits_no_longer(autojump_clock: MockClock) -> None:
    engine = FakeEngine(
        echo, cost_s=lambda batch: 5.0 if names(batch) == ["long"] else 1.0, seats=2
    )
    asking = Asking(scheduler := Scheduler(engine, batch_size=1))
    urgency = Urgency(Priority.PARTIAL)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "long")
            await trio.sleep(0.1)
            asked.start_soon(partial(scheduler.decode, lambda: request("look"), urgency=urgency))
            await trio.sleep(0.5)
            assert scheduler.statistics().running == 1
            scheduler.hurry(urgency, Priority.COMMIT)
            await trio.testing.wait_all_tasks_blocked()
            assert scheduler.statistics().running == 2
        nursery.cancel_scope.cancel()


async def test_a_call_that_waits_for_a_model_is_not_stuck_until_it_takes_too_long(
    autojump_clock: MockClock,
) -> None:
    loaded_at_s = [10.0]
    moving_s = lambda: min(max(trio.current_time() - 3.0, 0.0), loaded_at_s[0] - 3.0)  # noqa: E731
    engine = FakeEngine(echo, cost_s=lambda _: 12.0)
    scheduler = Scheduler(engine, batch_size=1, longest_call_s=6.0, moving_s=moving_s)
    asking = Asking(scheduler)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        await asking.ask("7 s of it are the model's")
        loaded_at_s[0] = 3.0
        await asking.ask("none are")
        nursery.cancel_scope.cancel()
    assert asking.answers == {
        "7 s of it are the model's": "7 s of it are the model's",
        "none are": EngineTimeoutError,
    }


async def test_a_request_that_cannot_be_made_fails_alone(autojump_clock: MockClock) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=4))
    made = 0

    def broken() -> DecodeRequest:
        nonlocal made
        made += 1
        if made > 1:
            raise ZeroDivisionError
        return request("broken")

    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "first")
            await trio.sleep(0.1)
            asked.start_soon(asking.ask, "beside")
            with pytest.raises(EngineError, match="could not be made"):
                await scheduler.decode(broken, urgency=Urgency(Priority.FINAL))
        await asking.ask("afterwards")
        nursery.cancel_scope.cancel()
    assert set(asking.answers.values()) == {"first", "beside", "afterwards"}


async def test_drafts_that_wait_together_are_one_batch(autojump_clock: MockClock) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0, seats=2)
    asking = Asking(scheduler := Scheduler(engine, batch_size=8))
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as asked:
            for name in "abcd":
                asked.start_soon(asking.ask, name, Priority.COMMIT)
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(scheduler.run)
        nursery.cancel_scope.cancel()
    assert [len(batch) for batch in engine.batches] == [4]


async def test_a_seat_that_fails_leaves_the_other_alone(autojump_clock: MockClock) -> None:
    def hear(item: DecodeRequest) -> list[DecodedWord]:
        if item.vocabulary == ("bad",):
            raise GpuError("broken")
        return echo(item)

    engine = FakeEngine(hear, cost_s=lambda _: 1.0, seats=2)
    asking = Asking(scheduler := Scheduler(engine, batch_size=1))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            for name in ("bad", "good", "better"):
                asked.start_soon(asking.ask, name)
        assert scheduler.statistics().running == 0
        nursery.cancel_scope.cancel()
    assert asking.answers == {"bad": GpuError, "good": "good", "better": "better"}


async def test_the_load_is_what_the_seats_did_and_how_long_finals_waited(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 0.9)
    asking = Asking(scheduler := Scheduler(engine, batch_size=1, promised_s=100.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        assert scheduler.load().pressure is Pressure.CALM
        async with trio.open_nursery() as asked:
            for number in range(2):
                asked.start_soon(asking.ask, f"draft {number}", Priority.COMMIT)
            for number in range(9):
                asked.start_soon(asking.ask, f"final {number}")
        load = scheduler.load()
        nursery.cancel_scope.cancel()
    assert load.busy_share == pytest.approx(0.99, abs=0.01)
    assert load.owed_share == pytest.approx(0.99, abs=0.01)
    assert load.final_wait_p95_s == pytest.approx(7.2, abs=1.0)
    assert load.request_share == pytest.approx(0.9)
    assert load.pressure is Pressure.FULL


async def test_what_a_replay_and_partials_ask_for_is_not_owed(autojump_clock: MockClock) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    scheduler = Scheduler(engine, batch_size=1, promised_s=0.1)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            for urgency in (
                *(Urgency(Priority.FINAL, is_live=False) for _ in range(9)),
                Urgency(Priority.PARTIAL),
            ):
                asked.start_soon(partial(scheduler.decode, lambda: request("a"), urgency=urgency))
        load = scheduler.load()
        nursery.cancel_scope.cancel()
    assert (load.owed_share, load.busy_share) == (0.0, 1.0)
    assert load.final_wait_p95_s is None
    assert load.pressure is Pressure.CALM


async def test_a_request_is_for_what_there_is_when_it_is_taken_up(
    autojump_clock: MockClock,
) -> None:
    engine = FakeEngine(echo, cost_s=lambda _: 1.0)
    asking = Asking(scheduler := Scheduler(engine, batch_size=1))
    said = ["once"]
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        async with trio.open_nursery() as asked:
            asked.start_soon(asking.ask, "first")
            await trio.sleep(0.1)
            asked.start_soon(
                partial(
                    scheduler.decode,
                    lambda: request(" ".join(said)),
                    urgency=Urgency(Priority.COMMIT),
                )
            )
            await trio.sleep(0.1)
            said.append("more")
        nursery.cancel_scope.cancel()
    assert [names(batch) for batch in engine.batches] == [["first"], ["once more"]]
