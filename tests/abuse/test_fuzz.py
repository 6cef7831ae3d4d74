"""A small run of the wire fuzzer; `python -m tools.fuzz` does larger ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.abuse


def test_server_is_well_after_300_hostile_connections() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.serve_fake", "--port", "0", "--monitoring-port", "0"],
        cwd=ROOT,
        # All of them come from one address.
        env=os.environ | {"CONNECTION_RATE_LIMIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout
        port = json.loads(server.stdout.readline())["websocket_port"]
        process = psutil.Process(server.pid)
        n_files_before = process.num_fds()
        url = f"ws://127.0.0.1:{port}/ws/transcribe"
        fuzz = subprocess.run(
            [sys.executable, "-m", "tools.fuzz", "--connections", "300", "--seed", "3", url],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        report = json.loads(fuzz.stdout)
        assert (fuzz.returncode, report["well"]) == (0, True), fuzz.stdout
        assert report["stats"]["active_connections"] == 0
        # The attacks reached the WebSocket, they were not merely refused.
        assert report["outcomes"]["101"] > 50
        # The last connections may still be closing: the server lingers 2 s for a peer's answer.
        deadline = time.monotonic() + 10
        while process.num_fds() > n_files_before + 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.num_fds() <= n_files_before + 1
    finally:
        server.kill()
        server.communicate()


def test_other_machines_are_refused() -> None:
    fuzz = subprocess.run(
        [sys.executable, "-m", "tools.fuzz", "ws://192.0.2.1:8000/ws/transcribe"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert fuzz.returncode == 2
    assert "--allow-remote" in fuzz.stderr
