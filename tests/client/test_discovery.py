"""Several servers in memory, under both backends."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from fasttalk_stt.client import (
    BusyError,
    ClientSettings,
    DiscoverySettings,
    RefusedError,
    ReplicaView,
    Resumed,
    ServiceDiscovery,
    SessionOptions,
    UnauthorizedError,
    connect,
)
from fasttalk_stt.client.address import Address, shown
from fasttalk_stt.client.errors import ConnectError
from fasttalk_stt.client.http import get
from tests.client.backends import both_backends
from tests.client.model_server import RATE_HZ
from tests.client.network import Network, ServerSocket, serve_model, stream_pair

OPTIONS = SessionOptions(encoding="s16le", sample_rate=RATE_HZ, fasttalk_mode=True)


def health(room: int, *, draining: bool = False) -> dict[str, Any]:
    return {
        "capacity": {
            "max_connections": 50,
            "active_connections": 50 - room,
            "headroom_streams": room,
            "draining": draining,
        }
    }


def discovery(net: Network, *hosts: str) -> ServiceDiscovery:
    return ServiceDiscovery(
        [f"http://{host}:8000" for host in hosts],
        settings=DiscoverySettings(poll_s=1.0),
        open_stream=net.open_http,
    )


@both_backends
async def test_sessions_go_to_the_least_loaded_and_leave_one_that_fails() -> None:
    async with anyio.create_task_group() as tasks:
        net = Network(tasks)
        for host, room in (("a", 3), ("b", 9), ("c", 5)):
            net.hosts[host] = serve_model
            net.http[host] = (200, health(room))
        async with discovery(net, "a", "b", "c") as found:
            assert found.least_loaded() == "ws://b:8000/ws/transcribe"
            async with connect(found, config=OPTIONS, open_stream=net.open_stream) as session:
                assert net.dialled == ["b"]
                net.sockets[0].stream.reset()
                async for event in session:
                    if isinstance(event, Resumed):
                        assert event.url == "ws://c:8000/ws/transcribe"
                        break
        tasks.cancel_scope.cancel()


@both_backends
async def test_polls_notice_who_drains_dies_and_comes_back() -> None:
    async with anyio.create_task_group() as tasks:
        net = Network(tasks)
        net.http = {"a": (200, health(9)), "b": (200, health(5))}
        async with discovery(net, "a", "b") as found:
            net.http["a"] = (503, health(9, draining=True))
            await anyio.sleep(1.5)
            assert [each.is_out for each in found.view()] == [True, False]
            net.http["a"] = (200, health(9))
            del net.http["b"]
            await anyio.sleep(1)
            assert [each.is_out for each in found.view()] == [False, True]
            net.http["b"] = (503, health(5))
            await anyio.sleep(1)
            assert found.view()[1].is_out, "not ready is not well"
            net.http["b"] = (200, b"<html>")
            await anyio.sleep(20)
            assert found.view()[1].is_out
        tasks.cancel_scope.cancel()


@both_backends
async def test_whatever_health_says_conversations_go_on() -> None:
    nonsense = {
        b'{"capacity": {"max_connections": 1e999, "active_connections": 1}}': "'max_connections': inf",
        b"[" * 100_000: "nested too deeply",
        b'{"capacity": 1}': "no capacity",
    }
    async with anyio.create_task_group() as tasks:
        net = Network(tasks, hosts={"a": serve_model})
        net.http = {"a": (200, health(9))}
        async with (
            discovery(net, "a") as found,
            connect(found, config=OPTIONS, open_stream=net.open_stream) as session,
        ):
            await anyio.sleep(0.5)
            for body, said in nonsense.items():
                net.http["a"] = (200, body)
                await anyio.sleep(1)
                (view,) = found.view()
                assert view.is_out
                assert said in str(view.error)
            net.http["a"] = (503, health(9))
            await anyio.sleep(1)
            assert found.view()[0].error == "/health answered 503"
            net.http["a"] = (200, health(9))
            await anyio.sleep(1)
            assert found.view() == [ReplicaView("http://a:8000", 9, is_out=False)]
            await session.end()
        tasks.cancel_scope.cancel()


@both_backends
async def test_an_opener_of_the_callers_own_may_raise_anything() -> None:
    async def broken(_: Address) -> Any:
        raise KeyError("secret")

    async with ServiceDiscovery(["http://a:8000"], open_stream=broken) as found:
        assert found.view() == [ReplicaView("http://a:8000", None, is_out=True, error="KeyError")]


@both_backends
async def test_a_full_server_is_passed_over_without_waiting() -> None:
    async def full(socket: ServerSocket) -> None:
        await socket.refuse(503, retry_after="30")

    async with anyio.create_task_group() as tasks:
        net = Network(tasks, hosts={"a": full, "b": serve_model})
        net.http = {"a": (200, health(9)), "b": (200, health(5))}
        async with discovery(net, "a", "b") as found:
            since_s = anyio.current_time()
            async with connect(found, config=OPTIONS, open_stream=net.open_stream):
                assert net.dialled == ["a", "b"]
                assert anyio.current_time() == since_s
            net.hosts["b"] = full
            settings = ClientSettings(patience_s=20)
            with pytest.raises(BusyError):
                async with connect(found, settings=settings, open_stream=net.open_stream):
                    pytest.fail("connected")
        tasks.cancel_scope.cancel()


@both_backends
async def test_one_that_refuses_for_good_keeps_nobody_from_the_others() -> None:
    async def missing(socket: ServerSocket) -> None:
        await socket.refuse(404)

    async def gone(socket: ServerSocket) -> None:
        socket.stream.reset()

    async with anyio.create_task_group() as tasks:
        net = Network(tasks, hosts={"a": missing, "b": serve_model})
        net.http = {"a": (200, health(9)), "b": (200, health(5))}
        async with discovery(net, "a", "b") as found:
            async with connect(found, config=OPTIONS, open_stream=net.open_stream):
                assert net.dialled == ["a", "b"]
            # The other one may be back soon, so it is its answer that counts.
            net.hosts["b"] = gone
            with pytest.raises(ConnectError, match="broke off"):
                async with connect(found, config=OPTIONS, open_stream=net.open_stream):
                    pytest.fail("connected")
            assert net.dialled.count("a") > 2
            net.hosts["b"] = missing
            with pytest.raises(RefusedError, match="404"):
                async with connect(found, config=OPTIONS, open_stream=net.open_stream):
                    pytest.fail("connected")
        tasks.cancel_scope.cancel()


@both_backends
async def test_bad_credentials_are_not_tried_on_every_server() -> None:
    async def refuses(socket: ServerSocket) -> None:
        await socket.refuse(401)

    async with anyio.create_task_group() as tasks:
        net = Network(tasks, hosts={"a": refuses, "b": refuses})
        net.http = {"a": (200, health(9)), "b": (200, health(5))}
        async with discovery(net, "a", "b") as found:
            with pytest.raises(UnauthorizedError):
                async with connect(found, open_stream=net.open_stream):
                    pytest.fail("connected")
        assert net.dialled == ["a"]
        tasks.cancel_scope.cancel()


@both_backends
async def test_http_answers_and_their_absence() -> None:
    async with anyio.create_task_group() as tasks:
        net = Network(tasks, http={"a": (200, {"status": "healthy"}), "big": (200, b"x" * 300_000)})
        address = Address.parse("http://a:8000/behind/a/proxy")
        answer = await get(address, "/health", open_stream=net.open_http, timeout_s=1)
        assert (answer.status, answer.json()) == (200, {"status": "healthy"})
        with pytest.raises(ConnectError, match="over 262144 bytes"):
            await get(
                Address.parse("http://big"), "/health", open_stream=net.open_http, timeout_s=1
            )

        async def mute(_: Address) -> Any:
            await anyio.sleep_forever()

        async def gone(_: Address) -> Any:
            ours, theirs = stream_pair()
            theirs.reset()
            return ours

        with pytest.raises(ConnectError, match="no HTTP answer: BrokenResourceError"):
            await get(address, "/health", open_stream=gone, timeout_s=2)

        with pytest.raises(ConnectError, match="no answer within 2 s"):
            await get(address, "/health", open_stream=mute, timeout_s=2)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("url", "shown", "target"),
    [
        ("ws://x:9/ws/transcribe", "ws://x:9/ws/transcribe", "/ws/transcribe"),
        ("https://x", "wss://x/ws/transcribe", "/ws/transcribe"),
        ("http://x:8000/stt/", "ws://x:8000/stt/ws/transcribe", "/stt/ws/transcribe"),
        ("ws://[::1]:9/?token=t", "ws://[::1]:9/ws/transcribe", "/ws/transcribe?token=t"),
    ],
)
def test_addresses(url: str, shown: str, target: str) -> None:
    address = Address.parse(url)
    assert str(address) == shown
    assert address.target == target
    assert address.resume_target == target + ("&" if "?" in target else "?") + "resume=1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://a:8000", "http://a:8000"),
        ("http://user:s3cret@x:8000/stt?token=s3cret#s3cret", "http://x:8000/stt"),
        ("user:s3cret@x", "x"),
        ("http://x/?token=s3cret@s3cret", "http://..."),
        ("http://user:s3cret?s3cret@x/", "http://..."),
        ("http://x/?next=http://user:s3cret@y/s3cret", "..."),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url: str, said: str) -> None:
    assert shown(url) == said
    with suppress(ValueError):
        assert "s3cret" not in repr(Address.parse(url))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/", "ws://", "ws://x:port/", ""])
def test_what_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected ws://|not a URL"):
        Address.parse(url)
