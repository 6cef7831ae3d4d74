"""The deployed HAProxy configuration in front of two real servers with a scripted engine."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tools.demo import HOST
from tools.hearing.servers import fake_server
from tools.rehearsing.replicas import Replica, haproxy, running, settings_of

pytestmark = [
    pytest.mark.abuse,
    pytest.mark.skipif(
        shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is None,
        reason="HAProxy is not installed",
    ),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fasttalk-proxy-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def replicas(folder: Path) -> Iterator[list[Replica]]:
    """Two of one place each, so that which one serves shows in who is refused."""
    settings = settings_of(
        WEBSOCKET_MAX_CONNECTIONS="1",
        TRUSTED_PROXIES="127.0.0.0/8",
        ALLOWED_ORIGINS="https://here.example",
    )
    made = [
        Replica(lambda port, i=i: fake_server(settings, folder / f"{i}.log", port=port))
        for i in range(2)
    ]
    with running(made):
        yield made


@pytest.fixture(scope="module")
def port(folder: Path, replicas: list[Replica]) -> Iterator[int]:
    with haproxy(replicas, folder) as served:
        yield served


def open_socket(port: int, query: str = "") -> ClientConnection:
    return connect(f"ws://{HOST}:{port}/ws/transcribe{query}", proxy=None)


def wait_until_free(replica: Replica) -> None:
    """Until its connections of before are gone."""
    deadline_s = time.monotonic() + 5
    while True:
        with urllib.request.urlopen(f"http://{HOST}:{replica.port}/health") as answer:
            if json.load(answer)["capacity"]["active_connections"] == 0:
                return
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_each_place_of_both_replicas_is_found_and_the_next_is_refused(
    port: int, replicas: list[Replica]
) -> None:
    for replica in replicas:
        wait_until_free(replica)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(open_socket(port))
        with pytest.raises(InvalidStatus) as refused:
            open_socket(port)
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) > 0


def test_a_full_replica_is_passed_over_for_one_that_has_room(
    port: int, replicas: list[Replica]
) -> None:
    # The one place of each in turn is taken behind the proxy's back, so it is asked first once at least.
    for full in (*replicas, *replicas):
        for replica in replicas:
            wait_until_free(replica)
        with open_socket(full.port), open_socket(port) as socket:
            assert socket.ping().wait(5)


def test_operators_pages_are_not_for_clients(port: int) -> None:
    assert status(port, "/health/ready") == 200
    assert status(port, "/health") == 200


@pytest.mark.parametrize("page", ["stats", "metrics"])
@pytest.mark.parametrize(
    "written",
    [
        *("/{}", "//{}", "/{}/", "/{}?x=1", "/{}%2F", "/%2F{}", "http://stt.example.com/{}"),
        # No name of theirs to the servers, unless one reads them otherwise some day.
        *("/{}#x", "/{};x", "/{}%23", "/{}%00", "/./{}", "/demo/../{}", "/{}%"),
    ],
)
def test_operators_pages_have_no_other_name(port: int, page: str, written: str) -> None:
    hidden = f"%{ord(page[0]):x}{page[1:]}"
    for name in (page, hidden, page[:-1] + "%73"):
        # 400: HAProxy itself takes it for no request.
        assert status(port, written.format(name)) in (400, 404), name


def test_a_client_cannot_choose_the_address_that_rates_and_the_log_go_by(
    port: int, folder: Path
) -> None:
    # What is refused is logged with the address, whichever replica it was.
    chosen = {"X-Forwarded-For": "203.0.113.9"}
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://{HOST}:{port}/ws/transcribe",
            proxy=None,
            origin=Origin("https://elsewhere.example"),
            additional_headers=chosen,
        )
    assert refused.value.response.status_code == 403
    deadline_s = time.monotonic() + 5
    while not (lines := refusals(folder)):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert all("203.0.113.9" not in line and HOST in line for line in lines), lines


def refusals(folder: Path) -> list[str]:
    """The lines of both replicas' logs about who was refused for his origin."""
    logs = [(folder / f"{i}.log").read_text(encoding="utf-8") for i in range(2)]
    return [line for log in logs for line in log.splitlines() if "forbidden_origin" in line]


def test_where_no_replica_is_ready_a_client_is_told_when_to_come_back(tmp_path: Path) -> None:
    """Without the header the client library counts each refusal as one of its few tries."""
    made = [
        Replica(lambda port, i=i: fake_server(settings_of(), tmp_path / f"{i}.log", port=port))
        for i in range(2)
    ]
    with running(made), haproxy(made, tmp_path) as served:
        for replica in made:
            replica.stop()
        with pytest.raises(InvalidStatus) as refused:
            open_socket(served)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "2"


def test_a_token_in_an_address_is_not_logged(port: int, folder: Path) -> None:
    with open_socket(port, "?token=eyJhbGciOi.secret"):
        pass
    log = folder / "haproxy.log"
    deadline_s = time.monotonic() + 5
    while "/ws/transcribe" not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert "secret" not in log.read_text(encoding="utf-8")
