"""A token is asked for, fails, runs out, and shows nowhere. Under both backends."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from fasttalk_stt.client import (
    ClientSettings,
    ConnectError,
    CredentialsError,
    DisconnectedError,
    DiscoverySettings,
    Resumed,
    ServiceDiscovery,
    connect,
)
from fasttalk_stt.client.address import Address
from fasttalk_stt.client.http import get
from tests.client.backends import both_backends
from tests.client.conversing import ONE, OPTIONS, TWO, URL, everything, network, next_of, texts
from tests.client.model_server import ModelServer
from tests.client.network import ServerSocket, serve_model
from tests.client.test_discovery import health


class Tokens:
    """Gives tokens, and raises or hangs where the script says so."""

    def __init__(self, *script: str | Exception | None) -> None:
        self.asked = 0
        self._script: Iterator[str | Exception | None] = iter(script)

    async def __call__(self) -> str:
        self.asked += 1
        step = next(self._script, f"token-{self.asked}")
        if step is None:
            await anyio.sleep_forever()
        if isinstance(step, Exception):
            raise step
        return str(step)


@both_backends
async def test_credentials_are_asked_for_at_every_connection() -> None:
    async with (
        network(stt=serve_model) as net,
        connect(URL, credentials=Tokens(), config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        net.sockets[0].stream.reset()
        await next_of(session, Resumed)
        sent = [
            dict(each.request.extra_headers)[b"authorization"]
            for each in net.sockets
            if each.request is not None
        ]
        assert sent == [b"Bearer token-1", b"Bearer token-2"]


@both_backends
async def test_a_function_that_fails_during_a_resume_is_asked_again() -> None:
    tokens = Tokens("first", OSError("502"), "a\nb", None)
    async with (
        network(stt=serve_model) as net,
        connect(
            URL,
            credentials=tokens,
            config=OPTIONS,
            settings=ClientSettings(max_tries=4),
            open_stream=net.open_stream,
        ) as session,
    ):
        await session.send_audio(ONE)
        net.sockets[0].stream.reset()
        await session.send_audio(TWO)
        await session.end()
        assert texts(await everything(session)) == ["w1l", "w2l"]
        assert tokens.asked == 5


@both_backends
async def test_a_function_that_goes_on_failing_is_given_up_without_its_words() -> None:
    async with network(stt=serve_model) as net:
        tokens = Tokens(*[OSError("s3cret")] * 4)
        with pytest.raises(CredentialsError, match="failed: OSError") as caught:
            async with connect(URL, credentials=tokens, open_stream=net.open_stream):
                pytest.fail("connected")
        assert "s3cret" not in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError)
        assert tokens.asked == 4


@both_backends
async def test_polls_with_a_function_that_fails_or_hangs_leave_conversations_alone() -> None:
    async with network(a=serve_model) as net:
        net.http = {"a": (200, health(9))}
        tokens = Tokens("one", *[OSError("down"), None] * 3)
        found = ServiceDiscovery(
            ["http://a:8000"],
            credentials=tokens,
            settings=DiscoverySettings(poll_s=1),
            open_stream=net.open_http,
        )
        async with (
            found,
            connect(found, config=OPTIONS, open_stream=net.open_stream) as session,
        ):
            await anyio.sleep(1.5)
            (view,) = found.view()
            assert (view.is_out, view.room) == (False, 8)
            assert view.error == "The function for the credentials failed: OSError"
            await anyio.sleep(15)
            (view,) = found.view()
            assert (view.room, view.error) == (9, None)
            await session.send_audio(ONE)
            await session.end()
            assert texts(await everything(session)) == ["w1l"]


def shows(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("token", ["s3cret ", " s3cret", "s3 cret", "s3cret\n", "s3cret\u00e9", ""])
def test_what_cannot_stand_in_a_header_is_refused_without_showing_it(token: str) -> None:
    @both_backends
    async def check() -> None:
        async with network(stt=serve_model) as net:
            with pytest.raises(ValueError, match="no token") as caught:
                async with connect(URL, credentials=token, open_stream=net.open_stream):
                    pytest.fail("connected")
        assert "cret" not in shows(caught.value)

    for backend in ("asyncio", "trio"):
        check(backend)


@both_backends
async def test_a_request_that_cannot_be_written_does_not_show_what_is_in_it() -> None:

    async def mute(_: ServerSocket) -> None:
        await anyio.sleep_forever()

    url, headers = "ws://stt/?token=s3 cret", [("Authorization", "Bearer s3cret ")]
    async with network(stt=mute) as net:
        with pytest.raises(ConnectError, match="white space in its query") as caught:
            async with connect(url, open_stream=net.open_stream):
                pytest.fail("connected")
        assert "cret" not in shows(caught.value)
        net.http["a"] = (200, health(9))
        with pytest.raises(ConnectError, match="no HTTP") as caught:
            await get(
                Address.parse("http://a"),
                "/health",
                open_stream=net.open_http,
                headers=headers,
                timeout_s=1,
            )
        assert "cret" not in shows(caught.value)


@both_backends
async def test_the_view_of_the_servers_holds_no_secret() -> None:
    async with network() as net:
        found = ServiceDiscovery(
            ["http://user:s3cret@a:8000/?token=s3cret"], open_stream=net.open_http
        )
        async with found:
            assert found.view()[0].url == "http://a:8000/"
            assert "s3cret" not in repr(found.view())


def expires(connections: int) -> Any:
    """A server that lets go of its first connections because their token runs out."""
    count = 0

    async def serve(socket: ServerSocket) -> None:
        nonlocal count
        count += 1
        if count > connections:
            return await serve_model(socket)
        await socket.accept()
        model = ModelServer()
        model.say(str(await socket.receive()))
        await socket.send(model.sent.popleft())
        await socket.receive()
        await socket.close(1008, "unauthorized")
        return None

    return serve


@both_backends
async def test_a_token_that_expires_is_renewed_where_a_function_can() -> None:
    async with (
        network(stt=expires(2)) as net,
        connect(URL, credentials=Tokens(), config=OPTIONS, open_stream=net.open_stream) as session,
    ):
        await session.send_audio(ONE + TWO)
        await session.end()
        assert texts(await everything(session)) == ["w1l", "w2l"]
        assert len(net.sockets) == 3


@both_backends
async def test_a_token_that_expires_for_ever_is_given_up() -> None:
    async with network(stt=expires(99)) as net:
        async with connect(
            URL, credentials=Tokens(), config=OPTIONS, open_stream=net.open_stream
        ) as session:
            await session.send_audio(ONE)
            with pytest.raises(DisconnectedError, match="unauthorized"):
                await everything(session)
        assert len(net.sockets) == 4


@both_backends
async def test_a_fixed_token_that_expires_ends_the_session() -> None:
    async with network(stt=expires(1)) as net:
        async with connect(
            URL, credentials="fixed", config=OPTIONS, open_stream=net.open_stream
        ) as session:
            await session.send_audio(ONE)
            with pytest.raises(DisconnectedError, match="unauthorized") as caught:
                await everything(session)
        assert caught.value.is_expiry
        assert len(net.sockets) == 1


@both_backends
async def test_a_server_is_not_left_out_because_a_token_expired_on_it() -> None:
    async with network(a=expires(1)) as net:
        net.http = {"a": (200, health(9))}
        found = ServiceDiscovery(["http://a:8000"], open_stream=net.open_http)
        async with (
            found,
            connect(
                found, credentials=Tokens(), config=OPTIONS, open_stream=net.open_stream
            ) as session,
        ):
            await session.send_audio(ONE)
            await next_of(session, Resumed)
            assert not found.view()[0].is_out
