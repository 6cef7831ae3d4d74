"""Clock conversions: monotone, and back again within a sample."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.timeline import Timeline, pipeline_samples

RATES = st.integers(8_000, 48_000)
POSITIONS = st.integers(0, 10**9)


@given(RATES, POSITIONS, POSITIONS)
def test_order_is_kept_by_both_conversions(rate_hz: int, a: int, b: int) -> None:
    low, high = sorted((a, b))
    timeline = Timeline(rate_hz)
    assert timeline.to_session(low) <= timeline.to_session(high)
    assert timeline.to_pipeline(low) <= timeline.to_pipeline(high)


@given(RATES, POSITIONS)
def test_there_and_back_stays_within_a_sample_of_the_coarser_clock(
    rate_hz: int, position: int
) -> None:
    timeline = Timeline(rate_hz)
    back = timeline.to_session(timeline.to_pipeline(position))
    assert 0 <= position - back <= rate_hz // 16_000 + 1


def test_durations() -> None:
    assert pipeline_samples(0.5) == 8_000
    assert Timeline(8_000).to_ms(12) == 1


@given(RATES, POSITIONS, POSITIONS)
def test_a_pipeline_that_begins_later_counts_from_there(
    rate_hz: int, origin: int, position: int
) -> None:
    timeline, plain = Timeline(rate_hz, origin=origin), Timeline(rate_hz)
    assert timeline.to_session(0) == origin
    assert timeline.to_session(position) == origin + plain.to_session(position)
    assert timeline.to_pipeline(origin + position) == plain.to_pipeline(position)


def test_milliseconds_as_positions() -> None:
    assert Timeline(44_100).at_ms(3) == 132
    assert Timeline(44_100).to_ms(132) == 2
