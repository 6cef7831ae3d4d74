"""Binary frames to samples: what is accepted, and what a rejected frame is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.pcm import PcmDecoder


@given(hnp.arrays(np.float32, st.integers(0, 2000), elements=st.floats(-1, 1, width=32)))
def test_f32le_in_range_arrives_unchanged(samples: np.ndarray) -> None:
    decoded = PcmDecoder("f32le", 16_000).decode(samples.tobytes())
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, samples)


@given(hnp.arrays(np.int16, st.integers(0, 2000)))
def test_s16le_is_scaled_to_full_scale(samples: np.ndarray) -> None:
    decoded = PcmDecoder("s16le", 16_000).decode(samples.astype("<i2").tobytes())
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, samples / 32768.0)


def test_values_beyond_full_scale_are_clipped() -> None:
    raw = np.array([2.0, -3.0, 0.5], dtype="<f4").tobytes()
    np.testing.assert_array_equal(PcmDecoder("f32le", 16_000).decode(raw), [1.0, -1.0, 0.5])


@pytest.mark.parametrize(
    ("encoding", "raw", "says"),
    [
        ("f32le", b"\0" * 5, "5 bytes is no whole number of f32le samples of 4 bytes"),
        ("s16le", b"\0" * 3, "3 bytes is no whole number of s16le samples of 2 bytes"),
        ("f32le", b"\0" * 4 * 16_001, "16001 samples is longer than 1 s"),
        ("f32le", np.array([0.0, np.nan], "<f4").tobytes(), "NaN or infinite"),
        ("f32le", np.array([np.inf], "<f4").tobytes(), "NaN or infinite"),
    ],
)
def test_bad_frames_are_rejected_with_the_reason(encoding, raw: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says) as caught:
        PcmDecoder(encoding, 16_000).decode(raw)
    assert caught.value.kind.code == "audio_processing_error"


def test_a_frame_of_exactly_one_second_is_accepted_at_any_rate() -> None:
    assert len(PcmDecoder("s16le", 48_000).decode(b"\0\0" * 48_000)) == 48_000


@given(st.binary(max_size=64))
def test_whole_samples_of_any_frame_are_counted(raw: bytes) -> None:
    assert PcmDecoder("f32le", 16_000).whole_samples(raw) == len(raw) // 4


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b"RIFF$\0\0\0WAVEfmt ", "WAV"), (b"fLaC\0\0\0\x22", "FLAC"), (b"OggS\0\2\0\0", "Ogg")],
)
def test_a_file_in_a_container_is_recognised_by_how_it_begins(raw: bytes, name: str) -> None:
    with pytest.raises(ProtocolError, match=f"begins like a {name} file") as caught:
        PcmDecoder("f32le", 16_000).decode(raw)
    assert caught.value.kind.code == "unsupported_audio_format"


def test_later_frames_may_begin_like_a_file_by_chance() -> None:
    decoder = PcmDecoder("s16le", 16_000)
    decoder.decode(b"\0\0")
    assert len(decoder.decode(b"RIFF")) == 2
