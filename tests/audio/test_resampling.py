"""Resampling as a stream: no clicks, no drift, nothing lost at a cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttalk_stt.audio.resampling import StreamResampler

RATES = [8_000, 11_025, 22_050, 44_100, 48_000]


def tone(rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize("rate_hz", RATES)
def test_frame_edges_leave_no_trace(rate_hz: int) -> None:
    whole, pieces = StreamResampler(rate_hz), StreamResampler(rate_hz)
    samples = tone(rate_hz)
    at_once = whole.push(samples)
    in_pieces = np.concatenate(
        [pieces.push(piece) for piece in np.array_split(samples, 97)] or [np.empty(0)]
    )
    shared = min(len(at_once), len(in_pieces))
    assert shared > 12_000
    np.testing.assert_allclose(in_pieces[:shared], at_once[:shared], atol=1e-5)


@pytest.mark.parametrize("rate_hz", RATES)
def test_the_tone_arrives_at_its_place_in_time(rate_hz: int) -> None:
    ready = StreamResampler(rate_hz).push(tone(rate_hz))
    expected = np.sin(2 * np.pi * 440 * np.arange(len(ready)) / 16_000)
    np.testing.assert_allclose(ready[400:-50], expected[400:-50], atol=1e-4)


@settings(max_examples=40)
@given(st.sampled_from(RATES), st.lists(st.integers(0, 3_000), max_size=25))
def test_the_tail_completes_the_stream_to_the_exact_ratio(rate_hz: int, sizes: list[int]) -> None:
    resampler = StreamResampler(rate_hz)
    produced = sum(len(resampler.push(np.zeros(size, dtype=np.float32))) for size in sizes)
    exact = sum(sizes) * 16_000 // rate_hz
    assert produced + len(resampler.tail()) >= exact
    assert len(resampler.tail()) == max(exact - produced, 0)


@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_taking_the_tail_does_not_disturb_the_stream(rate_hz: int) -> None:
    asked, left_alone = StreamResampler(rate_hz), StreamResampler(rate_hz)
    for piece in np.array_split(tone(rate_hz), 20):
        asked.tail()
        np.testing.assert_array_equal(asked.push(piece), left_alone.push(piece))


def test_the_tail_is_near_what_the_stream_will_say() -> None:
    resampler = StreamResampler(48_000)
    samples = tone(48_000)
    before = len(resampler.push(samples[:24_000]))
    tail = resampler.tail()
    later = resampler.push(samples[24_000:])[: len(tail)]
    assert before > 7_000
    # The last few milliseconds have no future to be filtered with.
    np.testing.assert_allclose(tail[:-80], later[:-80], atol=1e-3)


def test_the_pipeline_rate_passes_through() -> None:
    resampler = StreamResampler(16_000)
    samples = tone(16_000)
    assert resampler.push(samples) is samples
    assert not len(resampler.tail())
