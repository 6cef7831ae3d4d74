"""The WebRTC detector: framing, and that it hears speech and not silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttalk_stt.audio.vad import VoiceFrame
from fasttalk_stt.audio.webrtc import FRAME_SAMPLES, WebRtcVad

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate_hz = soundfile.read(SAMPLES / "hello_world.flac", dtype="float32")
    assert rate_hz == 16_000
    return samples


def n_voiced(frames: list[VoiceFrame]) -> int:
    return sum(frame.probability > 0.5 for frame in frames)


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
    frames = WebRtcVad(2).push(speech)
    assert n_voiced(frames) > len(frames) / 3
    assert n_voiced(WebRtcVad(2).push(np.zeros(16_000, dtype=np.float32))) == 0


def test_a_stricter_detector_hears_no_more(speech: np.ndarray) -> None:
    heard = [n_voiced(WebRtcVad(mode).push(speech)) for mode in (0, 3)]
    assert heard[1] <= heard[0]


def test_sensitivity_may_change_on_the_way(speech: np.ndarray) -> None:
    vad = WebRtcVad(0)
    vad.set_sensitivity(3)
    assert n_voiced(vad.push(speech)) == n_voiced(WebRtcVad(3).push(speech))


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap_around(speech: np.ndarray) -> None:
    loud = speech / np.abs(speech).max() * 1.5
    judged = [frame.probability for frame in WebRtcVad(2).push(loud)]
    clipped = [frame.probability for frame in WebRtcVad(2).push(np.clip(loud, -1, 1))]
    assert judged == clipped
