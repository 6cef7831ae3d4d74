"""After some sessions over real sockets `/stats`, `/metrics` and the dashboard tell the same story."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fasttalk_stt.service.gate import Gate
from tests.abuse.conftest import OpenClient, StartServer
from tests.support import silence, sound

pytestmark = pytest.mark.abuse

ROOT = Path(__file__).parents[2]
TOKEN = "operators-token-0123456789"  # noqa: S105
FRAME_SAMPLES = 512
SAID = np.concatenate([sound(1.0), silence(1.0)])


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.serve_fake", "--port", "0", "--monitoring-port", "0"],
        cwd=ROOT,
        env=os.environ | {"MONITORING_TOKEN": TOKEN, "WEBSOCKET_MAX_CONNECTIONS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(30) == 0


class Operator:
    """Reads what the server tells of itself on the operators' port."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self._port = port
        self._token = token

    def get(self, path: str) -> bytes:
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            credential = {"Authorization": f"Bearer {self._token}", "Connection": "close"}
            connection.request("GET", path, headers=credential)
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status == 200, answer.status
        return body

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Every sample by its name and the values of its labels."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").decode()):
            for sample in family.samples:
                labels = tuple(sample.labels.values())
                found.setdefault(sample.name, {})[labels] = sample.value
        return found


def converse(client: ClientConnection, session_id: str) -> tuple[list[dict[str, Any]], int]:
    """A session with one utterance and one mistake; what came, and the bytes that were sent."""
    config = {"session_id": session_id, "fasttalk_mode": True}
    start, mistake = json.dumps({"type": "start_session", "session_config": config}), "{not json"
    client.send(start)
    received = [json.loads(client.recv(timeout=20))]
    client.send(mistake)
    n_bytes = len(start) + len(mistake)
    for start in range(0, len(SAID), FRAME_SAMPLES):
        frame = SAID[start : start + FRAME_SAMPLES].tobytes()
        client.send(frame)
        n_bytes += len(frame)
    end = json.dumps({"type": "end_session"})
    client.send(end)
    while received[-1]["type"] != "session_ended":
        received.append(json.loads(client.recv(timeout=20)))
    return received, n_bytes + len(end)


@frozen
class Story:
    """What clients were sent and did send, and what the reports tell of it."""

    received: list[dict[str, Any]]
    n_bytes: int
    stats: dict[str, Any]
    health: dict[str, Any]
    metrics: dict[str, dict[tuple[str, ...], float]]
    data: dict[str, Any]
    details: dict[str, dict[str, Any]]
    """Of each session, by its id."""

    def count(self, type_: str) -> int:
        return sum(message["type"] == type_ for message in self.received)

    @property
    def accounts(self) -> list[dict[str, int]]:
        return [each["audio"] for each in self.received if each["type"] == "session_ended"]


@pytest.fixture(scope="module")
def story(ports: dict[str, int]) -> Story:
    """Three sessions on two connections, a refusal, and a fourth session that goes on."""
    url = f"ws://127.0.0.1:{ports['websocket_port']}/ws/transcribe"
    operator = Operator(ports["monitoring_port"])
    received: list[dict[str, Any]] = []
    n_bytes = 0
    with connect(url) as first, connect(url) as second:
        for client, session_id in ((first, "one"), (second, "two"), (first, "three")):
            came, sent = converse(client, session_id)
            received += came
            n_bytes += sent
        with pytest.raises(InvalidStatus, match="503"), connect(url):
            pass
        start = '{"type": "start_session", "session_config": {"session_id": "live"}}'
        second.send(start)
        received.append(json.loads(second.recv(timeout=20)))
        data = operator.json("/dashboard/data")
        return Story(
            received=received,
            n_bytes=n_bytes + len(start),
            stats=operator.json("/stats"),
            health=operator.json("/health"),
            metrics=operator.metrics(),
            data=data,
            details={
                session["session_id"]: operator.json(f"/dashboard/sessions/{session['key']}")
                for session in data["sessions"]
            },
        )


def test_connections_are_the_same_everywhere(story: Story) -> None:
    connections, stats, metrics = story.data["connections"], story.stats, story.metrics
    assert connections["active"] == stats["active_connections"] == 2
    assert sum(metrics["fasttalk_stt_connections"].values()) == 2
    assert connections["total"] == stats["total_connections"] == 2
    assert metrics["fasttalk_stt_connections_accepted_total"] == {(): 2}
    assert connections["by_state"] == stats["connections_by_state"]
    assert connections["headroom_streams"] == story.health["capacity"]["headroom_streams"]
    assert stats["processing_stats"].keys() == {"live"}
    assert metrics["fasttalk_stt_sessions"] == {(): 1}


def test_totals_are_what_clients_saw(story: Story) -> None:
    totals, metrics = story.data["totals"], story.metrics
    assert totals["sessions"] == 4
    assert metrics["fasttalk_stt_sessions_started_total"] == {("new",): 4, ("resumed",): 0}
    assert totals["transcriptions"] == story.count("transcription") == 3
    assert sum(metrics["fasttalk_stt_transcriptions_total"].values()) == 3
    assert totals["onsets"] == story.count("voice_activity_detected") == 3
    assert metrics["fasttalk_stt_onsets_total"] == {(): 3}
    assert totals["errors"] == {"invalid_json": 3}
    assert metrics["fasttalk_stt_errors_total"]["invalid_json",] == 3
    assert totals["refusals"] == {"server_full": 1}
    assert metrics["fasttalk_stt_refusals_total"]["server_full",] == 1
    assert totals["audio_s"] == 6.0
    assert metrics["fasttalk_stt_audio_received_seconds_total"] == {(): pytest.approx(6.0)}
    assert totals["received_bytes"] == story.n_bytes
    assert sum(metrics["fasttalk_stt_received_bytes_total"].values()) == story.n_bytes
    assert metrics["fasttalk_stt_sent_bytes_total"] == {(): totals["sent_bytes"]}


def test_every_text_was_timed(story: Story) -> None:
    assert story.metrics["fasttalk_stt_time_to_final_text_seconds_count"] == {(): 3}
    assert story.metrics["fasttalk_stt_transcription_latency_seconds_count"] == {(): 3}
    assert story.metrics["fasttalk_stt_frame_processing_seconds_count"] == {(): 3 * 63}
    assert story.metrics["fasttalk_stt_telemetry_faults_total"] == {(): 0}


def test_all_audio_of_sessions_that_are_over_is_accounted_for(story: Story) -> None:
    settled = story.metrics["fasttalk_stt_audio_settled_seconds_total"]
    for (outcome,), seconds in settled.items():
        told_ms = sum(account[f"{outcome}_ms"] for account in story.accounts)
        assert seconds == pytest.approx(told_ms / 1000), outcome


def test_each_session_can_be_looked_into(story: Story) -> None:
    assert list(story.details) == ["live", "three", "two", "one"]
    assert story.details["live"]["state"] == "live"
    for session_id, account in zip(("one", "two", "three"), story.accounts, strict=True):
        session = story.details[session_id]
        assert (session["state"], session["reason"]) == ("ended", "end_session")
        assert session["audio_s"] == 2.0
        assert session["account"].items() <= account.items()
        kinds = [event["kind"] for event in session["events"]]
        assert (kinds[0], kinds[-1]) == ("started", "ended")
        assert sorted(kinds[1:-1]) == ["error", "onset", "transcription"]
        assert {event["text"] for event in session["events"]} == {None}


@pytest.mark.parametrize("path", ["/metrics", "/dashboard/data", "/dashboard/sessions/some-key"])
def test_without_the_token_nothing_is_told(ports: dict[str, int], path: str) -> None:
    with pytest.raises(AssertionError, match="401"):
        Operator(ports["monitoring_port"], token="guessed").get(path)  # noqa: S106


async def test_whoever_comes_too_often_is_counted_by_kind(
    start_server: StartServer, open_client: OpenClient
) -> None:
    server = await start_server(gate=Gate(connections_per_minute=1))
    await (await open_client(server)).upgrade()
    refused = await open_client(server)
    await refused.send_handshake()
    assert (await refused.read_head()).startswith("HTTP/1.1 429")
    totals = server.services.observation.totals
    assert totals.refusals["rate_limited"] == 1
    assert totals.connections_over_rate == {"key": 0, "token": 0, "anonymous": 1}
