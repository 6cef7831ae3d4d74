"""The life of a whole server process: start, signals, death of the model, plain Hypercorn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
START_S = 30.0

pytestmark = pytest.mark.abuse


@contextmanager
def running(*command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A server process; killed in the end, with its children."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The group: plain Hypercorn serves from a child, which would outlive it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def fake_server(**environ: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = ("-m", "tools.serve_fake", "--port", "0", "--monitoring-port", "0")
    with running(*command, LOG_FORMAT="json", **environ) as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["websocket_port"]
        wait_ready(port)
        yield process, port


def wait_ready(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return
        except (HTTPError, OSError):
            time.sleep(0.05)
    pytest.fail("the server did not become ready")


@contextmanager
def start_session(port: int) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{port}/ws/transcribe") as client:
        client.send(json.dumps({"type": "start_session"}))
        assert json.loads(client.recv(timeout=5))["type"] == "session_started"
        yield client


def close_code(client: ClientConnection) -> tuple[list[str], int | None]:
    """Read to the close: the types of the messages before it, and its code."""
    kinds = []
    try:
        while True:
            kinds.append(json.loads(client.recv(timeout=10))["type"])
    except ConnectionClosed as closed:
        return kinds, closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_drains(number: signal.Signals) -> None:
    with fake_server() as (process, port), start_session(port) as client:
        for _ in range(20):
            client.send(bytes(2048))
        process.send_signal(number)
        kinds, code = close_code(client)
        assert "session_ended" in kinds
        assert code == 1001
        assert process.wait(timeout=10) == 0


def test_second_signal_kills() -> None:
    # A client that never answers the close keeps the drain waiting.
    with fake_server() as (process, port), start_session(port) as client:
        client.send(json.dumps({"type": "ping", "id": "1"}))
        os.kill(process.pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(timeout=5) in (-signal.SIGTERM, -signal.SIGINT)


def test_busy_port_is_one_line_and_a_failure() -> None:
    with (
        fake_server() as (_, port),
        running("-m", "fasttalk_stt", "serve", WEBSOCKET_PORT=str(port)) as second,
    ):
        _, errors = second.communicate(timeout=START_S)
        assert second.returncode == 1
        assert errors.count("\n") == 1
        assert f"WEBSOCKET_PORT={port}" in errors


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"MODEL": "no-such-model"}, "no-such-model"),
        ({"VAD_SENSITIVITY": "9"}, "VAD_SENSITIVITY"),
        ({"API_KEYS": "backend:not-hashed"}, "fasttalk-stt keys hash"),
    ],
)
def test_user_error_is_one_line_and_a_failure(environ: dict[str, str], named: str) -> None:
    ports = {"WEBSOCKET_PORT": "0", "MONITORING_PORT": "0"}
    with running("-m", "fasttalk_stt", "serve", **ports, **environ) as process:
        _, errors = process.communicate(timeout=START_S)
        assert process.returncode == 1
        assert named in errors
        assert "Traceback" not in errors
        assert "not-hashed" not in errors


def test_a_start_tells_of_a_variable_that_looks_like_a_slip() -> None:
    environ = {"API_KEY": "not-hashed", "MODEL": "/nowhere", "LOG_FORMAT": "json"}
    with running("-m", "fasttalk_stt", "serve", **environ) as process:
        _, errors = process.communicate(timeout=START_S)
    (told,) = [line for line in errors.splitlines() if '"setting_unknown"' in line]
    assert json.loads(told)["did_you_mean"] == "API_KEYS"
    assert "not-hashed" not in errors


def test_the_log_tells_of_a_servers_whole_life() -> None:
    with fake_server() as (process, port):
        with start_session(port) as client:
            client.send(json.dumps({"type": "end_session"}))
            assert json.loads(client.recv(timeout=5))["type"] == "session_ended"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=START_S)
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    # When the client's leaving is noticed is another matter than when the server is told to stop.
    assert "disconnected" in events
    told = iter(events)
    for event in (
        "model_ready",
        "connected",
        "session_started",
        "session_ended",
        "stopping",
        "drain_started",
        "stopped",
    ):
        assert event in told, f"no {event} where it belongs: {events}"


def test_a_log_that_nobody_reads_does_not_hold_the_end_of_the_process() -> None:
    code = (
        "import structlog\n"
        "from fasttalk_stt.service.logging import configure_logging\n"
        "from fasttalk_stt.settings import Settings\n"
        "configure_logging(Settings(log_format='json'))\n"
        "for _ in range(2_000): structlog.get_logger().info('x' * 100)\n"
    )
    with running("-c", code) as process:
        assert process.wait(timeout=START_S) == 0


def test_plain_hypercorn_serves_the_same_guarded_application(tmp_path: Path) -> None:
    (tmp_path / "fake_asgi.py").write_text(
        "from fasttalk_stt.inference.fake import FakeEngine\n"
        "from fasttalk_stt.server import make_hosted_app\n"
        "from fasttalk_stt.service.logging import configure_logging\n"
        "from fasttalk_stt.settings import Settings\n"
        "configure_logging(Settings(log_format='json'))\n"
        "app = make_hosted_app(Settings(), FakeEngine())\n"
    )
    command = ("-m", "hypercorn", "--config", "hypercorn.toml", "--bind", "127.0.0.1:0")
    logging = ("--access-logfile", "-", "--access-logformat", "%(R)s %({authorization}i)s")
    with running(*command, *logging, "fake_asgi:app", PYTHONPATH=str(tmp_path)) as process:
        assert process.stderr
        port = None
        while port is None:
            line = process.stderr.readline()
            assert line, "hypercorn ended"
            event = json.loads(line)["event"] if line.startswith("{") else ""
            if event.startswith("Running on"):
                port = int(event.split()[2].rsplit(":", 1)[1])
        wait_ready(port)
        secret = {"Authorization": "Bearer tell-nobody"}
        urlopen(Request(f"http://127.0.0.1:{port}/?token=tell-nobody", headers=secret)).close()
        _send_early_frames(port)
        with start_session(port) as client:
            process.send_signal(signal.SIGTERM)
            assert close_code(client)[1] == 1001
        assert process.wait(timeout=10) == 0
        assert process.stdout
        accesses = process.stdout.read()
        assert "GET /?[withheld]" in accesses
        assert "tell-nobody" not in accesses


def _send_early_frames(port: int) -> None:
    import socket

    request = (
        b"GET /ws/transcribe HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n\x81\x82\0\0\0\0{}"
    )
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(request)
            while raw.recv(65_536):
                pass
