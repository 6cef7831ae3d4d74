"""Access control over real sockets: what the log says, reloading, slow and fat handshakes.

Who gets in with what is in `tests/access`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from structlog.testing import capture_logs

from fasttalk_stt.access.api_keys import digest, new_key
from fasttalk_stt.access.origins import Origins
from fasttalk_stt.service.credentials import load_policy
from fasttalk_stt.service.gate import Gate
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings
from tests.access.door import token

TEXT = 1

pytestmark = pytest.mark.abuse

StartServer = Callable[..., Awaitable[Any]]

EVERYTHING = (
    "%(h)s %(r)s %(R)s %(s)s %(U)s %(Uq)s %(q)s %(f)s %(a)s %({authorization}i)s "
    "%({sec-websocket-protocol}i)s %({referer}i)s %({cookie}i)s %({x-the-secret}e)s"
)
"""An access log format that asks for whatever there is."""


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """All that is logged at any level, by structlog, the standard library and Hypercorn's access log."""
    root, access = logging.getLogger(), logging.getLogger("hypercorn.access")
    kept = root.handlers, root.level, access.handlers, access.level
    structured = structlog.get_config()
    stream = io.StringIO()
    configure_logging(Settings(log_format="json"), stream=stream)
    root.setLevel(logging.DEBUG)

    def read() -> str:
        for handler in logging.getLogger().handlers:
            handler.flush()
        captured = capsys.readouterr()
        return stream.getvalue() + captured.out + captured.err

    yield read
    root.handlers, access.handlers = kept[0], kept[2]
    root.setLevel(kept[1])
    access.setLevel(kept[3])
    structlog.configure(**structured)


@pytest.fixture
def key_file(tmp_path: Path) -> tuple[Path, str]:
    key = new_key()
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys.backend]\nsha256 = "{digest(key)}"\n')
    return file, key


async def test_no_credential_is_ever_logged(
    start_server: StartServer,
    open_client: Any,
    tmp_path: Path,
    log: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, other = new_key(), new_key()
    secret = "a-shared-secret-of-64-bytes-so-that-it-would-do-for-HS512-as-well"  # noqa: S105
    monkeypatch.setenv("X-THE-SECRET", secret)
    hypercorn = tmp_path / "hypercorn.toml"
    hypercorn.write_text(
        f'accesslog = "-"\nloglevel = "DEBUG"\naccess_log_format = "{EVERYTHING}"\n'
    )
    settings = Settings(api_keys=f"backend:{digest(key)}", jwt_secret=secret)
    server = await start_server(
        gate=Gate(load_policy(settings), origins=Origins(["https://app.example.com"])),
        hypercorn_file=hypercorn,
    )
    good, bad, once = token(), token("x" * 64), token(jti="1")
    handshakes = [
        (f"Authorization: Bearer {key}\r\n", ""),
        (f"Authorization: Bearer {other}\r\n", ""),
        (f"Authorization: Bearer {key}\r\nOrigin: https://evil.example\r\n", ""),
        (f"Authorization: Basic {other}\r\n", ""),
        (f"Sec-WebSocket-Protocol: fasttalk, bearer.{key}\r\n", ""),
        (f"Sec-WebSocket-Protocol: fasttalk, bearer.{other}\r\n", ""),
        (f"Sec-WebSocket-Protocol: bearer.{good}\r\n", ""),
        (f"Referer: http://x/?token={good}\r\nCookie: token={good}\r\n", f"?token={good}"),
        ("", f"?token={bad}"),
        ("", f"?token={once}"),
        ("", f"?token={once}"),
        ("", f"?token={other}&token={key}"),
        ("", f"%3Ftoken={good}"),
        ("Sec-WebSocket-Version: 12\r\n", f"?token={good}"),
        (f"No colon {key}\r\n", f"?token={good}"),
    ]
    statuses = []
    for headers, query in handshakes:
        client = await open_client(server)
        await client.send_handshake(extra=headers, query=query)
        statuses.append(int((await client.read_head()).split()[1]))
        if statuses[-1] == 101:
            await client.send(TEXT, b"raise")
            assert await client.read_close() == 1011
        await client.stream.aclose()
    assert statuses == [101, 401, 403, 401, 101, 401, 101, 101, 401, 101, 401, 401, 404, 400, 400]
    for path in ("/stats", f"/stats?token={good}", f"/nowhere?token={good}"):
        await server.get(path, Authorization=f"Bearer {key}")
    await server.wait_empty()
    logged = log()
    # It was written down that they came, and who it was.
    assert logged.count("GET /ws/transcribe") >= 6
    assert logged.count('"principal": "key:backend"') >= 4
    assert logged.count('"event": "refused"') >= 7
    for hidden in (key, other, secret, good, bad, once, digest(key)):
        # Nor any part of it that would be of use.
        for part in hidden.split("."):
            assert part not in logged
    assert "[withheld]" in logged


async def test_hangup_reloads_the_keys_and_parts_with_revoked_ones(
    start_server: StartServer, open_client: Any, key_file: tuple[Path, str]
) -> None:
    file, key = key_file
    gate = Gate(load_policy(Settings(api_keys_file=file)))
    server = await start_server(gate=gate, api_keys_file=file)
    client = await open_client(server)
    await client.upgrade(extra=f"Authorization: Bearer {key}\r\n")
    await server.wait_connected(1)
    newer = new_key()
    with capture_logs() as logs:
        file.write_text("not toml")
        os.kill(os.getpid(), signal.SIGHUP)
        await server._wait(lambda: any(each["log_level"] == "error" for each in logs))
        await client.send(TEXT, b"still here")
        assert await client.read_frame() == (TEXT, b"still here")
        file.write_text(f'[keys.backend]\nsha256 = "{digest(newer)}"\n')
        os.kill(os.getpid(), signal.SIGHUP)
        with trio.fail_after(5):
            assert await client.read_frame() == (
                TEXT,
                b"The credential of this connection has been revoked.",
            )
            assert await client.read_close() == 1008
    told = {each["event"]: each for each in logs}
    assert "is not TOML" in told["credentials_not_reloaded"]["problem"]
    assert told["credentials_reloaded"]["connections_closed"] == 1
    for credential, status in ((key, "401"), (newer, "101")):
        newcomer = await open_client(server)
        await newcomer.send_handshake(extra=f"Authorization: Bearer {credential}\r\n")
        assert (await newcomer.read_head()).split()[1] == status


async def test_the_subprotocol_is_answered_without_the_credential(
    start_server: StartServer, open_client: Any, key_file: tuple[Path, str]
) -> None:
    file, key = key_file
    server = await start_server(gate=Gate(load_policy(Settings(api_keys_file=file))))
    client = await open_client(server)
    head = await client.upgrade(extra=f"Sec-WebSocket-Protocol: fasttalk, bearer.{key}\r\n")
    assert "sec-websocket-protocol: fasttalk\r\n" in head.lower() + "\r\n"
    assert key not in head


async def test_refusals_come_before_the_upgrade_as_json(
    start_server: StartServer, open_client: Any
) -> None:
    server = await start_server(gate=Gate(connections_per_minute=1))
    for status in ("101", "429"):
        client = await open_client(server)
        await client.send_handshake()
        head = await client.read_head()
        assert head.split()[1] == status
    assert "retry-after: 60" in head.lower()
    assert json.loads(await client.read_to_end())["error"]["code"] == "rate_limited"


async def test_a_head_of_20_kb_is_refused(server: Any, open_client: Any) -> None:
    client = await open_client(server)
    await client.send_handshake(extra=f"Authorization: Bearer {'x' * 20_000}\r\n")
    with trio.fail_after(5):
        assert (await client.read_head()).startswith("HTTP/1.1 431")
    assert server.connections == []


async def test_a_handshake_that_trickles_is_dropped(
    start_server: StartServer, open_client: Any, tmp_path: Path
) -> None:
    settings = tmp_path / "hypercorn.toml"
    settings.write_text("keep_alive_timeout = 0.3\n")
    server = await start_server(hypercorn_file=settings)
    client = await open_client(server)
    request = b"GET /ws/transcribe HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 1_000
    # A byte every 10 ms never lets a read time out; the whole head has its time all the same.

    async def trickle() -> None:
        for number in range(len(request)):
            await client.stream.send_all(request[number : number + 1])
            await trio.sleep(0.01)

    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
        await trickle()


@pytest.mark.parametrize(
    ("values", "warnings"),
    [
        ({}, []),
        ({"websocket_host": "0.0.0.0"}, ["open_to_everyone", "monitoring_open_to_everyone"]),  # noqa: S104
    ],
)
async def test_an_open_server_on_a_public_address_warns(
    start_server: StartServer, values: dict[str, str], warnings: list[str]
) -> None:
    with capture_logs() as logs:
        await start_server(**values)
    told = [each for each in logs if "open_to_everyone" in each["event"]]
    assert [each["event"] for each in told] == warnings
    assert [each["log_level"] for each in told] == ["warning"] * len(warnings)
    assert [("API_KEYS" in each["advice"]) for each in told] == [True, False][: len(warnings)]
