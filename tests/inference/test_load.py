"""The load of the engine, and what follows from it."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.load import (
    BUSY_SHARE,
    FEWEST_WAITS,
    FULL_SHARE,
    IDLE,
    REQUESTS_PER_STREAM_S,
    WINDOW_S,
    Load,
    LoadMeter,
    Pressure,
    headroom_streams,
    is_full,
)


def meter(seats: int = 1) -> LoadMeter:
    return LoadMeter(seats=seats, promised_s=0.5)


def test_an_idle_engine_is_calm() -> None:
    assert meter().load(100.0) == IDLE


def test_the_share_of_the_seats_time_over_the_window() -> None:
    busy = meter(seats=2)
    busy.worked(0.0, 2.0, is_owed=True)
    busy.worked(2.0, 6.0, is_owed=False)
    load = busy.load(WINDOW_S)
    assert (load.owed_share, load.busy_share) == (0.1, 0.3)
    # Half of the first piece of work lies before the window now.
    assert busy.load(WINDOW_S + 1.0).owed_share == 0.05
    later = busy.load(WINDOW_S + 6.0)
    assert (later.owed_share, later.busy_share) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("owed_share", "pressure"),
    [
        (BUSY_SHARE - 0.01, Pressure.CALM),
        (BUSY_SHARE, Pressure.BUSY),
        (FULL_SHARE - 0.01, Pressure.BUSY),
        (FULL_SHARE, Pressure.FULL),
    ],
)
def test_what_is_owed_makes_the_pressure(owed_share: float, pressure: Pressure) -> None:
    busy = meter()
    busy.worked(0.0, owed_share * WINDOW_S, is_owed=True)
    assert busy.load(WINDOW_S).pressure is pressure


def test_partials_alone_make_none() -> None:
    busy = meter()
    busy.worked(0.0, 10.0, is_owed=False)
    assert busy.load(WINDOW_S).pressure is Pressure.CALM


def test_long_waits_make_pressure_too_where_something_was_promised() -> None:
    late, unbound = meter(), LoadMeter(seats=1, promised_s=None)
    for _ in range(FEWEST_WAITS - 1):
        late.waited(0.2, 5.0)
    assert late.load(5.0).final_wait_p95_s is None
    late.waited(0.2, 5.0)
    assert late.load(5.0).pressure is Pressure.BUSY
    for _ in range(FEWEST_WAITS):
        late.waited(0.3, 6.0)
        unbound.waited(0.3, 6.0)
    assert late.load(6.0).final_wait_p95_s == 0.3
    assert late.load(6.0).pressure is Pressure.FULL
    assert unbound.load(6.0).pressure is Pressure.CALM
    assert late.load(6.0 + WINDOW_S).pressure is Pressure.CALM


def test_what_a_request_takes_is_measured_on_from_what_was_expected() -> None:
    busy = meter(seats=2)
    busy.expect(0.1)
    assert busy.load(0.0).request_share == 0.05
    for second in range(100):
        busy.worked(float(second), second + 0.6, is_owed=True, n_requests=2)
    assert busy.load(100.0).request_share == pytest.approx(0.15, abs=0.01)


def load_of(owed_share: float) -> Load:
    return evolve(IDLE, owed_share=owed_share, busy_share=owed_share)


def test_headroom_is_what_streams_like_these_leave() -> None:
    def headroom(load: Load, active: int = 10, newcomers: int = 0, free: int = 40) -> int:
        return headroom_streams(load, active=active, newcomers=newcomers, free_places=free)

    half = load_of(FULL_SHARE / 2)
    assert headroom(half) == 10
    assert headroom(half, free=3) == 3
    assert headroom(load_of(0.01)) == 40
    assert headroom(load_of(0.3), active=0) == 40
    assert headroom(evolve(half, pressure=Pressure.FULL)) == 0
    # Those who have just come are counted as what the others take.
    assert headroom(half, active=14, newcomers=4) == 6
    assert headroom(half, active=20, newcomers=10) == 0


def test_a_crowd_at_an_idle_server_is_let_in_up_to_what_it_may_take() -> None:
    each = REQUESTS_PER_STREAM_S * 0.05
    idle = evolve(IDLE, request_share=0.05)
    admitted = 0
    while admitted < 100 and not is_full(idle, active=admitted, newcomers=admitted):
        admitted += 1
    assert admitted == pytest.approx(FULL_SHARE / each, abs=1)
    assert not is_full(IDLE, active=100, newcomers=100)


@given(
    works=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 5), st.booleans()), max_size=50),
    after=st.floats(0, 20),
)
def test_shares_stay_shares(works: list[tuple[float, float, bool]], after: float) -> None:
    busy = meter(seats=2)
    now_s = 0.0
    for began_s, took_s, is_owed in sorted(works):
        now_s = max(now_s, began_s + took_s)
        busy.worked(min(began_s, now_s), now_s, is_owed=is_owed)
    load = busy.load(now_s + after)
    assert 0.0 <= load.owed_share <= load.busy_share <= 1.0
