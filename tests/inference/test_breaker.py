"""The circuit breaker against a plain model of it, and its rules one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.breaker import BreakerState, CircuitBreaker

OPEN_S = 100.0


def opened(now_s: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(2, OPEN_S)
    for _ in range(2):
        breaker.failed("it broke", now_s, is_trial=breaker.enter(now_s))
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(2, OPEN_S)
    breaker.failed("a", 0, is_trial=False)
    breaker.succeeded(is_trial=False)
    breaker.failed("b", 1, is_trial=False)
    assert breaker.state(1) is BreakerState.CLOSED
    breaker.failed("c", 2, is_trial=False)
    assert breaker.state(2) is BreakerState.OPEN
    assert breaker.remaining_s(12) == OPEN_S - 10
    assert not breaker.admits(2)
    report = breaker.report(2)
    assert (report.state, report.consecutive_failures, report.last_cause) == ("open", 2, "c")


def test_half_open_it_admits_one_trial_which_closes_it() -> None:
    breaker = opened()
    assert breaker.state(OPEN_S) is BreakerState.HALF_OPEN
    assert breaker.admits(OPEN_S)
    assert breaker.enter(OPEN_S)
    assert not breaker.admits(OPEN_S)
    breaker.succeeded(is_trial=True)
    assert breaker.state(OPEN_S) is BreakerState.CLOSED
    assert breaker.report(OPEN_S).consecutive_failures == 0


def test_a_trial_that_fails_opens_it_for_as_long_again() -> None:
    breaker = opened()
    breaker.failed("still", OPEN_S + 5, is_trial=breaker.enter(OPEN_S))
    assert breaker.remaining_s(OPEN_S + 5) == OPEN_S


def test_a_trial_that_is_left_leaves_its_place() -> None:
    breaker = opened()
    breaker.withdrawn(is_trial=breaker.enter(OPEN_S))
    assert breaker.admits(OPEN_S)


def test_what_was_begun_before_changes_nothing_once_it_is_open() -> None:
    breaker = opened()
    breaker.succeeded(is_trial=False)
    breaker.failed("late", 50, is_trial=False)
    assert breaker.remaining_s(50) == OPEN_S - 50
    trial = breaker.enter(OPEN_S)
    breaker.succeeded(is_trial=False)
    assert breaker.state(OPEN_S) is BreakerState.HALF_OPEN
    assert not breaker.admits(OPEN_S)
    breaker.succeeded(is_trial=trial)
    assert breaker.state(OPEN_S) is BreakerState.CLOSED


STEPS = st.lists(
    st.tuples(st.sampled_from(["ok", "fail", "leave", "wait"]), st.floats(0.0, 80.0)), max_size=60
)


@given(STEPS, st.integers(1, 4))
def test_it_is_open_exactly_as_long_as_the_model_says(
    steps: list[tuple[str, float]], threshold: int
) -> None:
    """One segment after another, each over before the next."""
    breaker = CircuitBreaker(threshold, OPEN_S)
    now_s, in_a_row, open_until_s = 0.0, 0, None
    for step, passed_s in steps:
        now_s += passed_s
        is_open = open_until_s is not None and now_s < open_until_s
        assert breaker.admits(now_s) is not is_open
        if is_open or step == "wait":
            continue
        is_trial = breaker.enter(now_s)
        assert is_trial is (open_until_s is not None)
        if step == "ok":
            breaker.succeeded(is_trial=is_trial)
            in_a_row, open_until_s = 0, None
        elif step == "leave":
            breaker.withdrawn(is_trial=is_trial)
        else:
            breaker.failed("it broke", now_s, is_trial=is_trial)
            in_a_row += 1
            if is_trial or in_a_row >= threshold:
                open_until_s = now_s + OPEN_S
