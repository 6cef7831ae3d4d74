"""The loudness of frames."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.audio.vad import loudness


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, 1.0), (0.1, 2 / 3), (0.001, 0.0), (0.0, 0.0), (2.0, 1.0)]
)
def test_loudness_is_linear_in_decibels(amplitude: float, level: float) -> None:
    square_wave = np.full(320, amplitude, dtype=np.float32)
    assert loudness(square_wave) == pytest.approx(level, abs=1e-3)


def test_loudness_of_nothing_is_zero() -> None:
    assert loudness(np.empty(0, dtype=np.float32)) == 0.0
