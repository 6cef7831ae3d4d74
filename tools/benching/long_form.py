"""Long recordings in real time: whether the last minute is served like the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil
import trio
from attrs import define, field

from fasttalk_stt.cli.audio_file import Clip
from tools.benching.streams import PACE, lags_ms
from tools.hearing.audio import RATE_HZ
from tools.hearing.mixtures import Source
from tools.hearing.servers import RunningServer
from tools.scoring import WordErrors, total_errors, word_errors
from tools.stt_client import open_client
from tools.trace import SessionTrace

LONG_S = 300.0
"""Recordings that are longer than this count as long."""
EDGE_S = 60.0
"""How much of the beginning and of the end is compared."""
MEMORY_EVERY_S = 5.0


@define
class _Memory:
    process: psutil.Process
    mib: list[float] = field(factory=list)

    async def watch(self) -> None:
        while True:
            self.mib.append(self.process.memory_info().rss / 2**20)
            await trio.sleep(MEMORY_EVERY_S)


def long_form(
    server: RunningServer,
    sources: Sequence[Source],
    *,
    config: dict[str, Any],
    offline: Callable[[Source], str],
) -> list[dict[str, Any]]:
    """Speak one recording after another; `offline` transcribes one as a whole, for comparison."""
    rows = []
    for source in sources:
        memory = _Memory(psutil.Process(server.pid))
        trace = trio.run(_speak, server.url, source, config, memory)
        reference = source.entry.text or ""
        streamed, whole = (word_errors(reference, text) for text in (trace.text, offline(source)))
        rows.append(
            {
                "id": source.id,
                "seconds": round(len(source.samples) / RATE_HZ, 1),
                "wer": round(streamed.wer, 4),
                "offline_wer": round(whole.wer, 4),
                **_drift(trace),
                **_growth(memory.mib),
                "failure": trace.failure,
                "errors": _counts(streamed),
                "offline_errors": _counts(whole),
            }
        )
    return rows


def totals(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Word error rates over all rows."""
    return {
        name: round(total_errors([WordErrors(*row[key]) for row in rows]).wer, 4)
        for name, key in (("wer", "errors"), ("offline_wer", "offline_errors"))
    }


async def _speak(url: str, source: Source, config: dict[str, Any], memory: _Memory) -> SessionTrace:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.watch)
        async with open_client(url) as client:
            trace = await client.run_session(Clip(source.samples, RATE_HZ), config, pace=PACE)
        nursery.cancel_scope.cancel()
    return trace


def _drift(trace: SessionTrace) -> dict[str, float]:
    """The median lag in the first minute and in the last."""
    lags = list(lags_ms(trace, 0.0))
    n_edge = max(round(len(lags) * EDGE_S * 1000 / trace.duration_ms), 1)
    return {
        "first_lag_ms": round(float(np.median(lags[:n_edge])), 1),
        "last_lag_ms": round(float(np.median(lags[-n_edge:])), 1),
    }


def _growth(mib: Sequence[float]) -> dict[str, float]:
    """The server's memory after a minute, when all is warm, and at the end."""
    warm = min(round(EDGE_S / MEMORY_EVERY_S), len(mib) - 1)
    return {"warm_mib": round(mib[warm], 1), "last_mib": round(mib[-1], 1)}


def _counts(errors: WordErrors) -> tuple[int, int, int, int]:
    return (errors.substitutions, errors.deletions, errors.insertions, errors.reference_words)
