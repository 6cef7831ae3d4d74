"""Live recordings through a real server: every word and millisecond, whatever neighbours do."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle

import psutil
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from fasttalk_stt.transcripts.audio_file import frames, read_clip
from tools.outcome import Outcome, outcome_of
from tools.playlist import Item, deal
from tools.report import table, totals
from tools.stt_client import Pace, SttClient, open_client

pytestmark = pytest.mark.integration

PATIENCE_S = 240.0
"""Above what the longest of these tests takes on two busy cores."""

HIGHEST_WER = 0.10
"""tiny.en makes about 5 % on these recordings; twice that is no longer the model."""

RSS_GROWTH_BYTES = 64 * 1024 * 1024
"""Allocators keep some of what they had; four connections' audio and more is below this."""


async def play(client: SttClient, item: Item, pace: Pace, **config: object) -> Outcome:
    clip = await trio.to_thread.run_sync(read_clip, item.path)
    trace = await client.run_session(clip, {"language": "en", **config}, pace=pace)
    return outcome_of(item.name, trace, reference=item.reference)


async def test_every_sample_is_transcribed_and_accounted_for(real_server, samples):
    outcomes: list[Outcome] = []

    async def play_all(hand: Sequence[Item]) -> None:
        async with open_client(real_server.websocket_url) as client:
            for item in hand:
                outcomes.append(await play(client, item, Pace()))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for hand in deal(list(samples.values()), 2):
                nursery.start_soon(play_all, hand)
    print(table(outcomes))
    assert [outcome.faults for outcome in outcomes if outcome.faults] == []
    assert [outcome.name for outcome in outcomes if not outcome.text] == []
    errors = totals(outcomes).errors
    assert errors is not None
    assert errors.wer <= HIGHEST_WER


async def test_a_recording_faster_than_real_time_loses_nothing(real_server, samples):
    with trio.fail_after(PATIENCE_S):
        async with open_client(real_server.websocket_url) as client:
            outcome = await play(client, samples["conversation"], Pace(speed=0, frame_ms=500))
    assert outcome.faults == ()
    assert outcome.errors is not None
    assert outcome.errors.wer <= HIGHEST_WER


async def test_neighbours_that_misbehave_change_nothing(real_server, samples):
    """One is reset in mid-utterance, one stops reading, one sends garbage; the fourth floods, and
    gets the transcript it gets when it is alone. Nothing of them stays behind."""
    url = real_server.websocket_url
    process = psutil.Process(real_server.pid)

    async def flood() -> Outcome:
        async with open_client(url) as client:
            return await play(client, samples["conversation"], Pace(speed=0, frame_ms=32))

    with trio.fail_after(PATIENCE_S):
        alone = await flood()
        await _wait_until_empty(real_server)
        fds, rss = process.num_fds(), process.memory_info().rss

        beside: list[Outcome] = []
        closed_with: list[int] = []
        speech = samples["long_speech"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_reset_in_mid_utterance, url, speech)
            nursery.start_soon(_send_garbage, url, closed_with)
            async with trio.open_nursery() as mute:
                mute.start_soon(_stop_reading, url)
                beside.append(await flood())
                mute.cancel_scope.cancel()
        await _wait_until_empty(real_server)

    assert alone.faults == ()
    assert beside[0].faults == ()
    assert beside[0].text == alone.text
    assert closed_with == [1008]
    assert process.is_running()
    assert process.status() != psutil.STATUS_ZOMBIE
    real_server.get_json("/health/ready")
    # The connections of these very questions may still be closing.
    with trio.move_on_after(10):
        # Another process has no event to wait for.
        while process.num_fds() > fds:  # noqa: ASYNC110
            await trio.sleep(0.1)
    assert process.num_fds() <= fds
    assert process.memory_info().rss - rss < RSS_GROWTH_BYTES


async def _start(ws: WebSocketConnection, **config: object) -> None:
    await ws.send_message(json.dumps({"type": "start_session", "session_config": config}))


async def _reset_in_mid_utterance(url: str, item: Item) -> None:
    clip = await trio.to_thread.run_sync(read_clip, item.path)
    async with open_client(url) as client:
        ws = client.socket
        await _start(ws, sample_rate=clip.rate_hz)
        for frame in frames(clip, frame_ms=32):
            await trio.sleep(0.032)
            await ws.send_message(frame.payload)
            if frame.end_sample >= 2 * clip.rate_hz:
                break
        # A reset is what trio-websocket never does, so its socket is taken from it.
        raw = ws._stream.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await ws._stream.aclose()


async def _stop_reading(url: str) -> None:
    """Ask and ask, and never listen, until cancelled or cut off by the server's write deadline."""
    async with open_client(url) as client:
        await _start(client.socket)
        with suppress(ConnectionClosed):
            while True:
                await client.socket.send_message('{"type": "ping", "id": "' + "x" * 100 + '"}')


async def _send_garbage(url: str, closed_with: list[int]) -> None:
    nonsense = [
        "{",
        "[]",
        "null",
        '{"type": "no_such_type"}',
        '{"type": 5}',
        b"\x00\x01\x02",
        b"\xff" * 2048,
        b"",
        '{"type": "configure", "config": {"buffer_duration": "long"}}',
        '{"type": "start_session", "session_config": 7}',
    ]
    async with open_client(url) as client:
        await _start(client.socket)
        with suppress(ConnectionClosed):
            for message in cycle(nonsense):
                await client.socket.send_message(message)
                await trio.sleep(0.05)
        # The answers were never looked at, but the library has read up to the close frame.
        assert client.socket.closed is not None
        closed_with.append(client.socket.closed.code)


async def _wait_until_empty(real_server) -> None:
    while True:
        stats = await trio.to_thread.run_sync(real_server.get_json, "/stats")
        if stats["active_connections"] == 0:
            return
        # Another process: there is no event to wait for.
        await trio.sleep(0.2)
