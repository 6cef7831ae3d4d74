"""The frame detector: framing, loudness, and that it hears speech and not silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttalk_stt.audio.vad import FRAME_SAMPLES, WebRtcVad, loudness

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate_hz = soundfile.read(SAMPLES / "hello_world.flac", dtype="float32")
    assert rate_hz == 16_000
    return samples


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2_000), max_size=20))
def test_frames_follow_each_other_without_gap_whatever_the_pieces(sizes: list[int]) -> None:
    vad = WebRtcVad(2)
    frames = [f for size in sizes for f in vad.push(np.zeros(size, dtype=np.float32))]
    assert [f.start for f in frames] == list(range(0, len(frames) * FRAME_SAMPLES, FRAME_SAMPLES))
    assert all(f.end - f.start == FRAME_SAMPLES for f in frames)
    assert len(frames) == sum(sizes) // FRAME_SAMPLES


def test_the_pieces_do_not_change_the_judgement(speech: np.ndarray) -> None:
    at_once = WebRtcVad(2).push(speech)
    vad = WebRtcVad(2)
    in_pieces = [f for piece in np.array_split(speech, 131) for f in vad.push(piece)]
    assert in_pieces == at_once


def test_speech_is_voiced_and_silence_is_not(speech: np.ndarray) -> None:
    voiced = [f.voiced for f in WebRtcVad(2).push(speech)]
    assert sum(voiced) > len(voiced) / 3
    assert not any(f.voiced for f in WebRtcVad(2).push(np.zeros(16_000, dtype=np.float32)))


def test_a_stricter_detector_hears_no_more(speech: np.ndarray) -> None:
    heard = [sum(f.voiced for f in WebRtcVad(mode).push(speech)) for mode in (0, 3)]
    assert heard[1] <= heard[0]


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, 1.0), (0.1, 2 / 3), (0.001, 0.0), (0.0, 0.0)]
)
def test_loudness_is_linear_in_decibels(amplitude: float, level: float) -> None:
    square_wave = np.full(320, amplitude, dtype=np.float32)
    assert loudness(square_wave) == pytest.approx(level, abs=1e-3)


def test_loudness_of_nothing_is_zero() -> None:
    assert loudness(np.empty(0, dtype=np.float32)) == 0.0
