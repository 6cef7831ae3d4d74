"""Several servers behind a real HAProxy, which are killed, stopped and started again meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tools.demo import HOST, REPOSITORY, free_port, is_ready
from tools.hearing.servers import RunningServer, ServerError

READY_WITHIN_S = 10.0
POLL_S = 0.05
STOPPED_WITHIN_S = 10.0

CONFIGURATION = REPOSITORY / "deploy" / "haproxy" / "haproxy.cfg"
"""The one that is deployed, with other addresses. A replica that drains or dies gets no new connections.
Those it has are left to it: one that drains closes them itself, one that dies takes them with it."""


class Replica:
    """A server that can be started again and again on the same port."""

    def __init__(self, start: Callable[[int], AbstractContextManager[RunningServer]]) -> None:
        self.port = free_port()
        self._start = start
        self._stack = ExitStack()
        self._server: RunningServer | None = None

    def start(self) -> None:
        """Blocks until it is ready. Raises ServerError."""
        self._server = self._stack.enter_context(self._start(self.port))

    def kill(self) -> None:
        """End it as a crash would: without a word to anybody."""
        if self._server is not None:
            os.kill(self._server.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Let it drain (SIGTERM); blocks until it is gone."""
        self._stack.close()
        self._server = None


@contextmanager
def haproxy(replicas: Sequence[Replica], folder: Path) -> Iterator[int]:
    """HAProxy in front of two replicas, both started; the port is what it serves on.

    Raises ServerError where it is not installed or does not start.
    """
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        raise ServerError("haproxy is not installed (Debian: apt-get install haproxy)")
    port = free_port()
    addresses = {
        f"STT_{i}": f"{HOST}:{replica.port}" for i, replica in enumerate(replicas, start=1)
    }
    environment = {
        **os.environ,
        **addresses,
        "LISTEN": f"{HOST}:{port}",
        "LISTEN_METRICS": f"{HOST}:{free_port()}",
    }
    log = folder / "haproxy.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [program, "-f", str(CONFIGURATION), "-db"],
            stdout=stream,
            stderr=stream,
            env=environment,
        )
    try:
        _wait_until_ready(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(STOPPED_WITHIN_S)


@contextmanager
def running(replicas: Sequence[Replica]) -> Iterator[None]:
    """All of them started, and none left at the end."""
    with ExitStack() as stack:
        for replica in replicas:
            stack.callback(replica.stop)
            replica.start()
        yield


@contextmanager
def replicas_behind_proxy(
    folder: Path, start: Callable[[Path, int], AbstractContextManager[RunningServer]], n: int = 2
) -> Iterator[tuple[Sequence[Replica], str]]:
    """So many servers, each started on a port with a log, behind HAProxy at the URL given."""
    replicas = [Replica(partial(start, folder / f"replica{number}.log")) for number in range(n)]
    with running(replicas), haproxy(replicas, folder) as port:
        yield replicas, f"ws://{HOST}:{port}/ws/transcribe"


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while not is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise ServerError(f"haproxy does not serve:\n{log.read_text(encoding='utf-8')}")
        time.sleep(POLL_S)


def settings_of(**changes: str) -> Mapping[str, str]:
    """Settings of a replica for a rehearsal: room for everybody, nobody refused for the load."""
    return {"WEBSOCKET_MAX_CONNECTIONS": "5000", "PROMISED_LATENCY_MS": "0", **changes}
