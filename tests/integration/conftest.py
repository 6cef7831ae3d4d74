"""A real `fasttalk-stt serve` with the real engine, once for all tests of this folder.

Tests that must have the server to themselves look at its figures before and after; nothing here
ever restarts it. It must stop with exit code 0 at the end.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen

from tests.watch import Watch
from tools.playlist import Item, items_from_manifest

START_LIMIT_S = 180.0
"""The model library alone takes 14 s to import cold; a busy machine several times that."""

STOP_LIMIT_S = 40.0
"""A drain may take DRAIN_TIMEOUT (20 s), then the process ends."""

SAMPLES = Path(__file__).parents[2] / "samples"


@frozen
class RealServer:
    """Where the server listens, and which process it is."""

    websocket_url: str
    http_url: str
    monitoring_url: str
    pid: int
    log: Path

    def get_json(self, path: str) -> Any:
        """The JSON at an HTTP path of the main port, such as "/stats"."""
        url = f"{self.http_url}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (our own server)
            return json.load(answer)


@pytest.fixture(autouse=True)
def watch_sockets(watch: Watch) -> None:
    """The server is another process: what is said is seen at the clients' ends."""
    watch.sockets()


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A ready server with tiny.en on free loopback ports."""
    websocket_port, monitoring_port = _free_ports(2)
    log = tmp_path_factory.mktemp("server") / "server.log"
    environment = os.environ | {
        "WEBSOCKET_HOST": "127.0.0.1",
        "WEBSOCKET_PORT": str(websocket_port),
        "MONITORING_PORT": str(monitoring_port),
        "MODEL": "tiny.en",
        "LOG_FORMAT": "json",
        # All tests come from one address.
        "CONNECTION_RATE_LIMIT": "0",
        # A replay without a pace queues half a minute of audio at once; on two busy cores its last
        # segment waits longer than a live client ever would, and speed is not tested here.
        "TRANSCRIPTION_TIMEOUT": "60",
    }
    with log.open("wb") as log_stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "fasttalk_stt", "serve"],
            env=environment,
            stdout=log_stream,
            stderr=subprocess.STDOUT,
        )
    server = RealServer(
        websocket_url=f"ws://127.0.0.1:{websocket_port}/ws/transcribe",
        http_url=f"http://127.0.0.1:{websocket_port}",
        monitoring_url=f"http://127.0.0.1:{monitoring_port}",
        pid=process.pid,
        log=log,
    )
    try:
        _wait_until_ready(server, process)
        yield server
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(STOP_LIMIT_S)
        assert exit_code == 0, f"serve ended with {exit_code}:\n{_tail(log)}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def samples() -> dict[str, Item]:
    """The sample recordings by name."""
    return {item.name: item for item in items_from_manifest(SAMPLES, "all")}


@pytest.fixture(scope="session")
def original_clients() -> ModuleType:
    """The module beside this file; tests are no package, so it is loaded by its path."""
    path = Path(__file__).with_name("original_clients.py")
    spec = importlib.util.spec_from_file_location("original_clients", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        # All open at once, so that no two are the same.
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(server: RealServer, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            pytest.fail(f"serve ended with {process.returncode}:\n{_tail(server.log)}")
        try:
            server.get_json("/health/ready")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            # Not there yet, or 503 while the model loads; another process has no event to wait for.
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"serve was not ready within {START_LIMIT_S:g} s:\n{_tail(server.log)}")


def _tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
