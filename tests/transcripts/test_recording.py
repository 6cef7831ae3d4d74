"""Files of any kind, rate and length become mono pieces at 16 kHz, or an error of one line."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from fasttalk_stt.transcripts.audio_file import AudioFileError
from fasttalk_stt.transcripts.recording import Recording, RecordingTooLongError, Sound


def tone(seconds, rate_hz):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)


def encoded(samples, rate_hz=16_000, kind="WAV", subtype=None):
    data = io.BytesIO()
    soundfile.write(data, samples, rate_hz, format=kind, subtype=subtype)
    data.seek(0)
    return Sound("a.wav", data)


def read_all(sound, **options):
    with Recording(sound, **options) as recording:
        pieces = []
        while len(piece := recording.read(0.7)):
            pieces.append(piece)
        assert len(recording.read(0.7)) == 0
        return np.concatenate(pieces), recording


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 96_000])
def test_pieces_are_the_whole_at_16_khz(rate_hz):
    samples, recording = read_all(encoded(tone(3.3, rate_hz), rate_hz))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(3.3 * 16_000, abs=2)
    assert recording.read_ms == recording.claimed_ms == pytest.approx(3_300)
    middle = slice(4_000, 48_000)
    assert np.abs(samples[middle] - tone(3.3, 16_000)[middle]).max() < 0.01


def test_channels_are_mixed_down():
    samples, _ = read_all(encoded(np.array([[0.5, 0.25], [0.0, -0.5]])))
    assert samples.tolist() == pytest.approx([0.375, -0.25], abs=1e-4)


def test_many_channels_at_a_high_rate_take_little_memory():
    silence = np.zeros((288_000, 16), dtype=np.int16)
    sound = encoded(silence, rate_hz=192_000, subtype="PCM_U8")
    with Recording(sound) as recording:
        tracemalloc.start()
        n_samples = 0
        while len(piece := recording.read(10.0)):
            n_samples += len(piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert n_samples == pytest.approx(24_000, abs=2)
    assert peak_bytes < 6_000_000


def test_more_channels_than_anybody_records():
    with pytest.raises(AudioFileError, match="17 channels at 16000 Hz, expected up to 16"):
        Recording(encoded(np.zeros((20, 17))))


def test_what_no_sample_may_be_is_made_harmless():
    wild = np.array([np.nan, np.inf, -np.inf, 7.0, 0.25])
    samples, _ = read_all(encoded(wild, subtype="FLOAT"))
    assert samples.tolist() == [0.0, 1.0, -1.0, 1.0, 0.25]


def test_a_recording_that_is_longer_than_allowed():
    with pytest.raises(RecordingTooLongError, match=r"^a\.wav: longer than the 2 s of audio"):
        Recording(encoded(tone(2.1, 16_000)), longest_s=2.0)
    assert len(read_all(encoded(tone(2.0, 16_000)), longest_s=2.0)[0]) == 32_000


def streamed_flac(seconds):
    """As an encoder writes it to a pipe: it cannot go back to say how many samples there are."""
    data = bytearray(encoded(tone(seconds, 16_000), kind="FLAC").source.getvalue())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return Sound("a.flac", io.BytesIO(data))


def test_a_flac_that_does_not_say_how_long_it_is():
    samples, recording = read_all(streamed_flac(3.3), longest_s=3.5)
    assert len(samples) == 52_800
    assert np.abs(samples - tone(3.3, 16_000)).max() < 0.01
    assert (recording.claimed_ms, recording.read_ms) == (0, 3_300)


def test_it_is_found_too_long_while_it_is_read():
    with Recording(streamed_flac(3.3), longest_s=3.0) as recording:
        for _ in range(3):
            assert len(recording.read(1.0)) == 16_000
        with pytest.raises(RecordingTooLongError, match="longer than the 3 s"):
            recording.read(1.0)


def mp3(seconds, *, says_its_length, tag=b""):
    """Silence, which is dense at first, then noise."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, round(seconds * 16_000)) * (np.arange(seconds * 16_000) > 80_000)
    data = encoded(samples, kind="MP3").source.getvalue()
    if not says_its_length:
        data = data[data.index(data[:2], 4) :]
    return Sound("a.mp3", io.BytesIO(tag + data))


def test_an_mp3_that_does_not_count_its_frames_is_taken_as_it_is():
    sound = mp3(15.0, says_its_length=False)
    assert soundfile.SoundFile(sound.source).frames > 25 * 16_000, "what libmpg123 makes of it"
    sound.source.seek(0)
    samples, recording = read_all(sound, longest_s=20.0)
    assert len(samples) == pytest.approx(15.0 * 16_000, abs=2_000)
    assert recording.claimed_ms == 0


def test_what_an_mp3_says_behind_a_picture():
    tag = b"ID3\4\0\0" + bytes([0, 1, 0, 0]) + bytes(1 << 14)
    with pytest.raises(RecordingTooLongError):
        Recording(mp3(5.0, says_its_length=True, tag=tag), longest_s=4.9)
    _, recording = read_all(mp3(5.0, says_its_length=True, tag=tag))
    assert recording.claimed_ms == pytest.approx(5_000)


def test_a_header_that_claims_ten_hours():
    sound = encoded(tone(2.0, 16_000))
    data = bytearray(sound.source.getvalue())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 36_000 * 32_000)
    samples, _ = read_all(Sound("a.wav", io.BytesIO(data)), longest_s=60.0)
    assert len(samples) == 32_000


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_a_file_that_is_cut_off_ends_there_or_is_refused(kind):
    data = encoded(tone(5.0, 16_000), kind=kind).source.getvalue()
    try:
        samples, _ = read_all(Sound("a", io.BytesIO(data[: len(data) // 2])))
    except AudioFileError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < len(samples) < 5.0 * 16_000


def test_an_mp3_that_breaks_off_is_not_taken_for_whole():
    data = mp3(15.0, says_its_length=True).source.getvalue()
    with pytest.raises(AudioFileError, match=r"^a: breaks off after 1\d\.\d s of the 15\.0 s"):
        read_all(Sound("a", io.BytesIO(data[: len(data) * 3 // 4])))


def test_an_mp3_with_a_hole_in_it_is_not_taken_for_whole():
    data = bytearray(mp3(15.0, says_its_length=True).source.getvalue())
    third = len(data) // 3
    data[third : 2 * third] = np.random.default_rng(0).bytes(third)
    with pytest.raises(AudioFileError, match=r"^a: "):
        read_all(Sound("a", io.BytesIO(data)))


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\0\0\0\0WAVE", b"fLaC" + b"x" * 99])
def test_what_is_no_audio_is_one_line(data):
    with pytest.raises(AudioFileError, match=r"^a: not readable as audio: .+$"):
        Recording(Sound("a", io.BytesIO(data)))


def test_a_rate_no_recording_has():
    with pytest.raises(AudioFileError, match="1 channels at 7 Hz, expected"):
        Recording(encoded(np.zeros(20), rate_hz=7))


def test_an_empty_recording_and_a_missing_file(tmp_path):
    with pytest.raises(AudioFileError, match="holds no samples"):
        Recording(encoded(np.zeros(0)))
    with pytest.raises(AudioFileError, match="no such file"):
        Recording(Sound("gone.wav", tmp_path / "gone.wav"))


def test_a_path_is_read_as_bytes_are(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(1.5, 8_000), 8_000)
    from_path, _ = read_all(Sound("a", path))
    from_bytes, _ = read_all(Sound("a", io.BytesIO(path.read_bytes())))
    assert np.array_equal(from_path, from_bytes)
