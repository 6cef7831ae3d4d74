"""Histograms of how long each stage takes, and of how much is decoded together.

The buckets are narrow around what is promised: 0.5 s for a text, 5 ms for a step of the event loop.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from fasttalk_stt.protocol.server_messages import ServerMessage, Transcription
from fasttalk_stt.service.metrics.fast_histogram import FastHistogram
from fasttalk_stt.telemetry.telemetry import (
    REQUEST_KINDS,
    ConnectionTelemetry,
    RequestReport,
    Telemetry,
)

# A frame has about 0.3 ms where 100 streams share the loop.
_STEP_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.25)
_ENGINE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Stages(Telemetry):
    """Observes every stage in its histogram; all of them are in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def seconds(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"fasttalk_stt_{name}_seconds", text, registry=registry, buckets=buckets
            )

        def seconds_by_kind(name: str, text: str) -> dict[str, Histogram]:
            family = Histogram(
                f"fasttalk_stt_{name}_seconds",
                text,
                ["kind"],
                registry=registry,
                buckets=_ENGINE_BUCKETS_S,
            )
            return {kind: family.labels(kind) for kind in REQUEST_KINDS}

        self.frame = FastHistogram(
            "fasttalk_stt_frame_processing_seconds",
            "Work on one audio frame: resampling, voice activity, decisions.",
            _STEP_BUCKETS_S,
        )
        self.voice = FastHistogram(
            "fasttalk_stt_voice_activity_seconds",
            "Voice detection in one audio frame.",
            _STEP_BUCKETS_S,
        )
        registry.register(self.frame)
        registry.register(self.voice)
        self.send = seconds(
            "send",
            "From a message's encoding until the web server took it; long where clients read slowly.",
            _STEP_BUCKETS_S,
        )
        self.loop_lag = seconds(
            "loop_lag", "How late the event loop woke a task, once a second.", _STEP_BUCKETS_S
        )
        self.wait = seconds_by_kind("queue_wait", "How long a request waited for the engine.")
        self.inference = seconds_by_kind(
            "inference", "Engine time of one request, without alignment: its share of a batch."
        )
        self.alignment = seconds(
            "alignment", "Finding the exact word times of one request.", _ENGINE_BUCKETS_S
        )
        self.call = seconds(
            "engine_call", "One call of the engine, with one batch.", _ENGINE_BUCKETS_S
        )
        self.batch = Histogram(
            "fasttalk_stt_batch_size",
            "Requests decoded together.",
            registry=registry,
            buckets=_BATCH_BUCKETS,
        )
        self.processing = seconds(
            "transcription_processing",
            "From a segment's closing, or its request if later, to its text: what is promised.",
            _LATENCY_BUCKETS_S,
        )
        self.latency = seconds(
            "transcription_latency",
            "From the arrival of a segment's last sample to the sending of its text.",
            _LATENCY_BUCKETS_S,
        )
        self.final_text = seconds(
            "time_to_final_text",
            "From the arrival of an utterance's last sample of speech to the sending of its last text.",
            _LATENCY_BUCKETS_S,
        )
        self._connection = _Timing(self)

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return self._connection

    def request_done(self, report: RequestReport) -> None:
        if report.wait_s is not None:
            self.wait[report.kind].observe(report.wait_s)
        if report.compute_s is not None:
            alignment_s = report.alignment_s or 0.0
            self.inference[report.kind].observe(max(report.compute_s - alignment_s, 0.0))
            if alignment_s:
                self.alignment.observe(alignment_s)

    def batch_done(self, n_requests: int, took_s: float) -> None:
        self.call.observe(took_s)
        self.batch.observe(n_requests)

    def loop_lagged(self, lag_s: float) -> None:
        self.loop_lag.observe(lag_s)


class _Timing(ConnectionTelemetry):
    """Observes what any connection reports."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        # Bound once: they are called for every frame.
        self._frame = stages.frame.observe
        self._voice = stages.voice.observe

    def frame_heard(self, took_s: float) -> None:
        self._frame(took_s)

    def voice_judged(self, took_s: float) -> None:
        self._voice(took_s)

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        stages = self._stages
        stages.send.observe(took_s)
        if since_speech_s is not None:
            stages.final_text.observe(since_speech_s)
        if isinstance(message, Transcription):
            stages.processing.observe(message.data.processing_time_ms / 1000)
            stages.latency.observe(message.data.metadata.latency_ms / 1000)
