"""A long time: what a server holds and how quick it is, from its first minutes to its last."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Sequence
from statistics import fmean
from typing import Any
from urllib.parse import urlsplit

import attrs
import numpy as np
import trio
from attrs import frozen

from tools.fuzzing.witness import Footprint, Witness
from tools.hearing.servers import RunningServer
from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.cuts import Talk, talk_figures
from tools.rehearsing.speaking import speak

WARM_UP_S = 300.0
LOOK_EVERY_S = 30.0
SHORT_WARM_UP_SHARE = 0.3
"""Of a soak too short for the usual warm-up."""
TELL_EVERY = 10

Note = Callable[[str], None]


@frozen
class Look:
    """The server at one moment."""

    at_s: float
    footprint: Footprint
    tasks: int
    ping_ms: dict[str, Any]


async def soak(
    server: RunningServer,
    converse: Callable[[], Awaitable[None]],
    *,
    clients: int,
    seconds: float,
    note: Note,
) -> dict[str, Any]:
    """Each client holds one conversation after another, each on a connection of its own; JSON-able: how
    the server's last moments differ from its first."""
    ends_s = trio.current_time() + seconds
    looks: list[Look] = []
    witness = Witness(server.url)

    async def keep_talking() -> None:
        while trio.current_time() < ends_s:
            await converse()

    async with trio.open_nursery() as nursery:
        await nursery.start(witness.watch)
        began_s = trio.current_time()
        async with trio.open_nursery() as speakers:
            for _ in range(clients):
                speakers.start_soon(keep_talking)
            while trio.current_time() < ends_s:
                await trio.sleep(min(LOOK_EVERY_S, max(ends_s - trio.current_time(), 0.1)))
                looks.append(await _look(server, trio.current_time() - began_s, witness))
                if len(looks) % TELL_EVERY == 0:
                    note(f"{looks[-1].at_s:.0f} s: {looks[-1].footprint.mib} MiB")
        nursery.cancel_scope.cancel()
    return drift(looks, seconds)


async def soak_with_tones(
    server: RunningServer,
    *,
    clients: int,
    seconds: float,
    conversation_s: float,
    seed: int,
    note: Note,
) -> dict[str, Any]:
    """`soak` of a server that hears tones for words, with the words that were lost; JSON-able."""
    rng = np.random.default_rng(seed)
    talks: list[Talk] = []

    async def converse() -> None:
        conversation = make_conversation(rng, conversation_s)
        talks.append(Talk(conversation.words, await speak(server.url, conversation.samples)))

    found = await soak(server, converse, clients=clients, seconds=seconds, note=note)
    return {**talk_figures(talks), **found}


async def _look(server: RunningServer, at_s: float, witness: Witness) -> Look:
    address = urlsplit(server.url)
    stats = await trio.to_thread.run_sync(_get, f"http://{address.netloc}/stats")
    return Look(at_s, Footprint.of(server.pid), stats["event_loop"]["tasks"], witness.take())


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def drift(looks: Sequence[Look], seconds: float) -> dict[str, Any]:
    """How the last looks differ from the first after the warm-up."""
    warm_up_s = WARM_UP_S if seconds > 2 * WARM_UP_S else SHORT_WARM_UP_SHARE * seconds
    warm = [look for look in looks if look.at_s >= warm_up_s] or looks[-1:]
    first, last = warm[0], warm[-1]
    # Memory comes and goes with what is under way: one look says less than several.
    before = _mean_mib(look for look in warm if look.at_s < first.at_s + warm_up_s)
    after = _mean_mib(look for look in warm if look.at_s > last.at_s - warm_up_s)
    return {
        "warm": attrs.asdict(first),
        "last": attrs.asdict(last),
        "mib_warm": round(before, 1),
        "mib_last": round(after, 1),
        "most_mib": max(look.footprint.mib for look in warm),
        "memory_growth_percent": round(100 * (after / before - 1), 2),
        "most_tasks": max(look.tasks for look in warm),
    }


def _mean_mib(looks: Iterable[Look]) -> float:
    return fmean(look.footprint.mib for look in looks)
