"""Audio files as a client sends them: read, downmixed, at a rate a session takes, cut in frames.

It knows the wire's sample formats and limits, but neither sessions nor sockets. `transcribe` feeds
these frames to a connection in this process, `tools.stt_client` to a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from attrs import field, frozen

LOWEST_RATE_HZ = 8_000
HIGHEST_RATE_HZ = 48_000
"""The rates a session takes (`session_config.sample_rate`)."""

FALLBACK_RATE_HZ = 16_000
"""What a file outside those rates is brought to: the rate every engine works at."""

LONGEST_FRAME_MS = 1_000
"""A longer binary message is rejected by the server."""


class AudioFileError(Exception):
    """A file that cannot be read as audio; the message is one line for the user."""


@frozen
class Clip:
    """A recording: `samples` is float32[n_samples], mono, nominally -1..1."""

    samples: npt.NDArray[np.float32] = field(eq=False, repr=False)
    rate_hz: int

    @property
    def duration_ms(self) -> float:
        return len(self.samples) * 1000 / self.rate_hz


@frozen
class Frame:
    """One binary message: its `payload`, and where in the clip its last sample ends."""

    payload: bytes = field(repr=False)
    end_sample: int


def read_clip(path: Path) -> Clip:
    """Read a WAV or FLAC file (or whatever else libsndfile knows) of any rate and channel count.

    Raises AudioFileError when there is no such file or it holds no audio that can be read.
    """
    if not path.is_file():
        raise AudioFileError(f"{path}: no such file")
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(
            f"{path}: not readable as audio: {libsndfile_reason(error)}"
        ) from error
    if len(samples) == 0:
        raise AudioFileError(f"{path}: holds no samples")
    return Clip(samples=samples.mean(axis=1, dtype=np.float32), rate_hz=int(rate_hz))


def libsndfile_reason(error: Exception) -> str:
    """What libsndfile says of a file, in one line and without the file's name."""
    return str(getattr(error, "error_string", None) or error).strip()


def resample(clip: Clip, rate_hz: int) -> Clip:
    """The clip at another rate, of the same duration."""
    if rate_hz == clip.rate_hz:
        return clip
    samples = soxr.resample(clip.samples, clip.rate_hz, rate_hz).astype(np.float32)
    return Clip(samples=samples, rate_hz=rate_hz)


def at_a_session_rate(clip: Clip) -> Clip:
    """The clip itself where a session takes its rate, else resampled to 16 kHz."""
    if LOWEST_RATE_HZ <= clip.rate_hz <= HIGHEST_RATE_HZ:
        return clip
    return resample(clip, FALLBACK_RATE_HZ)


def with_trailing_silence(clip: Clip, silence_s: float) -> Clip:
    """The clip with that much digital silence after it."""
    silence = np.zeros(round(silence_s * clip.rate_hz), dtype=np.float32)
    return Clip(samples=np.concatenate([clip.samples, silence]), rate_hz=clip.rate_hz)


def encode(samples: npt.NDArray[np.float32], encoding: str) -> bytes:
    """Samples as the wire carries them: "f32le" or "s16le" (clipped to its range).

    Raises ValueError for another encoding.
    """
    if encoding == "f32le":
        return samples.astype("<f4").tobytes()
    if encoding == "s16le":
        # 32767 both ways, so that -1 and 1 are equally loud; NaN has no integer and becomes 0.
        scaled = np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0) * 32767
        return np.rint(scaled).astype("<i2").tobytes()
    raise ValueError(f"encoding {encoding!r}: expected 'f32le' or 's16le'")


def frames(clip: Clip, *, frame_ms: float, encoding: str = "f32le") -> Iterator[Frame]:
    """Cut the clip into binary messages of `frame_ms`; the last one may be shorter.

    Raises ValueError where a frame would hold no sample or more than the server takes.
    """
    frame_samples = int(clip.rate_hz * frame_ms / 1000)
    if frame_samples < 1 or frame_ms > LONGEST_FRAME_MS:
        raise ValueError(
            f"frames of {frame_ms:g} ms: expected at least one sample and at most "
            f"{LONGEST_FRAME_MS} ms"
        )
    for start in range(0, len(clip.samples), frame_samples):
        part = clip.samples[start : start + frame_samples]
        yield Frame(payload=encode(part, encoding), end_sample=start + len(part))
