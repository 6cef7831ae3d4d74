"""The client's rate to 16 kHz as one endless stream, without clicks at frame edges.

soxr's filter holds some samples back. `push` returns what has left it, in order; `tail` estimates
what is still inside, without disturbing the stream, for a cut at the last sample received.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from fasttalk_stt.audio.timeline import PIPELINE_RATE_HZ

_HISTORY_S = 0.5
"""How much input `tail` filters again; soxr's HQ filter is far shorter than this at 8-48 kHz."""


class StreamResampler:
    """Resamples one session's stream; a pass-through at 16 kHz."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._received = 0
        self._produced = 0
        self._history = np.empty(0, dtype=np.float32)
        self._stream = (
            None
            if rate_hz == PIPELINE_RATE_HZ
            else soxr.ResampleStream(rate_hz, PIPELINE_RATE_HZ, 1, dtype="float32", quality="HQ")
        )

    def push(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Take float32[n] at the client's rate, return the float32[m] at 16 kHz that is ready."""
        if self._stream is None:
            return samples
        self._received += len(samples)
        keep = int(_HISTORY_S * self._rate_hz)
        self._history = np.concatenate((self._history, samples))[-keep:]
        ready: npt.NDArray[np.float32] = self._stream.resample_chunk(samples)
        self._produced += len(ready)
        return ready

    def tail(self) -> npt.NDArray[np.float32]:
        """The samples that complete the stream up to the last sample received.

        Their number is floor(received x 16000 / rate) less what `push` has returned. Later calls of
        `push` return the same stretch again, as the stream itself has it.
        """
        missing = self._received * PIPELINE_RATE_HZ // self._rate_hz - self._produced
        if self._stream is None or missing <= 0:
            return np.empty(0, dtype=np.float32)
        recent: npt.NDArray[np.float32] = soxr.resample(
            self._history, self._rate_hz, PIPELINE_RATE_HZ, quality="HQ"
        )
        recent = recent[-missing:]
        return np.pad(recent, (missing - len(recent), 0))
