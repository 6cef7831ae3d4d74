"""The last hour in steps of 5 s, for the dashboard: what Prometheus would show, without one.

Fed with a `Moment` at each step by `observation`; between the steps it only collects the times of texts.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import define, field, frozen

from fasttalk_stt.protocol.server_messages import ServerMessage, Transcription
from fasttalk_stt.service.latencies import is_waited_for, percentiles
from fasttalk_stt.service.totals import Totals
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry, Telemetry

INTERVAL_S = 5
STEPS = 720
"""An hour. Twelve series of so many numbers take about 300 KiB."""
MOST_TEXTS = 2_000
"""Of one interval in a percentile: 400 texts a second, far more than a server sends."""

SERIES = (
    "connections",
    "sessions",
    "queue",
    "batch_size",
    "latency_p50_ms",
    "latency_p95_ms",
    "compute_p50_ms",
    "real_time_factor",
    "process_bytes",
    "gpu_bytes",
    "audio_s_per_s",
    "errors",
)


@frozen
class Moment:
    """What is read at a step. `at_s` is Unix time, `queue` the requests that wait."""

    at_s: float
    connections: int
    sessions: int
    queue: int
    process_bytes: int | None
    gpu_bytes: int | None


@frozen
class _Marks:
    """The totals at the last step."""

    audio_s: float = 0.0
    compute_s: float = 0.0
    errors: int = 0


@define
class History(Telemetry):
    """What happened in each interval, None where nothing did. `totals` must be told the same."""

    totals: Totals
    _times: deque[int] = field(factory=lambda: deque(maxlen=STEPS), init=False)
    _series: dict[str, deque[float | None]] = field(
        factory=lambda: {name: deque(maxlen=STEPS) for name in SERIES}, init=False
    )
    _marks: _Marks = field(factory=_Marks, init=False)
    _latencies_ms: deque[float] = field(factory=lambda: deque(maxlen=MOST_TEXTS), init=False)
    _compute_ms: deque[float] = field(factory=lambda: deque(maxlen=MOST_TEXTS), init=False)
    _requests: int = field(default=0, init=False)
    _batches: int = field(default=0, init=False)

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return _Texts(self._latencies_ms, self._compute_ms)

    def batch_done(self, n_requests: int, took_s: float) -> None:
        self._requests += n_requests
        self._batches += 1

    def step(self, moment: Moment) -> None:
        """An interval is over."""
        before = self._marks
        self._marks = now = _Marks(
            audio_s=self.totals.audio_s,
            compute_s=self.totals.compute_s,
            errors=sum(self.totals.errors.values()),
        )
        audio_s = now.audio_s - before.audio_s
        compute_s = now.compute_s - before.compute_s
        self._times.append(round(moment.at_s))
        p50_ms, p95_ms = percentiles(self._latencies_ms, 0.5, 0.95)
        (compute_p50_ms,) = percentiles(self._compute_ms, 0.5)
        values: dict[str, float | None] = {
            "connections": moment.connections,
            "sessions": moment.sessions,
            "queue": moment.queue,
            "batch_size": _rounded(self._requests / self._batches if self._batches else None),
            "latency_p50_ms": p50_ms,
            "latency_p95_ms": p95_ms,
            "compute_p50_ms": compute_p50_ms,
            "real_time_factor": _rounded(compute_s / audio_s if audio_s else None),
            "process_bytes": moment.process_bytes,
            "gpu_bytes": moment.gpu_bytes,
            "audio_s_per_s": round(audio_s / INTERVAL_S, 3),
            "errors": now.errors - before.errors,
        }
        for name, series in self._series.items():
            series.append(values[name])
        self._latencies_ms.clear()
        self._compute_ms.clear()
        self._requests = self._batches = 0

    def report(self) -> dict[str, Any]:
        """All series, oldest first, each as long as `times`."""
        return {
            "interval_s": INTERVAL_S,
            "times": list(self._times),
            "series": {name: list(series) for name, series in self._series.items()},
        }


@frozen
class _Texts(ConnectionTelemetry):
    """Notes how late the texts of any connection were, and what they cost."""

    latencies_ms: deque[float]
    compute_ms: deque[float]

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        if isinstance(message, Transcription):
            metadata = message.data.metadata
            self.compute_ms.append(metadata.compute_ms)
            if is_waited_for(metadata.reason):
                self.latencies_ms.append(metadata.latency_ms)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
