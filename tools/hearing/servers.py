"""A server process of our own on a loopback port, for what is measured in real time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tools.demo import (
    HOST,
    LOG_TAIL_LINES,
    POLL_S,
    READY_WITHIN_S,
    REPOSITORY,
    STOPPED_WITHIN_S,
    free_port,
    is_ready,
    server_environment,
)

UNLIMITED = {"CONNECTION_RATE_LIMIT": "0"}
"""All connections of a measurement come from one address."""


class ServerError(Exception):
    """The server did not start; the message quotes the end of its log."""


@frozen
class RunningServer:
    """`url` is its WebSocket's."""

    url: str
    pid: int


@contextmanager
def temporary_log() -> Iterator[Path]:
    """Where a server logs to. It is gone afterwards; a failure quotes its end."""
    with tempfile.TemporaryDirectory(prefix="fasttalk-server-") as directory:
        yield Path(directory) / "server.log"


@contextmanager
def real_server(
    settings: Mapping[str, str], log: Path, *, port: int | None = None
) -> Iterator[RunningServer]:
    """`fasttalk-stt serve` with these settings, on a free port unless told. Raises ServerError."""
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "fasttalk_stt", "serve"]
    environment = {**server_environment(os.environ, port), **UNLIMITED, **settings}
    with _running(command, environment, port, log) as server:
        yield server


@contextmanager
def fake_server(
    settings: Mapping[str, str],
    log: Path,
    *,
    blocking_s: float = 0.0,
    tones: bool = False,
    faults: str | None = None,
    port: int | None = None,
) -> Iterator[RunningServer]:
    """`tools.serve_fake` with these settings; its engine's thread is blocked for so long in each call,
    or it takes tones for words, and fails by `faults`."""
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "tools.serve_fake", "--port", str(port)]
    command += ["--monitoring-port", str(free_port()), "--blocking-s", str(blocking_s)]
    command += ["--tones"] if tones else []
    command += ["--faults", faults] if faults is not None else []
    environment = {**os.environ, "LOG_FORMAT": "console", **UNLIMITED, **settings}
    with _running(command, environment, port, log) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], port: int, log: Path
) -> Iterator[RunningServer]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(server, port, log)
            yield RunningServer(f"ws://{HOST}:{port}/ws/transcribe", server.pid)
        finally:
            _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while not is_ready(port):
        if server.poll() is not None:
            raise ServerError(f"the server ended with {server.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline_s:
            raise ServerError(f"not ready within {READY_WITHIN_S:.0f} s:\n{_tail(log)}")
        time.sleep(POLL_S)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOPPED_WITHIN_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])
