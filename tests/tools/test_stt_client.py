"""The measuring client against a scripted server, on a clock that jumps."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, serve_websocket
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request

from fasttalk_stt.transcripts.audio_file import Clip
from tools.session_checks import accounting_faults, order_faults, word_faults
from tools.stt_client import ConnectFailedError, Pace, open_client, refusal_line


async def test_session_is_complete_and_paced_in_real_time(
    connected, scripted_server, one_second, autojump_clock
):
    server = scripted_server(decode_s=0.25)
    async with connected(server) as client:
        trace = await client.run_session(one_second, {"language": "en"}, pace=Pace(frame_ms=100))
    assert trace.complete
    assert trace.text == "hello world"
    assert not accounting_faults(trace) + order_faults(trace) + word_faults(trace)
    assert [frame.end_sample for frame in trace.sent] == [1600 * k for k in range(1, 11)]
    sent_s = [frame.at_s - trace.began_at_s for frame in trace.sent]
    assert sent_s == pytest.approx([k / 10 for k in range(1, 11)], abs=1e-6)
    assert trace.transcriptions[0].at_s - trace.sent[-1].at_s == pytest.approx(0.25, abs=1e-6)
    assert server.control[0]["session_config"] == {"language": "en", "sample_rate": 16_000}
    assert [message["type"] for message in server.control] == ["start_session", "end_session"]


async def test_schedule_has_no_drift_when_the_server_takes_frames_slowly(
    connected, scripted_server, one_second, autojump_clock
):
    class Slow(scripted_server):
        async def send(self, socket, message):
            await super().send(socket, message)
            if message["type"] == "session_started":
                await trio.sleep(0.55)

    async with connected(Slow(), lockstep=True) as client:
        trace = await client.run_session(one_second, {}, pace=Pace(frame_ms=100))
    assert trace.complete
    # The library takes some frames ahead of the script; the next ones had to wait.
    assert 100 < trace.lag_ms < 350
    assert trace.sent[-1].at_s - trace.began_at_s == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("pace", [(1.0, 1.0), (4.0, 0.25), (0.0, 0.0)])
async def test_speed(connected, scripted_server, one_second, autojump_clock, pace):
    speed, expected_s = pace
    async with connected(scripted_server(decode_s=0)) as client:
        trace = await client.run_session(one_second, {}, pace=Pace(speed=speed))
    assert trace.complete
    assert trace.sent[-1].at_s - trace.began_at_s == pytest.approx(expected_s, abs=1e-6)


async def test_connection_is_reused_for_a_second_session(
    connected, scripted_server, one_second, autojump_clock
):
    async with connected(scripted_server()) as client:
        first = await client.run_session(one_second, {}, pace=Pace())
        second = await client.run_session(one_second, {}, pace=Pace())
        assert client.is_open
    assert first.complete
    assert second.complete


async def test_s16le_is_sent_as_such(connected, scripted_server, autojump_clock):
    server = scripted_server()
    clip = Clip(samples=np.array([0, 1, -1, 2], dtype=np.float32), rate_hz=8_000)
    async with connected(server) as client:
        await client.run_session(clip, {"encoding": "s16le"}, pace=Pace())
    payload = b"".join(data for _, data in server.frames)
    assert np.frombuffer(payload, "<i2").tolist() == [0, 32767, -32767, 32767]
    assert server.control[0]["session_config"]["sample_rate"] == 8_000


async def test_listener_sees_every_message(connected, scripted_server, one_second, autojump_clock):
    seen = []
    async with connected(scripted_server()) as client:
        await client.run_session(
            one_second, {}, pace=Pace(), on_message=lambda message: seen.append(message["type"])
        )
    assert seen == ["session_started", "transcription", "session_ended"]


async def _start(socket):
    await socket.get_message()
    await socket.send_message(json.dumps({"type": "session_started", "config": {}}))


async def _read_until_end(socket):
    while '"end_session"' not in str(await socket.get_message()):
        pass


async def test_says_when_nothing_comes_after_the_end(connected, one_second, autojump_clock):
    async def never_ends(socket):
        await _start(socket)
        await _read_until_end(socket)
        await trio.sleep_forever()

    async with connected(never_ends) as client:
        trace = await client.run_session(one_second, {}, pace=Pace(idle_timeout_s=5))
    assert trace.failure == "nothing came within 5 s after end_session, and no session_ended"
    assert trace.wall_s == pytest.approx(6.0, abs=1e-6)


async def test_says_when_the_session_does_not_start(connected, one_second, autojump_clock):
    async def mute(socket):
        await trio.sleep_forever()

    async with connected(mute) as client:
        trace = await client.run_session(one_second, {}, pace=Pace(idle_timeout_s=5))
    assert trace.failure == "no answer to start_session within 5 s"
    assert not trace.sent


async def test_says_when_the_server_stops_taking_audio(connected, one_second, autojump_clock):
    async def starts_only(socket):
        await _start(socket)
        await trio.sleep_forever()

    async with connected(starts_only, lockstep=True) as client:
        trace = await client.run_session(one_second, {}, pace=Pace(idle_timeout_s=5))
    assert trace.failure == "the server took no audio and said nothing within 5 s"


async def test_says_how_the_server_closed(connected, one_second, autojump_clock):
    async def closes(socket):
        await _start(socket)
        await socket.get_message()
        await socket.aclose(1011, "internal fault")

    async with connected(closes) as client:
        trace = await client.run_session(one_second, {}, pace=Pace())
        assert not client.is_open
    assert trace.failure == "the server closed the connection with 1011 (internal fault)"


async def test_says_when_the_connection_breaks_off(connected, one_second, autojump_clock):
    async def breaks(socket):
        await _start(socket)
        await socket._stream.aclose()

    async with connected(breaks) as client:
        trace = await client.run_session(one_second, {}, pace=Pace())
    assert trace.failure == "the connection broke off without a close frame"


async def test_says_why_the_session_was_refused(connected, one_second, autojump_clock):
    async def refuses(socket):
        await socket.get_message()
        error = {"code": "invalid_config", "message": "language 'xx': expected a known one"}
        await socket.send_message(json.dumps({"type": "error", "error": error}))
        await trio.sleep_forever()

    async with connected(refuses) as client:
        trace = await client.run_session(one_second, {"language": "xx"}, pace=Pace())
    assert trace.failure == (
        "the session was refused: invalid_config: language 'xx': expected a known one"
    )


async def test_an_end_before_all_audio_was_sent_is_a_failure(connected, one_second, autojump_clock):
    async def drains(socket):
        await _start(socket)
        await socket.get_message()
        await socket.send_message(json.dumps({"type": "session_ended", "reason": "draining"}))
        await trio.sleep_forever()

    async with connected(drains) as client:
        trace = await client.run_session(one_second, {}, pace=Pace())
    assert trace.failure == "the server ended the session early (reason draining)"


async def test_a_message_that_is_no_json_is_a_failure(connected, one_second, autojump_clock):
    async def babbles(socket):
        await socket.send_message("hello?")
        await trio.sleep_forever()

    async with connected(babbles) as client:
        trace = await client.run_session(one_second, {}, pace=Pace())
    assert trace.failure == "the server sent no JSON: 'hello?'"


@pytest.mark.parametrize(
    ("status", "headers", "body", "line"),
    [
        (401, (), None, "the server refused the connection with HTTP 401"),
        (
            503,
            ((b"Retry-After", b"7"),),
            b'{"error": {"code": "server_full", "message": "50 of 50 connections"}}',
            "the server refused the connection with HTTP 503: server_full: 50 of 50 connections "
            "(try again in 7 s)",
        ),
        (
            403,
            (),
            b'{"error": "no"}',
            "the server refused the connection with HTTP 403: no",
        ),
        (
            502,
            (),
            b"Bad gateway\nnginx",
            "the server refused the connection with HTTP 502: Bad gateway",
        ),
    ],
)
def test_refusals(status, headers, body, line):
    assert refusal_line(ConnectionRejected(status, headers, body)) == line


async def test_no_server_is_one_line():
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(ConnectFailedError) as caught:
        async with open_client(f"ws://127.0.0.1:{port}/ws/transcribe"):
            pytest.fail("connected to nobody")
    line = str(caught.value)
    assert line.startswith(f"ws://127.0.0.1:{port}/ws/transcribe: cannot connect: ")
    assert line.endswith("Connection refused")
    assert "\n" not in line


@pytest.mark.parametrize("url", ["http://x/", "ws://", "localhost:8000", "ws://x:port/"])
async def test_a_url_that_leads_nowhere_is_one_line(url):
    with pytest.raises(ConnectFailedError, match=r"expected ws://|not a URL"):
        async with open_client(url):
            pytest.fail("connected to nobody")


async def test_an_error_in_the_block_comes_out_as_it_is(scripted_server):
    async def handler(request):
        with suppress(ConnectionClosed):
            await scripted_server()(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, handler, "127.0.0.1", 0, None))
        with pytest.raises(KeyError):
            async with open_client(f"ws://127.0.0.1:{server.port}/"):
                raise KeyError("mine")
        nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_up_instead_of_answering_is_one_line(autojump_clock):
    async def hang_up(stream):
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, hang_up, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        # Only the time-out is left to happen once the hang-up has been seen, so it may jump.
        with pytest.raises(ConnectFailedError, match="no answer to the connection within 10 s"):
            async with open_client(f"ws://127.0.0.1:{port}/"):
                pytest.fail("connected to nobody")
        nursery.cancel_scope.cancel()


async def test_a_ping_that_meets_our_close_is_no_error():
    async def ping_at_the_close(stream):
        wire = WSConnection(ConnectionType.SERVER)
        while data := await stream.receive_some():
            wire.receive_data(data)
            for event in wire.events():
                if isinstance(event, Request):
                    await stream.send_all(wire.send(AcceptConnection()))
                elif isinstance(event, CloseConnection):
                    await stream.send_all(b"\x89\x00")  # a ping that was on its way already

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            partial(trio.serve_tcp, ping_at_the_close, 0, host="127.0.0.1")
        )
        async with open_client(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"):
            pass
        nursery.cancel_scope.cancel()
