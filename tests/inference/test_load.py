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
    Crowd,
    Load,
    LoadMeter,
    Pressure,
    headroom_streams,
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


SHARE = 0.1
"""Of a second of all seats, for one request."""


def load_of(owed_share: float) -> Load:
    return evolve(IDLE, owed_share=owed_share, busy_share=owed_share, request_share=SHARE)


def headroom(load: Load, active: int = 10, seen: float | None = None, free: int = 40) -> int:
    crowd = Crowd(active, float(active) if seen is None else seen)
    return headroom_streams(load, crowd, free_places=free)


def test_headroom_is_what_streams_like_these_leave() -> None:
    half = load_of(FULL_SHARE / 2)
    assert headroom(half) == 10
    assert headroom(half, free=3) == 3
    assert headroom(evolve(half, pressure=Pressure.FULL)) == 0
    assert headroom(load_of(FULL_SHARE)) == 0


def test_those_who_have_just_come_count_for_what_they_will_take() -> None:
    half = load_of(FULL_SHARE / 2)
    assert headroom(half, active=14, seen=10) == 6
    assert headroom(half, active=20, seen=10) == 0
    # Half of what they take shows already.
    assert headroom(half, active=10, seen=5) == 0


def test_a_stream_takes_no_more_than_speech_without_end() -> None:
    # Those who made this load have left; the one who stays did not.
    left = load_of(FULL_SHARE / 2)
    assert headroom(left, active=1) == int(FULL_SHARE / 2 / (REQUESTS_PER_STREAM_S * SHARE))


def test_an_unknown_crowd_is_taken_to_speak_without_end() -> None:
    most = int(FULL_SHARE / (REQUESTS_PER_STREAM_S * SHARE))
    admitted = 0
    while headroom(load_of(0.0), active=admitted, seen=0.0, free=1):
        admitted += 1
    assert admitted == most
    assert headroom(IDLE) == 40


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
