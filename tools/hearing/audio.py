"""Levels, gains and quiet: the arithmetic of samples that mixtures are made with.

All audio is float32[n_samples], mono, -1..1, at 16 kHz. Levels are RMS in dB below full scale (an
RMS of 1 is 0 dBFS).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fasttalk_stt.transcripts.audio_file import read_clip, resample

Audio = npt.NDArray[np.float32]

RATE_HZ = 16_000
SILENCE_DBFS = -120.0
"""The level of digital silence, and the lowest there is."""

_FRAME_SAMPLES = 320
_ACTIVE_RANGE_DB = 25.0
"""Frames this far below the loud ones are pauses: room tone lies 30 dB and more below speech in all
recordings worth mixing, the softest vowels about 20 dB."""
_SPECTRUM_SAMPLES = 1024
_QUIETEST_SHARE = 0.1


def load(path: Path) -> Audio:
    """Read a recording at 16 kHz. Raises AudioFileError."""
    return resample(read_clip(path), RATE_HZ).samples


def samples_of(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def ms_of(n_samples: int) -> float:
    return n_samples * 1000 / RATE_HZ


def decibels(mean_square: float) -> float:
    if mean_square <= 10 ** (SILENCE_DBFS / 10):
        return SILENCE_DBFS
    return 10 * math.log10(mean_square)


def level_dbfs(samples: Audio) -> float:
    """The RMS level of all of it."""
    if not len(samples):
        return SILENCE_DBFS
    wide = samples.astype(np.float64)
    return decibels(float(np.dot(wide, wide)) / len(wide))


def active_level_dbfs(samples: Audio) -> float:
    """The RMS level of speech without its pauses.

    Pauses are the 20 ms frames that lie 25 dB below the 95th percentile of the frames' levels. This
    is the idea of ITU-T P.56, without its hangover.
    """
    powers = _frame_powers(samples)
    if not len(powers):
        return level_dbfs(samples)
    loud = float(np.percentile(powers, 95))
    return decibels(float(powers[powers >= loud * 10 ** (-_ACTIVE_RANGE_DB / 10)].mean()))


def with_gain(samples: Audio, gain_db: float) -> Audio:
    return (samples * np.float32(10 ** (gain_db / 20))).astype(np.float32)


def clipped(samples: Audio) -> Audio:
    """What a converter would make of it."""
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def faded(samples: Audio, fade_samples: int = 160) -> Audio:
    """The same with its edges faded in and out over 10 ms, so that cutting makes no click."""
    n = min(fade_samples, len(samples) // 2)
    shaped = samples.copy()
    if n:
        ramp = np.linspace(0.0, 1.0, n, dtype=np.float32)
        shaped[:n] *= ramp
        shaped[-n:] *= ramp[::-1]
    return shaped


def rotated(samples: Audio, offset_samples: int, fade_samples: int = 320) -> Audio:
    """The recording as a loop that begins at `offset_samples`; the joint is faded on both sides."""
    at = offset_samples % len(samples) if len(samples) else 0
    if not at:
        return samples
    return np.concatenate((faded(samples[at:], fade_samples), faded(samples[:at], fade_samples)))


def repeated(samples: Audio, n_samples: int, offset_samples: int = 0) -> Audio:
    """Exactly `n_samples` of the recording as a loop, from `offset_samples` on."""
    loop = rotated(samples, offset_samples)
    times = -(-n_samples // max(len(loop), 1))
    return np.tile(loop, times)[:n_samples]


def room_tone(samples: Audio, n_samples: int, rng: np.random.Generator) -> Audio:
    """Noise with the spectrum and level of the recording's quietest moments.

    It goes on where a recording ends, without a step in level and without the period that looping
    a short stretch would have.
    """
    if len(samples) < _SPECTRUM_SAMPLES or not n_samples:
        return np.zeros(n_samples, dtype=np.float32)
    half = _SPECTRUM_SAMPLES // 2
    window = np.sqrt(np.hanning(_SPECTRUM_SAMPLES + 1)[:-1])
    starts = range(0, len(samples) - _SPECTRUM_SAMPLES + 1, half)
    frames = np.stack([samples[i : i + _SPECTRUM_SAMPLES] for i in starts]).astype(np.float64)
    powers = np.square(frames).mean(axis=1)
    quietest = frames[np.argsort(powers)[: max(1, round(len(frames) * _QUIETEST_SHARE))]]
    spectra = np.abs(np.fft.rfft(quietest * window, axis=1))
    # The window takes power away, on average its own mean square.
    magnitude = np.sqrt(np.square(spectra).mean(axis=0) / np.square(window).mean())
    n_frames = n_samples // half + 2
    phases = rng.uniform(0.0, 2 * np.pi, (n_frames, len(magnitude)))
    pieces = np.fft.irfft(magnitude * np.exp(1j * phases), axis=1) * window
    out = np.zeros((n_frames + 1) * half)
    for i, piece in enumerate(pieces):
        out[i * half : i * half + _SPECTRUM_SAMPLES] += piece
    return out[half : half + n_samples].astype(np.float32)


def _frame_powers(samples: Audio) -> npt.NDArray[np.float64]:
    n_frames = len(samples) // _FRAME_SAMPLES
    frames = samples[: n_frames * _FRAME_SAMPLES].astype(np.float64)
    return np.asarray(np.square(frames.reshape(n_frames, _FRAME_SAMPLES)).mean(axis=1))
