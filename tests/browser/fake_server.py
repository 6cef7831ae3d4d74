"""A server process with the scripted engine, and clients that stay connected while a page looks.

Everything here is synchronous, as the browser's API is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

from fasttalk_stt.inference.tones import tones
from tests.support import silence

FRAME_SAMPLES = 1_600
ANSWER_LIMIT_S = 20.0
STOP_LIMIT_S = 20.0

SPOKEN = np.concatenate([silence(0.3), tones([1, 2, 3, 4]), silence(1.2)])
"""One utterance of four words, with the silence that ends it."""


@define
class FakeServer:
    process: subprocess.Popen[str]
    websocket_port: int
    monitoring_port: int

    @property
    def monitoring_url(self) -> str:
        return f"http://127.0.0.1:{self.monitoring_port}"

    def get(self, path: str) -> str:
        """The text at a path of the operators' port."""
        with urllib.request.urlopen(f"{self.monitoring_url}{path}", timeout=10) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def metric(self, name: str, **labels: str) -> float:
        """The sum of those samples of `/metrics` that have these labels."""
        families = text_string_to_metric_families(self.get("/metrics"))
        samples = [sample for family in families for sample in family.samples]
        found = [
            sample.value
            for sample in samples
            if sample.name == f"fasttalk_stt_{name}" and labels.items() <= sample.labels.items()
        ]
        assert found, name
        return sum(found)

    @contextmanager
    def stream(self, session_id: str, **config: object) -> Iterator[Stream]:
        """A session that is started; ended properly when the block is left."""
        url = f"ws://127.0.0.1:{self.websocket_port}/ws/transcribe"
        with connect(url, proxy=None) as socket:
            stream = Stream(socket)
            stream.send(type="start_session", session_config={"session_id": session_id, **config})
            stream.wait_for("session_started")
            yield stream
            stream.send(type="end_session")
            stream.wait_for("session_ended")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)


@define
class Stream:
    """One client's connection with a session."""

    socket: ClientConnection

    def send(self, **message: object) -> None:
        self.socket.send(json.dumps(message))

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of that type; what comes before it is passed over."""
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=ANSWER_LIMIT_S))
            if message["type"] == kind:
                return message

    def say(self) -> None:
        """Say one utterance, faster than people do."""
        for start in range(0, len(SPOKEN), FRAME_SAMPLES):
            self.socket.send(SPOKEN[start : start + FRAME_SAMPLES].astype("<f4").tobytes())

    def speak(self) -> None:
        """Say one utterance and wait for its text."""
        self.say()
        self.wait_for("transcription")


@contextmanager
def fake_server(
    log: Path, *arguments: str, port: int = 0, monitoring_port: int = 0, **environment: str
) -> Iterator[FakeServer]:
    """A server on free ports, or on those given; its log is written to `log`."""
    command = [
        *(sys.executable, "-m", "tools.serve_fake", "--tones"),
        *("--port", str(port), "--monitoring-port", str(monitoring_port)),
        *arguments,
    ]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env=os.environ | {"CONNECTION_RATE_LIMIT": "0"} | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text(errors="replace")
        server = FakeServer(process, **json.loads(line))
        try:
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
