"""A window on the stream: recent samples by absolute position, forgotten from the front."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_INITIAL_SAMPLES = 16_000


class SampleBuffer:
    """Holds the samples between `start` and `end` of an endless stream of float32 samples.

    The owner bounds it by calling `forget_before`; appending is amortised O(n).
    """

    def __init__(self) -> None:
        self._store = np.empty(_INITIAL_SAMPLES, dtype=np.float32)
        self._offset = 0  # where `start` lies in the store
        self.start = 0
        self.end = 0

    def append(self, samples: npt.NDArray[np.float32]) -> None:
        """Add float32[n_samples] at the end."""
        held = self.end - self.start
        if self._offset + held + len(samples) > len(self._store):
            needed = held + len(samples)
            store = self._store
            if needed * 2 > len(store):
                store = np.empty(needed * 2, dtype=np.float32)
            store[:held] = self._store[self._offset : self._offset + held].copy()
            self._store, self._offset = store, 0
        tail = self._offset + held
        self._store[tail : tail + len(samples)] = samples
        self.end += len(samples)

    def read(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """A copy of the samples in [start, end), as far as they are held."""
        low = max(start, self.start) - self.start + self._offset
        high = min(end, self.end) - self.start + self._offset
        return self._store[low : max(low, high)].copy()

    def forget_before(self, position: int) -> None:
        """Drop everything before an absolute position."""
        position = min(max(position, self.start), self.end)
        self._offset += position - self.start
        self.start = position
