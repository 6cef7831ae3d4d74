"""Clock conversions: monotone, and back again within a sample."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.timeline import Timeline, pipeline_ms, pipeline_samples

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
    assert pipeline_ms(8_000) == 500
    assert Timeline(8_000).to_ms(12) == 1
