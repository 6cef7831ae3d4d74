"""When the audio came in: the frames of a session by position, for latencies and chunk counts."""

from __future__ import annotations

from collections import deque

from attrs import define

from fasttalk_stt.audio.timeline import pipeline_samples

_MERGE_BELOW_SAMPLES = pipeline_samples(0.01)
"""Frames shorter than 10 ms share an entry, so that a client of tiny frames costs no memory."""


@define
class _Arrival:
    start: int
    end: int
    arrived_at_s: float
    chunks: int


class ArrivalLog:
    """Remembers frames from the oldest position still needed to the newest."""

    def __init__(self) -> None:
        self._arrivals: deque[_Arrival] = deque()

    def add(self, start: int, end: int, arrived_at_s: float) -> None:
        last = self._arrivals[-1] if self._arrivals else None
        if last is not None and last.end - last.start < _MERGE_BELOW_SAMPLES:
            last.end, last.arrived_at_s = end, arrived_at_s
            last.chunks += 1
        else:
            self._arrivals.append(_Arrival(start, end, arrived_at_s, 1))

    def chunks(self, start: int, end: int) -> int:
        """How many frames began in [start, end)."""
        return sum(a.chunks for a in self._arrivals if start <= a.start < end)

    def arrived_at_s(self, position: int, default_s: float) -> float:
        """When the sample before `position` arrived; `default_s` where that is forgotten."""
        for arrival in self._arrivals:
            if arrival.end >= position:
                return arrival.arrived_at_s
        return default_s

    def forget_before(self, position: int) -> None:
        while self._arrivals and self._arrivals[0].end < position:
            self._arrivals.popleft()
