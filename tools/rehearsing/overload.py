"""Ten times what is allowed, of connections, messages and audio, and what those inside notice of it."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import trio
from attrs import define
from trio_websocket import ConnectionClosed, ConnectionRejected, open_websocket_url

from fasttalk_stt.inference.tones import tones
from tools.fuzzing.witness import Witness
from tools.hearing.audio import RATE_HZ
from tools.hearing.servers import RunningServer
from tools.hearing.statistics import percentiles
from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.cuts import Talk, talk_figures
from tools.rehearsing.speaking import speak
from tools.stt_client import ConnectFailedError, open_client

INSIDE = 8
"""Clients that speak all the while; the server has places for them, the witness and the flooders."""
FLOODERS = 2
PLACES = INSIDE + FLOODERS + 1
MESSAGE_LIMIT = 200
TIMES = 10
PEACE_S = 15.0
ATTACK_S = 20.0
KNOCKS_PER_S = 25


async def overload(server: RunningServer, *, seed: int) -> dict[str, Any]:
    """JSON-able: how quickly too much is refused, and the others' pings and words."""
    rng = np.random.default_rng(seed)
    witness = Witness(server.url)
    talks: list[Talk] = []
    refused_ms: list[float] = []
    told_ms: list[float] = []
    is_over = False

    async def keep_talking() -> None:
        while not is_over:
            conversation = make_conversation(rng, 10.0)
            talks.append(Talk(conversation.words, await speak(server.url, conversation.samples)))

    async with trio.open_nursery() as nursery:
        await nursery.start(witness.watch)
        async with trio.open_nursery() as speakers:
            for _ in range(INSIDE):
                speakers.start_soon(keep_talking)
            await trio.sleep(PEACE_S)
            in_peace = witness.take()
            with trio.move_on_after(ATTACK_S):
                async with trio.open_nursery() as attackers:
                    attackers.start_soon(_flood, server.url, told_ms)
                    attackers.start_soon(_pour, server.url)
                    await trio.sleep(1.0)  # both are inside: the server is full
                    await _knock(server.url, refused_ms)
                    await trio.sleep_forever()
            under_attack = witness.take()
            is_over = True
        nursery.cancel_scope.cancel()
    return {
        **talk_figures(talks),
        "refused": len(refused_ms),
        "refused_ms": percentiles(refused_ms, 50, 95, 99),
        "rate_limited_ms": percentiles(told_ms, 50, 95, 99),
        "ping_in_peace_ms": in_peace,
        "ping_under_attack_ms": under_attack,
    }


async def _knock(url: str, refused_ms: list[float]) -> None:
    """Ask for ten times as many connections as there are places."""

    async def knock() -> None:
        began_s = trio.current_time()
        try:
            async with open_client(url):
                pass
        except ConnectFailedError:
            refused_ms.append(1000 * (trio.current_time() - began_s))

    async with trio.open_nursery() as nursery:
        for _ in range(TIMES * PLACES):
            nursery.start_soon(knock)
            await trio.sleep(1 / KNOCKS_PER_S)


async def _flood(url: str, told_ms: list[float]) -> None:
    """Send ten times as many messages as are allowed, again and again: from the first that is too many to
    the word about it."""
    while True:
        with suppress(ConnectionClosed, ConnectionRejected):
            async with open_websocket_url(url) as websocket, trio.open_nursery() as nursery:
                over = _Over()
                nursery.start_soon(_await_word, websocket.get_message, over, told_ms)
                began_s = trio.current_time()
                for number in range(3 * MESSAGE_LIMIT):
                    await websocket.send_message('{"type": "ping", "id": 1}')
                    over.note(number + 1, trio.current_time() - began_s)
                    await trio.sleep_until(began_s + number / (TIMES * MESSAGE_LIMIT))
                nursery.cancel_scope.cancel()
        await trio.sleep(0.5)


@define
class _Over:
    """When the first message went out that was more than allowed: a busy client sends more slowly than it
    means to."""

    since_s: float | None = None

    def note(self, n_sent: int, after_s: float) -> None:
        if self.since_s is None and n_sent > MESSAGE_LIMIT * (1 + after_s):
            self.since_s = trio.current_time()


async def _await_word(take: Any, over: _Over, told_ms: list[float]) -> None:
    with suppress(ConnectionClosed):
        while json.loads(await take())["type"] != "error":
            pass
        now_s = trio.current_time()
        told_ms.append(1000 * (now_s - (now_s if over.since_s is None else over.since_s)))


async def _pour(url: str) -> None:
    """Send audio at ten times real time for as long as the server takes it."""
    audio = tones([1, 2, 3, 4] * 200)
    while True:
        with suppress(ConnectionClosed, ConnectionRejected):
            async with open_websocket_url(url) as websocket, trio.open_nursery() as nursery:
                nursery.start_soon(partial(_drop_all, websocket.get_message))
                await websocket.send_message(json.dumps({"type": "start_session"}))
                began_s = trio.current_time()
                for start in range(0, len(audio), 512):
                    await websocket.send_message(audio[start : start + 512].tobytes())
                    await trio.sleep_until(began_s + start / RATE_HZ / TIMES)
                nursery.cancel_scope.cancel()


async def _drop_all(take: Any) -> None:
    with suppress(ConnectionClosed):
        while True:
            await take()
