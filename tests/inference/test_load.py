"""The load of the engine, and what follows from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.load import (
    FEWEST_ANSWERS,
    FULL_SHARE,
    WINDOW_S,
    Load,
    LoadMeter,
    Pressure,
    headroom_streams,
)


def meter(seats: int = 1) -> LoadMeter:
    return LoadMeter(seats=seats, promised_s=0.5)


def test_an_idle_engine_is_calm() -> None:
    assert meter().load(100.0) == Load(0.0, 0.0, None, Pressure.CALM)


def test_the_share_of_the_seats_time_over_the_window() -> None:
    busy = meter(seats=2)
    busy.worked(0.0, 2.0, is_urgent=True)
    busy.worked(2.0, 6.0, is_urgent=False)
    load = busy.load(WINDOW_S)
    assert (load.urgent_share, load.busy_share) == (0.1, 0.3)
    # Half of the first piece of work lies before the window now.
    assert busy.load(WINDOW_S + 1.0).urgent_share == 0.05
    assert busy.load(WINDOW_S + 6.0) == Load(0.0, 0.0, None, Pressure.CALM)


@pytest.mark.parametrize(
    ("urgent_s", "pressure"),
    [(3.9, Pressure.CALM), (4.0, Pressure.BUSY), (6.4, Pressure.BUSY), (6.5, Pressure.FULL)],
)
def test_what_cannot_wait_makes_the_pressure(urgent_s: float, pressure: Pressure) -> None:
    busy = meter()
    busy.worked(0.0, urgent_s, is_urgent=True)
    assert busy.load(WINDOW_S).pressure is pressure


def test_without_a_promise_there_is_no_pressure() -> None:
    busy = LoadMeter(seats=1, promised_s=None)
    busy.worked(0.0, WINDOW_S, is_urgent=True)
    assert busy.load(WINDOW_S) == Load(1.0, 1.0, None, Pressure.CALM)


def test_drafts_alone_make_none() -> None:
    busy = meter()
    busy.worked(0.0, 10.0, is_urgent=False)
    assert busy.load(WINDOW_S).pressure is Pressure.CALM


def test_late_answers_make_pressure_too() -> None:
    late = meter()
    for _ in range(FEWEST_ANSWERS - 1):
        late.waited(0.3, 5.0)
    assert late.load(5.0).final_p95_s is None
    late.waited(0.3, 5.0)
    assert late.load(5.0).pressure is Pressure.BUSY
    for _ in range(2):
        late.waited(0.46, 6.0)
    assert late.load(6.0) == Load(0.0, 0.0, 0.46, Pressure.FULL)
    assert late.load(6.0 + WINDOW_S).pressure is Pressure.CALM


def load_of(urgent_share: float, pressure: Pressure = Pressure.CALM) -> Load:
    return Load(urgent_share, urgent_share, None, pressure)


def test_headroom_is_what_streams_like_these_leave() -> None:
    assert headroom_streams(load_of(FULL_SHARE / 2), active=10, free_places=40) == 10
    assert headroom_streams(load_of(FULL_SHARE / 2), active=10, free_places=3) == 3
    assert headroom_streams(load_of(0.01), active=10, free_places=40) == 40
    assert headroom_streams(load_of(0.3), active=0, free_places=40) == 40
    assert headroom_streams(load_of(0.3, Pressure.FULL), active=10, free_places=40) == 0


@given(
    works=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 5), st.booleans()), max_size=50),
    after=st.floats(0, 20),
)
def test_shares_stay_shares(works: list[tuple[float, float, bool]], after: float) -> None:
    busy = meter(seats=2)
    now_s = 0.0
    for began_s, took_s, is_urgent in sorted(works):
        now_s = max(now_s, began_s + took_s)
        busy.worked(min(began_s, now_s), now_s, is_urgent=is_urgent)
    load = busy.load(now_s + after)
    assert 0.0 <= load.urgent_share <= load.busy_share <= 1.0
