"""Real speech to a real model over connections that break: what the seams cost in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain, cycle, repeat
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import trio

from tools.hearing.mixtures import Source
from tools.hearing.servers import RunningServer
from tools.hearing.statistics import percentiles
from tools.rehearsing.cuts import HOWS, SETTINGS
from tools.rehearsing.network import Cut, Network
from tools.rehearsing.soak import soak
from tools.rehearsing.speaking import Spoken, speak
from tools.scoring import WordErrors, total_errors, word_errors

LAST_CUT_SHARE = 0.9
"""Of a recording: a cut behind it would change nothing."""

Spoke = dict[str, Spoken]


async def speech_figures(
    url: str, sources: Sequence[Source], *, clients: int, seed: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """JSON-able: word errors of each recording as it is, twice, and with every first connection cut once."""
    rng = np.random.default_rng(seed)
    rounds: dict[str, Spoke] = {}
    for name in ("unbroken", "unbroken_again"):
        note(name)
        rounds[name] = await _speak_all([url] * len(sources), sources, clients)
    note("broken")
    rounds["broken"] = await _speak_over_cuts(url, sources, clients, rng)
    differing = [source for source in sources if _is_worse(source, rounds)]
    outages = [outage_s for each in rounds["broken"].values() for _, outage_s in each.outages]
    return {
        "recordings": len(sources),
        **{f"wer_{name}": _errors(sources, spoke).wer for name, spoke in rounds.items()},
        **{f"errors_{name}": str(_errors(sources, spoke)) for name, spoke in rounds.items()},
        "worse_when_broken": {
            source.id: {
                "said": source.entry.text,
                **{name: _text(spoke, source) for name, spoke in rounds.items()},
            }
            for source in differing
        },
        "resumes": len(outages),
        "resumed_ms": percentiles([1000 * outage_s for outage_s in outages], 50, 95, 99),
        "violations": sorted(
            {v for spoke in rounds.values() for each in spoke.values() for v in each.violations()}
        ),
    }


async def _speak_all(urls: Sequence[str], sources: Sequence[Source], clients: int) -> Spoke:
    spoke: Spoke = {}
    limiter = trio.CapacityLimiter(clients)

    async def one(url: str, source: Source) -> None:
        async with limiter:
            spoke[source.id] = await speak(url, source.samples, settings=SETTINGS)

    async with trio.open_nursery() as nursery:
        for url, source in zip(urls, sources, strict=True):
            nursery.start_soon(one, url, source)
    return spoke


async def _speak_over_cuts(
    url: str, sources: Sequence[Source], clients: int, rng: np.random.Generator
) -> Spoke:
    """Each recording over a network of its own, which breaks once."""
    target = urlsplit(url)

    def address() -> tuple[str, int]:
        return str(target.hostname), target.port or 80

    urls = []
    async with trio.open_nursery() as nursery:
        for source in sources:
            latest_s = source.entry.seconds * LAST_CUT_SHARE
            cut = Cut(float(rng.uniform(0, latest_s)), HOWS[int(rng.integers(len(HOWS)))])
            # What follows the first connection holds.
            plan = chain([cut], repeat(None)).__next__
            port = await nursery.start(Network(address, plan).serve)
            urls.append(f"ws://127.0.0.1:{port}{target.path}")
        spoke = await _speak_all(urls, sources, clients)
        nursery.cancel_scope.cancel()
    return spoke


async def speech_meanwhile(
    url: str,
    sources: Sequence[Source],
    happening: Callable[[], Awaitable[None]],
    *,
    clients: int,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """JSON-able: word errors of recordings that are said for as long as something happens to the servers, and
    of the same ones when nothing does."""
    waiting = cycle(sources)
    spoke: list[tuple[Source, Spoken]] = []
    is_over = False

    async def keep_talking() -> None:
        while not is_over:
            source = next(waiting)
            spoke.append((source, await speak(url, source.samples, settings=SETTINGS)))

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(keep_talking)
        await happening()
        is_over = True
    note("unbroken")
    unbroken = await _speak_all([url] * len(sources), sources, clients)
    meanwhile = total_errors(_word_errors(source, spoken) for source, spoken in spoke)
    usual = total_errors(_word_errors(source, unbroken[source.id]) for source, _ in spoke)
    return {
        "wer_unbroken": usual.wer,
        "wer_meanwhile": meanwhile.wer,
        "errors_unbroken": str(usual),
        "errors_meanwhile": str(meanwhile),
        "resumes": sum(len(spoken.outages) for _, spoken in spoke),
        "resumed_ms": percentiles(
            [1000 * outage_s for _, spoken in spoke for _, outage_s in spoken.outages], 50, 95
        ),
        **_account(spoke),
    }


async def soak_with_speech(
    server: RunningServer,
    sources: Sequence[Source],
    *,
    clients: int,
    seconds: float,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """`soak` of a server with a real model, by recordings that are said over and over; JSON-able.

    `unbroken` are the words of the first round, `meanwhile` those of all later ones.
    """
    waiting = cycle(sources)
    spoke: list[tuple[Source, Spoken]] = []

    async def converse() -> None:
        source = next(waiting)
        spoke.append((source, await speak(server.url, source.samples)))

    found = await soak(server, converse, clients=clients, seconds=seconds, note=note)
    # What was said first is what it is like without hours behind it.
    first = total_errors(_word_errors(*each) for each in spoke[: len(sources)])
    later = total_errors(_word_errors(*each) for each in spoke[len(sources) :] or spoke)
    return {
        "wer_unbroken": first.wer,
        "wer_meanwhile": later.wer,
        "errors_unbroken": str(first),
        "errors_meanwhile": str(later),
        **_account(spoke),
        **found,
    }


def _account(spoke: Sequence[tuple[Source, Spoken]]) -> dict[str, Any]:
    """What must not have happened to any of them."""
    return {
        "recordings": len(spoke),
        "without_an_end": sum(spoken.ended is None for _, spoken in spoke),
        "discarded_ms": sum(
            spoken.ended.audio.discarded_ms for _, spoken in spoke if spoken.ended is not None
        ),
        "unexpected_errors": dict(Counter(code for _, spoken in spoke for code in spoken.errors)),
        "violations": sorted({v for _, spoken in spoke for v in spoken.violations()}),
    }


def _errors(sources: Sequence[Source], spoke: Spoke) -> WordErrors:
    return total_errors(_word_errors(source, spoke[source.id]) for source in sources)


def _word_errors(source: Source, spoken: Spoken) -> WordErrors:
    return word_errors(source.entry.text or "", " ".join(spoken.texts))


def _is_worse(source: Source, rounds: Mapping[str, Spoke]) -> bool:
    errors = {name: _word_errors(source, spoke[source.id]).errors for name, spoke in rounds.items()}
    return errors["broken"] > max(errors["unbroken"], errors["unbroken_again"])


def _text(spoke: Spoke, source: Source) -> str:
    return " ".join(spoke[source.id].texts)
