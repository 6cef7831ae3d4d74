"""What a voice detector says of a 16 kHz stream, frame by frame, whichever detector it is.

A detector judges frames and nothing more: `endpointer` makes speech of them by a `VoiceRule`.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen

_FLOOR_DBFS = -60.0


@frozen
class VoiceFrame:
    """The judgement of one frame: [start, end) in pipeline samples.

    `probability` 0-1 is how sure the detector is of voice. `level` 0-1 is the loudness, linear in dB
    from -60 dBFS (0) to full scale (1).
    """

    start: int
    end: int
    probability: float
    level: float


@frozen
class VoiceRule:
    """How probabilities become speech: evidence is summed over frames and decays without them.

    Each frame adds its log-odds (of a probability clipped to 0.001-0.999) less `bias`, in proportion
    to its length (per 32 ms); the sum never falls below 0 (Page's CUSUM test, Biometrika 1954).
    At `onset_evidence` an utterance opens. A second sum, less `sustained_bias`, opens it at
    `sustained_evidence`: for voice of which the detector is never quite sure, but for long.

    Inside an utterance, after a pause, evidence is counted less `resume_bias`, and speech goes on at
    `resume_evidence`: who has spoken already is believed sooner. A frame of at least
    `keep_probability` is voiced, one of at least `faint_probability` may be.
    """

    bias: float
    onset_evidence: float
    resume_evidence: float
    keep_probability: float
    resume_bias: float = 0.0
    sustained_bias: float = 0.0
    sustained_evidence: float = math.inf
    faint_probability: float = 0.5


class VoiceDetector(Protocol):
    """Judges a 16 kHz stream frame by frame; samples that fill no frame wait for the next call."""

    def set_sensitivity(self, sensitivity: int) -> None:
        """0 is easily triggered, 3 strict."""

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        """How this detector's frames are to be read, at its sensitivity.

        Stricter while the bot speaks: its voice leaks into microphones.
        """

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        """Take float32[n_samples] and return the judgement of each frame that is complete."""


def loudness(samples: npt.NDArray[np.float32]) -> float:
    """The RMS level of float32[n_samples] on a scale from 0 (-60 dBFS or less) to 1 (0 dBFS)."""
    if not len(samples):
        return 0.0
    mean_square = float(np.dot(samples, samples)) / len(samples)
    if mean_square <= 0.0:
        return 0.0
    dbfs = 10.0 * math.log10(mean_square)
    return min(max(1.0 - dbfs / _FLOOR_DBFS, 0.0), 1.0)
