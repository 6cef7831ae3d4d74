"""OpenTelemetry traces: a span for each session, and in it one for each text, from its speech to its sending.

    session
      segment      from its first sample to the moment its text was sent
        listen     while it was being said
        transcribe from the closed segment to the finished text
      onset, rejection, interrupt, error: events of the session

Needs the extra `tracing`. Where spans go is said by OpenTelemetry's own variables
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` ...). They are exported by a thread; what does not fit its
queue is dropped. No span holds what was said.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from fasttalk_stt import __version__
from fasttalk_stt.protocol.server_messages import (
    Error,
    InterruptAcknowledged,
    ServerMessage,
    Transcription,
    TranscriptionData,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    EndReason,
    SessionFigures,
    SessionInfo,
    Telemetry,
)
from fasttalk_stt.telemetry.trace import current_traceparent

_NS = 1_000_000_000


class Traces(Telemetry):
    """Makes spans and gives them to `processor`. `clock` is Unix time."""

    def __init__(self, processor: SpanProcessor, *, clock: Callable[[], float] = time.time) -> None:
        provider = TracerProvider(
            resource=Resource.create(
                {SERVICE_NAME: "fasttalk-stt", SERVICE_VERSION: __version__}
            ).merge(Resource.create())
        )
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("fasttalk_stt", __version__)
        self._clock = clock

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        carrier = {"traceparent": current_traceparent() or ""}
        return _ConnectionTraces(
            self._tracer, TraceContextTextMapPropagator().extract(carrier), self._clock
        )


class _ConnectionTraces(ConnectionTelemetry):
    def __init__(self, tracer: Tracer, parent: Context, clock: Callable[[], float]) -> None:
        self._tracer = tracer
        self._parent = parent
        self._clock = clock
        self._session: Span | None = None

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        self._session = self._span("session", self._parent, self._clock())
        self._session.set_attributes(
            _known(
                {
                    "session.id": info.session_id,
                    "conversation.id": info.conversation_id,
                    "user.id": info.user_id,
                    "fasttalk.start": info.start,
                }
            )
        )

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        if self._session is None:
            return
        self._session.set_attributes(
            {
                "fasttalk.reason": reason,
                "fasttalk.audio_s": figures.audio_s,
                "fasttalk.real_time_factor": figures.real_time_factor,
            }
        )
        self._session.end(_ns(self._clock()))
        self._session = None

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        if self._session is None:
            return
        match message:
            case Transcription(data=data):
                self._trace_segment(data, self._session)
            case VoiceActivityDetected(data=onset):
                self._event("onset", utterance=onset.utterance, barge_in=onset.barge_in)
            case VoiceActivityRejected(data=rejection):
                self._event("rejection", utterance=rejection.utterance, reason=rejection.reason)
            case InterruptAcknowledged(data=interrupted):
                self._event("interrupt", cancelled_segments=interrupted.cancelled_segments)
            case Error(error=error):
                self._event("error", code=error.code)

    def _trace_segment(self, data: TranscriptionData, session: Span) -> None:
        sent_s = self._clock()
        heard_s = sent_s - data.metadata.latency_ms / 1000
        began_s = heard_s - data.audio_duration_ms / 1000
        segment = self._span("segment", set_span_in_context(session), began_s)
        segment.set_attributes(
            {
                "fasttalk.utterance": data.utterance,
                "fasttalk.reason": data.metadata.reason,
                "fasttalk.audio_start_ms": data.metadata.audio_start_ms,
                "fasttalk.compute_ms": data.metadata.compute_ms,
                "fasttalk.words": len(data.text.split()),
                "fasttalk.model": data.metadata.model,
            }
        )
        inside = set_span_in_context(segment)
        self._span("listen", inside, began_s).end(_ns(heard_s))
        transcribing_s = sent_s - data.processing_time_ms / 1000
        self._span("transcribe", inside, transcribing_s).end(_ns(sent_s))
        segment.end(_ns(sent_s))

    def _span(self, name: str, parent: Context, began_s: float) -> Span:
        return self._tracer.start_span(name, context=parent, start_time=_ns(began_s))

    def _event(self, name: str, **attributes: AttributeValue) -> None:
        if self._session is not None:
            now_ns = _ns(self._clock())
            self._session.add_event(name, attributes, timestamp=now_ns)


def _known(attributes: dict[str, str | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


def _ns(seconds: float) -> int:
    return round(seconds * _NS)
