"""Audio that says exactly what it says: each word is a tone, and a hearing for the fake engine that
reads it.

For tests and rehearsals in which no word may be lost or said twice: whatever a stretch is cut into, the
words in it are known from the samples alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodedWord, DecodeRequest

N_WORDS = 64
"""Words are numbers below this."""
TONE_S = 0.28
GAP_S = 0.12
"""Behind each tone: shorter than any pause, long enough to be cut in."""

_LOWEST_HZ = 300.0
_STEP_HZ = 25.0
_AMPLITUDE = 0.3
_FADE_SAMPLES = 80
_WINDOW_SAMPLES = 160
_LOUD_RMS = 0.05
_HALF_S = TONE_S / 2


def tones(numbers: Sequence[int], rate_hz: int = SAMPLE_RATE_HZ) -> npt.NDArray[np.float32]:
    """The words one after another, float32[n_samples] at `rate_hz`."""
    silence = np.zeros(round(GAP_S * rate_hz))
    pieces = [piece for number in numbers for piece in (_tone(number, rate_hz), silence)]
    return np.concatenate([np.empty(0), *pieces]).astype(np.float32)


def tone_word(number: int) -> str:
    """How a word is written."""
    return f"w{number}"


def hear_tones(request: DecodeRequest) -> list[DecodedWord]:
    """The words of which the request holds more than half, behind its prefix."""
    return [
        DecodedWord(
            text=f" {tone_word(_number(request.samples[start:end]))}",
            start_s=start / SAMPLE_RATE_HZ,
            end_s=end / SAMPLE_RATE_HZ,
            confidence=0.9,
        )
        for start, end in _loud_stretches(request.samples)
        if end - start > _HALF_S * SAMPLE_RATE_HZ and (start + end) / 2 > _prefix_samples(request)
    ]


def _prefix_samples(request: DecodeRequest) -> float:
    return request.prefix_s * SAMPLE_RATE_HZ


def _tone(number: int, rate_hz: int) -> npt.NDArray[np.float64]:
    if not 0 <= number < N_WORDS:
        raise ValueError(f"{number} is no word: expected 0 to {N_WORDS - 1}")
    at_s = np.arange(round(TONE_S * rate_hz)) / rate_hz
    tone: npt.NDArray[np.float64] = _AMPLITUDE * np.sin(2 * np.pi * _frequency_hz(number) * at_s)
    fade = np.linspace(0.0, 1.0, _FADE_SAMPLES)
    tone[:_FADE_SAMPLES] *= fade
    tone[-_FADE_SAMPLES:] *= fade[::-1]
    return tone


def _frequency_hz(number: int) -> float:
    return _LOWEST_HZ + number * _STEP_HZ


def _number(samples: npt.NDArray[np.float32]) -> int:
    spectrum = np.abs(np.fft.rfft(samples, SAMPLE_RATE_HZ))  # bins of 1 Hz
    return min(max(round((int(np.argmax(spectrum)) - _LOWEST_HZ) / _STEP_HZ), 0), N_WORDS - 1)


def _loud_stretches(samples: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    whole = samples[: len(samples) - len(samples) % _WINDOW_SAMPLES]
    windows = whole.reshape(-1, _WINDOW_SAMPLES)
    loud = np.sqrt(np.mean(np.square(windows), axis=1)) > _LOUD_RMS
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        yield int(start) * _WINDOW_SAMPLES, int(end) * _WINDOW_SAMPLES
