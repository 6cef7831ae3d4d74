"""`/metrics`, and that it says what `/stats`, `/health` and the dashboard say."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import attrs
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from fasttalk_stt.access.api_keys import KeyRing, read_inline_keys
from fasttalk_stt.access.policy import Policy
from fasttalk_stt.app import create_app, create_monitoring_app
from fasttalk_stt.inference.fallback import FallbackStatistics
from fasttalk_stt.inference.gpu_memory import GpuMemory
from fasttalk_stt.service.gate import Gate, MonitoringGate
from fasttalk_stt.service.metrics.fast_histogram import FastHistogram
from fasttalk_stt.service.services import Hardware, Services
from fasttalk_stt.service.transcriptions import Transcriptions, UploadLimits
from fasttalk_stt.telemetry.telemetry import RequestReport
from tests.service.test_observation import FIGURES, begin, say, text

TOKEN = "operators-token-0123456789"  # noqa: S105


def samples(families: Iterator[Metric] | list[Metric]) -> dict[str, float]:
    """`name{label="value"}` of every sample, and its value."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def scrape(services: Services) -> dict[str, float]:
    response = await create_monitoring_app(services).test_client().get("/metrics")
    assert response.status_code == 200
    return samples(read_text(await response.get_data(as_text=True)))


@pytest.mark.parametrize("create", [create_app, create_monitoring_app])
async def test_both_ports_answer_in_the_format_that_is_asked_for(
    services: Services,
    create: type,
) -> None:
    client = create(services).test_client()
    plain = await client.get("/metrics")
    assert plain.content_type == "text/plain; version=0.0.4; charset=utf-8"
    accept = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"
    # Prometheus' own library stumbles over such a version.
    odd = await client.get("/metrics", headers={"Accept": "text/plain; version=x"})
    assert odd.status_code == 200
    modern = await client.get("/metrics", headers={"Accept": accept})
    assert modern.mimetype == "application/openmetrics-text"
    found = samples(read_openmetrics(await modern.get_data(as_text=True)))
    assert found.keys() >= samples(read_text(await plain.get_data(as_text=True))).keys()


async def test_metrics_are_the_values_of_health_and_stats(services: Services) -> None:
    busy = attrs.evolve(
        services,
        fallbacks=lambda: FallbackStatistics(fallen=2, returned=1),
        hardware=lambda: Hardware("cuda", "float16"),
    )
    busy.observation.gpu_memory = GpuMemory(used_bytes=5, total_bytes=9)
    with busy.connections.admit():
        found = await scrape(busy)
        client = create_monitoring_app(busy).test_client()
        health = await (await client.get("/health")).get_json()
        stats = await (await client.get("/stats")).get_json()
    for state, count in stats["connections_by_state"].items():
        assert found[f'fasttalk_stt_connections{{state="{state}"}}'] == count
    assert found["fasttalk_stt_connections_accepted_total"] == stats["total_connections"] == 1
    assert found["fasttalk_stt_headroom_streams"] == health["capacity"]["headroom_streams"]
    assert found["fasttalk_stt_ready"] == 1
    assert found['fasttalk_stt_breaker_state{breaker="gpu",state="closed"}'] == 1
    assert found['fasttalk_stt_model_changes_total{direction="down"}'] == 2
    assert found["fasttalk_stt_gpu_memory_used_bytes"] == 5
    # Nobody has waited: there is no percentile, and no made-up 0.
    assert "fasttalk_stt_final_wait_p95_seconds" not in found


async def test_what_was_observed_is_in_metrics_and_on_the_dashboard(
    services: Services,
) -> None:
    telemetry = services.observation.telemetry
    told = telemetry.connection("key", "key:backend")
    begin(told)
    told.frame_received(2_048, 0.5)
    told.frame_heard(0.002)
    told.voice_judged(0.001)
    told.message_sent(text(), 300, 0.0001, since_speech_s=0.25)
    telemetry.request_done(
        RequestReport(
            "final", "decoded", 2.0, wait_s=0.02, batch_size=1, compute_s=0.2, alignment_s=0.05
        )
    )
    telemetry.batch_done(1, 0.2)
    telemetry.loop_lagged(0.001)
    telemetry.refused("server_full", None)
    found = await scrape(services)
    for stage in (
        "frame_processing",
        "voice_activity",
        "send",
        "loop_lag",
        'queue_wait{kind="final"}',
        'inference{kind="final"}',
        "alignment",
        "engine_call",
        "transcription_processing",
        "transcription_latency",
        "time_to_final_text",
    ):
        name, brace, labels = stage.partition("{")
        assert found[f"fasttalk_stt_{name}_seconds_count{brace}{labels}"] == 1, stage
    assert found["fasttalk_stt_time_to_final_text_seconds_sum"] == 0.25
    assert found['fasttalk_stt_inference_seconds_sum{kind="final"}'] == pytest.approx(0.15)
    assert found["fasttalk_stt_batch_size_count"] == 1
    data = await (
        await create_monitoring_app(services).test_client().get("/dashboard/data")
    ).get_json()
    totals = data["totals"]
    assert totals["audio_s"] == found["fasttalk_stt_audio_received_seconds_total"] == 0.5
    assert totals["sent_bytes"] == found["fasttalk_stt_sent_bytes_total"] == 300
    assert totals["refusals"] == {"server_full": 1}
    assert found['fasttalk_stt_refusals_total{code="server_full"}'] == 1
    assert totals["transcriptions"] == 1


async def test_recordings_are_counted_while_they_are_here(services: Services) -> None:
    assert "fasttalk_stt_recordings_active" not in await scrape(services)
    desk = Transcriptions(
        connect=lambda _: pytest.fail("nothing is transcribed here"),
        languages=frozenset,
        limits=UploadLimits(max_bytes=1, timeout_s=1.0, longest_s=1.0),
        max_at_once=2,
    )
    services = attrs.evolve(services, transcriptions=desk)
    with desk.admit():
        assert (await scrape(services))["fasttalk_stt_recordings_active"] == 1
    assert (await scrape(services))["fasttalk_stt_recordings_active"] == 0


async def test_no_name_of_a_client_is_a_label(services: Services) -> None:
    told = services.observation.telemetry.connection("key", "key:a-secret-customer")
    begin(told, "a-secret-session")
    say(told, text("secret words"))
    told.session_ended("a-secret-session", "end_session", FIGURES)
    response = await create_monitoring_app(services).test_client().get("/metrics")
    assert "secret" not in await response.get_data(as_text=True)
    assert services.observation.telemetry.faults == 0


async def test_the_dashboard_has_the_agreed_shape(services: Services) -> None:
    begin(services.observation.telemetry.connection("key", "key:backend"))
    client = create_monitoring_app(services).test_client()
    data = await (await client.get("/dashboard/data")).get_json()
    assert data.keys() == {
        "service",
        "version",
        "now",
        "uptime_s",
        "readiness",
        "reasons",
        "connections",
        "engine",
        "breakers",
        "memory",
        "totals",
        "history",
        "sessions",
    }
    assert data["readiness"] == "ready"
    assert data["engine"] == {
        "model": "tiny.en",
        "preferred_model": "tiny.en",
        "device": "cpu",
        "compute_type": None,
        "pressure": 0.0,
        "queue": {"final": 0, "speculation": 0, "commit": 0, "draft": 0, "recording": 0},
        "running": 0,
        "seats": 1,
    }
    assert data["breakers"][0] == {
        "name": "gpu",
        "state": "closed",
        "remaining_s": None,
        "last_cause": None,
    }
    key = data["sessions"][0]["key"]
    session = await (await client.get(f"/dashboard/sessions/{key}")).get_json()
    assert session["session_id"] == "s"
    assert [event["kind"] for event in session["events"]] == ["started"]
    missing = await client.get("/dashboard/sessions/nobody")
    assert missing.status_code == 404
    assert (await missing.get_json())["status"] == 404


@pytest.mark.parametrize("path", ["/metrics", "/dashboard/data", "/dashboard/sessions/key"])
async def test_the_operators_port_wants_its_token(services: Services, path: str) -> None:
    closed = attrs.evolve(services, monitoring=MonitoringGate(TOKEN))
    client = create_monitoring_app(closed).test_client()
    assert (await client.get(path)).status_code == 401
    with_token = await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert with_token.status_code in {200, 404}


async def test_metrics_of_the_main_port_want_a_credential_too(services: Services) -> None:
    entry = f"backend:{sha256(TOKEN.encode()).hexdigest()}"
    gate = Gate(Policy(keys=KeyRing(read_inline_keys(entry))))
    client = create_app(attrs.evolve(services, access=gate)).test_client()
    assert (await client.get("/metrics")).status_code == 401
    with_key = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert with_key.status_code == 200


@pytest.mark.parametrize("path", ["/dashboard/data", "/dashboard/sessions/key"])
async def test_the_main_port_shows_no_dashboard(services: Services, path: str) -> None:
    assert (await create_app(services).test_client().get(path)).status_code == 404


def test_a_fast_histogram_counts_as_prometheus_does() -> None:
    histogram = FastHistogram("seconds", "How long.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    assert samples(list(histogram.collect())) == {
        'seconds_bucket{le="0.1"}': 2,
        'seconds_bucket{le="1.0"}': 3,
        'seconds_bucket{le="+Inf"}': 4,
        "seconds_count": 4,
        "seconds_sum": pytest.approx(7.65),
    }
