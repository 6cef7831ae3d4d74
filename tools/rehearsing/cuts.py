"""Connections that break at random points, and whether every word still came, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import trio
from attrs import frozen

from fasttalk_stt.client import ClientSettings
from tools.hearing.statistics import percentiles
from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.network import Cut, How, Network
from tools.rehearsing.speaking import Spoken, speak

HOWS: tuple[How, ...] = ("reset", "close", "half_open")
LONGEST_S = 20.0
"""A cut falls within so long of the beginning of its connection."""
SETTINGS = ClientSettings(max_tries=10)
"""A connection that is cut before it has settled anything counts as a try that failed, and here one in ten
is: with the usual three tries some clients would rightly give up."""


@frozen
class Talk:
    """The words that one client said, and what came back."""

    said: tuple[str, ...]
    spoken: Spoken


def random_plan(rng: np.random.Generator, *, share: float = 1.0) -> Callable[[], Cut | None]:
    """Cuts of all kinds at random points, for a share of the connections."""

    def plan() -> Cut | None:
        if rng.random() >= share:
            return None
        return Cut(float(rng.uniform(0, LONGEST_S)), HOWS[int(rng.integers(len(HOWS)))])

    return plan


async def talk_over_cuts(
    url: str, *, n_cuts: int, clients: int, seconds: float, seed: int
) -> tuple[list[Talk], Counter[str]]:
    """Clients speak one conversation after another until so many connections were cut."""
    rng = np.random.default_rng(seed)
    target = urlsplit(url)
    network = Network(
        lambda: (str(target.hostname), target.port or 80), random_plan(np.random.default_rng(seed))
    )
    talks: list[Talk] = []

    async def keep_talking(broken_url: str) -> None:
        while network.breaks.total() < n_cuts:
            conversation = make_conversation(rng, seconds)
            spoken = await speak(broken_url, conversation.samples, settings=SETTINGS)
            talks.append(Talk(conversation.words, spoken))

    async with trio.open_nursery() as nursery:
        port = await nursery.start(network.serve)
        async with trio.open_nursery() as speakers:
            for _ in range(clients):
                speakers.start_soon(keep_talking, f"ws://127.0.0.1:{port}{target.path}")
        nursery.cancel_scope.cancel()
    return talks, network.breaks


def talk_figures(talks: Sequence[Talk]) -> dict[str, Any]:
    """JSON-able: what was lost, doubled or broken, and how long clients were without a connection."""
    outages = [outage for talk in talks for outage in talk.spoken.outages]
    wrong = [talk for talk in talks if talk.spoken.words != talk.said]
    return {
        "conversations": len(talks),
        "words": sum(len(talk.said) for talk in talks),
        "words_lost": sum(_missing(t.said, t.spoken.words) for t in talks),
        "words_too_many": sum(_missing(t.spoken.words, t.said) for t in talks),
        "conversations_that_differ": len(wrong),
        "violations": sorted({v for talk in talks for v in talk.spoken.violations()})[:20],
        "conversations_that_differ_without_an_error": sum(not t.spoken.errors for t in wrong),
        "errors": dict(Counter(code for talk in talks for code in talk.spoken.errors)),
        "resumes": len(outages),
        "resumed_ms": percentiles([1000 * outage_s for _, outage_s in outages], 50, 95, 99),
    }


def _missing(expected: Sequence[str], found: Sequence[str]) -> int:
    """How many words of the first are not in the second."""
    return (Counter(expected) - Counter(found)).total()
