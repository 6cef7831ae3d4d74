"""Replicas that are killed and restarted under their clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import trio

from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.cuts import Talk
from tools.rehearsing.replicas import Replica
from tools.rehearsing.speaking import speak

Note = Callable[[str], None]
PAUSE_S = 6.0
"""Between what happens to the replicas: clients have gone on, and HAProxy knows who is there."""


async def kill_and_roll(replicas: Sequence[Replica], note: Note) -> None:
    """Kill one without warning and start it again, then restart all, one after another."""
    await trio.sleep(PAUSE_S)
    note("SIGKILL")
    await trio.to_thread.run_sync(replicas[0].kill)
    await trio.sleep(PAUSE_S)
    await trio.to_thread.run_sync(replicas[0].start)
    for number, replica in enumerate(replicas):
        await trio.sleep(PAUSE_S)
        note(f"restart of replica {number}")
        await trio.to_thread.run_sync(replica.stop)
        await trio.to_thread.run_sync(replica.start)
    await trio.sleep(PAUSE_S)


async def talk_meanwhile(
    url: str, happening: Callable[[], Awaitable[None]], *, clients: int, seconds: float, seed: int
) -> list[Talk]:
    """Clients speak one conversation after another for as long as something happens."""
    rng = np.random.default_rng(seed)
    talks: list[Talk] = []
    is_over = False

    async def keep_talking() -> None:
        while not is_over:
            conversation = make_conversation(rng, seconds)
            talks.append(Talk(conversation.words, await speak(url, conversation.samples)))

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(keep_talking)
        await happening()
        is_over = True
    return talks
