"""The replay command against a scripted server on a real socket, without a pace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import numpy as np
import pytest
import soundfile
import trio
from trio_websocket import ConnectionClosed, serve_websocket

from tools.replay import main

pytestmark = pytest.mark.abuse


@asynccontextmanager
async def listening(handler) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, handler, "127.0.0.1", 0, None))
        yield f"ws://127.0.0.1:{server.port}/ws/transcribe"
        nursery.cancel_scope.cancel()


@pytest.fixture
def accept(scripted_server):
    """A handler that serves each connection with a scripted server, and notes them."""
    servers = []

    async def handler(request):
        server = scripted_server(decode_s=0)
        servers.append(server)
        socket = await request.accept()
        try:
            await server(socket)
        except ConnectionClosed:
            return

    handler.servers = servers
    return handler


@pytest.fixture
def recording(tmp_path):
    def make(name="a.wav", *, seconds=1.0, rate_hz=16_000, channels=1, reference=None):
        samples = np.full((int(seconds * rate_hz), channels), 0.1, dtype=np.float32)
        path = tmp_path / name
        soundfile.write(path, samples, rate_hz)
        if reference is not None:
            path.with_suffix(".txt").write_text(reference, encoding="utf-8")
        return path

    return make


async def run(*argv: object) -> int:
    return await trio.to_thread.run_sync(main, [str(argument) for argument in argv])


async def test_a_good_file(accept, recording, capsys):
    path = recording(reference="Hello world")
    async with listening(accept) as url:
        assert await run(path, "--url", url, "--speed", "0", "--words") == 0
    out = capsys.readouterr().out
    assert "  0:00.00  hello world\n" in out
    assert "0.500 -    1.000  0.90  world" in out
    assert "1 files, 1.0 s of audio, 0 failed" in out
    assert "WER 0.00 % of 2 words" in out


async def test_several_files_share_one_connection(accept, recording):
    paths = [recording(f"{name}.wav") for name in "abc"]
    async with listening(accept) as url:
        assert await run(*paths, "--url", url, "--speed", "0", "--quiet") == 0
    assert len(accept.servers) == 1
    assert len(accept.servers[0].control) == 6


async def test_several_clients_have_a_connection_each(accept, recording, capsys):
    paths = [recording(f"{name}.wav") for name in "abc"]
    async with listening(accept) as url:
        assert await run(*paths, "--url", url, "--speed", "0", "--clients", "2") == 0
    assert len(accept.servers) == 2
    out = capsys.readouterr().out
    assert "[1] a.wav" in out
    assert "[2] b.wav" in out
    assert "[1] c.wav" in out


async def test_config_reaches_the_session(accept, recording):
    path = recording(rate_hz=44_100, channels=2)
    argv = ["--config", "language=en", "--config", "buffer_duration=1.5", "--speed", "0"]
    async with listening(accept) as url:
        assert await run(path, "--url", url, *argv) == 0
    assert accept.servers[0].control[0]["session_config"] == {
        "language": "en",
        "buffer_duration": 1.5,
        "sample_rate": 44_100,
    }


async def test_a_rate_no_session_takes_is_resampled(accept, recording):
    path = recording(rate_hz=96_000)
    async with listening(accept) as url:
        assert await run(path, "--url", url, "--speed", "0") == 0
    assert accept.servers[0].control[0]["session_config"]["sample_rate"] == 16_000
    assert sum(len(data) for _, data in accept.servers[0].frames) == 4 * 16_000


async def test_trailing_silence_is_sent(accept, recording):
    async with listening(accept) as url:
        assert await run(recording(), "--url", url, "--speed", "0", "--trailing-silence", "2") == 0
    assert sum(len(data) for _, data in accept.servers[0].frames) == 4 * 3 * 16_000


async def test_json(accept, recording, tmp_path):
    target = tmp_path / "out.json"
    async with listening(accept) as url:
        assert await run(recording(), "--url", url, "--speed", "0", "--json", target) == 0
    assert json.loads(target.read_text())["totals"]["files"] == 1


async def test_an_unreadable_file_is_one_line_and_the_others_are_played(
    accept, recording, tmp_path, capsys
):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    argv = [broken, tmp_path / "gone.wav", recording()]
    async with listening(accept) as url:
        assert await run(*argv, "--url", url, "--speed", "0") == 1
    out = capsys.readouterr().out
    assert f"error: {broken}: not readable as audio" in out
    assert f"error: {tmp_path / 'gone.wav'}: no such file" in out
    assert "3 files, 1.0 s of audio, 2 failed" in out


async def test_a_refused_upgrade_is_said_once(recording, capsys):
    async def refuse(request):
        body = json.dumps({"error": {"code": "server_full", "message": "no seat left"}})
        await request.reject(503, extra_headers=[(b"Retry-After", b"3")], body=body.encode())

    paths = [recording("a.wav"), recording("b.wav")]
    async with listening(refuse) as url:
        assert await run(*paths, "--url", url) == 1
    out = capsys.readouterr().out
    line = "HTTP 503: server_full: no seat left (try again in 3 s)"
    assert out.count(f"error: {url}: the server refused the connection with {line}") == 1
    assert "2 files, 0.0 s of audio, 2 failed" in out


async def test_after_a_failed_session_the_next_file_gets_a_new_connection(
    scripted_server, recording, capsys
):
    accepted = []

    async def fail_first(request):
        accepted.append(request)
        socket = await request.accept()
        if len(accepted) == 1:
            await socket.get_message()
            await socket.aclose(1013, "try later")
            return
        try:
            await scripted_server(decode_s=0)(socket)
        except ConnectionClosed:
            return

    paths = [recording("a.wav"), recording("b.wav")]
    async with listening(fail_first) as url:
        assert await run(*paths, "--url", url, "--speed", "0") == 1
    assert len(accepted) == 2
    out = capsys.readouterr().out
    assert "error: a.wav: the server closed the connection with 1013 (try later)" in out
    assert "2 files, 2.0 s of audio, 1 failed" in out


def test_neither_files_nor_manifest_is_bad_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "give either files or --manifest DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--speed", "-1"], "expected a number of at least 0"),
        (["--speed", "nan"], "expected a number of at least 0"),
        (["--frame-ms", "1001"], "expected 1-1000 ms"),
        (["--clients", "1.5"], "expected a whole number of at least 1"),
        (["--config", "language"], "expected KEY=VALUE"),
        (["--config", "encoding=mp3"], "expected f32le or s16le"),
        (["--config", "sample_rate=96000"], "expected 8000-48000"),
        (["--header", "x"], "expected NAME:VALUE"),
    ],
)
def test_bad_arguments_are_named(recording, capsys, argv, line):
    with pytest.raises(SystemExit):
        main([str(recording()), *argv])
    assert line in capsys.readouterr().err


def test_an_empty_choice_is_one_line(tmp_path, capsys):
    (tmp_path / "manifest.jsonl").write_text("")
    assert main(["--manifest", str(tmp_path), "--filter", "x*"]) == 1
    assert capsys.readouterr().err.strip().endswith("matches 'x*'")
