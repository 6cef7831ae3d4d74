"""Files of any shape become mono frames the server takes."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.transcripts.audio_file import (
    AudioFileError,
    Clip,
    at_a_session_rate,
    encode,
    frames,
    read_clip,
    resample,
    with_trailing_silence,
)


def sine(n_samples, rate_hz, hz=440.0):
    return np.sin(2 * np.pi * hz * np.arange(n_samples) / rate_hz).astype(np.float32) * 0.5


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_stereo_is_mixed_down(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.array([[0.5, 0.25], [0.0, -0.5]]), 44_100)
    clip = read_clip(path)
    assert clip.rate_hz == 44_100
    assert clip.samples.dtype == np.float32
    assert clip.samples.tolist() == pytest.approx([0.375, -0.25], abs=1e-4)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(AudioFileError, match=r"gone\.wav: no such file$"):
        read_clip(tmp_path / "gone.wav")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(AudioFileError, match="no such file"):
        read_clip(tmp_path)


def test_a_file_that_is_no_audio_is_one_line(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("hello")
    with pytest.raises(AudioFileError) as caught:
        read_clip(path)
    assert str(caught.value).startswith(f"{path}: not readable as audio: ")
    assert "\n" not in str(caught.value)


def test_an_empty_recording_is_told(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((0, 1)), 16_000)
    with pytest.raises(AudioFileError, match="holds no samples"):
        read_clip(path)


@pytest.mark.parametrize(
    ("rate_hz", "expected_hz"),
    [(8_000, 8_000), (22_050, 22_050), (48_000, 48_000), (4_000, 16_000), (96_000, 16_000)],
)
def test_rates_outside_a_session_s_are_resampled(rate_hz, expected_hz):
    clip = at_a_session_rate(Clip(samples=sine(rate_hz, rate_hz), rate_hz=rate_hz))
    assert clip.rate_hz == expected_hz
    assert clip.duration_ms == pytest.approx(1000, abs=1)


def test_resampling_keeps_the_tone():
    clip = resample(Clip(samples=sine(48_000, 48_000), rate_hz=48_000), 16_000)
    middle = slice(2_000, 14_000)
    assert np.abs(clip.samples[middle] - sine(16_000, 16_000)[middle]).max() < 0.01


def test_trailing_silence():
    clip = with_trailing_silence(Clip(samples=sine(800, 8_000), rate_hz=8_000), 0.5)
    assert clip.duration_ms == 600
    assert not clip.samples[800:].any()


def test_encodings():
    samples = np.array([0.0, 0.5, -2.0, np.nan], dtype=np.float32)
    assert np.frombuffer(encode(samples, "f32le"), "<f4")[:3].tolist() == [0.0, 0.5, -2.0]
    assert np.frombuffer(encode(samples, "s16le"), "<i2").tolist() == [0, 16384, -32767, 0]
    with pytest.raises(ValueError, match="expected 'f32le' or 's16le'"):
        encode(samples, "mulaw")


@given(
    n_samples=st.integers(1, 5_000),
    frame_ms=st.floats(1, 1_000),
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
)
def test_frames_carry_every_sample_once(n_samples, frame_ms, rate_hz):
    clip = Clip(samples=np.arange(n_samples, dtype=np.float32), rate_hz=rate_hz)
    cut = list(frames(clip, frame_ms=frame_ms))
    assert b"".join(frame.payload for frame in cut) == clip.samples.tobytes()
    assert [frame.end_sample for frame in cut] == list(
        np.cumsum([len(frame.payload) // 4 for frame in cut])
    )
    assert max(len(frame.payload) // 4 for frame in cut) <= rate_hz


@pytest.mark.parametrize("frame_ms", [0.01, 1_001])
def test_frames_no_server_takes(frame_ms):
    with pytest.raises(ValueError, match="frames of"):
        next(frames(Clip(samples=np.zeros(10, np.float32), rate_hz=16_000), frame_ms=frame_ms))
