"""What aligners hear, and where a word was spoken, as they say it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

LogProbs = npt.NDArray[np.float32]
"""Log probabilities of an aligner's symbols, float32[n_frames, n_symbols]."""


@frozen
class WordSpan:
    """In seconds from the first sample."""

    start_s: float
    end_s: float
