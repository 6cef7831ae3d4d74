"""Everything at once: an engine that fails, a network that breaks, clients that vanish."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import numpy as np
import trio

from fasttalk_stt.client import ClientSettings
from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.cuts import Talk, random_plan
from tools.rehearsing.network import Network
from tools.rehearsing.speaking import speak

FAULTS = "error:0.05,gpu:0.02,oom:0.01,garbage:0.03,slow(1s):0.05,hang(6s):0.003"
CUT_SHARE = 0.5
VANISHING_SHARE = 0.2
"""Of the clients that leave in the middle of what they say, without a word."""
SETTINGS = ClientSettings(max_tries=10)


async def live_through(
    url: str, *, clients: int, seconds: float, conversation_s: float, seed: int
) -> tuple[list[Talk], Counter[str]]:
    """Clients speak one conversation after another over a network that breaks. Those that vanish are left
    out of what is returned; they must hurt nobody else."""
    rng = np.random.default_rng(seed)
    target = urlsplit(url)
    network = Network(
        lambda: (str(target.hostname), target.port or 80),
        random_plan(np.random.default_rng(seed), share=CUT_SHARE),
    )
    ends_s = trio.current_time() + seconds
    talks: list[Talk] = []

    async def keep_talking(broken_url: str) -> None:
        while trio.current_time() < ends_s:
            conversation = make_conversation(rng, conversation_s)
            vanishes_after_s = float("inf")
            if rng.random() < VANISHING_SHARE:
                vanishes_after_s = float(rng.uniform(0, conversation_s))
            with trio.move_on_after(vanishes_after_s) as stay:
                spoken = await speak(broken_url, conversation.samples, settings=SETTINGS)
            if not stay.cancelled_caught:
                talks.append(Talk(conversation.words, spoken))

    async with trio.open_nursery() as nursery:
        port = await nursery.start(network.serve)
        async with trio.open_nursery() as speakers:
            for _ in range(clients):
                speakers.start_soon(keep_talking, f"ws://127.0.0.1:{port}{target.path}")
        nursery.cancel_scope.cancel()
    return talks, network.breaks
