"""Spans of a session: its texts with their times, its events, and the client's trace above them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trio.testing import MockClock

from fasttalk_stt.composition import compose
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.service.tracing import Traces
from fasttalk_stt.settings import Settings, SettingsError
from fasttalk_stt.telemetry.fanout import Fanout
from fasttalk_stt.telemetry.trace import following
from tests.connection.conftest import Serving
from tests.support import silence, sound

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UTTERANCE = np.concatenate((silence(0.3), sound(1.0), silence(0.8)))


async def test_a_session_is_a_span_under_its_clients_with_a_span_for_each_text(
    serving: Serving, autojump_clock: MockClock
) -> None:
    exporter = InMemorySpanExporter()
    fanout = Fanout([Traces(SimpleSpanProcessor(exporter))])
    engine = FakeEngine(cost_s=lambda _: 0.2)
    with following(f"00-{TRACE}-00f067aa0ba902b7-01"):
        async with serving(engine, telemetry=fanout) as server:
            peer = server.connect()
            await peer.start(session_id="mine", conversation_id="yours", fasttalk_mode=True)
            await peer.stream(UTTERANCE)
            said = await peer.wait_for("transcription")
            await peer.send("interrupt")
            await peer.wait_for("interrupt_acknowledged")
            await peer.end()
    assert fanout.faults == 0
    spans = {span.name: span for span in exporter.get_finished_spans()}
    session, segment = spans["session"], spans["segment"]
    assert session.context is not None
    assert segment.context is not None
    assert session.parent is not None
    assert session.parent.span_id == 0x00F067AA0BA902B7
    assert {span.context.trace_id for span in spans.values() if span.context} == {int(TRACE, 16)}
    assert segment.parent == session.context
    assert spans["listen"].parent == spans["transcribe"].parent == segment.context
    assert [event.name for event in session.events] == ["onset", "interrupt"]
    assert session.attributes is not None
    assert session.attributes["session.id"] == "mine"
    assert session.attributes["fasttalk.reason"] == "end_session"

    data = said["data"]
    listened_ns = (spans["listen"].end_time or 0) - (spans["listen"].start_time or 0)
    assert listened_ns / 1e6 == pytest.approx(data["audio_duration_ms"], abs=0.01)
    lasted_ns = (segment.end_time or 0) - (segment.start_time or 0)
    assert lasted_ns / 1e6 == pytest.approx(
        data["audio_duration_ms"] + data["metadata"]["latency_ms"], abs=0.01
    )
    assert data["text"] not in "".join(span.to_json() for span in spans.values())


async def test_a_trace_that_is_not_sampled_makes_no_spans_and_no_faults(
    serving: Serving, autojump_clock: MockClock
) -> None:
    exporter = InMemorySpanExporter()
    fanout = Fanout([Traces(SimpleSpanProcessor(exporter))])
    with following(f"00-{TRACE}-00f067aa0ba902b7-00"):
        async with serving(telemetry=fanout) as server:
            peer = server.connect()
            await peer.start()
            await peer.stream(UTTERANCE)
            await peer.end()
    assert fanout.faults == 0
    assert exporter.get_finished_spans() == ()


def test_traces_without_the_extra_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(SettingsError, match=r"fasttalk-stt\[tracing\]"):
        compose(Settings(traces="otlp"), FakeEngine(), GuardStatistics())
