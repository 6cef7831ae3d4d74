"""`make demo`: start a server, speak to it in real time, show what it hears, stop it.

The server is the real one, with a model that installs as a package, so no network is needed. The
speech is `samples/conversation.flac`, played by `tools.replay`; the exit code is 0 when the words
came, the contract's checks held and the server stopped cleanly. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parent.parent
SAMPLES = REPOSITORY / "samples"
CLIP = "conversation"
HOST = "127.0.0.1"
PREFERRED_PORT = 8000
MODEL = "base"
"""In the `embedded` extra. MODEL in the environment overrides it."""

OWN_SETTINGS = ("API_KEYS", "JWT_", "ALLOWED_ORIGINS", "MONITORING_TOKEN", "LANGUAGE")
"""Settings (by how they begin) that would lock the demo out of its own server or mislead it."""

HIGHEST_WER = 0.3
"""Far above what the clip takes (about 0): above it the demo did not work."""

READY_WITHIN_S = 240.0
"""Importing the model libraries for the first time takes 15 s on a good disk, far more on a bad."""
STOPPED_WITHIN_S = 60.0
"""The drain (DRAIN_TIMEOUT, 20 s) and the end of the process, up to 10 s on a busy machine."""
POLL_S = 0.25
PROGRESS_EVERY_S = 5.0
LOG_TAIL_LINES = 25


class DemoError(Exception):
    """The demo did not work; the message says in which step and why."""


def free_port(preferred: int = 0) -> int:
    """A loopback port that is free now: the preferred one if possible."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connection still lingers is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError(f"no free port on {HOST}")


def server_environment(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """The caller's environment with what the demo needs."""
    kept = {name: value for name, value in environ.items() if not name.startswith(OWN_SETTINGS)}
    kept.setdefault("MODEL", MODEL)
    return kept | {
        "WEBSOCKET_HOST": HOST,
        "WEBSOCKET_PORT": str(port),
        "MONITORING_PORT": str(free_port()),
        "LOG_FORMAT": "console",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def running_server(port: int, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own, so that Ctrl-C reaches it through us alone.

    On the way out it is stopped as an operator would; DemoError if it does not stop cleanly.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "fasttalk_stt", "serve"],
        cwd=REPOSITORY,
        env=server_environment(os.environ, port),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        died_before = server.poll() is not None
        _stop(server)
    if died_before:
        raise DemoError(f"the server ended by itself with exit code {server.returncode}")
    if server.returncode != 0:
        raise DemoError(f"the server stopped with exit code {server.returncode}, expected 0")
    print("==> server stopped cleanly", flush=True)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOPPED_WITHIN_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        # It hangs, or Ctrl-C came a second time.
        server.kill()
        server.wait()
        print("==> the server did not stop in time and was killed", file=sys.stderr)


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait for /health/ready, saying how long it takes. Raises DemoError."""
    started = time.monotonic()
    next_line_s = PROGRESS_EVERY_S
    while not is_ready(port):
        elapsed_s = time.monotonic() - started
        if server.poll() is not None:
            raise DemoError(f"the server ended with exit code {server.returncode} while starting")
        if elapsed_s > READY_WITHIN_S:
            raise DemoError(f"the server was not ready within {READY_WITHIN_S:.0f} s")
        if elapsed_s >= next_line_s:
            next_line_s += PROGRESS_EVERY_S
            print(f"    {elapsed_s:3.0f} s  loading the model", flush=True)
        time.sleep(POLL_S)
    print(f"==> ready after {time.monotonic() - started:.0f} s", flush=True)


def is_ready(port: int) -> bool:
    """Whether the server on that port takes connections."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def play(port: int, report: Path) -> None:
    """Stream the clip in real time and judge what came. Raises DemoError."""
    print(f"==> playing samples/{CLIP}.flac in real time", flush=True)
    print(
        "    (latency counts words held back until they are sure; 'proc.' is what is promised)",
        flush=True,
    )
    replay = subprocess.run(
        [
            *(sys.executable, "-m", "tools.replay"),
            *("--url", f"ws://{HOST}:{port}/ws/transcribe"),
            *("--manifest", str(SAMPLES), "--filter", CLIP),
            *("--config", "interim_results=true", "--config", "language=en", "--words"),
            *("--json", str(report)),
        ],
        cwd=REPOSITORY,
        check=False,
    )
    if replay.returncode != 0:
        raise DemoError(f"the replay failed with exit code {replay.returncode}")
    totals: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["totals"]
    if totals["wer"] is None or totals["wer"] > HIGHEST_WER:
        raise DemoError(f"the words are wrong (word error rate {totals['wer']})")


def run_demo(scratch: Path) -> int:
    """Run everything; returns the exit code, 130 after Ctrl-C."""
    log_path = scratch / "server.log"
    try:
        port = free_port(PREFERRED_PORT)
        print(f"==> starting fasttalk-stt on http://{HOST}:{port}", flush=True)
        with log_path.open("wb") as log, running_server(port, log) as server:
            wait_until_ready(server, port)
            play(port, scratch / "report.json")
        print(f"==> next: make serve, and speak to it at http://localhost:{PREFERRED_PORT}/demo")
    except DemoError as error:
        print(f"\n==> the demo failed: {error}", file=sys.stderr)
        _show_tail(log_path)
        return 1
    except KeyboardInterrupt:
        print("\n==> interrupted", file=sys.stderr)
        return 130
    return 0


def _show_tail(log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    print("    the server's last lines:", file=sys.stderr)
    print("\n".join(f"    | {line}" for line in lines[-LOG_TAIL_LINES:]), file=sys.stderr)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="fasttalk-demo-") as scratch:
        return run_demo(Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
